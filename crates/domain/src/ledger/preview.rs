//! What another configuration would change in who holds what, before it does.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use rollcall_scim::Catalogue;

use super::holders::{desired_for, holder_of};
use super::read::accounts_of;
use super::separations::violations_of;
use super::switch;
use crate::access::account::Account;
use crate::access::desired::Target;
use crate::access::entitlement::{EntitlementId, Part};
use crate::access::holding::{Decision, Reason, decision_of};
use crate::app::App;
use crate::decision::access_rules::{AccessRules, AccessSpec, apps_of_policies};
use crate::directory;
use crate::directory::app_changes::{configure, configure_policies, configure_roles};
use crate::event::Event;
use crate::identity::Identity;
use crate::ids::{AppId, IdentityId, PolicyId, RoleId, SeparationId};
use crate::kv::{KvError, Read, load_all};

/// The most of each kind that are named.
const NAMED: usize = 100;

/// How many identities are read at once.
const CHUNK: usize = 256;

/// What would change in an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppPreview {
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

/// Whether something would be held that is not, or the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// It would be held.
    Gained,
    /// It would not be held any more.
    Lost,
}

/// By what somebody would gain something, or by what they hold it that would go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PreviewReason {
    /// The rule of the app.
    Rule,
    /// A group of ours.
    Group(String),
    /// A role.
    Role(RoleId),
    /// A grant.
    Grant,
    /// A policy gives it, or gave it.
    Policy(PolicyId),
    /// A policy forbids it.
    Forbidden(PolicyId),
}

impl From<&Reason> for PreviewReason {
    fn from(reason: &Reason) -> Self {
        match reason {
            Reason::Rule => Self::Rule,
            Reason::Group(name) => Self::Group(name.clone()),
            Reason::Role(id) | Reason::GrantedRole(id, _) => Self::Role(id.clone()),
            Reason::Grant(_) => Self::Grant,
            Reason::Policy(id) => Self::Policy(id.clone()),
        }
    }
}

/// How many would gain something, and how many lose it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tally {
    pub gained: usize,
    pub lost: usize,
}

impl Tally {
    const fn count(&mut self, direction: Direction) {
        match direction {
            Direction::Gained => self.gained += 1,
            Direction::Lost => self.lost += 1,
        }
    }
}

/// Something that somebody would gain, or lose.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PreviewChange {
    pub identity: IdentityId,
    pub entitlement: EntitlementId,
    pub direction: Direction,
    pub because: BTreeSet<PreviewReason>,
}

/// What another configuration would change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// How many identities were asked about.
    pub identities: usize,
    /// About how many accounts nothing can be decided: whose they are is sealed or erased.
    pub undecided: usize,
    /// The apps in which anything is decided otherwise, or could be.
    pub apps: BTreeMap<AppId, AppPreview>,
    /// What would be gained and lost.
    pub entitlements: BTreeMap<EntitlementId, Tally>,
    /// PreviewReason of what, in which app.
    pub because: BTreeMap<(AppId, PreviewReason), Tally>,
    /// Some of what would be gained and lost, one by one.
    pub changes: Vec<PreviewChange>,
    /// How many would violate each separation who do not now.
    pub violations: BTreeMap<SeparationId, usize>,
    /// Some of them, with what they would hold together.
    pub violations_some: Vec<(SeparationId, IdentityId, BTreeSet<EntitlementId>)>,
}

/// What would change in who holds what if this were configured, of which the rules have been read. `progress` is told after some identities how many were asked about,
/// and says whether anybody still wants to know: what was found by then is given back.
///
/// # Errors
/// When the state can't be read.
pub fn preview(
    state: &impl Read,
    catalogue: Catalogue,
    spec: &AccessSpec,
    rules: AccessRules,
    mut progress: impl FnMut(usize) -> ControlFlow<()>,
) -> Result<Preview, KvError> {
    let affected = affected(state, &catalogue, spec, &rules)?;
    let candidate = Candidate { catalogue, rules, affected };
    let apps = candidate.affected.iter().filter(|id| candidate.rules.apps.contains_key(*id));
    let mut found =
        Preview { apps: apps.map(|id| (id.clone(), AppPreview::default())).collect(), ..Preview::default() };
    let mut after = None::<String>;
    loop {
        let chunk: Vec<(String, Identity)> = load_all(state, directory::IDENTITIES, after.as_deref(), CHUNK)?;
        let Some((last, _)) = chunk.last() else { return Ok(found) };
        after = Some(last.clone());
        for (_, identity) in chunk {
            found.identities += 1;
            candidate.ask(state, identity, &mut found)?;
        }
        if progress(found.identities).is_break() {
            return Ok(found);
        }
    }
}

/// The apps in which anything may be decided otherwise.
fn affected(
    state: &impl Read,
    catalogue: &Catalogue,
    spec: &AccessSpec,
    rules: &AccessRules,
) -> Result<BTreeSet<AppId>, KvError> {
    let all = || spec.apps.iter().map(|app| app.id.clone()).collect::<BTreeSet<_>>();
    let (roles, policies) = (directory::roles(state)?, directory::policies(state)?);
    let mut apps = BTreeSet::new();
    for event in configure(&directory::apps(state)?, &spec.apps) {
        if let Event::AppConfigured(spec) = event {
            apps.insert(spec.id);
        }
    }
    let changed = configure_roles(&roles, &spec.roles);
    let ask_about_roles =
        || Ok(rules.policies.ask_about_roles() || AccessRules::of(state, catalogue)?.policies.ask_about_roles());
    if !changed.is_empty() && ask_about_roles()? {
        return Ok(all());
    }
    for event in changed {
        let id = match &event {
            Event::RoleConfigured(spec) => {
                apps.extend(spec.entitlements.iter().map(|id| id.app.clone()));
                &spec.id
            }
            Event::RoleRemoved(id) => id,
            _ => continue,
        };
        let before = roles.iter().filter(|role| role.spec.id == *id);
        apps.extend(before.flat_map(|role| &role.spec.entitlements).map(|id| id.app.clone()));
    }
    for event in configure_policies(&policies, &spec.policies) {
        let (id, now) = match &event {
            Event::PolicyConfigured(spec) => (&spec.id, Some(&**spec)),
            Event::PolicyRemoved(id) => (id, None),
            _ => continue,
        };
        let before = policies.iter().map(|policy| &policy.spec).filter(|spec| spec.id == *id);
        match apps_of_policies(before.chain(now)) {
            Some(mut these) => apps.append(&mut these),
            None => return Ok(all()),
        }
    }
    Ok(apps)
}

/// What would be configured.
struct Candidate {
    catalogue: Catalogue,
    rules: AccessRules,
    affected: BTreeSet<AppId>,
}

impl Candidate {
    /// Counts what would change for somebody.
    fn ask(&self, state: &impl Read, identity: Identity, found: &mut Preview) -> Result<(), KvError> {
        let id = identity.id;
        if self.affected.is_empty() && self.rules.separations.is_empty() {
            return Ok(());
        }
        let mut accounts: BTreeMap<AppId, Account> =
            accounts_of(state, id)?.into_iter().map(|account| (account.app.clone(), account)).collect();
        let off = switch::switched_off(state, id)?;
        let holder = holder_of(state, identity)?;
        let roles = self.rules.roles_of(&holder);
        let principal = self.rules.principal(&self.catalogue, &holder, &roles);
        let asked = self.rules.asked(principal.as_ref());
        let mut held: BTreeSet<EntitlementId> = BTreeSet::new();
        for app in &self.affected {
            let Some((app, rules)) = self.rules.apps.get(app) else { continue };
            let before = accounts.remove(&app.spec.id);
            let rule = rules.of(holder.identity.kind);
            if !self.rules.decides(app, rule, &holder.identity) {
                found.undecided += usize::from(before.is_some());
                let parts = before.into_iter().flat_map(|account| account.holds.into_keys());
                held.extend(EntitlementId::of_app(&app.spec.id, parts));
                continue;
            }
            let now = holder.decide(app, rule, &roles, asked);
            let desired = desired_for(&now, &holder.identity, app, off.as_ref());
            let was = before.as_ref().map_or(Target::Absent, |account| account.desired.target());
            let of_app = found.apps.entry(app.spec.id.clone()).or_default();
            of_app.accounts += usize::from(was == Target::Present);
            match (was, desired.target()) {
                (Target::Absent, Target::Present) => of_app.added += 1,
                (Target::Present, Target::Absent) => {
                    of_app.removed += 1;
                    if of_app.removed_some.len() < NAMED {
                        of_app.removed_some.push(id);
                    }
                }
                (Target::Present, Target::Present) => {
                    of_app.changed += usize::from(before.as_ref().map(|account| &account.desired) != Some(&desired));
                }
                (Target::Absent, Target::Absent) => {}
            }
            let was = before.map(|account| decision_of(&account.holds)).unwrap_or_default();
            let forbidden = |part: &Part| asked.forbidden_with_account(&app.spec, part);
            differences(id, app, &was, &now, forbidden, found);
            held.extend(EntitlementId::of_app(&app.spec.id, now.into_keys()));
        }
        for account in accounts.into_values() {
            held.extend(EntitlementId::of_app(&account.app, account.holds.into_keys()));
        }
        let known = violations_of(state, id)?;
        for separation in &self.rules.separations {
            let together = separation.violated_by(&held);
            let is_known = known.iter().any(|one| one.separation == separation.id && together.is_subset(&one.held));
            if together.is_empty() || is_known {
                continue;
            }
            *found.violations.entry(separation.id.clone()).or_default() += 1;
            if found.violations_some.len() < NAMED {
                found.violations_some.push((separation.id.clone(), id, together));
            }
        }
        Ok(())
    }
}

/// Counts what somebody would gain and lose in an app.
fn differences(
    identity: IdentityId,
    app: &App,
    was: &Decision,
    now: &Decision,
    forbidden: impl Fn(&Part) -> Vec<PolicyId>,
    found: &mut Preview,
) {
    let gained =
        now.iter().filter(|(part, _)| !was.contains_key(*part)).map(|(part, by)| (part, by, Direction::Gained));
    let lost = was.iter().filter(|(part, _)| !now.contains_key(*part)).map(|(part, by)| (part, by, Direction::Lost));
    for (part, by, direction) in gained.chain(lost) {
        let mut because: BTreeSet<PreviewReason> = match direction {
            Direction::Gained => BTreeSet::new(),
            Direction::Lost => forbidden(part).into_iter().map(PreviewReason::Forbidden).collect(),
        };
        if because.is_empty() {
            because = by.iter().map(PreviewReason::from).collect();
        }
        let entitlement = EntitlementId { app: app.spec.id.clone(), part: part.clone() };
        found.entitlements.entry(entitlement.clone()).or_default().count(direction);
        for one in &because {
            found.because.entry((app.spec.id.clone(), one.clone())).or_default().count(direction);
        }
        if found.changes.len() < NAMED {
            found.changes.push(PreviewChange { identity, entitlement, direction, because });
        }
    }
}
