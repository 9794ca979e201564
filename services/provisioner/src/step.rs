//! One account, once: look, change, look again, say what was seen.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_config::AppConfig;
use rollcall_domain::access::account::{Account, findable};
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::{Adopted, Applied, Attempted, Left, Origin, Rejected, Verified};
use rollcall_domain::access::plan::{Step, is_gone, judge, plan};
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::mapping::Attributes;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftDetected, DriftId, DriftItem};
use rollcall_domain::{AppId, Event, NewEvent, Sequence, directory, ledger};
use rollcall_event_log::{Clock, Expect, Log, Unit, by_service};
use rollcall_projection::Store;
use rollcall_scim::Changed;
use serde_json::Value;
use tokio::time::Instant;
use tracing::info;

use crate::ask::{create, deactivate, delete, update};
use crate::claims::Claims;
use crate::client::{Failure, ScimClient};
use crate::control::Controls;
use crate::error::ProvisionerError;
use crate::locate::{Located, Search, Wanted, locate};
use crate::memberships::Memberships;
use crate::ownership::Ownership;
use crate::service::NAME;
use crate::settled::Settled;
use crate::trouble::Trouble;

/// How long an app that lags is waited for at once; one that needs longer is come back to.
const PAUSES: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1000)];

/// How soon an account is looked at again that someone else's is in the way of.
const CONTESTED_PAUSE: Duration = Duration::from_millis(500);

/// How often a refusal that is final is heard before the app is not asked again until something changes.
const PARK_AFTER: u32 = 3;

/// What is needed to work on the accounts of one app.
pub struct Desk {
    pub log: Arc<dyn Log>,
    pub clock: Clock,
    pub store: Arc<Store>,
    pub app: AppId,
    pub settled: Settled,
    pub claims: Claims,
    pub controls: Controls,
    /// How to reach it; `None`: it can't be, and `unreachable` says why.
    pub link: Option<Link>,
    pub unreachable: String,
}

/// An app that can be reached.
#[derive(Debug)]
pub struct Link {
    pub config: AppConfig,
    pub client: ScimClient,
    pub memberships: Memberships,
}

/// How one attempt ended.
#[derive(Debug)]
pub enum Outcome {
    /// It was read back as desired.
    Verified,
    /// The app works, and shows something else; or is to be read again after this time.
    Again(Option<Duration>),
    /// The app refused, or could not be used.
    Failed(Failure),
}

/// What one look, change and look again led to.
enum Attempt {
    /// It was read back as desired.
    Verified,
    /// The app shows something else.
    Drift(DriftKind, Vec<Changed>, Option<Remote>),
    /// It may still come to be as desired.
    Wait(Duration),
}

impl Desk {
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
                if !self.is_known(&drift)? {
                    self.append(account, Event::DriftDetected(drift)).await?;
                }
                Ok(Outcome::Again(None))
            }
            Err(Trouble::App(failure)) => {
                self.reject(account, &failure, refusals).await?;
                Ok(Outcome::Failed(failure))
            }
            Err(Trouble::Ours(error)) => Err(error),
        }
    }

    /// One event for the first failure, for each that differs, and when it is taken as final: a dead app must not flood
    /// the log. Nobody who must go is ever parked.
    async fn reject(&self, account: &Account, failure: &Failure, refusals: u32) -> Result<(), ProvisionerError> {
        let cause = failure.rejection.cause.name();
        let (status, detail) = (failure.rejection.status, &failure.rejection.detail);
        info!(cause, status, detail, "the app could not be changed or read");
        let parks = failure.is_final() && refusals + 1 >= PARK_AFTER && account.desired.target() == Target::Present;
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

    /// Whether what is done is done by the settings that the log has of the app.
    fn has_newest_settings(&self) -> Result<bool, ProvisionerError> {
        let known = directory::app(&self.store.view(), &self.app)?;
        Ok(known.zip(self.link.as_ref()).is_some_and(|(app, link)| app.spec == link.config.spec))
    }

    /// The version of the app that its settings have now.
    pub fn app_version(&self) -> Result<Option<Sequence>, ProvisionerError> {
        Ok(directory::app(&self.store.view(), &self.app)?.map(|app| app.version))
    }

    /// What the app can do, as configured and as learned.
    pub fn capabilities(&self, config: &AppConfig) -> Result<Capabilities, ProvisionerError> {
        let learned = ledger::capabilities(&self.store.view(), &self.app)?.unwrap_or_default();
        Ok(config.spec.capabilities.over(&learned))
    }

    /// Whether the same drift is open already.
    pub fn is_known(&self, drift: &DriftDetected) -> Result<bool, ProvisionerError> {
        let open = ledger::drift_of(&self.store.view(), &drift.id.app, drift.id.identity)?;
        let same = |item: &DriftItem| {
            item.id == drift.id && item.differences == drift.differences && item.version == drift.version
        };
        Ok(open.iter().any(same))
    }

    async fn attempt(&self, account: &Account) -> Result<Attempt, Trouble> {
        let Some(Link { config, client, memberships }) = &self.link else {
            return Err(self.not_connected().into());
        };
        check_mapping(&account.desired)?;
        if self.has_become_the_first(account).await? {
            self.release(account).await?;
            return Ok(Attempt::Verified);
        }
        let can = self.capabilities(config)?;
        let search = Search { client, can: &can, max_scan: config.max_scan, controls: &self.controls };
        let deprovision = config.spec.effective_deprovision();
        let managed = config.spec.managed_groups();
        let unsettled = self.settled.wait(account, &can);
        let mut wanted = self.wanted(&config.spec, account)?;
        let Some(mut claim) = self.claims.take(&wanted.user_names, wanted.remote_id.as_ref()) else {
            return Ok(Attempt::Wait(CONTESTED_PAUSE));
        };
        let mut pauses = PAUSES.into_iter();
        let mut sent = Sent::Nothing;
        let mut access = Access::of(account, &can, &managed);
        let mut unfinished = None;
        loop {
            let mut located = locate(&search, &self.store.view(), &wanted).await?;
            refuse_foreign(located.as_ref())?;
            if located.as_ref().is_some_and(|l| l.ownership == Ownership::Contested || !claim.add(&l.remote.id)) {
                return Ok(Attempt::Wait(CONTESTED_PAUSE));
            }
            if let Some(found) = &located {
                wanted.remote_id = Some(found.remote.id.clone());
                wanted.seen_at = Some(Instant::now());
            }
            if let (Access::Stands, Some(found)) = (access, located.as_ref().filter(|l| l.remote.is_active())) {
                if let Some(wait) = may_still_show(account, &can, (self.clock)()) {
                    return Ok(Attempt::Wait(wait));
                }
                access = self.end_access(account, found, &mut wanted, &can, deprovision).await?;
            }
            let mut groups_unread = None;
            if let Some(found) = &mut located {
                match memberships.of(client, &can, &managed, &found.remote.id).await {
                    Ok(groups) => found.remote.groups = groups,
                    // It goes with the account where the account is deleted.
                    Err(failure) if account.desired.target() == Target::Absent => groups_unread = Some(failure),
                    Err(failure) => return Err(failure.into()),
                }
            }
            let remote = located.as_ref().map(|l| &l.remote);
            let mut steps = plan(&account.desired, remote, deprovision);
            let is_as_desired =
                steps.is_empty() || (sent == Sent::Everything && judge(&account.desired, remote, deprovision).is_ok());
            if is_as_desired {
                // What is desired may be what was before our own last change.
                if sent == Sent::Nothing
                    && let Some(wait) = unsettled
                {
                    return Ok(Attempt::Wait(wait));
                }
                if let Some(wait) = self.may_still_come(account, remote, config.request_timeout) {
                    return Ok(Attempt::Wait(wait));
                }
                if let Some(failure) = groups_unread {
                    return self.unfinished(account, remote, deprovision, Some(failure)).await;
                }
                self.settled.forget(account.identity);
                self.verify(account, remote).await?;
                return Ok(Attempt::Verified);
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
                return self.unfinished(account, remote, deprovision, groups_unread.or(unfinished)).await;
            }
            sent = match self.carry_out(account, &steps, located.as_ref(), &mut wanted, &can, sent).await {
                // Nobody can sign in with it any more: what is left is told apart from that.
                Err(Trouble::App(failure)) if account.desired.target() == Target::Absent && is_gone(remote) => {
                    unfinished = Some(failure);
                    Sent::Everything
                }
                outcome => outcome?,
            };
        }
    }

    /// Says what was reached when not all of it was: of an account with which nobody can sign in any more that it is gone, and
    /// what is left of it apart.
    async fn unfinished(
        &self,
        account: &Account,
        remote: Option<&Remote>,
        deprovision: Deprovision,
        failure: Option<Failure>,
    ) -> Result<Attempt, Trouble> {
        let found = judge(&account.desired, remote, deprovision).err();
        if account.desired.target() == Target::Absent && is_gone(remote) && Self::owes_access(account) {
            let (kind, differences) = found.unwrap_or((DriftKind::Residue, Vec::new()));
            let id = DriftId { app: account.app.clone(), identity: account.identity, kind };
            let drift = DriftDetected::new(id, account.desired_version, differences, remote);
            // Together: between the two nothing would be known to be left.
            let events = [verified(account, remote, Left::Something), Event::DriftDetected(drift)];
            self.append_all(account, events).await?;
            return Ok(Attempt::Verified);
        }
        match (failure, found) {
            (Some(failure), _) => Err(failure.into()),
            (None, Some((kind, differences))) => Ok(Attempt::Drift(kind, differences, remote.cloned())),
            (None, None) => Ok(Attempt::Wait(CONTESTED_PAUSE)),
        }
    }

    /// Whether it is owed that nobody can sign in with an account, and not only that nothing is left of it.
    fn owes_access(account: &Account) -> bool {
        !account.owes_no_access()
    }

    /// Switches an account off, before anything else is done for someone who must have none: what fails later, such as
    /// their groups, must not keep it alive. An app that can't is left to the deletion that follows.
    async fn end_access(
        &self,
        account: &Account,
        found: &Located,
        wanted: &mut Wanted,
        can: &Capabilities,
        deprovision: Deprovision,
    ) -> Result<Access, Trouble> {
        match self.carry_out(account, &[Step::Deactivate], Some(found), wanted, can, Sent::Nothing).await {
            Err(Trouble::App(failure)) if deprovision == Deprovision::Delete && is_answer(&failure) => {
                Ok(Access::EndsWithTheAccount)
            }
            Err(trouble) => Err(trouble),
            Ok(_) => Ok(Access::Ended),
        }
    }

    /// How long a creation whose outcome is not known may still be carried out: the app was not heard of it.
    fn may_still_come(&self, account: &Account, remote: Option<&Remote>, longest: Duration) -> Option<Duration> {
        let unanswered = account.may_exist.as_ref().filter(|_| remote.is_none())?;
        let since = Duration::try_from((self.clock)().duration_since(unanswered.since)).unwrap_or_default();
        longest.checked_sub(since).filter(|left| !left.is_zero())
    }

    /// Asks the app for each step in turn.
    async fn carry_out(
        &self,
        account: &Account,
        steps: &[Step],
        located: Option<&Located>,
        wanted: &mut Wanted,
        can: &Capabilities,
        before: Sent,
    ) -> Result<Sent, Trouble> {
        let Some(Link { client, memberships, .. }) = &self.link else { return Ok(Sent::Nothing) };
        let origin = match located.map(|l| l.ownership) {
            Some(Ownership::Ours | Ownership::Contested) | None => Origin::Ours,
            Some(_) => Origin::Adopted,
        };
        if let (Origin::Adopted, Some(found)) = (origin, located.filter(|_| !steps.is_empty())) {
            self.say_adopted(account, &found.remote.id).await?;
        }
        for step in steps {
            let mut group = None;
            let mut operation = step.operation();
            match (step, located) {
                (Step::Create(attributes), _) => match self.create(account, attributes, wanted, can).await? {
                    Ok(id) => wanted.remote_id = Some(id),
                    // Someone was faster, perhaps ourselves before a restart: look again, once.
                    Err(conflict) if before == Sent::Conflict => return Err(conflict.into()),
                    Err(_) => return Ok(Sent::Conflict),
                },
                (Step::Enter(name) | Step::Leave(name), _) => {
                    let Some(id) = wanted.remote_id.as_deref() else { continue };
                    match step {
                        Step::Enter(_) => memberships.enter(client, can, name, id).await?,
                        _ => match memberships.leave(client, can, name, id).await {
                            // It is left with the account.
                            Err(_) if steps.contains(&Step::Delete) => continue,
                            outcome => outcome?,
                        },
                    }
                    group = Some(name.clone());
                }
                (Step::Update(changes), Some(found)) => {
                    if let Err(failure) = update(client, can, changes, &account.desired, &found.remote).await {
                        // Another account may be in the way, perhaps another one of theirs: look again, everywhere, once.
                        if before == Sent::Conflict || failure.rejection.cause != RejectionCause::Conflict {
                            return Err(failure.into());
                        }
                        wanted.remote_id = None;
                        return Ok(Sent::Conflict);
                    }
                }
                (Step::Deactivate, Some(found)) => deactivate(client, can, &found.remote).await?,
                // An app without deletion: nobody signs in any more, and the account is left.
                (Step::Delete, Some(found)) if found.remote.is_active() => {
                    if let Err(failure) = delete(client, &found.remote).await {
                        let is_missing = matches!(failure.rejection.status, Some(405 | 501));
                        if !is_missing {
                            return Err(failure.into());
                        }
                        deactivate(client, can, &found.remote).await?;
                        operation = Operation::Deactivate;
                    }
                }
                (Step::Delete, Some(found)) => delete(client, &found.remote).await?,
                (Step::Update(_) | Step::Deactivate | Step::Delete, None) => continue,
            }
            let applied = Applied {
                app: account.app.clone(),
                identity: account.identity,
                version: account.desired_version,
                remote_id: wanted.remote_id.clone(),
                operation,
                origin,
                group,
            };
            self.append(account, Event::AccountApplied(applied)).await?;
        }
        Ok(Sent::Everything)
    }

    /// Says whose an account becomes before anything is sent to it: the answer may be lost, and it must be found again whatever it
    /// says of itself by then.
    async fn say_adopted(&self, account: &Account, remote_id: &str) -> Result<(), Trouble> {
        let is_present = account.desired.target() == Target::Present;
        let linked = ledger::linked(&self.store.view(), &self.app, remote_id)?;
        if !is_present || linked == Some(account.identity) {
            return Ok(());
        }
        let (app, identity, remote_id) = (account.app.clone(), account.identity, remote_id.to_owned());
        self.append(account, Event::AccountAdopted(Adopted { app, identity, remote_id })).await?;
        Ok(())
    }

    /// Creates an account. What may exist is on the log before it can: where the app does not show whose an account is,
    /// only that tells it from one that was there before.
    async fn create(
        &self,
        account: &Account,
        attributes: &Attributes,
        wanted: &mut Wanted,
        can: &Capabilities,
    ) -> Result<Result<String, Failure>, Trouble> {
        let Some(Link { client, .. }) = &self.link else { return Err(self.not_connected().into()) };
        let before = wanted.may_exist.clone();
        let all: BTreeSet<String> = before.union(&findable(attributes)).cloned().collect();
        let say = async |sent: &BTreeSet<String>| {
            let (app, identity, version) = (account.app.clone(), account.identity, account.desired_version);
            let attempted = Attempted { app, identity, version, sent: sent.clone() };
            self.append(account, Event::AccountAttempted(attempted)).await
        };
        let is_news = all != before;
        let ahead = is_news && !ledger::keeps_external_ids(&self.store.view(), &self.app)?;
        if ahead {
            say(&all).await?;
        }
        let outcome = create(client, attributes, can).await;
        match &outcome {
            Ok(Ok(_)) => {}
            Err(failure) if failure.is_unanswered() => {
                if is_news && !ahead {
                    say(&all).await?;
                }
                wanted.may_exist = all;
            }
            Ok(Err(_)) | Err(_) => {
                if ahead {
                    say(&before).await?;
                }
            }
        }
        Ok(outcome?)
    }

    fn not_connected(&self) -> Failure {
        Failure::new(RejectionCause::NotConnected, self.unreachable.clone())
    }

    async fn verify(&self, account: &Account, remote: Option<&Remote>) -> Result<(), Trouble> {
        // An account that stands for itself and has become somebody's is not gone.
        if remote.is_none()
            && self.stands_for(account)?.is_some()
            && self.live(account.remote_id.as_deref().unwrap_or_default()).await?.is_some()
        {
            return self.release(account).await;
        }
        self.say_verified(account, remote, Left::Nothing).await
    }

    async fn say_verified(&self, account: &Account, remote: Option<&Remote>, left: Left) -> Result<(), Trouble> {
        self.append(account, verified(account, remote, left)).await?;
        Ok(())
    }

    /// Nothing has to be done any more with an account that stood for itself.
    async fn release(&self, account: &Account) -> Result<(), Trouble> {
        if let Some(id) = self.stands_for(account)? {
            self.append(account, Event::DriftCleared(id)).await?;
        }
        Ok(())
    }

    fn wanted(&self, spec: &AppSpec, account: &Account) -> Result<Wanted, Trouble> {
        let of = self.second_of(account)?.unwrap_or(account.identity);
        Ok(Wanted::of(&self.store.view(), spec, account, of, (self.clock)())?)
    }

    /// Appends, and waits until our own state holds it: the next decision must know.
    async fn append(&self, account: &Account, event: Event) -> Result<Sequence, ProvisionerError> {
        self.append_all(account, [event]).await
    }

    /// The same for several that nobody must see one without the other.
    async fn append_all(
        &self,
        account: &Account,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Sequence, ProvisionerError> {
        let story = ledger::story_of(&self.store.view(), account)?;
        let (correlation_id, caused_by) = story.map(|s| (s.correlation_id, s.caused_by)).unzip();
        let correlation_id = correlation_id.unwrap_or_default();
        let mut unit = Unit::default();
        for event in events {
            unit.push(NewEvent { meta: by_service(NAME, &correlation_id, caused_by), event }, Expect::Any);
        }
        self.settle(&unit).await
    }

    /// The same for what follows from no account.
    pub async fn say(&self, event: Event) -> Result<Sequence, ProvisionerError> {
        self.settle(&Unit::one(NewEvent { meta: by_service(NAME, "", None), event }, Expect::Any)).await
    }

    async fn settle(&self, unit: &Unit) -> Result<Sequence, ProvisionerError> {
        let appended = self.log.append(unit).await?;
        self.store.wait_for(appended.last, Duration::from_secs(60)).await?;
        Ok(appended.last)
    }
}

/// What was asked of the app so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    /// A creation, which found that there is an account.
    Conflict,
    Everything,
}

/// Whether someone who must have no account can still sign in with it, as far as this attempt has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// It is switched off before anything else.
    Stands,
    /// The app has confirmed that it is switched off.
    Ended,
    /// It can't be switched off, or that is all there is to do.
    EndsWithTheAccount,
    /// They must have one.
    Wanted,
}

impl Access {
    fn of(account: &Account, can: &Capabilities, managed: &BTreeSet<String>) -> Self {
        match account.desired.target() {
            Target::Present => Self::Wanted,
            Target::Absent if managed.is_empty() || can.deactivate == Support::No => Self::EndsWithTheAccount,
            Target::Absent => Self::Stands,
        }
    }
}

/// Whether the app itself has answered, and not only asked to be left alone for a while.
fn is_answer(failure: &Failure) -> bool {
    failure.rejection.status.is_some() && failure.rejection.cause != RejectionCause::Throttled
}

/// How long an app that needs time may still need it.
fn may_still_show(account: &Account, can: &Capabilities, now: Timestamp) -> Option<Duration> {
    let delay = can.consistency_delay?;
    let since = now.duration_since(account.confirmed_at()?);
    let since = Duration::try_from(since).unwrap_or_default();
    delay.checked_sub(since).filter(|left| !left.is_zero()).map(|left| left.min(Duration::from_secs(1)))
}

/// A mapping can give what no app takes.
fn check_mapping(desired: &Desired) -> Result<(), Failure> {
    let Desired::Present(presence) = desired else { return Ok(()) };
    match presence.attributes.get("userName") {
        Some(Value::String(name)) if !name.is_empty() => Ok(()),
        other => {
            let what = other.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let detail = format!("the mapping gives {what} as userName: mend [apps.attributes], or the identity");
            Err(Failure::new(RejectionCause::Unmappable, detail))
        }
    }
}

fn refuse_foreign(located: Option<&Located>) -> Result<(), Failure> {
    let Some(found) = located.filter(|l| l.ownership.is_out_of_reach()) else { return Ok(()) };
    let (name, id) = (found.remote.text("userName"), &found.remote.id);
    let why = match found.ownership {
        Ownership::Protected => "is one of the app's protected accounts".to_owned(),
        Ownership::Unlinked => {
            "was not made by Rollcall, and the app's `adopt` does not let anyone have it: link it by \
                                `adopt = \"unlinked\"`, list it under `protected`, or remove it"
                .to_owned()
        }
        _ => format!("belongs to identity {}", found.remote.text("externalId")),
    };
    let detail = format!("the app's account '{name}' (id {id}) has this user name and {why}");
    Err(Failure::new(RejectionCause::Conflict, detail))
}

/// What a look at an account has proved.
fn verified(account: &Account, remote: Option<&Remote>, left: Left) -> Event {
    Event::AccountVerified(Verified {
        left,
        app: account.app.clone(),
        identity: account.identity,
        version: account.desired_version,
        remote_id: remote.map(|r| r.id.clone()),
        target: account.desired.target(),
        observed: remote.map(|r| r.managed(&account.desired)).unwrap_or_default(),
    })
}
