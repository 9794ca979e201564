//! What the authoritative source said last of each, kept apart from everything that decides: the laws about authority and the
//! guard are held against it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::obligation::Obligation;
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::Applied;
use rollcall_domain::governance::hold::{Cause, Decision, HoldDecided};
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::identity::{Identity, IdentityChanged};
use rollcall_domain::kv::{KvError, Memory, Read};
use rollcall_domain::{AppId, Event, IdentityId, Recorded, Sequence, directory, ledger};
use serde_json::{Map, Value};

/// The source whose word counts on whether someone is active.
pub const AUTHORITY: &str = "hr";

/// The source whose does not.
pub const OTHER: &str = "idp";

/// How long a statement that takes effect at a time may take until it has.
const SLACK: SignedDuration = SignedDuration::from_mins(1);

/// A statement about whether someone is active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    pub active: bool,
    /// When it takes effect; `None`: at once.
    pub from: Option<Timestamp>,
}

impl Said {
    /// As it stands in an event's reason.
    pub fn text(self) -> String {
        let from = self.from.map(|at| at.to_string()).unwrap_or_default();
        format!("said {} {from}", self.active)
    }

    fn read(reason: &str) -> Option<Self> {
        let mut words = reason.strip_prefix("said ")?.splitn(2, ' ');
        let active = words.next()?.parse().ok()?;
        Some(Self { active, from: words.next().filter(|text| !text.is_empty()).and_then(|text| text.parse().ok()) })
    }
}

/// A removal that a source has brought about.
#[derive(Debug, Clone)]
struct Removal {
    cause: Cause,
    identity: IdentityId,
    version: Sequence,
    opened_at: Timestamp,
}

/// What was said and done.
#[derive(Debug, Default)]
pub struct Authorities {
    said: BTreeMap<IdentityId, Said>,
    /// When each event was recorded.
    at: Vec<Timestamp>,
    /// What was removed, by app.
    removed: BTreeMap<AppId, Vec<Removal>>,
    /// Whom a person has ever switched off: what is removed of theirs is that person's decision.
    switched: BTreeSet<IdentityId>,
    /// Up to where a person has decided about the removals of a cause.
    decided: BTreeMap<Cause, Sequence>,
}

fn word_on_active(resource: &Map<String, Value>) -> (Option<Value>, Option<Value>) {
    (resource.get("active").cloned(), resource.get(rollcall_scim::LIFECYCLE.id).cloned())
}

impl Authorities {
    /// What is broken by an event; `state` is as it was before.
    pub fn weigh(&mut self, state: &Memory, event: &Recorded) -> Result<Vec<String>, KvError> {
        self.at.push(event.recorded_at);
        Ok(match &event.event {
            Event::Identity(changed) => self.identity(directory::identity(state, changed.id)?, changed, event),
            Event::AccountApplied(applied) => self.applied(state, applied, event)?.into_iter().collect(),
            Event::IdentitySwitched(switched) => {
                self.switched.insert(switched.id);
                Vec::new()
            }
            Event::HoldDecided(HoldDecided { decision: Decision::Lapse, .. }) => Vec::new(),
            Event::HoldDecided(HoldDecided { cause, through, .. }) => {
                let decided = self.decided.entry(cause.clone()).or_default();
                *decided = (*decided).max(*through);
                Vec::new()
            }
            _ => Vec::new(),
        })
    }

    fn identity(&mut self, before: Option<Identity>, changed: &IdentityChanged, event: &Recorded) -> Vec<String> {
        let (id, source) = (changed.id, event.meta.source.as_ref().map(|source| source.as_str()));
        let mut broken = Vec::new();
        if source == Some(AUTHORITY)
            && let Some(said) = Said::read(&event.meta.reason)
        {
            self.said.insert(id, said);
        }
        let was = before.as_ref().map(|before| word_on_active(&before.resource));
        if source == Some(OTHER) && was.is_some_and(|was| was != word_on_active(&changed.resource)) {
            broken.push(format!("#{}: {OTHER} has changed whether {id} is active", event.sequence));
        }
        broken.extend(self.contradicts(id, changed.after.has_access(), event.recorded_at));
        broken
    }

    /// What an identity's access says against what was said of it.
    fn contradicts(&self, id: IdentityId, has_access: bool, now: Timestamp) -> Option<String> {
        let said = self.said.get(&id)?;
        let is_due = said.from.is_none_or(|from| from + SLACK < now);
        (is_due && said.active != has_access)
            .then(|| format!("{AUTHORITY} has said {said:?} of {id}, and at {now} access is {has_access}"))
    }

    fn applied(&mut self, state: &Memory, applied: &Applied, event: &Recorded) -> Result<Option<String>, KvError> {
        let is_removal = matches!(applied.operation, Operation::Deactivate | Operation::Delete);
        if !is_removal || self.switched.contains(&applied.identity) {
            return Ok(None);
        }
        let Some(account) = ledger::account(state, applied.identity, &applied.app)? else { return Ok(None) };
        let is_now = account.desired_version == applied.version && account.desired.target() == Target::Absent;
        let (Some(cause), true) = (Cause::of(&account), is_now) else { return Ok(None) };
        // A person who has it looked at again makes another version of it, and no other removal.
        let is_removal = |o: &&Obligation| {
            o.target == Target::Absent
                && !matches!(
                    o.change,
                    ChangeKind::Repair | ChangeKind::Residue | ChangeKind::Disable | ChangeKind::Grant
                )
        };
        let owed = account.owes.iter().filter(is_removal).map(|o| o.id.opened_by).min();
        let Some(version) = owed else { return Ok(None) };
        let guard = directory::app(state, &applied.app)?.map(|app| app.spec.guard).unwrap_or_default();
        let opened = usize::try_from(version.0).ok().and_then(|at| self.at.get(at.checked_sub(1)?).copied());
        let removal = Removal {
            cause: cause.clone(),
            identity: applied.identity,
            version,
            opened_at: opened.unwrap_or(event.recorded_at),
        };
        let start = guard.window_start(removal.opened_at);
        let all = self.removed.entry(applied.app.clone()).or_default();
        all.push(removal.clone());
        let decided = self.decided.get(&cause).copied().unwrap_or_default();
        let counts = |other: &&Removal| {
            let is_in_window = other.opened_at > start && other.opened_at <= removal.opened_at;
            other.cause == cause && other.version > decided && is_in_window
        };
        let those: BTreeSet<_> = all.iter().filter(counts).map(|other| (other.identity, other.version)).collect();
        let most = usize::try_from(guard.max_removals).unwrap_or(usize::MAX);
        Ok((removal.version > decided && those.len() > most).then(|| {
            format!(
                "#{}: {} removals by {cause} in {} within a window, and nobody has decided",
                event.sequence,
                those.len(),
                applied.app
            )
        }))
    }

    /// What does not agree when all has come to rest.
    pub fn at_the_end(&self, state: &impl Read, now: Timestamp) -> Result<Vec<String>, KvError> {
        let mut broken = Vec::new();
        for id in self.said.keys() {
            let Some(identity) = directory::identity(state, *id)? else { continue };
            broken.extend(self.contradicts(*id, identity.lifecycle.has_access(), now));
        }
        Ok(broken)
    }
}
