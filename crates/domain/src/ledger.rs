//! The ledger: accounts, obligations, drift, leavers and alerts, derived from the log on top of the directory.
//! The provisioner acts on it, the monitor watches its clocks, the projector shows it; all three derive the same.
//!
//! Keys: `account/<identity>/<app>/`, with what it owes, `obligation/<identity>/<app>/<opened_by>`: those that have ended,
//! `pending/<app>/<target>/<identity>`,
//! `clock/<micros>/<identity>/<opened_by>`: how many ring then, `leaver/<identity>/<opened_by>`,
//! `leaving/<identity>/<opened_by>`, `drift/<app>/<identity>/<kind>`, `alert/<key>/<sink>`, `present/<app>`,
//! `removals/<cause>/<app>`, `hold/<cause>`, `capabilities/<app>`, `quarantine/<app>`, `conformance/<app>`,
//! `erasing/<identity>`: who is to be erased, `others/<identity>/…`: second accounts,
//! `reconciled/<app>`, `at/<app>/<identity>`: who has, or had, an account in an app, `link/<app>/<remote id>`: whose it is, `keeps/<app>`: whether it shows whose an account is,
//! `ways/<app>`: what it was seen to make of attributes, `synced/<app>`: when a person last said that what is missing is gone, and `story/<event>`: what those that
//! opened obligations belong to.

mod accounts;
mod approvals;
mod apps;
mod causation;
mod clock;
mod counts;
mod drifts;
mod erasure;
mod guarded;
mod links;
mod listing;
mod lists;
mod obligations;
mod others;
mod preview;
mod read;
mod recorded;
mod schedule;
mod values;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use rollcall_scim::{Catalogue, Filter};
use serde_json::Value;

use self::lists::Kept;
use crate::access::account::Account;
use crate::access::case::Case;
use crate::access::desired::{Desired, Presence};
use crate::access::obligation::{Change, Obligation};
use crate::access::owed;
use crate::access::subject::Subject;
use crate::alert::Alert;
use crate::app::mapping::managed_attributes;
use crate::app::{App, Connection};
use crate::directory::{self, Before, Membership};
use crate::event::{Event, Recorded};
use crate::identity::content::Content;
use crate::identity::group::{Group, GroupChange, GroupChanged};
use crate::identity::lifecycle::{ChangeKind, IdentityChange, Urgency};
use crate::identity::{Identity, IdentityChanged, IdentityKind, urgency};
use crate::ids::{AppId, IdentityId};
use crate::kv::{KvError, Read, Write, store, suffixes};

pub use approvals::{WaitingApproval, approval, approvals};
pub use causation::causation_of;
pub use clock::ringing;
pub use counts::{count_of, counts, oldest_overdue};
pub use drifts::{duplicate_of, is_refused};
pub use erasure::{Obstacle, Ordered, all_ordered, obstacles, ordered, record};
pub use guarded::present;
pub use links::{keeps_external_ids, linked};
pub use listing::{Among, obligations_after};
pub use lists::{List, Remembered};
pub use others::others_of;
pub use preview::{Preview, preview};
pub use read::{
    HOLDS, account, account_key, account_of_leaver, accounts_of, alerting_leavers, capabilities, conformance, drift,
    drift_of, firing_alerts, held, hold, holds, identities_at, is_hold_said, is_waived, last_obligation, leaver,
    obligation, obligations_of, obligations_of_leaver, obligations_opened_by, open_leavers, open_obligations, parked,
    pending, quarantine, quarantines, reconciled, some_accounts, synced, unsaid_completions, verified_between, zombies,
};
pub use schedule::{Scheduled, far_ahead, last_heard, stuck, taking_effect};
pub use ways::shown_ways;

/// What an event led to, for those who measure.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// An app has done what an obligation asks.
    Applied(Obligation),
    /// An obligation was read back.
    Verified(Obligation),
    /// The last obligation of a leaver was read back.
    LeaverCompleted(Case),
}

/// Derives the ledger; keeps the apps and their parsed rules at hand.
#[derive(Debug)]
pub struct Ledger {
    catalogue: Catalogue,
    lists: &'static [List],
    remembered: Remembered,
    apps: Option<BTreeMap<AppId, (App, Rules)>>,
    /// Whether what was owed for somebody who was erased has yet to be opened, when that is known.
    recorded: Option<bool>,
}

/// An assignment rule, as it applies to each kind of identity.
#[derive(Debug, Clone)]
struct Rules {
    user: Rule,
    agent: Rule,
}

#[derive(Debug, Clone)]
enum Rule {
    Matches(Box<Filter>),
    Nobody,
    /// A newer version wrote it.
    Unreadable,
}

impl Rules {
    fn read(app: &App, catalogue: &Catalogue) -> Self {
        let parse = |kind| Filter::parse(&app.spec.assign, kind).ok().map(|f| Rule::Matches(Box::new(f)));
        let allowed = |kind: IdentityKind| app.spec.identities.contains(&kind);
        let user = if allowed(IdentityKind::User) { parse(catalogue.user()) } else { Some(Rule::Nobody) };
        // A rule about attributes that only people have chooses no agents.
        let agent = if allowed(IdentityKind::Agent) { parse(catalogue.agent()) } else { None };
        Self { user: user.unwrap_or(Rule::Unreadable), agent: agent.unwrap_or(Rule::Nobody) }
    }

    const fn of(&self, kind: IdentityKind) -> &Rule {
        match kind {
            IdentityKind::User => &self.user,
            IdentityKind::Agent => &self.agent,
        }
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new(Catalogue::default())
    }
}

impl Ledger {
    /// One whose rules may name attributes of these schemas, with every list, that remembers every obligation.
    #[must_use]
    pub const fn new(catalogue: Catalogue) -> Self {
        Self { catalogue, lists: List::ALL, remembered: Remembered::All, apps: None, recorded: None }
    }

    /// The same with these lists alone; the others are empty.
    #[must_use]
    pub fn keeping(self, lists: &'static [List]) -> Self {
        Self { lists, ..self }
    }

    /// The same that remembers only some of the obligations that have ended.
    #[must_use]
    pub fn remembering(self, remembered: Remembered) -> Self {
        Self { remembered, ..self }
    }

    /// Brings directory and ledger up to date with one event.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn evolve(&mut self, state: &mut impl Write, event: &Recorded) -> Result<Vec<Fact>, KvError> {
        let state = &mut Kept::new(state, self.lists, self.remembered);
        let affected = match &event.event {
            Event::Group(changed) => affected_by_group(state, changed)?,
            _ => BTreeSet::new(),
        };
        if let Event::AppConfigured(spec) = &event.event {
            ways::configured(state, directory::app(state, &spec.id)?.as_ref(), spec)?;
        }
        if let Some(erased) = &event.erased
            && recorded::remember(state, erased, event.sequence)?
        {
            self.recorded = Some(true);
        }
        let before = directory::evolve(state, event)?;
        schedule::heard(state, event);
        let mut facts = Vec::new();
        match &event.event {
            Event::Identity(_) if before == Before::Erased => {}
            Event::Identity(changed) => {
                schedule::keep(state, changed, event)?;
                erasure::changed(state, changed);
                if let Some(kind) = changed.change.kind() {
                    let change = change_of(changed, kind, event);
                    let opened = self.owe(state, changed.id, change, None, event)?;
                    match kind {
                        ChangeKind::Leaver => {
                            obligations::open_leaver(state, changed.id, change, opened, event, &mut facts);
                        }
                        ChangeKind::Joiner if changed.change == IdentityChange::Rehired => {
                            obligations::came_back(state, changed.id, event.sequence)?;
                        }
                        ChangeKind::Joiner | ChangeKind::Mover | ChangeKind::Repair | ChangeKind::Residue => {}
                    }
                }
            }
            Event::Group(_) => {
                let change = Change::at_once(event.sequence, ChangeKind::Mover, event.recorded_at);
                for id in affected {
                    self.owe(state, id, change, None, event)?;
                }
            }
            Event::AppConfigured(spec) => {
                self.apps = None;
                accounts::unpark(state, &spec.id)?;
                let change = Change::at_once(event.sequence, ChangeKind::Mover, event.recorded_at);
                for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
                    self.owe(state, id, change, Some(&spec.id), event)?;
                }
            }
            Event::AppRemoved(_) => self.apps = None,
            Event::AccountApplied(applied) => accounts::applied(state, applied, event, &mut facts)?,
            Event::AccountVerified(verified) => accounts::verified(state, verified, event, &mut facts)?,
            Event::AccountAttempted(attempted) => accounts::attempted(state, attempted, event)?,
            Event::AccountRejected(rejected) => accounts::rejected(state, rejected)?,
            Event::AccountAdopted(adopted) => accounts::adopted(state, adopted, event)?,
            Event::SyncRequested(wanted) => accounts::sync(state, wanted, event)?,
            Event::DriftDetected(found) => drifts::detected(state, found, event)?,
            Event::DriftCleared(id) => drifts::cleared(state, id, event)?,
            Event::DriftAccepted(accepted) => drifts::accepted(state, accepted, event)?,
            Event::ObligationAtRisk(risk) => obligations::at_risk(state, risk, event)?,
            Event::LeaverCompleted(completed) => obligations::completion_said(state, completed),
            Event::ObligationOverdue(overdue) => obligations::overdue(state, overdue, event)?,
            Event::ObligationWaived(waived) => obligations::waived(state, waived, event)?,
            Event::HoldDecided(decided) => guarded::decided(state, decided, event)?,
            Event::AppDiscovered(found) => {
                apps::discovered(state, found);
                drifts::own_ways_learned(state, &found.app, &found.capabilities.keeps)?;
            }
            Event::AppQuarantined(quarantined) => apps::quarantined(state, quarantined, event),
            Event::AppRecovered(app) => apps::recovered(state, app),
            Event::Reconciliation(step) => apps::reconciliation(state, step, event)?,
            Event::AlertFired(fired) => {
                let alert = Alert {
                    key: fired.key.clone(),
                    sink: fired.sink.clone(),
                    about: fired.about.clone(),
                    level: fired.level,
                    summary: fired.summary.clone(),
                    fired_at: event.recorded_at,
                };
                store(state, read::alert_key(&alert.key, &alert.sink), &alert);
            }
            Event::Approval(changed) => approvals::changed(state, changed, event),
            Event::EffectFailed(failed) => schedule::failed(state, failed)?,
            Event::ErasureOrdered(order) => erasure::order(state, order, event)?,
            Event::IdentityErased(erased) => erasure::erased(state, erased, event)?,
            Event::AlertResolved(resolved) => state.delete(&read::alert_key(&resolved.key, &resolved.sink)),
            // That removals wait follows from the removals themselves; the event is for people.
            Event::HoldPlaced(hold) => guarded::said(state, hold),
            Event::NameClaimed(_)
            | Event::NameReleased(_)
            | Event::Resource(_)
            | Event::ChangeRefused(_)
            | Event::Checkpoint(_)
            | Event::Access(_)
            | Event::Session(_)
            | Event::ApiToken(_)
            | Event::ConfigurationRead(_)
            | Event::Unknown => {}
        }
        self.owe_recorded(state, None, None, event)?;
        Ok(facts)
    }

    /// Opens what this event has opened for somebody, or anybody, who was erased since: nothing can be derived of what is sealed.
    fn owe_recorded(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        of: Option<IdentityId>,
        change: Option<Change>,
        event: &Recorded,
    ) -> Result<u64, KvError> {
        let any = match self.recorded {
            Some(any) => any,
            None => recorded::is_any(state)?,
        };
        self.recorded = Some(any);
        if !any {
            return Ok(0);
        }
        let mut opened = 0;
        for (id, owed) in recorded::take(state, event.sequence, of)? {
            let change = change.unwrap_or_else(|| Change::at_once(event.sequence, owed.change, event.recorded_at));
            for app in owed.apps {
                let Some(spec) = directory::app(state, &app)?.map(|app| app.spec) else { continue };
                let before = account(state, id, &app)?;
                let desired = recorded::desired(owed.target);
                // What drift has opened is no removal by a source.
                if of.is_some() {
                    guarded::count(state, &spec, before.as_ref(), &desired, event)?;
                }
                let subject = Subject::Account { app, identity: id };
                let obligation = Obligation::new(change, subject, &spec.sla, owed.target);
                obligations::open(state, obligation, before, desired, event)?;
                opened += 1;
            }
        }
        if opened > 0 {
            causation::keep(state, event);
            self.recorded = None;
        }
        Ok(opened)
    }

    fn apps(&mut self, state: &impl Read) -> Result<&BTreeMap<AppId, (App, Rules)>, KvError> {
        if self.apps.is_none() {
            let with_rules = |app: App| {
                let rules = Rules::read(&app, &self.catalogue);
                (app.spec.id.clone(), (app, rules))
            };
            self.apps = Some(directory::apps(state)?.into_iter().map(with_rules).collect());
        }
        Ok(self.apps.get_or_insert_default())
    }

    /// Opens what a change of one identity owes, in every app or in one; returns how much that is.
    fn owe(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        id: IdentityId,
        change: Change,
        only: Option<&AppId>,
        event: &Recorded,
    ) -> Result<u64, KvError> {
        if self.apps(state)?.is_empty() {
            return Ok(0);
        }
        if self.recorded != Some(false) && recorded::is_of(state, id)? {
            return self.owe_recorded(state, Some(id), Some(change), event);
        }
        let Some(identity) = directory::identity(state, id)? else { return Ok(0) };
        let (subject, groups) = subject_of(state, &identity)?;
        let accounts = match only {
            Some(app) => account(state, id, app)?.into_iter().collect(),
            None => accounts_of(state, id)?,
        };
        let mut accounts: BTreeMap<AppId, Account> = accounts.into_iter().map(|a| (a.app.clone(), a)).collect();
        let must_go = accounts.values().any(|account| account.desired == Desired::Deleted);
        let is_to_be_erased = must_go && erasure::ordered(state, id)?.is_some();
        let mut opened = 0;
        for (app, rules) in self.apps(state)?.values() {
            let rule = rules.of(identity.kind);
            // An app that is no longer configured, or whose rule we can't read, keeps who it has, until they leave.
            let decided = app.connection == Connection::Configured && !matches!(rule, Rule::Unreadable);
            // So does one of whom nothing can be read.
            let decided = decided && identity.content == Content::Open;
            let spared = !decided && change.kind != ChangeKind::Leaver;
            if spared || only.is_some_and(|only| *only != app.spec.id) {
                continue;
            }
            let before = accounts.remove(&app.spec.id);
            let desired = desired_in(&identity, &subject, &groups, app, rule);
            let now = before.as_ref().map(|account| &account.desired).filter(|_| is_to_be_erased);
            let desired = desired.or_still_deleted(now);
            let owed = owed::derive(change, &app.spec.id, id, &app.spec.sla, before.as_ref(), &desired);
            if let Some(obligation) = owed {
                guarded::count(state, &app.spec, before.as_ref(), &desired, event)?;
                obligations::open(state, obligation, before, desired, event)?;
                opened += 1;
            }
        }
        if opened > 0 {
            causation::keep(state, event);
        }
        Ok(opened)
    }
}

/// Who notes that something takes effect which was said before.
const NOTES: &str = "sla-monitor";

/// When a change counts, and from when its time does.
fn change_of(changed: &IdentityChanged, kind: ChangeKind, event: &Recorded) -> Change {
    let received = event.recorded_at;
    let effective = changed.effective_at.unwrap_or(received);
    // Said before, and only noted now: the clock has run since it took effect.
    let says_nothing = match event.seal.is_closed() {
        // What it says is not readable; who says it is.
        true => event.meta.actor == NOTES,
        false => changed.changed.is_empty(),
    };
    let noted = says_nothing && !changed.deleted && changed.effective_at.is_some();
    let at = if noted { effective } else { effective.max(received) };
    // A departure that is said late is late.
    let leaves = kind == ChangeKind::Leaver;
    let due_from = if leaves { effective.min(at) } else { at };
    let urgency = if leaves { urgency(&changed.resource) } else { Urgency::Usual };
    // A leave that lies ahead changes nothing yet: what else was changed counts now.
    let at = if kind == ChangeKind::Mover { received } else { at };
    let due_from = if kind == ChangeKind::Mover { received } else { due_from };
    Change { sequence: event.sequence, kind, at, due_from, urgency }
}

/// An identity as rules are asked about it, and its groups.
fn subject_of(state: &impl Read, identity: &Identity) -> Result<(Value, Vec<InGroup>), KvError> {
    let mut subject = Value::Object(identity.resource.clone());
    let groups = directory::groups_of(state, identity.id)?;
    if let Some(resource) = subject.as_object_mut() {
        resource.insert("groups".into(), directory::groups_attribute(&groups));
        // A resource need not say it; the lifecycle does.
        resource.insert("active".into(), identity.lifecycle.has_access().into());
    }
    Ok((subject, groups))
}

/// What an identity must have in an app, by the groups that count there.
fn desired_in(identity: &Identity, subject: &Value, groups: &[InGroup], app: &App, rule: &Rule) -> Desired {
    if app.spec.groups_from.is_empty() {
        return desired(identity, subject, groups, app, rule);
    }
    let (subject, groups) = as_seen_by(app, subject, groups);
    desired(identity, &subject, &groups, app, rule)
}

/// An identity with the groups that count in an app.
fn as_seen_by(app: &App, subject: &Value, groups: &[InGroup]) -> (Value, Vec<InGroup>) {
    let counts = |group: &Group| group.created_by.as_ref().is_some_and(|by| app.spec.groups_from.contains(by));
    let groups: Vec<InGroup> = groups.iter().filter(|(group, _)| counts(group)).cloned().collect();
    let mut subject = subject.clone();
    if let Some(resource) = subject.as_object_mut() {
        resource.insert("groups".into(), directory::groups_attribute(&groups));
    }
    (subject, groups)
}

type InGroup = (Group, Membership);

fn desired(identity: &Identity, subject: &Value, groups: &[InGroup], app: &App, rule: &Rule) -> Desired {
    let chosen = matches!(rule, Rule::Matches(filter) if filter.matches(subject));
    let assigned = app.connection == Connection::Configured && chosen;
    if identity.lifecycle.has_access() && !identity.deleted && assigned {
        Desired::Present(Presence {
            attributes: managed_attributes(&app.spec.attributes, identity.id, &identity.resource),
            groups: app.spec.groups_for(groups.iter().map(|(group, _)| group.display_name())),
        })
    } else {
        Desired::Absent
    }
}

fn affected_by_group(state: &impl Read, changed: &GroupChanged) -> Result<BTreeSet<IdentityId>, KvError> {
    let mut affected = BTreeSet::new();
    for member in changed.added.iter().chain(&changed.removed) {
        match member.group() {
            Some(inner) if directory::group(state, inner)?.is_some() => {
                affected.extend(directory::identities_in(state, inner)?);
            }
            _ => affected.extend(member.identity()),
        }
    }
    let renamed = changed.changed.iter().any(|c| c.path == "displayName");
    if renamed || changed.change == GroupChange::Deleted {
        affected.extend(directory::identities_in(state, changed.id)?);
    }
    Ok(affected)
}
