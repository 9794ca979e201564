//! Domain events to stored bytes and back. What does not decode is carried as unknown, never lost and never fatal.

use std::time::Duration;

use jiff::Timestamp;
use prost::Message;
use rollcall_domain::account::{Applied, Rejected, Rejection, Verified};
use rollcall_domain::alert::AlertChanged;
use rollcall_domain::app::{AppSpec, ServiceLevel};
use rollcall_domain::authority::{ChangeRefused, Denied};
use rollcall_domain::drift::DriftDetected;
use rollcall_domain::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::identity::{IdentityChanged, IdentityKind, NameChanged};
use rollcall_domain::ids::Sequence;
use rollcall_domain::lifecycle::IdentityChange;
use rollcall_domain::name::NameSpace;
use rollcall_domain::obligation::Overdue;
use rollcall_domain::resource::{ResourceChange, ResourceChanged};
use rollcall_domain::{Event, EventMeta, NewEvent, Recorded, TraceContext};
use rollcall_proto::{EventType, SCHEMA_VERSION, v1};
use uuid::Uuid;

use crate::wire;

/// The type of a domain event; `None` for one this version does not know.
fn type_of(event: &Event) -> Option<EventType> {
    Some(match event {
        Event::Identity(changed) => match changed.change {
            IdentityChange::Joined => EventType::IdentityJoined,
            IdentityChange::Moved => EventType::IdentityMoved,
            IdentityChange::Left => EventType::IdentityLeft,
            IdentityChange::Rehired => EventType::IdentityRehired,
            IdentityChange::Staged => EventType::IdentityStaged,
            IdentityChange::Updated => EventType::IdentityUpdated,
            IdentityChange::Deleted => EventType::IdentityDeleted,
        },
        Event::NameClaimed(_) => EventType::NameClaimed,
        Event::NameReleased(_) => EventType::NameReleased,
        Event::Group(changed) => match changed.change {
            GroupChange::Created => EventType::GroupCreated,
            GroupChange::Updated => EventType::GroupUpdated,
            GroupChange::MembersChanged => EventType::GroupMembersChanged,
            GroupChange::Deleted => EventType::GroupDeleted,
        },
        Event::Resource(changed) => match changed.change {
            ResourceChange::Created => EventType::ResourceCreated,
            ResourceChange::Updated => EventType::ResourceUpdated,
            ResourceChange::Deleted => EventType::ResourceDeleted,
        },
        Event::ChangeRefused(_) => EventType::ChangeRefused,
        Event::AppConfigured(_) => EventType::AppConfigured,
        Event::AppRemoved(_) => EventType::AppRemoved,
        Event::AccountApplied(_) => EventType::AccountApplied,
        Event::AccountVerified(_) => EventType::AccountVerified,
        Event::AccountRejected(_) => EventType::AccountRejected,
        Event::DriftDetected(_) => EventType::DriftDetected,
        Event::ObligationOverdue(_) => EventType::ObligationOverdue,
        Event::AlertFired(_) => EventType::AlertFired,
        Event::AlertResolved(_) => EventType::AlertResolved,
        Event::Unknown => return None,
    })
}

/// An event as it is stored, and its type; `None` for an unknown one, which only a newer version can write.
pub fn encode(event: &NewEvent) -> Option<(EventType, Vec<u8>)> {
    let kind = type_of(&event.event)?;
    let meta = &event.meta;
    let envelope = v1::Envelope {
        event_id: meta.event_id.to_string(),
        r#type: kind.name().to_owned(),
        schema_version: SCHEMA_VERSION,
        occurred_at: Some(wire::to_proto_time(meta.occurred_at)),
        actor: meta.actor.clone(),
        source: meta.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: meta.reason.clone(),
        correlation_id: meta.correlation_id.clone(),
        causation_id: meta.causation_id.map(|id| id.to_string()).unwrap_or_default(),
        traceparent: meta.trace.traceparent.clone(),
        tracestate: meta.trace.tracestate.clone(),
        payload: encode_payload(&event.event),
        quirks: meta.quirks.clone(),
    };
    Some((kind, envelope.encode_to_vec()))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn encode_payload(event: &Event) -> Vec<u8> {
    let ids = |all: &[MemberId]| all.iter().map(|id| id.as_str().to_owned()).collect();
    match event {
        Event::Identity(e) => v1::IdentityChanged {
            identity_id: e.id.to_string(),
            before: e.before.map(wire::to_lifecycle).unwrap_or_default(),
            after: wire::to_lifecycle(e.after),
            deleted: e.deleted,
            resource_json: wire::to_json(&e.resource),
            changed: wire::to_changed(&e.changed),
            effective_at: e.effective_at.map(wire::to_proto_time),
            kind: wire::to_kind(e.kind),
            provenance: e.provenance.iter().map(|(path, source)| (path.clone(), source.to_string())).collect(),
        }
        .encode_to_vec(),
        Event::NameClaimed(e) | Event::NameReleased(e) => {
            let space = if e.space == NameSpace::default() { String::new() } else { e.space.to_string() };
            v1::NameChanged { name: e.name.clone(), identity_id: e.owner.to_string(), space }.encode_to_vec()
        }
        Event::Group(e) => v1::GroupChanged {
            group_id: e.id.to_string(),
            resource_json: wire::to_json(&e.resource),
            added: ids(&e.added),
            removed: ids(&e.removed),
            changed: wire::to_changed(&e.changed),
        }
        .encode_to_vec(),
        Event::Resource(e) => v1::ResourceChanged {
            resource_id: e.id.to_string(),
            resource_type: e.resource_type.clone(),
            resource_json: wire::to_json(&e.resource),
            changed: wire::to_changed(&e.changed),
        }
        .encode_to_vec(),
        Event::ChangeRefused(e) => v1::ChangeRefused {
            target_id: e.target.map(|id| id.to_string()).unwrap_or_default(),
            resource_type: e.resource_type.clone(),
            operation: e.operation.clone(),
            detail: e.detail.clone(),
            denied: e.denied.iter().map(to_denied).collect(),
        }
        .encode_to_vec(),
        Event::AppConfigured(e) => v1::AppConfigured {
            app_id: e.id.to_string(),
            name: e.name.clone(),
            base_url: e.base_url.clone(),
            owner: e.owner.clone(),
            assign: e.assign.clone(),
            deprovision: wire::to_deprovision(e.deprovision),
            joiner_sla_ms: millis(e.sla.joiner),
            mover_sla_ms: millis(e.sla.mover),
            leaver_sla_ms: millis(e.sla.leaver),
            reconcile_every_ms: millis(e.reconcile_every),
            max_requests_per_second: e.max_requests_per_second,
            max_in_flight: e.max_in_flight,
            identities: e.identities.iter().copied().map(wire::to_kind).collect(),
        }
        .encode_to_vec(),
        Event::AppRemoved(id) => v1::AppRemoved { app_id: id.to_string() }.encode_to_vec(),
        Event::AccountApplied(e) => v1::AccountApplied {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            remote_id: e.remote_id.clone().unwrap_or_default(),
            operation: wire::to_operation(e.operation),
            adopted: wire::to_adopted(e.origin),
        }
        .encode_to_vec(),
        Event::AccountVerified(e) => v1::AccountVerified {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            remote_id: e.remote_id.clone().unwrap_or_default(),
            present: wire::to_present(e.target),
            observed_json: if e.observed.is_empty() { String::new() } else { wire::to_json(&e.observed) },
        }
        .encode_to_vec(),
        Event::AccountRejected(e) => v1::AccountRejected {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            cause: wire::to_cause(e.rejection.cause),
            status: e.rejection.status.map(u32::from).unwrap_or_default(),
            detail: e.rejection.detail.clone(),
        }
        .encode_to_vec(),
        Event::DriftDetected(e) => v1::DriftDetected {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            kind: wire::to_drift(e.kind),
            differences: wire::to_changed(&e.differences),
        }
        .encode_to_vec(),
        Event::ObligationOverdue(e) => v1::ObligationOverdue {
            obligation_id: e.id.to_string(),
            app_id: e.id.app.to_string(),
            identity_id: e.id.identity.to_string(),
            opened_by: e.id.opened_by.0,
            change: wire::to_change(e.change),
            deadline: Some(wire::to_proto_time(e.deadline)),
        }
        .encode_to_vec(),
        Event::AlertFired(e) | Event::AlertResolved(e) => v1::AlertChanged {
            key: e.key.clone(),
            sink: e.sink.clone(),
            identity_id: e.identity.to_string(),
            summary: e.summary.clone(),
        }
        .encode_to_vec(),
        Event::Unknown => Vec::new(),
    }
}

fn to_denied(denied: &Denied) -> v1::DeniedPath {
    v1::DeniedPath {
        change: wire::to_changed(std::slice::from_ref(&denied.change)).pop(),
        held_by: denied.held_by.as_ref().map(ToString::to_string).unwrap_or_default(),
    }
}

fn from_denied(denied: v1::DeniedPath) -> Option<Denied> {
    let change = wire::from_changed(denied.change.into_iter().collect()).pop()?;
    Some(Denied { change, held_by: denied.held_by.parse().ok() })
}

/// A stored event; one that does not decode is `Event::Unknown` with its bytes.
pub fn decode(sequence: Sequence, recorded_at: Timestamp, stored: &[u8]) -> Recorded {
    let Ok(envelope) = v1::Envelope::decode(stored) else {
        return Recorded {
            sequence,
            recorded_at,
            type_name: "undecodable".into(),
            schema_version: 0,
            meta: EventMeta {
                event_id: Uuid::nil(),
                occurred_at: recorded_at,
                actor: String::new(),
                source: None,
                reason: String::new(),
                correlation_id: String::new(),
                causation_id: None,
                trace: TraceContext::default(),
                quirks: Vec::new(),
            },
            event: Event::Unknown,
            payload: stored.to_vec(),
        };
    };
    let event = EventType::from_name(&envelope.r#type).and_then(|kind| decode_payload(kind, &envelope.payload));
    Recorded {
        sequence,
        recorded_at,
        schema_version: envelope.schema_version,
        meta: EventMeta {
            event_id: envelope.event_id.parse().unwrap_or_default(),
            occurred_at: envelope.occurred_at.and_then(wire::from_proto_time).unwrap_or(recorded_at),
            actor: envelope.actor,
            source: envelope.source.parse().ok(),
            reason: envelope.reason,
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id.parse().ok(),
            trace: TraceContext { traceparent: envelope.traceparent, tracestate: envelope.tracestate },
            quirks: envelope.quirks,
        },
        type_name: envelope.r#type,
        event: event.unwrap_or(Event::Unknown),
        payload: envelope.payload,
    }
}

fn identity_changed(change: IdentityChange, payload: &[u8]) -> Option<Event> {
    let m = v1::IdentityChanged::decode(payload).ok()?;
    Some(Event::Identity(IdentityChanged {
        id: m.identity_id.parse().ok()?,
        kind: wire::from_kind(m.kind).unwrap_or_default(),
        change,
        before: wire::from_lifecycle(m.before),
        after: wire::from_lifecycle(m.after)?,
        deleted: m.deleted,
        resource: wire::object(&m.resource_json)?,
        changed: wire::from_changed(m.changed),
        effective_at: m.effective_at.and_then(wire::from_proto_time),
        provenance: m.provenance.into_iter().filter_map(|(path, source)| Some((path, source.parse().ok()?))).collect(),
    }))
}

/// Which kinds an app takes; before agents were known it took users.
fn kinds(stored: &[i32]) -> Vec<IdentityKind> {
    let kinds: Vec<_> = stored.iter().filter_map(|kind| wire::from_kind(*kind)).collect();
    if kinds.is_empty() { vec![IdentityKind::User] } else { kinds }
}

fn name_changed(payload: &[u8]) -> Option<NameChanged> {
    let m = v1::NameChanged::decode(payload).ok()?;
    let space = if m.space.is_empty() { NameSpace::default() } else { m.space.as_str().into() };
    Some(NameChanged { space, name: m.name, owner: m.identity_id.parse().ok()? })
}

fn group_changed(change: GroupChange, payload: &[u8]) -> Option<Event> {
    let m = v1::GroupChanged::decode(payload).ok()?;
    let ids = |all: Vec<String>| all.iter().map(|id| MemberId::from(id.as_str())).collect();
    Some(Event::Group(GroupChanged {
        id: m.group_id.parse().ok()?,
        change,
        resource: wire::object(&m.resource_json)?,
        added: ids(m.added),
        removed: ids(m.removed),
        changed: wire::from_changed(m.changed),
    }))
}

fn resource_changed(change: ResourceChange, payload: &[u8]) -> Option<Event> {
    let m = v1::ResourceChanged::decode(payload).ok()?;
    Some(Event::Resource(ResourceChanged {
        id: m.resource_id.parse().ok()?,
        resource_type: m.resource_type,
        change,
        resource: wire::object(&m.resource_json)?,
        changed: wire::from_changed(m.changed),
    }))
}

fn alert_changed(payload: &[u8]) -> Option<AlertChanged> {
    let m = v1::AlertChanged::decode(payload).ok()?;
    Some(AlertChanged { key: m.key, sink: m.sink, identity: m.identity_id.parse().ok()?, summary: m.summary })
}

fn decode_payload(kind: EventType, payload: &[u8]) -> Option<Event> {
    Some(match kind {
        EventType::IdentityJoined => identity_changed(IdentityChange::Joined, payload)?,
        EventType::IdentityMoved => identity_changed(IdentityChange::Moved, payload)?,
        EventType::IdentityLeft => identity_changed(IdentityChange::Left, payload)?,
        EventType::IdentityRehired => identity_changed(IdentityChange::Rehired, payload)?,
        EventType::IdentityStaged => identity_changed(IdentityChange::Staged, payload)?,
        EventType::IdentityUpdated => identity_changed(IdentityChange::Updated, payload)?,
        EventType::IdentityDeleted => identity_changed(IdentityChange::Deleted, payload)?,
        EventType::NameClaimed => Event::NameClaimed(name_changed(payload)?),
        EventType::NameReleased => Event::NameReleased(name_changed(payload)?),
        EventType::GroupCreated => group_changed(GroupChange::Created, payload)?,
        EventType::GroupUpdated => group_changed(GroupChange::Updated, payload)?,
        EventType::GroupMembersChanged => group_changed(GroupChange::MembersChanged, payload)?,
        EventType::GroupDeleted => group_changed(GroupChange::Deleted, payload)?,
        EventType::ResourceCreated => resource_changed(ResourceChange::Created, payload)?,
        EventType::ResourceUpdated => resource_changed(ResourceChange::Updated, payload)?,
        EventType::ResourceDeleted => resource_changed(ResourceChange::Deleted, payload)?,
        EventType::ChangeRefused => {
            let m = v1::ChangeRefused::decode(payload).ok()?;
            Event::ChangeRefused(ChangeRefused {
                target: m.target_id.parse().ok(),
                resource_type: m.resource_type,
                operation: m.operation,
                detail: m.detail,
                denied: m.denied.into_iter().filter_map(from_denied).collect(),
            })
        }
        EventType::AppConfigured => {
            let m = v1::AppConfigured::decode(payload).ok()?;
            Event::AppConfigured(AppSpec {
                id: m.app_id.parse().ok()?,
                name: m.name,
                base_url: m.base_url,
                owner: m.owner,
                assign: m.assign,
                identities: kinds(&m.identities),
                deprovision: wire::from_deprovision(m.deprovision)?,
                sla: ServiceLevel {
                    joiner: Duration::from_millis(m.joiner_sla_ms),
                    mover: Duration::from_millis(m.mover_sla_ms),
                    leaver: Duration::from_millis(m.leaver_sla_ms),
                },
                reconcile_every: Duration::from_millis(m.reconcile_every_ms),
                max_requests_per_second: m.max_requests_per_second,
                max_in_flight: m.max_in_flight,
            })
        }
        EventType::AppRemoved => Event::AppRemoved(v1::AppRemoved::decode(payload).ok()?.app_id.parse().ok()?),
        EventType::AccountApplied => {
            let m = v1::AccountApplied::decode(payload).ok()?;
            Event::AccountApplied(Applied {
                app: m.app_id.parse().ok()?,
                identity: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                remote_id: wire::optional(m.remote_id),
                operation: wire::from_operation(m.operation)?,
                origin: wire::from_adopted(m.adopted),
            })
        }
        EventType::AccountVerified => {
            let m = v1::AccountVerified::decode(payload).ok()?;
            Event::AccountVerified(Verified {
                app: m.app_id.parse().ok()?,
                identity: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                remote_id: wire::optional(m.remote_id),
                target: wire::from_present(m.present),
                observed: wire::object(&m.observed_json)?,
            })
        }
        EventType::AccountRejected => {
            let m = v1::AccountRejected::decode(payload).ok()?;
            Event::AccountRejected(Rejected {
                app: m.app_id.parse().ok()?,
                identity: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                rejection: Rejection {
                    cause: wire::from_cause(m.cause)?,
                    status: u16::try_from(m.status).ok().filter(|status| *status != 0),
                    detail: m.detail,
                },
            })
        }
        EventType::DriftDetected => {
            let m = v1::DriftDetected::decode(payload).ok()?;
            Event::DriftDetected(DriftDetected {
                app: m.app_id.parse().ok()?,
                identity: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                kind: wire::from_drift(m.kind)?,
                differences: wire::from_changed(m.differences),
            })
        }
        EventType::ObligationOverdue => {
            let m = v1::ObligationOverdue::decode(payload).ok()?;
            Event::ObligationOverdue(Overdue {
                id: m.obligation_id.parse().ok()?,
                change: wire::from_change(m.change)?,
                deadline: m.deadline.and_then(wire::from_proto_time)?,
            })
        }
        EventType::AlertFired => Event::AlertFired(alert_changed(payload)?),
        EventType::AlertResolved => Event::AlertResolved(alert_changed(payload)?),
    })
}
