//! What a system of record says of people, as the gateway decides and appends it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::entitlement::Approver;
use rollcall_domain::access::grant::{GrantChanged, GrantEnd, GrantRequested, GrantStep, Lasts};
use rollcall_domain::identity::authority::{AttributePath, Authority, Precedence, Settled};
use rollcall_domain::identity::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::identity::name::{NameSpace, name_key};
use rollcall_domain::identity::statement::{OldDate, Says, Word};
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::identity::{self, IdentityChanged, IdentityKind, NameChanged, user_name};
use rollcall_domain::ids::{GroupId, IdentityId};
use rollcall_domain::{Event, EventMeta, GrantId, NewEvent, Sequence, SourceName, TraceContext};
use rollcall_event_log::{Clock, Expect, Log, LogError, Newest, Subject, Unit, newest};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::authorities::{AUTHORITY, OTHER, Said};
use crate::chance::Chance;
use crate::log::SimLog;
use crate::machines;

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
    /// The machines that there are, by name.
    pub machines: BTreeMap<&'static str, IdentityId>,
    /// Who is in the group.
    pub members: BTreeSet<IdentityId>,
    /// What was asked for, and for whom.
    pub grants: Vec<(GrantId, IdentityId)>,
    /// What the log has acknowledged.
    pub acknowledged: Arc<Mutex<BTreeMap<IdentityId, Sequence>>>,
}

type Resource = Map<String, Value>;

impl People {
    pub fn event(&self, event: Event, by: &str, reason: &str) -> NewEvent {
        NewEvent {
            meta: EventMeta {
                event_id: self.chance.uuid(),
                occurred_at: (self.clock)(),
                actor: by.into(),
                source: by.parse().ok(),
                reason: reason.to_owned(),
                correlation_id: String::new(),
                causation_id: None,
                trace: TraceContext::default(),
                quirks: Vec::new(),
            },
            event,
        }
    }

    /// Appends, again and again when no answer comes, as the gateway does.
    pub async fn append(&self, event: NewEvent, expect: Expect) -> Result<Sequence, LogError> {
        self.append_unit(Unit::one(event, expect)).await
    }

    async fn append_unit(&self, unit: Unit) -> Result<Sequence, LogError> {
        loop {
            match self.log.append(&unit).await {
                Err(LogError::Unacknowledged(_)) => tokio::time::sleep(Duration::from_millis(100)).await,
                answer => return answer.map(|appended| appended.last),
            }
        }
    }

    /// Makes a change of one identity from its newest state, again when someone was faster.
    pub async fn change(
        &self,
        id: IdentityId,
        by: &str,
        said: Option<Said>,
        to: impl Fn(&IdentityChanged, Timestamp) -> Option<IdentityChanged>,
    ) {
        if matches!(self.log.last(&Subject::erased(id)).await, Ok(Some(_))) {
            return;
        }
        loop {
            let known = self.known(id);
            let Ok(Some(Newest { recorded, last })) = newest(&*self.log, id, known).await else { return };
            let Event::Identity(before) = &recorded.event else { return };
            let Some(changed) = to(before, (self.clock)()).filter(|_| !before.deleted) else { return };
            let reason = said.map(Said::text).unwrap_or_default();
            let mut unit = Unit::default();
            if changed.deleted {
                let Some((name, expect)) = self.name(before.kind, user_name(&before.resource)).await else { return };
                unit.push(self.event(Event::NameReleased(NameChanged { owner: id.0, ..name }), by, ""), expect);
            }
            unit.push(self.event(Event::Identity(changed), by, &reason), Expect::Last(last));
            match self.append_unit(unit).await {
                Ok(at) => return self.acknowledge(id, at),
                Err(LogError::Conflict { .. }) => {}
                Err(_) => return,
            }
        }
    }

    /// Where the log has said of an identity something first.
    pub fn known(&self, id: IdentityId) -> Option<Sequence> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// The user name of an identity of a kind, and what an event about it expects.
    pub async fn name(&self, of: IdentityKind, name: &str) -> Option<(NameChanged, Expect)> {
        let (space, name) = (NameSpace::of_identities(of), name_key(name));
        let last = self
            .log
            .last(&Subject::name(self.log.names(), &space, &name))
            .await
            .ok()?
            .map_or(Sequence(0), |e| e.sequence);
        Some((NameChanged { space, name, owner: Uuid::nil() }, Expect::Last(last)))
    }

    pub fn acknowledge(&self, id: IdentityId, at: Sequence) {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).insert(id, at);
    }

    /// Changes what a source may change, as the gateway does.
    async fn set(&self, id: IdentityId, by: &str, said: Option<Said>, set: impl Fn(&mut Resource)) {
        let (Ok(source), rules) = (by.parse::<SourceName>(), authority()) else { return };
        self.change(id, by, said, |before, now| {
            let mut resource = before.resource.clone();
            set(&mut resource);
            let active = if said.is_some() { Word::Said } else { Word::Silent };
            let says = Says { active, date: OldDate::Stands };
            let Settled { resource, provenance, .. } = rules.settle(&source, Some(before), resource, says);
            Some(IdentityChanged { provenance, ..identity::update(before, resource, now)? })
        })
        .await;
    }

    /// A source whose word does not count on it says that someone comes or goes, at once or at a time.
    async fn overreach(&self, id: IdentityId) {
        let active = self.chance.percent(50);
        let later = (self.clock)() + SignedDuration::from_secs(i64::try_from(self.chance.within(1..60)).unwrap_or(30));
        let at = self.chance.percent(50).then_some(later);
        let is_urgent = self.chance.percent(30);
        let title = if self.chance.percent(50) { "Sales" } else { "Dev" };
        self.set(id, OTHER, None, |resource| {
            set_active(resource, active, at);
            resource.insert("title".into(), title.into());
            if is_urgent {
                resource.insert(LIFECYCLE.into(), json!({ "emergency": true }));
            }
        })
        .await;
    }

    /// Something happens to someone.
    pub async fn act(&mut self) {
        if self.chance.percent(15) {
            machines::act(self).await;
            return;
        }
        let Some(name) = self.chance.pick(&NAMES).copied() else { return };
        let title = if self.chance.percent(50) { "Sales" } else { "Dev" };
        let Some(id) = self.here.get(name).copied() else {
            let id = IdentityId(self.chance.uuid());
            let user = json!({ "userName": name, "title": title, "active": true });
            let user = user.as_object().cloned().unwrap_or_default();
            let Ok(source) = AUTHORITY.parse() else { return };
            let says = Says::whole(&user);
            let Settled { resource, provenance, .. } = authority().settle(&source, None, user, says);
            let changed = identity::create(id, IdentityKind::User, resource, (self.clock)());
            let said = Said { active: true, from: None }.text();
            let event = self.event(Event::Identity(IdentityChanged { provenance, ..changed }), AUTHORITY, &said);
            let Some((_, expect)) = self.name(IdentityKind::User, name).await else { return };
            if let Ok(at) = self.append(event, expect).await {
                self.here.insert(name, id);
                self.acknowledge(id, at);
            }
            return;
        };
        if matches!(self.log.last(&Subject::erased(id)).await, Ok(Some(_))) {
            self.here.remove(name);
            return;
        }
        let said = |active, from| Some(Said { active, from });
        match self.chance.within(0..20) {
            0..3 => {
                let by = if self.chance.percent(50) { AUTHORITY } else { OTHER };
                self.set(id, by, None, |r| drop(r.insert("title".into(), title.into()))).await;
            }
            3..6 => self.set(id, AUTHORITY, said(false, None), |r| set_active(r, false, None)).await,
            6..8 => self.set(id, AUTHORITY, said(true, None), |r| set_active(r, true, None)).await,
            12..14 => self.overreach(id).await,
            14..16 => self.switch(id).await,
            16.. => self.grant(id).await,
            8 => {
                let later = (self.clock)()
                    + SignedDuration::from_secs(i64::try_from(self.chance.within(10..120)).unwrap_or(60));
                self.set(id, AUTHORITY, said(false, Some(later)), |r| set_active(r, false, Some(later))).await;
            }
            9 => {
                self.change(id, AUTHORITY, said(false, None), |before, _| Some(identity::delete(before))).await;
                self.here.remove(name);
            }
            _ => self.toggle(id).await,
        }
    }

    /// A person switches them off, or on again.
    pub async fn switch(&self, id: IdentityId) {
        let to = if self.chance.percent(40) { Switch::Off } else { Switch::On };
        let event = Event::IdentitySwitched(Switched { id, to, reason: String::new() });
        let _ = self.append(self.by_person("operator", event), Expect::Any).await;
    }

    fn by_person(&self, name: &str, event: Event) -> NewEvent {
        let NewEvent { meta, event } = self.event(event, name, "");
        NewEvent { meta: EventMeta { source: None, ..meta }, event }
    }

    /// Somebody asks for something for them, and perhaps others agree; or one that they have lasts longer, or ends.
    async fn grant(&mut self, id: IdentityId) {
        let seconds = |chance: &Chance, most| Duration::from_secs(chance.within(1..most));
        let all = ["chat:group:admins", "crm", "role:night"];
        let Some(what) = self.chance.pick(&all).and_then(|what| what.parse().ok()) else { return };
        let held = self.chance.pick(&self.grants).copied();
        if let Some((grant, identity)) = held.filter(|_| self.chance.percent(30)) {
            let why = if self.chance.percent(50) { GrantEnd::Ended } else { GrantEnd::Withdrawn };
            let step = GrantStep::Ended { why, of: None, reason: String::new() };
            let event = Event::Grant(GrantChanged { id: grant, identity, step });
            let _ = self.append(self.by_person("boss", event), Expect::Any).await;
            return;
        }
        let now = (self.clock)();
        let lasts = match self.chance.within(0..3) {
            0 => Lasts::For(seconds(&self.chance, 90)),
            1 => Lasts::Until(now + SignedDuration::try_from(seconds(&self.chance, 90)).unwrap_or_default()),
            _ => Lasts::Standing,
        };
        let extends = held.filter(|(_, identity)| *identity == id && self.chance.percent(30)).map(|(grant, _)| grant);
        let approvals = if self.chance.percent(30) { 2 } else { 1 };
        let request = GrantRequested {
            what,
            lasts,
            reason: String::new(),
            ticket: String::new(),
            approvers: vec![Approver::Owner],
            approvals,
            expires_at: now + SignedDuration::try_from(seconds(&self.chance, 60)).unwrap_or_default(),
            extends,
        };
        let grant = GrantId(self.chance.uuid());
        let step = |step| Event::Grant(GrantChanged { id: grant, identity: id, step });
        let requested = step(GrantStep::Requested(Box::new(request)));
        if self.append(self.by_person("asker", requested), Expect::Any).await.is_err() {
            return;
        }
        self.grants.push((grant, id));
        for approver in ["boss", "owner"].iter().take(usize::try_from(approvals).unwrap_or(1)) {
            tokio::time::sleep(self.chance.millis(0..40_000)).await;
            if self.chance.percent(80) {
                let _ = self.append(self.by_person(approver, step(GrantStep::Approved)), Expect::Any).await;
            }
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
        let event = self.event(group(GroupChange::MembersChanged, added, removed), AUTHORITY, "");
        let _ = self.append(event, Expect::Any).await;
    }

    /// The group comes to be.
    pub async fn begin(&self) {
        let event = self.event(group(GroupChange::Created, Vec::new(), Vec::new()), AUTHORITY, "");
        let _ = self.append(event, Expect::Any).await;
    }
}

/// Whose word counts on whether someone is active.
fn authority() -> Authority {
    let attribute = AttributePath { extension: None, name: "active".to_owned() };
    let sources = [AUTHORITY, OTHER].iter().filter_map(|name| name.parse().ok()).collect();
    Authority { rules: vec![Precedence { attribute, sources }], groups: Vec::new() }
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
