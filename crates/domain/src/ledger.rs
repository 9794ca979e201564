//! The ledger: accounts, obligations, drift, leavers and alerts, derived from the log on top of the directory.
//! The provisioner acts on it, the monitor watches its clocks, the projector shows it; all three derive the same.
//!
//! Keys: `account/<identity>/<app>/`, with what it owes, `obligation/<identity>/<app>/<opened_by>`: those that have ended,
//! `pending/<app>/<target>/<identity>`,
//! `clock/<micros>/<identity>/<opened_by>`: how many ring then, `leaver/<identity>/<opened_by>`,
//! `leaving/<identity>/<opened_by>`, `drift/<app>/<identity>/<kind>`, `alert/<key>/<sink>`, `present/<app>`,
//! `removals/<cause>/<app>`, `hold/<cause>`, `capabilities/<app>`, `quarantine/<app>`, `conformance/<app>`,
//! `switched-off/<identity>`, `grant…` (see `grants`), `erasing/<identity>`: who is to be erased, `others/<identity>/…`: second accounts,
//! `reconciled/<app>`, `at/<app>/<identity>`: who has, or had, an account in an app, `link/<app>/<remote id>`: whose it is, `keeps/<app>`: whether it shows whose an account is,
//! `ways/<app>`: what it was seen to make of attributes, `synced/<app>`: when a person last said that what is missing is gone, and `story/<event>`: what those that
//! opened obligations belong to.

mod accounts;
mod approvals;
mod apps;
mod causation;
mod clock;
mod counts;
mod credentials;
mod drifts;
mod drills;
mod erasure;
mod explain;
mod grants;
mod guarded;
mod handovers;
mod holders;
mod late;
mod links;
mod listing;
mod lists;
mod machines;
mod obligations;
mod others;
mod preview;
mod read;
mod recorded;
mod reevaluations;
mod revocations;
mod schedule;
mod separations;
mod switch;
mod tasks;
mod values;
mod ways;

use std::collections::{BTreeMap, BTreeSet};

use rollcall_scim::Catalogue;

use self::lists::Kept;
use crate::access::account::Account;
use crate::access::case::Case;
use crate::access::desired::{Desired, Target};
use crate::access::entitlement::Grantable;
use crate::access::holding::holdings;
use crate::access::obligation::{Because, Change, End, Obligation};
use crate::access::owed;
use crate::access::reevaluation::{Pass, Reevaluated};
use crate::access::role::Standing;
use crate::access::subject::Subject;
use crate::alert::Alert;
use crate::decision::access_rules::{AccessRules, apps_of_policies};
use crate::directory::{self, Before};
use crate::event::{Event, Recorded};
use crate::governance::configuration::Configuring;
use crate::identity::content::Content;
use crate::identity::group::{GroupChange, GroupChanged};
use crate::identity::lifecycle::{ChangeKind, IdentityChange, Lifecycle, Urgency};
use crate::identity::switch::{Switch, Switched};
use crate::identity::{IdentityChanged, urgency};
use crate::ids::{AppId, IdentityId, RoleId};
use crate::kv::{KvError, Read, Write, store, suffixes};

pub use approvals::{WaitingApproval, approval, approvals};
pub use apps::{identified, moved_from};
pub use causation::causation_of;
pub use clock::ringing;
pub use counts::{count_handovers, count_of, count_revocations, counts, oldest_overdue};
pub use drifts::{duplicate_of, is_refused};
pub use drills::{drill_reports, drilled, failing_drills};
pub use erasure::{Obstacle, Ordered, all_ordered, obstacles, ordered, record};
pub use explain::{Held, Missing, Progress, explain, forbidden, grant_for, held_by, progress};
pub use grants::{
    active_grants_of, count_grants, grant, grants_ending, grants_in, grants_of, grants_ringing, is_grant_ending,
    next_grant_ring,
};
pub use guarded::present;
pub use handovers::{
    HANDOVERS, handover, handovers_after, handovers_of, handovers_of_machine, has_late_handovers, late_handovers,
};
pub use late::Late;
pub use links::{keeps_external_ids, linked};
pub use listing::{Among, obligations_after};
pub use lists::{List, Remembered};
pub use machines::{
    MACHINES, can_own, count_without_owner, is_without_owner, machine, machines_owned, machines_without_owner,
};
pub use others::{other_ids, others_of};
pub use preview::{AppPreview, Direction, Preview, PreviewChange, PreviewReason, Tally, preview};
pub use read::{
    ACCOUNTS, HOLDS, account, account_key, account_of_leaver, accounts_of, alerting_leavers, capabilities, conformance,
    drift, drift_of, firing_alerts, held, hold, holds, holds_something, identities_at, is_hold_said, is_waived,
    last_obligation, leaver, missing_in, obligation, obligations_of, obligations_of_leaver, obligations_opened_by,
    open_leavers, open_obligations, overdue_access, parked, pending, quarantine, quarantines, reconciled,
    some_accounts, synced, unfinished_comparisons, unsaid_completions, verified_between,
};
pub use reevaluations::{next_piece, reevaluations};
pub use revocations::{
    REVOCATIONS, has_late_revocations, late_revocations, owed_of_credential, revocation, revocations_after,
    revocations_of, revocations_of_credential,
};
pub use schedule::{Scheduled, far_ahead, last_heard, scheduled, stuck, taking_effect};
pub use separations::{
    VIOLATIONS, ViolationCount, count_violations, separated, violation, violation_counts, violations, violations_of,
};
pub use switch::{all_switched_off, carried_over, switched_off, switched_off_under_a_name_of};
pub use tasks::{Answerable, answerable, hold_on, is_to_be_done, names_of_others, task, tasks_after};
pub use ways::shown_ways;

/// What an event led to, for those who measure.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// An app has done what an obligation asks.
    Applied(Obligation),
    /// An obligation was read back.
    Verified(Obligation),
    /// Somebody has said that an obligation is met, of an app that can't be read.
    Attested(Obligation),
    /// Nothing is owed for a leaver any more: they are complete, or attested.
    LeaverCompleted(Case),
}

/// Derives the ledger; keeps the apps, the roles and their parsed rules at hand.
#[derive(Debug)]
pub struct Ledger {
    catalogue: Catalogue,
    lists: &'static [List],
    remembered: Remembered,
    access: Option<AccessRules>,
    /// Whether what was owed for somebody who was erased has yet to be opened, when that is known.
    recorded: Option<bool>,
}

/// Where, and what of it, a change of somebody is decided.
#[derive(Debug, Clone, Copy)]
struct Extent<'a> {
    /// In these apps; `None`: in every one.
    apps: Option<&'a BTreeSet<AppId>>,
    pass: Pass,
}

impl<'a> Extent<'a> {
    /// Everything, everywhere.
    const ALL: Self = Self { apps: None, pass: Pass::Access };

    /// Everything in some apps.
    const fn of(apps: &'a BTreeSet<AppId>) -> Self {
        Self { apps: Some(apps), pass: Pass::Access }
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
        Self { catalogue, lists: List::ALL, remembered: Remembered::All, access: None, recorded: None }
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
            let before = directory::app(state, &spec.id)?;
            ways::configured(state, before.as_ref(), spec)?;
            apps::asked_at(state, spec)?;
            accounts::reached_otherwise(state, before.as_ref(), spec, event)?;
        }
        if let Some(erased) = &event.erased
            && recorded::remember(state, erased, event.sequence)?
        {
            self.recorded = Some(true);
        }
        let in_role = match &event.event {
            Event::RoleConfigured(spec) => self.apps_of_role(state, &spec.id)?,
            Event::RoleRemoved(id) => self.apps_of_role(state, id)?,
            _ => BTreeSet::new(),
        };
        let by_policy = apps_of_policy_change(state, &event.event)?;
        let before = directory::evolve(state, event)?;
        schedule::heard(state, event);
        let mut facts = Vec::new();
        match &event.event {
            Event::Identity(_) if before == Before::Erased => {}
            Event::Identity(changed) => {
                if let Some(identity) = directory::identity(state, changed.id)?.filter(|identity| !identity.deleted) {
                    match changed.before {
                        None => switch::added(state, &identity)?,
                        Some(_) => switch::mark(state, &identity)?,
                    }
                }
                schedule::keep(state, changed, event)?;
                erasure::changed(state, changed);
                if let Some(kind) = changed.change.kind() {
                    if kind == ChangeKind::Leaver {
                        grants::left(state, changed.id, event)?;
                    }
                    let change = change_of(changed, kind, event);
                    let opened = self.owe(state, changed.id, change, Extent::ALL, event)?;
                    match kind {
                        ChangeKind::Leaver => {
                            let handed_over = machines::owner_left(state, changed.id, change, event, &mut facts)?;
                            let revoked = credentials::holder_left(state, changed.id, change, event, &mut facts)?;
                            let opened = opened + handed_over + revoked;
                            obligations::open_leaver(state, changed.id, change, opened, event, &mut facts);
                        }
                        ChangeKind::Joiner if changed.change == IdentityChange::Rehired => {
                            machines::owner_came_back(state, changed.id, event, &mut facts)?;
                            obligations::came_back(state, changed.id, event.sequence)?;
                        }
                        ChangeKind::Joiner
                        | ChangeKind::Mover
                        | ChangeKind::Repair
                        | ChangeKind::Residue
                        | ChangeKind::Disable
                        | ChangeKind::Grant
                        | ChangeKind::Compromise => {}
                    }
                }
                machines::changed(state, changed, event, &mut facts)?;
                let access_changed = changed.before.is_some_and(Lifecycle::has_access) != changed.after.has_access();
                if access_changed {
                    machines::owner_changed(state, changed.id, event, &mut facts)?;
                }
                if access_changed || changed.deleted {
                    credentials::holder_changed(state, changed.id, event, &mut facts)?;
                }
            }
            Event::Group(_) => {
                if affected.len() > reevaluations::people_at_once(state)? {
                    let begun = reevaluations::Begun { apps: None, pass: Pass::Losses };
                    reevaluations::begin(state, begun, Some(&affected), event);
                } else {
                    let change = Change::at_once(event.sequence, ChangeKind::Mover, event.recorded_at);
                    for id in affected {
                        self.owe(state, id, change, Extent::ALL, event)?;
                    }
                }
            }
            Event::AppConfigured(spec) => {
                self.access = None;
                accounts::unpark(state, &spec.id)?;
                self.configured(state, BTreeSet::from([spec.id.clone()]), event)?;
            }
            Event::AppRemoved(_) => self.access = None,
            Event::RoleConfigured(spec) => {
                self.access = None;
                let now = spec.entitlements.iter().map(|id| id.app.clone());
                self.configured(state, in_role.into_iter().chain(now).collect(), event)?;
            }
            Event::RoleRemoved(_) => {
                self.access = None;
                self.configured(state, in_role, event)?;
            }
            Event::PolicyConfigured(_) | Event::PolicyRemoved(_) => {
                self.access = None;
                self.configured(state, by_policy, event)?;
            }
            Event::SeparationConfigured(_) | Event::SeparationRemoved(_) => {
                self.access = None;
                if separations::configured(state)? {
                    Self::look_at_everybody(state, event)?;
                }
            }
            Event::Configuring(Configuring::Ends) => {
                let apps = suffixes(state, CONFIGURED)?.into_iter().filter_map(|app| app.parse().ok()).collect();
                suffixes(state, CONFIGURED)?.iter().for_each(|app| state.delete(&format!("{CONFIGURED}{app}")));
                self.configured(state, apps, event)?;
                if separations::all_configured(state)? {
                    Self::look_at_everybody(state, event)?;
                }
            }
            Event::Configuring(Configuring::Begins) => {}
            Event::Reevaluated(piece) => self.reevaluated(state, *piece, event)?,
            Event::IdentitySwitched(switched) => {
                self.switch(state, switched, event)?;
                machines::switched(state, switched, event, &mut facts)?;
                credentials::holder_changed(state, switched.id, event, &mut facts)?;
            }
            Event::InventoryRead(read) => credentials::list_read(state, read, event, &mut facts)?,
            Event::CredentialListed(listed) => credentials::look(state, listed.id, event, &mut facts)?,
            Event::CredentialUnlisted(unlisted) => credentials::look(state, unlisted.id, event, &mut facts)?,
            Event::CredentialCompromised(report) => credentials::look(state, report.id, event, &mut facts)?,
            Event::Handover(changed) => machines::handed(state, changed, event, &mut facts)?,
            Event::Grant(changed) => {
                if let Some(grants::Affected { identity, what }) = grants::changed(state, changed, event)? {
                    let apps = match what {
                        Grantable::Entitlement(id) => BTreeSet::from([id.app]),
                        Grantable::Role(role) => self.apps_of_role(state, &role)?,
                    };
                    let change = Change::at_once(event.sequence, ChangeKind::Grant, event.recorded_at);
                    self.owe(state, identity, change, Extent::of(&apps), event)?;
                }
            }
            Event::AccountApplied(applied) => accounts::applied(state, applied, event, &mut facts)?,
            Event::AccountVerified(verified) => {
                accounts::verified(state, verified, event, &mut facts)?;
                known_of(state, &verified.app, verified.identity, event, &mut facts)?;
            }
            Event::ViolationAccepted(accepted) => separations::accepted(state, accepted, event)?,
            Event::AccountAttempted(attempted) => accounts::attempted(state, attempted, event)?,
            Event::TaskDone(done) => {
                accounts::attested(state, done, event, &mut facts)?;
                known_of(state, &done.app, done.identity, event, &mut facts)?;
            }
            Event::TaskUndone(undone) => {
                if let Some(departure) = accounts::taken_back(state, undone, event)? {
                    // Which credentials a list has shown since are part of it again.
                    let change = Change::at_once(departure.opened_by, ChangeKind::Leaver, event.recorded_at);
                    credentials::holder_left(state, undone.identity, change, event, &mut facts)?;
                }
                known_of(state, &undone.app, undone.identity, event, &mut facts)?;
            }
            Event::AccountAttested(stands) => {
                accounts::stands_on_word(state, stands, event, &mut facts)?;
                known_of(state, &stands.app, stands.identity, event, &mut facts)?;
            }
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
            Event::AppRecovered(now) => apps::recovered(state, now)?,
            Event::Reconciliation(step) => apps::reconciliation(state, step, event)?,
            Event::Drill(drill) => drills::changed(state, drill, event)?,
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
            Event::IdentityErased(erased) => {
                erasure::erased(state, erased, event)?;
                machines::erased(state, erased.id, event, &mut facts)?;
                credentials::holder_changed(state, erased.id, event, &mut facts)?;
            }
            Event::AlertResolved(resolved) => state.delete(&read::alert_key(&resolved.key, &resolved.sink)),
            // That removals wait follows from the removals themselves; the event is for people.
            Event::HoldPlaced(hold) => guarded::said(state, hold),
            Event::MachinesConfigured(_)
            | Event::ReevaluationConfigured(_)
            | Event::NameClaimed(_)
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
                let holds = before.as_ref().map(|before| before.holds.clone()).unwrap_or_default();
                let decided = obligations::Decided { desired, urgency: switch::urgency(state, id)?, holds };
                obligations::open_decided(state, obligation, before, decided, event)?;
                opened += 1;
            }
        }
        if opened > 0 {
            causation::keep(state, event);
            self.recorded = None;
        }
        Ok(opened)
    }

    fn access(&mut self, state: &impl Read) -> Result<&AccessRules, KvError> {
        if self.access.is_none() {
            self.access = Some(AccessRules::of(state, &self.catalogue)?);
        }
        Ok(self.access.get_or_insert_default())
    }

    /// The apps in which it may change who holds something that somebody has a role, or that it is another one: any, where a policy asks
    /// who has which.
    fn apps_of_role(&mut self, state: &impl Read, id: &RoleId) -> Result<BTreeSet<AppId>, KvError> {
        if self.access(state)?.policies.ask_about_roles() {
            return every_app(state);
        }
        let role = directory::role(state, id)?;
        Ok(role.into_iter().flat_map(|role| role.spec.entitlements).map(|id| id.app).collect())
    }

    /// Apps, or roles that are about them, are configured otherwise: what follows is worked out when all that changes together is
    /// known.
    fn configured(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        apps: BTreeSet<AppId>,
        event: &Recorded,
    ) -> Result<(), KvError> {
        if directory::is_configuring(state)? {
            apps.iter().for_each(|app| store(state, format!("{CONFIGURED}{app}"), &()));
            return Ok(());
        }
        if apps.is_empty() { Ok(()) } else { self.owe_everybody(state, &apps, event) }
    }

    /// Opens what a change of the configuration owes to everybody, in some apps.
    fn owe_everybody(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        apps: &BTreeSet<AppId>,
        event: &Recorded,
    ) -> Result<(), KvError> {
        if reevaluations::are_many(state)? {
            let begun = reevaluations::Begun { apps: Some(apps.clone()), pass: Pass::Losses };
            reevaluations::begin(state, begun, None, event);
            return Ok(());
        }
        let change = Change::at_once(event.sequence, ChangeKind::Mover, event.recorded_at);
        for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
            self.owe(state, id, change, Extent::of(apps), event)?;
        }
        Ok(())
    }

    /// Looks whether anybody violates a separation, after those were configured otherwise.
    fn look_at_everybody(state: &mut Kept<'_, impl Write>, event: &Recorded) -> Result<(), KvError> {
        if reevaluations::are_many(state)? {
            let begun = reevaluations::Begun { apps: None, pass: Pass::Separations };
            reevaluations::begin(state, begun, None, event);
            return Ok(());
        }
        separations::everybody(state, event)
    }

    /// Decides anew for one piece of the people whom a change concerns. What it opens belongs to this event, so that it is newer than all
    /// that was desired before, and is due as if it had been opened by the change.
    fn reevaluated(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        piece: Reevaluated,
        event: &Recorded,
    ) -> Result<(), KvError> {
        let Some((running, people)) = reevaluations::take(state, piece)? else { return Ok(()) };
        let change = Change::at_once(event.sequence, ChangeKind::Mover, running.changed_at);
        let extent = Extent { apps: running.apps.as_ref(), pass: running.pass };
        for id in people {
            match running.pass {
                Pass::Separations => {
                    let all = directory::configured_separations(state)?;
                    separations::look(state, &all, id, event)?;
                }
                Pass::Losses if !may_lose(state, id, extent.apps)? => {}
                Pass::Losses | Pass::Access => {
                    self.owe(state, id, change, extent, event)?;
                }
            }
        }
        Ok(())
    }

    /// Somebody is switched off everywhere, or on again.
    fn switch(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        switched: &Switched,
        event: &Recorded,
    ) -> Result<(), KvError> {
        let is_known =
            directory::identity(state, switched.id)?.is_some_and(|identity| identity.content != Content::Erased);
        if !is_known || switch::changed(state, switched, event)? == switch::Effect::None {
            return Ok(());
        }
        let kind = match switched.to {
            Switch::Off => ChangeKind::Disable,
            Switch::On => ChangeKind::Mover,
        };
        let change = Change::at_once(event.sequence, kind, event.recorded_at);
        if switched.to == Switch::On {
            // That they are off is owed no longer, in whatever app.
            let end = End::Superseded { at: event.recorded_at, by: event.sequence, because: Because::Changed };
            for mut account in accounts_of(state, switched.id)? {
                let is_off = |o: &Obligation| o.change == ChangeKind::Disable;
                obligations::end_those(state, &mut account, is_off, &end, &mut Vec::new())?;
                accounts::requeue(state, &mut account, Urgency::Usual);
                store(state, account_key(switched.id, &account.app), &account);
            }
        }
        self.owe(state, switched.id, change, Extent::ALL, event)?;
        Ok(())
    }

    /// Opens what a change of one identity owes, in every app or in some; returns how much that is.
    fn owe(
        &mut self,
        state: &mut Kept<'_, impl Write>,
        id: IdentityId,
        change: Change,
        extent: Extent<'_>,
        event: &Recorded,
    ) -> Result<u64, KvError> {
        let only = extent.apps;
        if self.access(state)?.apps.is_empty() {
            return Ok(0);
        }
        if self.recorded != Some(false) && recorded::is_of(state, id)? {
            switch::requeue(state, id)?;
            return self.owe_recorded(state, Some(id), Some(change), event);
        }
        let Some(identity) = directory::identity(state, id)? else { return Ok(0) };
        let holder = holders::holder_of(state, identity)?;
        let off = switch::switched_off(state, id)?;
        let urgency = switch::urgency(state, id)?;
        let accounts = match only {
            Some(apps) => {
                let found = apps.iter().map(|app| account(state, id, app));
                found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
            }
            None => accounts_of(state, id)?,
        };
        let mut accounts: BTreeMap<AppId, Account> = accounts.into_iter().map(|a| (a.app.clone(), a)).collect();
        let must_go = accounts.values().any(|account| account.desired == Desired::Deleted);
        let is_to_be_erased = must_go && erasure::ordered(state, id)?.is_some();
        let mut opened = 0;
        let catalogue = self.catalogue;
        let access = self.access(state)?;
        let roles = access.roles_of(&holder);
        let principal = access.principal(&catalogue, &holder, &roles);
        // What changes together is worked out when all of it is known; that nobody keeps waiting who must go.
        let must_go_now = matches!(change.kind, ChangeKind::Leaver | ChangeKind::Disable);
        let waiting =
            if must_go_now || !directory::is_configuring(state)? { Vec::new() } else { suffixes(state, CONFIGURED)? };
        let concerned = |app: &AppId| {
            only.is_none_or(|only| only.contains(app)) && !waiting.iter().any(|other| other == app.as_str())
        };
        for (app, rules) in access.apps.values().filter(|(app, _)| concerned(&app.spec.id)) {
            let identity = &holder.identity;
            let rule = rules.of(identity.kind);
            let before = accounts.remove(&app.spec.id);
            let held = before.as_ref().map(|account| account.holds.clone()).unwrap_or_default();
            let (desired, holds) = match &before {
                // What can't be decided stays as it is until they leave, but for grants that have ended.
                before if !access.decides(app, rule, identity) && change.kind != ChangeKind::Leaver => {
                    let Some(before) = before else { continue };
                    holders::kept(before, &holder, app, off.as_ref())
                }
                before => {
                    let decision = holder.decide(app, rule, &roles, access.asked(principal.as_ref()));
                    let desired = match holders::desired_for(&decision, identity, app, off.as_ref()) {
                        // A removal that waits for a person stays one that waits: they are only switched off meanwhile.
                        Desired::Absent
                            if off.is_some() && waits_for_a_person(state, before.as_ref(), change, event)? =>
                        {
                            Desired::Off
                        }
                        desired => desired,
                    };
                    (desired, holdings(&held, decision, event.recorded_at))
                }
            };
            // Of what was to be taken away nobody loses anything by waiting that gets it back.
            let is_given =
                desired.target() == Target::Present && !before.as_ref().is_some_and(Account::is_being_removed);
            if extent.pass == Pass::Losses && is_given {
                continue;
            }
            separations::lost(state, &access.separations, (id, &app.spec.id), (&held, &holds))?;
            let now = before.as_ref().map(|account| &account.desired).filter(|_| is_to_be_erased);
            let desired = desired.or_still_deleted(now);
            let owed = owed::derive(change, &app.spec.id, id, &app.spec.sla, before.as_ref(), &desired);
            if let Some(obligation) = owed {
                guarded::count(state, &app.spec, before.as_ref(), &desired, event)?;
                obligations::open_decided(
                    state,
                    obligation,
                    before,
                    obligations::Decided { desired, urgency, holds },
                    event,
                )?;
                opened += 1;
            } else if let Some(mut account) = before.filter(|a| a.holds != holds || a.urgency != urgency) {
                account.holds = holds;
                accounts::requeue(state, &mut account, urgency);
                store(state, account_key(id, &app.spec.id), &account);
            }
        }
        if opened > 0 {
            causation::keep(state, event);
        }
        let separations = &self.access(state)?.separations;
        // Where there are none nobody violates any, and nothing is to be read for that.
        if !separations.is_empty() {
            separations::look(state, separations, id, event)?;
        }
        Ok(opened)
    }
}

/// The apps in which a policy that is configured otherwise now may change who holds something, by what it said before, or says now.
fn apps_of_policy_change(state: &impl Read, event: &Event) -> Result<BTreeSet<AppId>, KvError> {
    let (id, now) = match event {
        Event::PolicyConfigured(spec) => (&spec.id, Some(&**spec)),
        Event::PolicyRemoved(id) => (id, None),
        _ => return Ok(BTreeSet::new()),
    };
    let before = directory::policy(state, id)?.filter(|policy| policy.standing == Standing::Configured);
    match apps_of_policies(before.iter().map(|policy| &policy.spec).chain(now)) {
        Some(apps) => Ok(apps),
        None => every_app(state),
    }
}

fn every_app(state: &impl Read) -> Result<BTreeSet<AppId>, KvError> {
    Ok(directory::apps(state)?.into_iter().map(|app| app.spec.id).collect())
}

/// Whether somebody has an account that can be taken away from them, or is about to lose one.
fn may_lose(state: &impl Read, id: IdentityId, apps: Option<&BTreeSet<AppId>>) -> Result<bool, KvError> {
    let is_there = |account: &Account| account.desired.target() == Target::Present || account.is_being_removed();
    let Some(apps) = apps else { return Ok(accounts_of(state, id)?.iter().any(is_there)) };
    for app in apps {
        if account(state, id, app)?.as_ref().is_some_and(is_there) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The apps that have changed with others that are not all known yet.
const CONFIGURED: &str = "configured/";

/// Whether the removal of an account of somebody who is switched off waits for a person, or has since they were.
fn waits_for_a_person(
    state: &impl Read,
    before: Option<&Account>,
    change: Change,
    event: &Recorded,
) -> Result<bool, KvError> {
    let Some(before) = before.filter(|_| change.kind != ChangeKind::Leaver) else { return Ok(false) };
    match before.desired {
        // Nothing gave it to them when they were switched off: its removal waited then.
        Desired::Off if before.holds.is_empty() => Ok(true),
        Desired::Off => Ok(directory::identity(state, before.identity)?.is_some_and(|who| !who.lifecycle.has_access())),
        Desired::Absent if before.is_pending() => {
            let held = holds(state)?.iter().any(|hold| hold.covers(before));
            Ok(held || is_waived(state, &before.app, before.identity, event.recorded_at)?)
        }
        Desired::Absent | Desired::Deleted | Desired::Present(_) => Ok(false),
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
        // The end of a machine also says that it is not active.
        // A source that says again what was said before says it.
        false => (changed.changed.is_empty() && event.meta.source.is_none()) || event.meta.actor == NOTES,
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

/// What follows from what is known of an account now, read or said: for the separations that it breaks, and for a machine whose it is.
fn known_of(
    state: &mut Kept<'_, impl Write>,
    app: &AppId,
    identity: IdentityId,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    separations::read_back(state, app, identity, event)?;
    machines::read_back(state, identity, event, facts)
}
