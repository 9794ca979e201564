//! What a changed configuration of an app would change, before it does.

use rollcall_scim::Catalogue;
use serde::{Deserialize, Serialize};

use super::holders::{AccessRules, desired_for, holder_of};
use super::read::account;
use super::switch;
use crate::access::desired::Target;
use crate::app::{App, AppSpec, Connection};
use crate::decision::rule::Rules;
use crate::directory;
use crate::identity::Identity;
use crate::ids::{IdentityId, Sequence};
use crate::kv::{KvError, Read, load_all};

/// The most who would lose their account that are named.
const NAMED: usize = 100;

/// How many identities are read at once.
const CHUNK: usize = 256;

/// What would change in an app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// The accounts that must be there now.
    pub accounts: usize,
    /// Who would be given one.
    pub added: usize,
    /// Whose attributes or groups would change.
    pub changed: usize,
    /// Who would lose theirs.
    pub removed: usize,
    /// Some of them.
    pub removed_some: Vec<IdentityId>,
}

/// What would change in an app if it were configured so.
///
/// # Errors
/// When the state can't be read.
pub fn preview(state: &impl Read, catalogue: Catalogue, spec: &AppSpec) -> Result<Preview, KvError> {
    let app = App { connection: Connection::Configured, version: Sequence(0), spec: spec.clone() };
    let rules = Rules::of_app(&app, &catalogue);
    let access = AccessRules::of(state, &catalogue)?.with(state, app.clone(), rules.clone())?;
    let (mut found, mut after) = (Preview::default(), None::<String>);
    loop {
        let chunk: Vec<(String, Identity)> = load_all(state, directory::IDENTITIES, after.as_deref(), CHUNK)?;
        let Some((last, _)) = chunk.last() else { return Ok(found) };
        after = Some(last.clone());
        for (_, identity) in chunk {
            let before = account(state, identity.id, &spec.id)?.map(|account| account.desired);
            let off = switch::switched_off(state, identity.id)?;
            let holder = holder_of(state, identity)?;
            let identity = &holder.identity;
            let roles = access.roles_of(&holder);
            let principal = access.principal(&catalogue, &holder, &roles);
            let decision = holder.decide(&app, rules.of(identity.kind), &roles, access.asked(principal.as_ref()));
            let after = desired_for(&decision, identity, &app, off.as_ref());
            let was = before.as_ref().map_or(Target::Absent, |desired| desired.target());
            found.accounts += usize::from(was == Target::Present);
            match (was, after.target()) {
                (Target::Absent, Target::Present) => found.added += 1,
                (Target::Present, Target::Absent) => {
                    found.removed += 1;
                    if found.removed_some.len() < NAMED {
                        found.removed_some.push(identity.id);
                    }
                }
                (Target::Present, Target::Present) if before.as_ref() != Some(&after) => found.changed += 1,
                _ => {}
            }
        }
    }
}
