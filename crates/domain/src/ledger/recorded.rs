//! What was owed for people who were erased, as their erasure says it: where the log is read again, their events are sealed, and no rule
//! can be asked about them. Keys: `recorded/<person>`, and `recorded-at/<event>/<person>/<place in the record>` until that event is read.

use super::lists::Kept;
use super::others;
use crate::access::desired::{Desired, Presence, Target};
use crate::app::mapping::Attributes;
use crate::directory;
use crate::governance::erasure::{Erased, Owed};
use crate::identity::content::Content;
use crate::identity::lifecycle::ChangeKind;
use crate::ids::{AppId, IdentityId, Sequence};
use crate::kv::{KvError, Read, Write, load, load_all, store};

const AT: &str = "recorded-at/";

/// What is kept of [`Owed`]: the key says the event.
type Stored = (ChangeKind, Target, Vec<AppId>);

fn person_key(id: IdentityId) -> String {
    format!("recorded/{id}")
}

fn prefix(at: Sequence) -> String {
    format!("{AT}{:020}/", at.0)
}

/// Keeps what a record says of an event that is read closed, and of those after it: what was before was read when it was open, and
/// was owed by the rules. Whether it is new.
pub fn remember(state: &mut impl Write, erased: &Erased, at: Sequence) -> Result<bool, KvError> {
    let is_erased = directory::identity(state, erased.id)?.is_some_and(|i| i.content == Content::Erased);
    if is_erased || is_of(state, erased.id)? {
        return Ok(false);
    }
    erased.everybody().for_each(|id| store(state, person_key(id), &()));
    erased.others.iter().for_each(|other| others::keep(state, erased.id, other));
    for (place, owed) in erased.owed.iter().enumerate().filter(|(_, owed)| owed.opened_by >= at) {
        let whose = owed.nobody.unwrap_or(erased.id);
        let key = format!("{}{whose}/{place:06}", prefix(owed.opened_by));
        store(state, key, &(owed.change, owed.target, owed.apps.clone()));
    }
    Ok(true)
}

/// All of it was read again.
pub fn forget(state: &mut impl Write, id: IdentityId) {
    state.delete(&person_key(id));
}

/// Whether what was owed for someone is recorded.
pub fn is_of(state: &impl Read, id: IdentityId) -> Result<bool, KvError> {
    Ok(load::<()>(state, &person_key(id))?.is_some())
}

/// Whether anything is recorded that was not opened yet.
pub fn is_any(state: &impl Read) -> Result<bool, KvError> {
    Ok(!state.scan(AT, None, 1)?.is_empty())
}

/// Takes what an event has opened, for someone or for everybody.
pub fn take(
    state: &mut Kept<'_, impl Write>,
    at: Sequence,
    of: Option<IdentityId>,
) -> Result<Vec<(IdentityId, Owed)>, KvError> {
    let prefix = match of {
        Some(id) => format!("{}{id}/", prefix(at)),
        None => prefix(at),
    };
    let found: Vec<(String, Stored)> = load_all(state, &prefix, None, usize::MAX)?;
    let mut all = Vec::new();
    for (key, (change, target, apps)) in found {
        state.delete(&key);
        let id = key.get(AT.len()..).and_then(|rest| rest.split('/').nth(1)?.parse().ok());
        let Some(id) = id else { continue };
        all.push((id, Owed { opened_by: at, nobody: None, change, target, apps }));
    }
    Ok(all)
}

/// What an account must be of which nothing else is known than whether it must be there.
pub fn desired(target: Target) -> Desired {
    match target {
        Target::Present => {
            Desired::Present(Presence { attributes: Attributes::new(), groups: std::collections::BTreeSet::new() })
        }
        Target::Absent => Desired::Absent,
    }
}
