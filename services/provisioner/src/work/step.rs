//! One account, once: look, change, look again, say what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rollcall_domain::Event;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::outcome::Rejected;
use rollcall_domain::access::plan::{Step, is_gone, judge, plan};
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::standard::{Invitation, Standard};
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftDetected, DriftId};
use tokio::time::Instant;
use tracing::info;

use crate::app_client::client::Failure;
use crate::app_client::late_lists::Before;
use crate::app_client::remote_group::Member;
use crate::error::ProvisionerError;
use crate::search::locate::{Located, locate};
use crate::search::look::{Search, read_by_id};
use crate::search::ownership::Ownership;
use crate::search::wanted::Wanted;
use crate::work::carry_out::{Sent, check_mapping, refuse_foreign};
use crate::work::connector::{Connector, Link};
use crate::work::end_access::{Access, is_answer};
use crate::work::error::WorkError;
use crate::work::listed::{NEXT_LIST, is_said_before, is_to_be_refuted};
use crate::work::outcome::{Attempt, CONTESTED_PAUSE, Outcome};
use crate::work::verify::may_still_show;

/// How long an app that lags is waited for at once; one that needs longer is come back to.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];

/// How often a refusal that is final is heard before the app is not asked again until something changes.
const PARK_AFTER: u32 = 3;

/// The managed groups that an account is to be in no more.
pub fn left_out<'a>(managed: &'a BTreeSet<String>, account: &'a Account) -> impl Iterator<Item = &'a String> {
    managed.iter().filter(|group| match &account.desired {
        Desired::Present(presence) => !presence.groups.contains(*group),
        Desired::Absent | Desired::Deleted => true,
        // Of whom a person has switched off nothing else is changed.
        Desired::Off => false,
    })
}

/// Whether an account may have been in a group when work on the app began: it was shown there, or was to be there.
fn was_in(account: &Account, group: &str) -> Before {
    let may_be = account.shown_groups().contains(group) || account.entered.contains(group);
    if may_be { Before::PerhapsIn } else { Before::Out }
}

impl Connector {
    /// Brings one account to what is desired, as far as the app lets us, and appends what was seen; `refusals` is how
    /// often the app has refused it in a row.
    ///
    /// # Errors
    /// When our own log or state fails; the app's failures are outcomes.
    pub async fn work_on(&self, account: &Account, refusals: u32) -> Result<Outcome, ProvisionerError> {
        match self.attempt(account).await {
            Ok(Attempt::Verified) => Ok(Outcome::Verified),
            Ok(Attempt::Wait(pause)) => Ok(Outcome::Again(Some(pause))),
            Ok(Attempt::Drift(kind, differences, remote)) => {
                info!(kind = kind.name(), "the app shows something else than what is desired");
                let id = DriftId { app: account.app.clone(), identity: account.identity, kind };
                let drift = DriftDetected::new(id, account.desired_version, differences, remote.as_ref());
                if !self.is_known(&drift)? || is_to_be_refuted(account) {
                    self.append(account, Event::DriftDetected(drift)).await?;
                }
                Ok(Outcome::Again(None))
            }
            Err(WorkError::App(failure)) => {
                self.reject(account, &failure, refusals).await?;
                Ok(Outcome::Failed(failure))
            }
            Err(WorkError::Ours(error)) => Err(error),
        }
    }

    /// One event for the first failure, for each that differs, and when it is taken as final: a dead app must not flood
    /// the log. Nobody who must go is ever parked.
    async fn reject(&self, account: &Account, failure: &Failure, refusals: u32) -> Result<(), ProvisionerError> {
        let cause = failure.rejection.cause.name();
        let (status, detail) = (failure.rejection.status, &failure.rejection.detail);
        info!(cause, status, detail, "the app could not be changed or read");
        // Another list may show it otherwise.
        let is_listed = self.link.as_ref().is_some_and(|link| link.list.is_some());
        let parks = !is_listed
            && failure.is_final()
            && refusals + 1 >= PARK_AFTER
            && account.desired.target() == Target::Present;
        // One who works by other settings than those of the log can't tell what is refused by these.
        let parked_at = if parks && self.has_newest_settings()? { self.app_version()? } else { None };
        let repeated = account.rejection.as_ref().is_some_and(|last| last.repeats(&failure.rejection));
        if repeated && (parked_at.is_none() || account.parked_at.is_some()) {
            return Ok(());
        }
        let rejected = Rejected {
            app: account.app.clone(),
            identity: account.identity,
            version: account.desired_version,
            rejection: failure.rejection.clone(),
            parked_at,
        };
        self.append(account, Event::AccountRejected(rejected)).await?;
        Ok(())
    }

    /// For how long what was read of an account proves nothing: what the app has not answered may still be carried out. A creation may
    /// make it, and a change make it live again or give back what was taken.
    fn may_still_live(&self, account: &Account, remote: Option<&Remote>) -> Option<Duration> {
        let Link { config, list, .. } = self.link.as_ref()?;
        let within = config.carried_out_within;
        let changed = if list.is_none() { self.unanswered.wait(account.into(), within) } else { None };
        self.may_still_come(account, remote, within).max(changed)
    }

    /// The same of that it is out of the groups that it must not be in: a list of members may let it in again.
    fn may_still_change(&self, account: &Account, remote: Option<&Remote>, can: &Capabilities) -> Option<Duration> {
        let Link { config, memberships, list, .. } = self.link.as_ref()?;
        let let_in = remote.filter(|_| list.is_none()).and_then(|remote| {
            let managed = config.spec.managed_groups();
            let left = left_out(&managed, account).map(|group| (group, was_in(account, group)));
            memberships.wait(can, left, Member::from(remote), config.carried_out_within)
        });
        self.may_still_live(account, remote).max(let_in)
    }

    /// Where nothing is owed of somebody any more, and an account that may be theirs can be used: that is found, so that it is owed. What is
    /// known already, or only reported, is refused as before.
    fn may_be_left(
        &self,
        account: &Account,
        located: Option<&Located>,
        wanted: &Wanted,
    ) -> Result<Option<Attempt>, WorkError> {
        let is_over = wanted.target == Target::Absent && account.owes.is_empty();
        let lives = |found: &&Located| found.ownership.is_out_of_reach() && wanted.can_be_used(&found.remote);
        let Some(found) = located.filter(|_| is_over).filter(lives) else { return Ok(None) };
        let id = DriftId { app: account.app.clone(), identity: account.identity, kind: DriftKind::Zombie };
        let drift = DriftDetected::new(id, account.desired_version, Vec::new(), Some(&found.remote));
        Ok((!self.is_known(&drift)?).then(|| Attempt::Drift(DriftKind::Zombie, Vec::new(), Some(found.remote.clone()))))
    }

    async fn attempt(&self, account: &Account) -> Result<Attempt, WorkError> {
        let Some(Link { config, client, memberships, list }) = &self.link else {
            return Err(self.not_connected().into());
        };
        check_mapping(&account.desired)?;
        if self.has_become_the_first(account).await? {
            self.become_the_first(account).await?;
            return Ok(Attempt::Verified);
        }
        let list = match list {
            Some(list) => match self.newer_list(list, account).await? {
                Some(snapshot) => Some((list, snapshot)),
                None => return Ok(Attempt::Wait(NEXT_LIST)),
            },
            None => None,
        };
        let can = self.capabilities(config)?;
        let search = Search { client, can: &can, max_scan: config.max_scan, controls: &self.controls };
        let mut standard = Standard::of(&config.spec, &can);
        // What is owed is sent at least once, where something can be sent; what the app makes of it is then judged.
        let is_sent = !account.owes.is_empty() && list.is_none();
        let managed = config.spec.managed_groups();
        let unsettled = self.settled.wait(account, &can);
        let mut wanted = self.wanted(&config.spec, account, &can)?;
        if let Some((_, snapshot)) = &list {
            wanted.names_are_ids = config.reach.ids_are_names();
            wanted.is_said = is_said_before(snapshot, account);
        }
        let Some(mut claim) = self.claims.take(&wanted.user_names, wanted.remote_id.as_ref()) else {
            return Ok(Attempt::Wait(CONTESTED_PAUSE));
        };
        let mut pauses = PAUSES.into_iter();
        let mut sent = Sent::Nothing;
        let mut access = Access::of(account, &can, &managed);
        let mut unfinished = None;
        let (mut hidden, mut asked_to_leave) = (None, false);
        loop {
            let mut located = locate(&search, &self.store.view(), &wanted).await?;
            if let Some(drift) = self.may_be_left(account, located.as_ref(), &wanted)? {
                return Ok(drift);
            }
            refuse_foreign(located.as_ref(), wanted.target)?;
            if located.as_ref().is_some_and(|l| l.ownership == Ownership::Contested || !claim.add(&l.remote.id)) {
                return Ok(Attempt::Wait(CONTESTED_PAUSE));
            }
            // Each account has an invitation of its own.
            standard.invitation = Invitation::None;
            if let Some(found) = &located {
                wanted.note_used(&found.remote);
                standard.invitation = wanted.invitation_to(&found.remote);
            }
            if let Some(found) = &located {
                wanted.remote_id = Some(found.remote.id.clone());
                wanted.seen_at = Some(Instant::now());
            }
            if let (Access::Stands, Some(found), None) =
                (access, located.as_ref().filter(|l| l.remote.is_active()), &list)
            {
                if let Some(wait) = may_still_show(account, &can, (self.clock)()) {
                    return Ok(Attempt::Wait(wait));
                }
                access = self.end_access(account, found, &mut wanted, &can, standard.deprovision).await?;
                if account.desired == Desired::Off && access == Access::EndsWithTheAccount {
                    standard.switches_off = Deprovision::Delete;
                }
            }
            let (mut groups_unread, mut unread) = (None, BTreeMap::new());
            // Of whom a person has switched off nothing else is changed.
            if let Some(found) = located.as_mut().filter(|_| account.desired != Desired::Off) {
                match memberships.of(client, &can, &managed, Member::from(&found.remote)).await {
                    // Since the account was read the app may have become another one, in which there are no such groups.
                    Ok(_)
                        if memberships.lacks_any(&managed) && read_by_id(client, &found.remote.id).await?.is_none() =>
                    {
                        return Ok(Attempt::Wait(CONTESTED_PAUSE));
                    }
                    Ok(mut seen) => {
                        found.remote.groups = std::mem::take(&mut seen.groups);
                        let is_desired = |group: &str| account.desired.groups().is_some_and(|all| all.contains(group));
                        let may_be_in = |group: &str| was_in(account, group) == Before::PerhapsIn;
                        unread = seen.unread_of(|group| is_desired(group) || may_be_in(group));
                        let left_over = seen.left_over.into_iter().find(|(group, _)| !is_desired(group));
                        groups_unread = unread.values().next().cloned().or(left_over.map(|(_, failure)| failure));
                        if !asked_to_leave && list.is_none() {
                            asked_to_leave = true;
                            let to_leave = left_out(&managed, account).filter(|group| !unread.contains_key(*group));
                            match self.leave_unseen(account, found, to_leave, &can).await {
                                // First what gives access, and what else is desired.
                                Err(WorkError::App(failure)) => {
                                    hidden = Some(failure.of_a_group());
                                }
                                outcome => outcome?,
                            }
                        }
                    }
                    // It goes with the account where the account is deleted.
                    Err(failure) if account.desired.target() == Target::Absent => groups_unread = Some(failure),
                    Err(failure) => return Err(failure.into()),
                }
            }
            let sending = if is_sent { standard.clone().for_a_change() } else { standard.clone() };
            let remote = located.as_ref().map(|l| &l.remote);
            let mut steps = plan(&account.desired, remote, &sending);
            // What is read can be changed all the same.
            let is_of_unread =
                |step: &Step| matches!(step, Step::Enter(group) | Step::Leave(group) if unread.contains_key(group));
            steps.retain(|step| !is_of_unread(step));
            let judged = judge(&account.desired, remote, &standard);
            // What it shows is of one list: what was seen in two proves nothing.
            if let Some((list, snapshot)) = &list
                && list.current().await?.generation != snapshot.generation
            {
                return Ok(Attempt::Wait(CONTESTED_PAUSE));
            }
            let is_as_desired = steps.is_empty()
                || ((sent == Sent::Everything || list.is_some())
                    && judged.as_ref().is_ok_and(|differences| differences.is_empty()));
            if is_as_desired {
                if let Some((_, snapshot)) = &list
                    && self.needs_a_word(snapshot, account, &wanted, remote)?
                {
                    return match wanted.is_said {
                        true => self.stands_on_word(account).await,
                        false => Ok(Attempt::Wait(NEXT_LIST)),
                    };
                }
                // What is desired may be what was before our own last change.
                if sent == Sent::Nothing
                    && let Some(wait) = unsettled
                {
                    return Ok(Attempt::Wait(wait));
                }
                if let Some(wait) = self.may_still_change(account, remote, &can) {
                    return Ok(Attempt::Wait(wait));
                }
                if let (Some(failure), Target::Present) =
                    (groups_unread.as_ref().or(hidden.as_ref()), account.desired.target())
                {
                    return Err(failure.clone().into());
                }
                if let Some(failure) = groups_unread.or(hidden) {
                    return self.unfinished(account, remote, &standard, Some(failure), None).await;
                }
                self.settled.forget(account.identity);
                self.left_groups.forget(account.identity);
                // As it is until an invitation is accepted.
                if let Ok(differences) = judged
                    && !differences.is_empty()
                {
                    return self.verified_but(account, remote, differences, None).await;
                }
                self.verify(account, remote).await?;
                return Ok(Attempt::Verified);
            }
            if let Some((_, snapshot)) = &list {
                return self.listed_otherwise(account, remote, &standard, judged, snapshot).await;
            }
            if access == Access::Ended {
                steps.retain(|step| *step != Step::Deactivate);
                sent = if steps.is_empty() { Sent::Everything } else { sent };
            }
            if sent != Sent::Everything
                && access != Access::Ended
                && let Some(wait) = may_still_show(account, &can, (self.clock)())
            {
                return Ok(Attempt::Wait(wait));
            }
            if sent == Sent::Everything {
                if let Some(pause) = pauses.next() {
                    tokio::time::sleep(pause).await;
                    continue;
                }
                if let Some(delay) = can.consistency_delay
                    && unfinished.is_none()
                {
                    return Ok(Attempt::Wait(delay));
                }
                // In what can't be read they may be, or not be: nothing is verified.
                if let (Some(failure), Target::Present) = (&groups_unread, account.desired.target()) {
                    return Err(failure.clone().into());
                }
                // Where nothing was done in this attempt it may show what was before an earlier one.
                let lag = unfinished.as_ref().and_then(|_| self.settled.wait(account, &can));
                let may_change = match wanted.target {
                    Target::Present => self.may_still_change(account, remote, &can),
                    // What is left is told apart from that nobody can sign in: no group keeps that from being said.
                    Target::Absent => self.may_still_live(account, remote),
                };
                let wait = lag.max(may_change);
                return self.unfinished(account, remote, &standard, groups_unread.or(unfinished), wait).await;
            }
            sent = match self.carry_out(account, &steps, located.as_ref(), &mut wanted, &can, sent).await {
                // Nobody can sign in with it any more, or everybody as they should: what is left is told apart from that.
                Err(WorkError::App(failure))
                    if (account.desired.target() == Target::Absent && is_gone(remote, &standard))
                        || (judged.is_ok() && remote.is_some() && is_answer(&failure)) =>
                {
                    unfinished = Some(failure);
                    Sent::Everything
                }
                outcome => outcome?,
            };
        }
    }
}
