//! What a system of record says of people, as the gateway decides and appends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind};
use rollcall_domain::ids::{GroupId, IdentityId};
use rollcall_domain::{Event, EventMeta, NewEvent, Sequence, TraceContext};
use rollcall_event_log::{Clock, Expect, Log, LogError, Subject, Unit};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::chance::Chance;
use crate::log::SimLog;

const NAMES: [&str; 6] = ["anna", "ben", "cleo", "dan", "eva", "finn"];

/// The one group that there is.
const GROUP: Uuid = Uuid::from_u128(7);

/// The source.
pub struct People {
    pub log: Arc<SimLog>,
    pub chance: Chance,
    pub clock: Clock,
    /// Who is here, or was and may come back; by name.
    pub here: BTreeMap<&'static str, IdentityId>,
    /// Who is in the group.
    pub members: BTreeSet<IdentityId>,
    /// What the log has acknowledged.
    pub acknowledged: Arc<Mutex<BTreeMap<IdentityId, Sequence>>>,
}

type Resource = Map<String, Value>;

impl People {
    fn event(&self, event: Event) -> NewEvent {
        let source = "hr".parse().ok();
        NewEvent {
            meta: EventMeta {
                event_id: self.chance.uuid(),
                occurred_at: (self.clock)(),
                actor: "hr".into(),
                source,
                reason: String::new(),
                correlation_id: String::new(),
                causation_id: None,
                trace: TraceContext::default(),
                quirks: Vec::new(),
            },
            event,
        }
    }

    /// Appends, again and again when no answer comes, as the gateway does.
    async fn append(&self, event: Event, expect: Expect) -> Result<Sequence, LogError> {
        let unit = Unit::one(self.event(event), expect);
        loop {
            match self.log.append(&unit).await {
                Err(LogError::Unacknowledged(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
                answer => return answer.map(|appended| appended.last),
            }
        }
    }

    /// Makes a change of one identity from its newest state, again when someone was faster.
    async fn change(&self, id: IdentityId, to: impl Fn(&IdentityChanged, Timestamp) -> Option<IdentityChanged>) {
        let subject = Subject::identity(id);
        loop {
            let Ok(Some(last)) = self.log.last(&subject).await else { return };
            let Event::Identity(before) = &last.event else { return };
            let Some(changed) = to(before, (self.clock)()).filter(|_| !before.deleted) else { return };
            match self.append(Event::Identity(changed), Expect::Last(last.sequence)).await {
                Ok(at) => return self.acknowledge(id, at),
                Err(LogError::Conflict { .. }) => {}
                Err(_) => return,
            }
        }
    }

    fn acknowledge(&self, id: IdentityId, at: Sequence) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(id, at);
    }

    async fn set(&self, id: IdentityId, set: impl Fn(&mut Resource)) {
        self.change(id, |before, now| {
            let mut resource = before.resource.clone();
            set(&mut resource);
            identity::update(before, resource, now)
        })
        .await;
    }

    /// Something happens to someone.
    pub async fn act(&mut self) {
        let Some(name) = self.chance.pick(&NAMES).copied() else { return };
        let title = if self.chance.percent(50) { "Sales" } else { "Dev" };
        let Some(id) = self.here.get(name).copied() else {
            let id = IdentityId(self.chance.uuid());
            let user = json!({ "userName": name, "title": title, "active": true });
            let changed =
                identity::create(id, IdentityKind::User, user.as_object().cloned().unwrap_or_default(), (self.clock)());
            if let Ok(at) = self.append(Event::Identity(changed), Expect::Last(Sequence(0))).await {
                self.here.insert(name, id);
                self.acknowledge(id, at);
            }
            return;
        };
        match self.chance.within(0..12) {
            0..3 => self.set(id, |r| drop(r.insert("title".into(), title.into()))).await,
            3..6 => self.set(id, |r| set_active(r, false, None)).await,
            6..8 => self.set(id, |r| set_active(r, true, None)).await,
            8 => {
                let later = (self.clock)()
                    + SignedDuration::from_secs(i64::try_from(self.chance.within(10..120)).unwrap_or(60));
                self.set(id, |r| set_active(r, false, Some(later))).await;
            }
            9 => {
                self.change(id, |before, _| Some(identity::delete(before))).await;
                self.here.remove(name);
            }
            _ => self.toggle(id).await,
        }
    }

    /// In or out of the group.
    async fn toggle(&mut self, id: IdentityId) {
        let member = vec![MemberId::from(id)];
        let (added, removed) = if self.members.remove(&id) {
            (Vec::new(), member)
        } else {
            self.members.insert(id);
            (member, Vec::new())
        };
        let _ = self.append(group(GroupChange::MembersChanged, added, removed), Expect::Any).await;
    }

    /// The group comes to be.
    pub async fn begin(&self) {
        let _ = self.append(group(GroupChange::Created, Vec::new(), Vec::new()), Expect::Any).await;
    }
}

fn group(change: GroupChange, added: Vec<MemberId>, removed: Vec<MemberId>) -> Event {
    let resource = Map::from_iter([("displayName".to_owned(), json!("Operators"))]);
    Event::Group(GroupChanged { id: GroupId(GROUP), change, resource, added, removed, changed: Vec::new() })
}

fn set_active(resource: &mut Resource, active: bool, at: Option<Timestamp>) {
    resource.insert("active".into(), active.into());
    match at {
        Some(at) => resource.insert(LIFECYCLE.into(), json!({ "effectiveAt": at.to_string() })),
        None => resource.remove(LIFECYCLE),
    };
}

const LIFECYCLE: &str = rollcall_scim::LIFECYCLE.id;
