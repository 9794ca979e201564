//! The ledger: accounts, obligations, drift, leavers and alerts, derived from the log on top of the directory.
//! The provisioner acts on it, the monitor watches its clocks, the projector shows it; all three derive the same.
//!
//! Keys: `account/<identity>/<app>`, `pending/<app>/<target>/<identity>`, `obligation/<identity>/<app>/<opened_by>`,
//! `open/<app>/<identity>/<opened_by>`, `deadline/<micros>/<obligation>`, `leaver/<identity>/<opened_by>`,
//! `leaving/<identity>/<opened_by>`, `drift/<app>/<identity>`, `alert/<key>/<sink>`.

mod read;

use std::collections::{BTreeMap, BTreeSet};

use rollcall_scim::{Catalogue, Filter};
use serde_json::Value;

use crate::account::{Account, Applied, Desired, Rejected, Verified, managed_attributes};
use crate::alert::Alert;
use crate::app::{App, Connection};
use crate::directory;
use crate::drift::DriftItem;
use crate::event::{Event, Recorded};
use crate::group::{GroupChange, GroupChanged};
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AppId, IdentityId};
use crate::kv::{KvError, Read, Write, load, load_all, store, suffixes};
use crate::leaver::Leaver;
use crate::lifecycle::{ChangeKind, Lifecycle};
use crate::obligation::{self, Change, End, Obligation, ObligationId, Overdue};

pub use read::{
    account, account_key, accounts_of, drift, drift_of, due, firing_alerts, leaver, obligation_key, obligations_of,
    open_leavers, open_obligations, pending,
};
use read::{deadline_key, found, leaver_key, leaving_key, open_key, pending_key};

/// What an event led to, for those who measure.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// An app has done what an obligation asks.
    Applied(Obligation),
    /// An obligation was read back.
    Verified(Obligation),
    /// The last obligation of a leaver was read back.
    LeaverCompleted(Leaver),
}

/// Derives the ledger; keeps the apps and their parsed rules at hand.
#[derive(Debug, Default)]
pub struct Ledger {
    catalogue: Catalogue,
    apps: Option<BTreeMap<AppId, (App, Rules)>>,
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

impl Ledger {
    /// One whose rules may name attributes of these schemas.
    #[must_use]
    pub const fn new(catalogue: Catalogue) -> Self {
        Self { catalogue, apps: None }
    }

    /// Brings directory and ledger up to date with one event.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn evolve(&mut self, state: &mut impl Write, event: &Recorded) -> Result<Vec<Fact>, KvError> {
        let affected = match &event.event {
            Event::Group(changed) => affected_by_group(state, changed)?,
            _ => BTreeSet::new(),
        };
        directory::evolve(state, event)?;
        let mut facts = Vec::new();
        match &event.event {
            Event::Identity(changed) => {
                if let Some(kind) = changed.change.kind() {
                    let at = changed.effective_at.map_or(event.recorded_at, |at| at.max(event.recorded_at));
                    let change = Change { sequence: event.sequence, kind, at };
                    self.owe(state, changed.id, change, None, event)?;
                    if kind == ChangeKind::Leaver {
                        open_leaver(state, changed.id, change, &mut facts)?;
                    }
                }
            }
            Event::Group(_) => {
                let change = Change { sequence: event.sequence, kind: ChangeKind::Mover, at: event.recorded_at };
                for id in affected {
                    self.owe(state, id, change, None, event)?;
                }
            }
            Event::AppConfigured(spec) => {
                self.apps = None;
                let change = Change { sequence: event.sequence, kind: ChangeKind::Mover, at: event.recorded_at };
                for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
                    self.owe(state, id, change, Some(&spec.id), event)?;
                }
            }
            Event::AppRemoved(_) => self.apps = None,
            Event::AccountApplied(applied) => account_applied(state, applied, event, &mut facts)?,
            Event::AccountVerified(verified) => account_verified(state, verified, event, &mut facts)?,
            Event::AccountRejected(rejected) => account_rejected(state, rejected)?,
            Event::DriftDetected(found) => {
                let item = DriftItem {
                    app: found.app.clone(),
                    identity: found.identity,
                    version: found.version,
                    kind: found.kind,
                    differences: found.differences.clone(),
                    detected_at: event.recorded_at,
                };
                store(state, format!("drift/{}/{}", item.app, item.identity), &item);
            }
            Event::ObligationOverdue(overdue) => obligation_overdue(state, overdue, event)?,
            Event::AlertFired(fired) => {
                let alert = Alert {
                    key: fired.key.clone(),
                    sink: fired.sink.clone(),
                    identity: fired.identity,
                    summary: fired.summary.clone(),
                    fired_at: event.recorded_at,
                };
                store(state, format!("alert/{}/{}", alert.key, alert.sink), &alert);
            }
            Event::AlertResolved(resolved) => state.delete(&format!("alert/{}/{}", resolved.key, resolved.sink)),
            Event::NameClaimed(_)
            | Event::NameReleased(_)
            | Event::Resource(_)
            | Event::ChangeRefused(_)
            | Event::Unknown => {}
        }
        Ok(facts)
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

    /// Opens what a change of one identity owes, in every app or in one.
    fn owe(
        &mut self,
        state: &mut impl Write,
        id: IdentityId,
        change: Change,
        only: Option<&AppId>,
        event: &Recorded,
    ) -> Result<(), KvError> {
        let Some(identity) = directory::identity(state, id)? else { return Ok(()) };
        let mut subject = Value::Object(identity.resource.clone());
        if let Some(resource) = subject.as_object_mut() {
            let groups = directory::groups_of(state, id)?;
            resource.insert("groups".into(), directory::groups_attribute(&groups));
            // A resource need not say it; the lifecycle does.
            resource.insert("active".into(), (identity.lifecycle == Lifecycle::Active).into());
        }
        for (app, rules) in self.apps(state)?.values() {
            let rule = rules.of(identity.kind);
            // An app that is no longer configured, or whose rule we can't read, keeps who it has, until they leave.
            let decided = app.connection == Connection::Configured && !matches!(rule, Rule::Unreadable);
            let spared = !decided && change.kind != ChangeKind::Leaver;
            if spared || only.is_some_and(|only| *only != app.spec.id) {
                continue;
            }
            let before = account(state, id, &app.spec.id)?;
            let desired = desired(&identity, &subject, app, rule);
            let owed = obligation::derive(change, &app.spec.id, id, &app.spec.sla, before.as_ref(), &desired);
            if let Some(obligation) = owed {
                open(state, obligation, before, desired, event)?;
            }
        }
        Ok(())
    }
}

fn desired(identity: &Identity, subject: &Value, app: &App, rule: &Rule) -> Desired {
    let chosen = matches!(rule, Rule::Matches(filter) if filter.matches(subject));
    let assigned = app.connection == Connection::Configured && chosen;
    if identity.lifecycle == Lifecycle::Active && !identity.deleted && assigned {
        Desired::Present(managed_attributes(identity.id, &identity.resource))
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

fn open(
    state: &mut impl Write,
    obligation: Obligation,
    before: Option<Account>,
    desired: Desired,
    event: &Recorded,
) -> Result<(), KvError> {
    let ObligationId { app, identity, opened_by } = obligation.id.clone();
    let opposite = |o: &Obligation| o.target == obligation.target.opposite();
    let end = End::Superseded { at: event.recorded_at, by: opened_by };
    for ended in end_obligations(state, identity, &app, opposite, &end)? {
        leaver_obligation_ended(state, &ended, event, &mut Vec::new())?;
    }
    store(state, obligation_key(&obligation.id), &obligation);
    store(state, open_key(&obligation.id), &obligation.id);
    store(state, deadline_key(&obligation), &obligation.id);
    let target = desired.target();
    state.delete(&pending_key(&app, target.opposite(), identity));
    store(state, pending_key(&app, target, identity), &opened_by);
    let account = Account {
        desired,
        desired_version: opened_by,
        caused_by: event.meta.event_id,
        correlation_id: event.meta.correlation_id.clone(),
        trace: event.meta.trace.clone(),
        rejection: None,
        ..before.unwrap_or(Account {
            app: app.clone(),
            identity,
            desired: Desired::Absent,
            desired_version: opened_by,
            caused_by: event.meta.event_id,
            correlation_id: String::new(),
            trace: crate::event::TraceContext::default(),
            remote_id: None,
            applied_version: None,
            verified_version: None,
            observed: None,
            verified_at: None,
            rejection: None,
        })
    };
    store(state, account_key(identity, &app), &account);
    Ok(())
}

/// Ends the open obligations of an account that `which` chooses; returns them as they are now.
fn end_obligations(
    state: &mut impl Write,
    identity: IdentityId,
    app: &AppId,
    which: impl Fn(&Obligation) -> bool,
    end: &End,
) -> Result<Vec<Obligation>, KvError> {
    let ids: Vec<(String, ObligationId)> = load_all(state, &format!("open/{app}/{identity}/"), None, usize::MAX)?;
    let mut ended = Vec::new();
    for (open, id) in ids {
        let Some(mut obligation) = load::<Obligation>(state, &obligation_key(&id))? else { continue };
        if !which(&obligation) {
            continue;
        }
        obligation.end = Some(end.clone());
        state.delete(&open);
        state.delete(&deadline_key(&obligation));
        store(state, obligation_key(&id), &obligation);
        ended.push(obligation);
    }
    Ok(ended)
}

fn account_applied(
    state: &mut impl Write,
    applied: &Applied,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(mut account) = account(state, applied.identity, &applied.app)? else { return Ok(()) };
    account.applied_version = Some(applied.version);
    account.remote_id = applied.remote_id.clone().or(account.remote_id);
    if applied.version == account.desired_version {
        account.rejection = None;
    }
    store(state, account_key(applied.identity, &applied.app), &account);
    for mut obligation in open_of(state, &account)? {
        if obligation.id.opened_by <= applied.version && obligation.applied_at.is_none() {
            obligation.applied_at = Some(event.recorded_at);
            store(state, obligation_key(&obligation.id), &obligation);
            facts.push(Fact::Applied(obligation));
        }
    }
    Ok(())
}

fn open_of(state: &impl Read, account: &Account) -> Result<Vec<Obligation>, KvError> {
    let prefix = format!("open/{}/{}/", account.app, account.identity);
    let ids: Vec<(String, ObligationId)> = load_all(state, &prefix, None, usize::MAX)?;
    found(state, ids.into_iter().map(|(_, id)| obligation_key(&id)))
}

fn account_verified(
    state: &mut impl Write,
    verified: &Verified,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(mut account) = account(state, verified.identity, &verified.app)? else { return Ok(()) };
    // What was read back must be what is desired: an event that contradicts it proves nothing.
    if verified.version == account.desired_version && verified.target != account.desired.target() {
        return Ok(());
    }
    account.verified_version = account.verified_version.max(Some(verified.version));
    account.remote_id.clone_from(&verified.remote_id);
    account.observed = (!verified.observed.is_empty()).then(|| verified.observed.clone());
    account.verified_at = Some(event.recorded_at);
    account.rejection = None;
    store(state, account_key(verified.identity, &verified.app), &account);
    if !account.is_pending() {
        state.delete(&pending_key(&account.app, account.desired.target(), account.identity));
        state.delete(&format!("drift/{}/{}", account.app, account.identity));
    }
    let met = |o: &Obligation| o.id.opened_by <= verified.version && o.target == verified.target;
    let end = End::Verified { at: event.recorded_at, by: event.sequence };
    for obligation in end_obligations(state, account.identity, &account.app, met, &end)? {
        if obligation.applied_at.is_none() {
            facts.push(Fact::Applied(obligation.clone()));
        }
        leaver_obligation_ended(state, &obligation, event, facts)?;
        facts.push(Fact::Verified(obligation));
    }
    Ok(())
}

fn account_rejected(state: &mut impl Write, rejected: &Rejected) -> Result<(), KvError> {
    let Some(mut account) = account(state, rejected.identity, &rejected.app)? else { return Ok(()) };
    if rejected.version == account.desired_version {
        account.rejection = Some(rejected.rejection.clone());
        store(state, account_key(rejected.identity, &rejected.app), &account);
    }
    Ok(())
}

fn obligation_overdue(state: &mut impl Write, overdue: &Overdue, event: &Recorded) -> Result<(), KvError> {
    let Some(mut obligation) = load::<Obligation>(state, &obligation_key(&overdue.id))? else { return Ok(()) };
    // Verified while the clock's word was on its way.
    if obligation.end.is_some() || obligation.overdue_at.is_some() {
        return Ok(());
    }
    obligation.overdue_at = Some(event.recorded_at);
    state.delete(&deadline_key(&obligation));
    store(state, obligation_key(&obligation.id), &obligation);
    if obligation.change == ChangeKind::Leaver {
        let id = &obligation.id;
        if let Some(mut leaver) = leaver(state, id.identity, id.opened_by)? {
            leaver.overdue.insert(id.app.clone());
            store(state, leaver_key(id.identity, id.opened_by), &leaver);
        }
    }
    Ok(())
}

fn open_leaver(
    state: &mut impl Write,
    identity: IdentityId,
    change: Change,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let apps: BTreeSet<AppId> = accounts_of(state, identity)?.into_iter().map(|a| a.app).collect();
    let mut leaver = Leaver {
        identity,
        opened_by: change.sequence,
        left_at: change.at,
        open: apps.clone(),
        apps,
        overdue: BTreeSet::new(),
        completed_at: None,
        superseded_by: None,
    };
    if leaver.open.is_empty() {
        leaver.completed_at = Some(change.at);
        facts.push(Fact::LeaverCompleted(leaver.clone()));
    } else {
        store(state, leaving_key(identity, change.sequence), &());
    }
    store(state, leaver_key(identity, change.sequence), &leaver);
    Ok(())
}

fn leaver_obligation_ended(
    state: &mut impl Write,
    obligation: &Obligation,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    if obligation.change != ChangeKind::Leaver {
        return Ok(());
    }
    let id = &obligation.id;
    let Some(mut leaver) = leaver(state, id.identity, id.opened_by)? else { return Ok(()) };
    leaver.open.remove(&id.app);
    leaver.overdue.remove(&id.app);
    if let Some(End::Superseded { by, .. }) = obligation.end {
        leaver.superseded_by = Some(by);
    }
    if leaver.open.is_empty() {
        state.delete(&leaving_key(id.identity, id.opened_by));
        if leaver.superseded_by.is_none() {
            leaver.completed_at = Some(event.recorded_at);
            facts.push(Fact::LeaverCompleted(leaver.clone()));
        }
    }
    store(state, leaver_key(id.identity, id.opened_by), &leaver);
    Ok(())
}
