//! What a source says of machines, as the gateway decides it.

use jiff::SignedDuration;
use rollcall_domain::Event;
use rollcall_domain::identity::{self, IdentityKind};
use rollcall_domain::ids::IdentityId;
use rollcall_event_log::{Log as _, Newest, Subject, newest};
use rollcall_scim::MACHINE;
use serde_json::{Map, Value, json};

use crate::authorities::AUTHORITY;
use crate::people::People;

const NAMES: [&str; 3] = ["svc-backup", "svc-mail", "svc-report"];

/// What happens to a machine.
pub async fn act(people: &mut People) {
    let Some(name) = people.chance.pick(&NAMES).copied() else { return };
    let Some(owner) = an_owner(people).await else { return };
    let Some(id) = people.machines.get(name).copied() else {
        let id = IdentityId(people.chance.uuid());
        let user = json!({ "userName": name, "active": true, MACHINE.id: { "owner": owner } });
        let resource = user.as_object().cloned().unwrap_or_default();
        let created = identity::create(id, IdentityKind::ServiceAccount, resource, (people.clock)());
        let event = people.event(Event::Identity(created), AUTHORITY, "");
        let Some((_, expect)) = people.name(IdentityKind::ServiceAccount, name).await else { return };
        if let Ok(at) = people.append(event, expect).await {
            people.machines.insert(name, id);
            people.acknowledge(id, at);
        }
        return;
    };
    let soon = (people.clock)() + SignedDuration::from_secs(i64::try_from(people.chance.within(5..120)).unwrap_or(60));
    match people.chance.within(0..10) {
        0..4 => say(people, id, |machine, _| drop(machine.insert("owner".into(), json!(owner)))).await,
        4 => say(people, id, |_, active| *active = false).await,
        5..7 => {
            say(people, id, |machine, active| {
                *active = true;
                machine.insert("owner".into(), json!(owner));
                machine.remove("expiresAt");
            })
            .await;
        }
        7 => say(people, id, |machine, _| drop(machine.insert("expiresAt".into(), json!(soon)))).await,
        8 => {
            people.change(id, AUTHORITY, None, |before, _| Some(identity::delete(before))).await;
            people.machines.remove(name);
        }
        _ => people.switch(id).await,
    }
    if matches!(people.log.last(&Subject::erased(id)).await, Ok(Some(_))) {
        people.machines.remove(name);
    }
}

/// Somebody who is there, as the log says.
async fn an_owner(people: &People) -> Option<IdentityId> {
    let all: Vec<IdentityId> = people.here.values().copied().collect();
    let id = people.chance.pick(&all).copied()?;
    is_there(people, id).await.then_some(id)
}

async fn is_there(people: &People, id: IdentityId) -> bool {
    let found = newest(&*people.log, id, people.known(id)).await.ok().flatten();
    found.is_some_and(|Newest { recorded, .. }| {
        matches!(&recorded.event, Event::Identity(changed) if changed.after.has_access() && !changed.deleted)
    })
}

/// The source says something else of a machine; as at the door it begins for nobody who is not there.
async fn say(people: &People, id: IdentityId, set: impl Fn(&mut Map<String, Value>, &mut bool)) {
    let found = newest(&*people.log, id, people.known(id)).await.ok().flatten();
    let owner = found.and_then(|found| match found.recorded.event {
        Event::Identity(changed) => changed.ownership.owner,
        _ => None,
    });
    let before_is_there = match owner {
        Some(owner) => is_there(people, owner).await,
        None => false,
    };
    people
        .change(id, AUTHORITY, None, |before, now| {
            let mut resource = before.resource.clone();
            let mut active = resource.get("active").and_then(Value::as_bool).unwrap_or(true);
            let mut machine = resource.get(MACHINE.id).and_then(Value::as_object).cloned().unwrap_or_default();
            set(&mut machine, &mut active);
            resource.insert("active".into(), active.into());
            resource.insert(MACHINE.id.into(), Value::Object(machine));
            let changed = identity::update(before, resource, now)?;
            // Whoever is newly named was there a moment ago.
            let is_owned = changed.ownership.owner != before.ownership.owner || before_is_there;
            Some(if is_owned { changed } else { identity::without_owner(changed) })
        })
        .await;
}
