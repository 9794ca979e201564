//! What must hold whatever happens, held against every event as it is appended and against the end of the run:
//! nobody is called gone or as desired unless the app says so at that moment; no account is made twice; a deadline is
//! called missed only when it is, and always when it is; no obligation is dropped; every projection is what a plain
//! replay of the log is; and in the end the apps, the obligations, the drift and the alerts all agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::handover::{HandoverChanged, HandoverStep};
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::access::outcome::Verified;
use rollcall_domain::access::reevaluation::Pass;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::drill::{Drill, DrillEvent};
use rollcall_domain::app::standard::gives_access;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::orphan_id;
use rollcall_domain::governance::erasure::ErasureOrdered;
use rollcall_domain::governance::hold::Cause;
use rollcall_domain::identity::content::Content;
use rollcall_domain::kv::{KvError, Memory, suffixes};
use rollcall_domain::ledger::{self, Fact, Ledger};
use rollcall_domain::{AppId, Event, IdentityId, Recorded, Sequence, directory};
use serde_json::{Map, Value};

use crate::apart;
use crate::app::{RENAMED, SimApp, text};
use crate::authorities::Authorities;
use crate::chance::Chance;
use crate::handovers::{self, Answers};
use crate::office::{self, DESK, Office, PAPER};
use crate::reasons::Reasons;
use crate::vault::{self, Mood, Vault};

/// After what time a person looks at an app themselves of which nothing is believed.
const TOLD_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// How long a change by hand excuses what was seen before it: the longest that a look can take until it is on the log.
const GRACE: Duration = Duration::from_secs(60);

/// How long a monitor that works may take until it says that something is overdue: it may have to catch up, and its clock may
/// be wrong meanwhile.
const NOTICED_WITHIN: SignedDuration = SignedDuration::from_secs(100);

/// How far the monitor's clock may be from the log's.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(6);

/// A law that does not hold, with what led to it.
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Broken {
    pub seed: u64,
    pub laws: Vec<String>,
    /// What happened before the first of them was noticed.
    pub trace: Vec<String>,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}:", self.seed)?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        self.laws.iter().try_for_each(|law| writeln!(f, "BROKEN: {law}"))
    }
}

#[derive(Debug, Default)]
struct Book {
    state: Memory,
    ledger: Ledger,
    head: Sequence,
    apps: BTreeMap<String, SimApp>,
    /// The log's clock, for the trace.
    now: Timestamp,
    notes: Vec<(Timestamp, String)>,
    /// Until when what is owed was left by a decision, which whoever comes back ends.
    left_until: BTreeMap<ObligationId, Timestamp>,
    /// From when to when a monitor worked.
    watched: Vec<(Timestamp, Timestamp)>,
    broken: Vec<(usize, String)>,
    verified: usize,
    drilled: usize,
    vault: Vault,
    office: Office,
    handed_over: usize,
    /// Whom nothing else in an app could have proved gone, or not.
    beyond_proof: BTreeSet<(IdentityId, String)>,
    /// Every user name that someone had.
    names: BTreeMap<IdentityId, BTreeSet<String>>,
    authorities: Authorities,
    reasons: Reasons,
    answers: Answers,
}

/// Keeps the book.
#[derive(Debug, Default)]
pub struct Laws {
    book: Mutex<Book>,
}

impl Laws {
    /// With nothing in it.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches an app, too.
    pub fn watch(&self, app: &SimApp) {
        self.book().apps.insert(app.nature.id.to_owned(), app.clone());
    }

    /// A monitor works from now on.
    pub fn watched(&self) {
        let mut book = self.book();
        let now = book.now;
        book.watched.push((now, Timestamp::MAX));
    }

    /// None does.
    pub fn unwatched(&self) {
        let mut book = self.book();
        let now = book.now;
        if let Some((_, until)) = book.watched.last_mut() {
            *until = now;
        }
    }

    /// Remembers what happened, for the trace.
    pub fn note(&self, what: String) {
        self.book().note(what);
    }

    /// A change that nobody waited for any more has made an account live: nobody was called gone while it could come.
    pub fn revived(&self, app: &str, remote_id: &str, says: Option<IdentityId>) {
        let mut book = self.book();
        book.note(format!("{app}: what came late has made {remote_id} live"));
        let said = book.gone_before_its_time(app, remote_id, says);
        let at = book.notes.len();
        match said {
            Ok(Some(law)) => book.broken.push((at, law)),
            Ok(None) => {}
            Err(e) => book.broken.push((at, format!("whose {remote_id} is can't be read: {e}"))),
        }
    }

    /// A law was found broken.
    pub fn broken(&self, law: String) {
        let mut book = self.book();
        let at = book.notes.len();
        book.broken.push((at, law));
    }

    /// The log's clock, as it was with the last event.
    pub fn now(&self) -> Timestamp {
        self.book().now
    }

    /// How many accounts were verified.
    pub fn verified(&self) -> usize {
        self.book().verified
    }

    /// How many drills were done to their end.
    pub fn drilled(&self) -> usize {
        self.book().drilled
    }

    /// How many machines somebody has taken over.
    pub fn handed_over(&self) -> usize {
        self.book().handed_over
    }

    /// Holds one event against the laws, before anyone else sees it.
    pub fn saw(&self, event: &Recorded) {
        let mut book = self.book();
        book.now = event.recorded_at;
        // They come and go all the time, and say little.
        if !matches!(event.event, Event::Reconciliation(_)) {
            book.note(format!("#{} {}", event.sequence, brief(&event.event)));
        }
        let outcome = book.weigh(event);
        let at = book.notes.len();
        match outcome {
            Ok(broken) => book.broken.extend(broken.into_iter().map(|law| (at, law))),
            Err(e) => book.broken.push((at, format!("the plain replay failed: {e}"))),
        }
    }

    /// The apps of which nothing is believed, and from which what must be there is really gone, each with the event that says so.
    pub fn vanished(&self) -> Result<Vec<(AppId, Sequence)>, KvError> {
        let book = self.book();
        let mut out = Vec::new();
        for quarantine in ledger::quarantines(&book.state)? {
            let app = quarantine.app;
            let linked = |id: &String| ledger::linked(&book.state, &app, id).is_ok_and(|of| of.is_some());
            let simulated = book.apps.get(app.as_str());
            let is_so = match (quarantine.rejection.cause, app.as_str()) {
                (RejectionCause::Vanished, PAPER) => !book.office.ids().iter().any(linked),
                (RejectionCause::Vanished, _) => simulated.is_some_and(|app| !app.ids().iter().any(linked)),
                _ => false,
            };
            if is_so {
                out.push((app, quarantine.by));
            }
        }
        Ok(out)
    }

    /// The apps of which nothing has been believed for long although accounts that are known are there: all of them were renamed by hand. Each
    /// with the event that says that nothing is believed.
    pub fn renamed(&self) -> Result<Vec<(AppId, Sequence)>, KvError> {
        let now = self.now();
        let book = self.book();
        let mut out = Vec::new();
        for quarantine in ledger::quarantines(&book.state)? {
            let app = quarantine.app;
            let linked = |id: &String| ledger::linked(&book.state, &app, id).is_ok_and(|of| of.is_some());
            let is_there = book.apps.get(app.as_str()).is_some_and(|app| app.ids().iter().any(linked));
            let is_old = now.duration_since(quarantine.since) > TOLD_AFTER;
            if quarantine.rejection.cause == RejectionCause::Vanished && is_there && is_old {
                out.push((app, quarantine.by));
            }
        }
        Ok(out)
    }

    /// Whoever can be erased, with what follows: the erasure, or the order for it where apps keep accounts of theirs.
    pub fn erasable(&self) -> Result<Vec<Event>, KvError> {
        let book = self.book();
        let mut out = Vec::new();
        for id in suffixes(&book.state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
            let open = directory::identity(&book.state, id)?.is_some_and(|i| i.content == Content::Open);
            let (reason, legal_basis) = ("they asked for it".to_owned(), "a law".to_owned());
            let order = ErasureOrdered { id, reason, legal_basis, approved_by: None };
            let obstacles = ledger::obstacles(&book.state, id)?;
            let is_kept = obstacles.iter().all(|obstacle| matches!(obstacle, ledger::Obstacle::Kept(_)));
            if open && obstacles.is_empty() {
                out.push(Event::IdentityErased(ledger::record(&book.state, order)?));
            } else if open && is_kept && ledger::ordered(&book.state, id)?.is_none() {
                out.push(Event::ErasureOrdered(order));
            }
        }
        Ok(out)
    }

    /// The accounts that people are to remove by hand: no drill recognizes them any more.
    pub fn to_be_removed_by_hand(&self) -> Result<Vec<(SimApp, String)>, KvError> {
        let book = self.book();
        let mut out = Vec::new();
        for (name, app) in &book.apps {
            let Ok(id) = name.parse() else { continue };
            let known = ledger::drilled(&book.state, &id)?;
            let is_told = known.failure.as_ref().is_some_and(|why| why.contains("remove it by hand"));
            let left = known.left_behind.into_iter().filter(|_| is_told && known.running.is_none());
            out.extend(left.map(|left| (app.clone(), left.id)));
        }
        Ok(out)
    }

    /// The apps whose last drill has shown something, or was stopped, and that are not drilled yet.
    pub fn to_be_drilled_again(&self) -> Result<Vec<AppId>, KvError> {
        let book = self.book();
        let mut out = Vec::new();
        for app in book.apps.keys().filter_map(|app| app.parse().ok()) {
            let known = ledger::drilled(&book.state, &app)?;
            let failed = known.last.as_ref().is_some_and(|last| last.keeps_access().next().is_some());
            let waits = known.running.is_some() || known.requested.is_some();
            if !waits && (failed || known.failure.is_some() || !known.left_behind.is_empty()) {
                out.push(app);
            }
        }
        Ok(out)
    }

    /// The causes whose removals wait for a person, each with the last change of those that wait.
    pub fn held(&self) -> Result<Vec<(Cause, Sequence)>, KvError> {
        let book = self.book();
        let mut out = Vec::new();
        for hold in ledger::holds(&book.state)? {
            let mut through = hold.by;
            let by_people = [DESK, PAPER].into_iter();
            for app in book.apps.keys().map(String::as_str).chain(by_people).filter_map(|app| app.parse().ok()) {
                for id in ledger::identities_at(&book.state, &app)? {
                    let account = ledger::account(&book.state, id, &app)?.filter(Account::is_pending);
                    through = account.filter(|a| hold.covers(a)).map_or(through, |a| through.max(a.desired_version));
                }
            }
            out.push((hold.cause, through));
        }
        Ok(out)
    }

    /// What two people could leave as it is.
    pub fn acceptances(&self, until: Timestamp) -> Result<Vec<Event>, KvError> {
        apart::acceptances(&self.book().state, until)
    }

    /// What a person could do about the machines of whoever has left: each is a unit.
    pub fn handover_decisions(&self, chance: &Chance) -> Result<Vec<Vec<Event>>, KvError> {
        handovers::decisions(&self.book().state, chance)
    }

    /// What happens in the vault of keys, and what its lists say.
    pub fn vault(&self, chance: &Chance, mood: Mood) -> Result<Vec<Event>, KvError> {
        let book = &mut *self.book();
        book.vault.step(&book.state, chance, mood, book.now)
    }

    /// What people do in the office, and say.
    pub fn office(&self, chance: &Chance, mood: Mood) -> Result<Vec<Event>, KvError> {
        let book = &mut *self.book();
        book.office.step(&book.state, chance, mood, book.now)
    }

    /// The last list of the office, and when it was taken.
    pub fn list(&self) -> Option<(Timestamp, String)> {
        self.book().office.list()
    }

    /// What is still to be done, in a line each; nothing: all has come to rest.
    pub fn unfinished(&self) -> Result<Vec<String>, KvError> {
        let book = self.book();
        let mut out = Vec::new();
        for app in book.apps.keys().filter_map(|app| app.parse().ok()) {
            for obligation in ledger::open_obligations(&book.state, Some(&app))? {
                let account = ledger::account(&book.state, obligation.id.subject.identity(), &app)?;
                let said = account.as_ref().and_then(|a| a.rejection.as_ref()).map(|r| r.detail.clone());
                let parked = account.is_some_and(|a| a.parked_at.is_some());
                out.push(format!("{} is open; parked: {parked}; the app said {said:?}", obligation.id));
            }
        }
        let drift = ledger::drift(&book.state, None)?;
        out.extend(drift.iter().map(|item| format!("drift {} since {}", item.id, item.detected_at)));
        for app in book.apps.keys().filter_map(|app| app.parse().ok()) {
            let drilled = ledger::drilled(&book.state, &app)?;
            if drilled.running.is_some() || drilled.requested.is_some() || !drilled.left_behind.is_empty() {
                out.push(format!("a drill of {app} has not come to its end: {drilled:?}"));
            }
        }
        out.extend(handovers::unfinished(&book.state)?);
        out.extend(vault::unfinished(&book.state)?);
        out.extend(office::unfinished(&book.state)?);
        out.extend(ledger::holds(&book.state)?.iter().map(|hold| format!("the removals by {} wait", hold.cause)));
        let ringing = ledger::grants_ringing(&book.state, Timestamp::MAX, usize::MAX)?;
        out.extend(ringing.iter().map(|(at, grant)| format!("grant {} has not ended, and is to at {at}", grant.id)));
        out.extend(ledger::open_leavers(&book.state)?.iter().map(|l| format!("leaver {} is not complete", l.identity)));
        let running = ledger::reevaluations(&book.state)?;
        out.extend(running.iter().map(|r| format!("what #{} means is not decided for everybody", r.since)));
        out.extend(ledger::firing_alerts(&book.state)?.iter().map(|alert| format!("alert {} fires", alert.key)));
        Ok(out)
    }

    /// Holds the end of a run against the laws: everything has come to rest.
    pub fn at_the_end(&self) -> Result<(), KvError> {
        let mut broken = self.book().agree()?;
        let book = self.book();
        broken.extend(book.office.disagrees(&book.state)?);
        drop(book);
        broken.into_iter().for_each(|law| self.broken(law));
        Ok(())
    }

    /// The same after the same run.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.book().notes.hash(&mut hasher);
        hasher.finish()
    }

    /// What is broken, when something is.
    pub fn verdict(&self, seed: u64) -> Result<(), Broken> {
        let book = self.book();
        let Some((first, _)) = book.broken.first() else { return Ok(()) };
        let line = |(at, what): &(Timestamp, String)| format!("{at} {what}");
        let trace = book.notes.get(..*first).unwrap_or_default().iter().map(line).collect();
        Err(Broken { seed, laws: book.broken.iter().map(|(_, law)| law.clone()).take(20).collect(), trace })
    }
}

impl Book {
    fn note(&mut self, what: String) {
        self.notes.push((self.now, what));
    }

    fn weigh(&mut self, event: &Recorded) -> Result<Vec<String>, KvError> {
        let mut broken = Vec::new();
        if event.sequence.0 != self.head.0 + 1 {
            broken.push(format!("event {} follows {}", event.sequence, self.head));
        }
        self.head = event.sequence;
        broken.extend(self.authorities.weigh(&self.state, event)?);
        self.reasons.learn(event);
        let late = self.reasons.beyond_its_clock(event.recorded_at);
        broken.extend(late.into_iter().map(|what| format!("#{}: {what}", event.sequence)));
        match &event.event {
            Event::Handover(HandoverChanged { step: HandoverStep::Accepted(_), .. }) => self.handed_over += 1,
            Event::Drill(Drill { event: DrillEvent::Completed { .. }, .. }) => self.drilled += 1,
            Event::AccountVerified(verified) => {
                self.verified += 1;
                broken.extend(self.is_true(verified)?.map(|what| format!("#{}: verified, but {what}", event.sequence)));
            }
            // An app that shows changes late may still show what was before.
            Event::DriftDetected(drift) if drift.id.kind == DriftKind::Missing => {
                let app = self.apps.get(drift.id.app.as_str()).filter(|app| app.nature.lag.is_zero());
                let whose = drift.id.identity;
                // Of an app that is another one since a moment ago, and in which nobody else must be there, nothing can be told.
                let tells = |app: &SimApp| !app.became_empty_within(GRACE) && self.untouched_for(app, whose) > GRACE;
                let lives = |app: &SimApp| !self.live_of(app, whose).is_empty() && tells(app);
                if app.is_some_and(lives) {
                    broken.push(format!("#{}: {} is said to be missing, and lives", event.sequence, drift.id));
                }
            }
            Event::Identity(changed) => {
                if let Some(name) = changed.resource.get("userName").and_then(Value::as_str) {
                    self.names.entry(changed.id).or_default().insert(name.to_lowercase());
                }
            }
            Event::ObligationOverdue(o) if event.recorded_at + CLOCKS_DIFFER < o.deadline => {
                broken.push(format!("#{}: {} is called overdue before {}", event.sequence, o.id, o.deadline));
            }
            _ => {}
        }
        self.answers.learn(&self.state, &event.event)?;
        let facts = self.ledger.evolve(&mut self.state, event)?;
        if matches!(&event.event, Event::HoldDecided(_) | Event::ObligationWaived(_)) {
            self.note_what_is_left()?;
        }
        broken.extend(
            handovers::wrong(&self.state, event.recorded_at)?.map(|what| format!("#{}: {what}", event.sequence)),
        );
        broken.extend(apart::wrong(&self.state, event)?.map(|what| format!("#{}: {what}", event.sequence)));
        for fact in facts {
            let Fact::LeaverCompleted(leaver) = fact else { continue };
            let whose = leaver.identity;
            let left = self.answers.left_of(&self.state, whose)?;
            if !left.is_empty() {
                broken.push(format!("#{}: the leaver {whose} is complete, and answers for {left:?}", event.sequence));
            }
            let working = self.vault.working(&self.state, whose)?;
            if !working.is_empty() {
                broken.push(format!("#{}: the leaver {whose} is complete, and {working:?} work", event.sequence));
            }
            // Each app was seen at its own time; what a person has done there since is found by the next comparison.
            let departed = Duration::try_from(event.recorded_at.duration_since(leaver.opened_at)).unwrap_or_default();
            for app in self.apps.values() {
                let live = self.live_of(app, whose);
                // One that came back since, for them or for a namesake who was about to get it, and is owed again, is not called gone.
                let owed = self.is_owed(app, whose)?;
                let proved = !owed && !self.beyond_proof.contains(&(whose, app.nature.id.to_owned()));
                if proved && !live.is_empty() && self.untouched_for(app, whose) > departed + GRACE {
                    let (at, app) = (event.sequence, app.nature.id);
                    broken.push(format!(
                        "#{at}: the leaver {whose} is complete, and has live accounts in {app}: {live:?}"
                    ));
                }
            }
        }
        Ok(broken)
    }

    /// Who is verified to be gone, and has this account, that lives.
    fn gone_before_its_time(
        &self,
        app: &str,
        remote_id: &str,
        says: Option<IdentityId>,
    ) -> Result<Option<String>, KvError> {
        let Ok(app) = app.parse() else { return Ok(None) };
        let Some(whose) = ledger::linked(&self.state, &app, remote_id)?.or(says) else { return Ok(None) };
        let theirs = ledger::account(&self.state, whose, &app)?;
        let is_gone = theirs.is_some_and(|a| a.desired.target() == Target::Absent && !a.is_pending());
        Ok(is_gone.then(|| {
            format!(
                "after #{}: {whose} was called gone in {app} while a change could still make {remote_id} live",
                self.head
            )
        }))
    }

    /// Whether something is owed in an app for someone, or for someone who had one of their names.
    fn is_owed(&self, app: &SimApp, whose: IdentityId) -> Result<bool, KvError> {
        let Ok(id) = app.nature.id.parse() else { return Ok(false) };
        let theirs = self.names.get(&whose).cloned().unwrap_or_default();
        for (other, names) in &self.names {
            let is_namesake = *other == whose || !names.is_disjoint(&theirs);
            if is_namesake && ledger::account(&self.state, *other, &id)?.is_some_and(|a| !a.owes.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The live accounts of someone in an app. Where the app does not keep whose they are, those with a name of theirs that
    /// nobody else has by now, or was given the account with.
    fn live_of(&self, app: &SimApp, whose: IdentityId) -> Vec<(String, Map<String, Value>, BTreeSet<String>)> {
        let mut live = app.live_of(&whose.to_string(), &self.names_in(app, whose));
        let Ok(id) = app.nature.id.parse() else { return live };
        let names = |of: IdentityId| self.names.get(&of).cloned().unwrap_or_default();
        live.retain(|(remote, ..)| {
            let linked = ledger::linked(&self.state, &id, remote).ok().flatten().filter(|of| *of != whose);
            app.nature.external_ids || linked.is_none_or(|of| names(of).is_disjoint(&names(whose)))
        });
        // One that whoever has the name now has taken over is theirs, also where it still says whose it was.
        let is_taken_over = |remote: &str, user: &Map<String, Value>| {
            let of = ledger::linked(&self.state, &id, remote).ok().flatten().filter(|of| *of != whose);
            let account = of.and_then(|of| ledger::account(&self.state, of, &id).ok().flatten());
            let has_it = account
                .is_some_and(|a| a.desired.target() == Target::Present && a.remote_id.as_deref() == Some(remote));
            has_it && text(user, "externalId") == whose.to_string() && self.is_left_behind(user).unwrap_or_default()
        };
        live.retain(|(remote, user, _)| !(app.nature.external_ids && is_taken_over(remote, user)));
        // Made without an answer, and renamed by hand before anybody has read it: with another one under its name the app shows
        // what it would show if the first had never been made.
        let is_known = |remote: &str| ledger::linked(&self.state, &id, remote).ok().flatten().is_some();
        live.retain(|(remote, user, _)| is_known(remote) || !text(user, "userName").starts_with(RENAMED));
        live
    }

    fn names_in(&self, app: &SimApp, whose: IdentityId) -> BTreeSet<String> {
        let names = self.names.get(&whose).into_iter().flatten();
        let others = |name: &&String| {
            let owner = directory::identity_by_user_name(&self.state, name).ok().flatten();
            app.nature.external_ids || owner.is_none_or(|owner| owner.id == whose)
        };
        names.filter(others).map(|name| format!("{name}@mail.example")).collect()
    }

    /// Since when nobody has changed the accounts of someone by hand.
    fn untouched_for(&self, app: &SimApp, whose: IdentityId) -> Duration {
        let names = if app.nature.external_ids { BTreeSet::new() } else { self.names_in(app, whose) };
        let all = names.iter().map(|name| app.untouched_for(name)).chain([app.untouched_for(&whose.to_string())]);
        all.min().unwrap_or(Duration::MAX)
    }

    /// What the app says to a proof; `None`: the same.
    /// What is wrong with a proof by what gives access, once that is decided for everybody.
    fn contradicts(&self, verified: &Verified, groups: &BTreeSet<String>) -> Result<Option<String>, KvError> {
        let is_decided = ledger::reevaluations(&self.state)?.iter().all(|running| running.pass == Pass::Separations);
        Ok(if is_decided { self.reasons.contradicts(verified, groups) } else { None })
    }

    fn is_true(&mut self, verified: &Verified) -> Result<Option<String>, KvError> {
        let whose = verified.identity;
        let Some(app) = self.apps.get(verified.app.as_str()) else {
            return self.office.contradicts(&self.state, verified);
        };
        let Some(account) = ledger::account(&self.state, verified.identity, &verified.app)? else {
            return Ok(Some(format!("there is no account of {whose} in {}", verified.app)));
        };
        // Of an older change: it proves nothing about this one, and the ledger must not take it for that.
        if account.desired_version != verified.version || self.untouched_for(app, whose) <= GRACE {
            return Ok(None);
        }
        // An app that confirms a removal, does nothing, and answers as another tenant at once, can only be told by someone
        // else whose account must be there.
        let known = |a: &Account| a.desired.target() == Target::Present && !a.is_pending();
        let nobody_else = ledger::some_accounts(&self.state, &verified.app, Some(whose), 1, known)?.is_empty();
        if nobody_else && app.became_empty_within(2 * GRACE) {
            self.beyond_proof.insert((whose, verified.app.to_string()));
            return Ok(None);
        }
        let remote_id = account.remote_id.clone().unwrap_or_default();
        if verified.identity == orphan_id(&verified.app, &remote_id) {
            let by_hand = ledger::duplicate_of(&self.state, &verified.app, verified.identity)?;
            let excused = by_hand.is_some_and(|owner| self.untouched_for(app, owner) <= GRACE);
            let lives = app.is_live(&remote_id) && !excused;
            return Ok(lives.then(|| format!("the account {remote_id} of {} is live", verified.app)));
        }
        let live = self.live_of(app, whose);
        let ways = ledger::capabilities(&self.state, &verified.app)?.unwrap_or_default().keeps;
        let kept = |path: &String| app.nature.external_ids || path != "externalId";
        // What gives nobody access may differ where that is said, or is the app's own way.
        let said = |path: &String| {
            let named = verified.differences.iter().any(|c| c.path == *path) || ways.contains_key(path);
            named && !gives_access(&BTreeSet::new(), path)
        };
        Ok(match &account.desired {
            Desired::Absent | Desired::Deleted | Desired::Off if live.is_empty() => {
                self.contradicts(verified, &BTreeSet::new())?
            }
            Desired::Absent | Desired::Deleted | Desired::Off => {
                Some(format!("{whose} has live accounts in {}: {live:?}", verified.app))
            }
            Desired::Present(presence) => {
                if let Some(what) = self.contradicts(verified, &presence.groups)? {
                    return Ok(Some(what));
                }
                // One that was taken over may still say that it is whose it was: that is written when the app does it.
                let taken_over = match app.live_account(&remote_id) {
                    Some((user, groups)) if self.is_left_behind(&user)? => Some((remote_id.clone(), user, groups)),
                    _ => None,
                };
                let shows = live.iter().chain(&taken_over).any(|(_, user, groups)| {
                    let same = presence.attributes.iter().filter(|(path, _)| kept(path)).all(|(path, value)| {
                        let shown = user.get(path).unwrap_or(&Value::Null);
                        shown == value || (path == "active" && shown.is_null()) || said(path)
                    });
                    same && *groups == presence.groups
                });
                (!shows).then(|| format!("{whose} has no such account in {}: {presence:?} and {live:?}", verified.app))
            }
        })
    }

    /// Until when what is owed is left by decisions.
    fn note_what_is_left(&mut self) -> Result<(), KvError> {
        for id in suffixes(&self.state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
            for o in ledger::obligations_of(&self.state, id)? {
                if let Some(waived) = &o.waived {
                    self.left_until.insert(o.id.clone(), waived.expires_at);
                }
            }
        }
        Ok(())
    }

    /// The longest time between two others that one monitor worked.
    fn longest_watch(&self, from: Timestamp, to: Timestamp) -> SignedDuration {
        let within = |(start, end): &(Timestamp, Timestamp)| to.min(*end).duration_since(from.max(*start));
        self.watched.iter().map(within).max().unwrap_or_default()
    }

    /// Whether whoever an account says that it is has left.
    fn is_left_behind(&self, user: &Map<String, Value>) -> Result<bool, KvError> {
        let said = user.get("externalId").and_then(Value::as_str).and_then(|id| id.parse().ok());
        let Some(said) = said else { return Ok(false) };
        Ok(directory::identity(&self.state, said)?.is_none_or(|who| !who.is_active()))
    }

    /// Whose account it is, by what the app keeps of that.
    fn owner(&self, app: &SimApp, whose: String) -> Result<String, KvError> {
        if app.nature.external_ids {
            return Ok(whose);
        }
        let name = whose.strip_suffix("@mail.example").unwrap_or(&whose);
        let owner = directory::identity_by_user_name(&self.state, name)?;
        Ok(owner.map_or(whose, |owner| owner.id.to_string()))
    }

    /// What does not agree when all has come to rest.
    fn agree(&self) -> Result<Vec<String>, KvError> {
        let mut broken = self.authorities.at_the_end(&self.state, self.now)?;
        for (id, app) in &self.apps {
            let Ok(app_id) = id.parse() else { continue };
            let mut owners: BTreeMap<String, usize> = BTreeMap::new();
            for (_, whose) in app.live() {
                let whose = self.owner(app, whose)?;
                *owners.entry(whose).or_default() += 1;
            }
            for (whose, accounts) in &owners {
                let account = match whose.parse() {
                    Ok(identity) => ledger::account(&self.state, identity, &app_id)?,
                    Err(_) => None,
                };
                match account.map(|a| a.desired.target()) {
                    Some(Target::Present) if *accounts == 1 => {}
                    wanted => broken.push(format!("{id}: {accounts} live accounts of {whose}, desired: {wanted:?}")),
                }
            }
            for identity in ledger::identities_at(&self.state, &app_id)? {
                let Some(account) = ledger::account(&self.state, identity, &app_id)? else { continue };
                let must = account.desired.target() == Target::Present;
                if must && !owners.contains_key(&identity.to_string()) {
                    broken.push(format!("{id}: {identity} has no live account"));
                }
                broken.extend(self.profile(app, &account)?);
                for o in ledger::obligations_of(&self.state, identity)?
                    .iter()
                    .filter(|o| o.id.subject.app() == Some(&app_id))
                {
                    // What was left by a decision rings when that is over.
                    let rings_at = self.left_until.get(&o.id).map_or(o.deadline, |until| o.deadline.max(*until));
                    let late =
                        o.end.as_ref().is_some_and(|end| self.longest_watch(rings_at, end.at()) > NOTICED_WITHIN);
                    if late && o.overdue_at.is_none() {
                        broken.push(format!("{} was met after {} and never called overdue: {o:?}", o.id, o.deadline));
                    }
                }
            }
        }
        for id in suffixes(&self.state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
            let owed = ledger::obligations_of(&self.state, id)?;
            broken.extend(owed.iter().filter(|o| o.end.is_none()).map(|o| format!("{} has not ended", o.id)));
        }
        Ok(broken)
    }
}

impl Book {
    /// What somebody's only account shows otherwise than desired at the end, although the app does not keep it in its own way.
    fn profile(&self, app: &SimApp, account: &Account) -> Result<Option<String>, KvError> {
        let Desired::Present(presence) = &account.desired else { return Ok(None) };
        let ways = ledger::capabilities(&self.state, &account.app)?.unwrap_or_default().keeps;
        let live = self.live_of(app, account.identity);
        let [(_, user, _)] = live.as_slice() else { return Ok(None) };
        let differs = |path: &str| {
            user.get(path).unwrap_or(&Value::Null) != presence.attributes.get(path).unwrap_or(&Value::Null)
        };
        let title = !ways.contains_key("title") && differs("title");
        Ok(title
            .then(|| format!("{}: {} shows another title: {presence:?} and {user:?}", account.app, account.identity)))
    }
}

fn brief(event: &Event) -> String {
    match event {
        Event::Identity(e) => format!("identity {} {:?} {:?}", e.id, e.change, e.resource.get("userName")),
        Event::AccountApplied(e) => format!("applied {:?} {} {} v{}", e.operation, e.app, e.identity, e.version),
        Event::AccountVerified(e) => format!("verified {:?} {} {} v{}", e.target, e.app, e.identity, e.version),
        Event::AccountRejected(e) => format!("rejected {} {} {:?}", e.app, e.identity, e.rejection),
        Event::DriftDetected(e) => format!("drift {} {} {:?}", e.id, e.remote_id, e.differences),
        Event::AlertFired(e) => format!("alert fired {}", e.key),
        Event::AlertResolved(e) => format!("alert resolved {}", e.key),
        other => {
            let mut text = format!("{other:?}");
            if let Some((end, _)) = text.char_indices().nth(160) {
                text.truncate(end);
            }
            text
        }
    }
}
