//! Domain events to stored bytes and back. What does not decode is carried as unknown, never lost and never fatal.

use jiff::Timestamp;
use prost::Message;
use rollcall_domain::account::{Adopted, Applied, Rejected, Rejection, Verified};
use rollcall_domain::alert::{About, AlertChanged, Level};
use rollcall_domain::authority::{ChangeRefused, Denied};
use rollcall_domain::capability::Discovered;
use rollcall_domain::drift::{DriftDetected, DriftId};
use rollcall_domain::exception::{DriftAccepted, Waived};
use rollcall_domain::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::guard::{Decision, Hold, HoldDecided};
use rollcall_domain::health::Quarantined;
use rollcall_domain::identity::{IdentityChanged, NameChanged};
use rollcall_domain::ids::Sequence;
use rollcall_domain::leaver::{AppOutcome, LeaverCompleted};
use rollcall_domain::lifecycle::IdentityChange;
use rollcall_domain::name::NameSpace;
use rollcall_domain::obligation::{AtRisk, Overdue};
use rollcall_domain::reconciliation::{Progress, Reconciliation, ReconciliationEvent, SyncRequested};
use rollcall_domain::resource::{ResourceChange, ResourceChanged};
use rollcall_domain::{Event, EventMeta, NewEvent, Recorded, TraceContext};
use rollcall_proto::{EventType, SCHEMA_VERSION, v1};
use uuid::Uuid;

use crate::{app_wire, wire};

/// The type of a domain event; `None` for one this version does not know.
fn type_of(event: &Event) -> Option<EventType> {
    Some(match event {
        Event::Identity(changed) => match changed.change {
            IdentityChange::Joined => EventType::IdentityJoined,
            IdentityChange::Moved => EventType::IdentityMoved,
            IdentityChange::Left => EventType::IdentityLeft,
            IdentityChange::LeaveScheduled => EventType::IdentityLeaveScheduled,
            IdentityChange::LeaveCancelled => EventType::IdentityLeaveCancelled,
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
        Event::AppDiscovered(_) => EventType::AppDiscovered,
        Event::AppQuarantined(_) => EventType::AppQuarantined,
        Event::AppRecovered(_) => EventType::AppRecovered,
        Event::AccountAdopted(_) => EventType::AccountAdopted,
        Event::DriftCleared(_) => EventType::DriftCleared,
        Event::DriftAccepted(_) => EventType::DriftAccepted,
        Event::ObligationWaived(_) => EventType::ObligationWaived,
        Event::HoldPlaced(_) => EventType::HoldPlaced,
        Event::HoldDecided(decided) => match decided.decision {
            Decision::Release => EventType::HoldReleased,
            Decision::Reject { .. } => EventType::HoldRejected,
        },
        Event::Reconciliation(step) => match step.event {
            ReconciliationEvent::Requested => EventType::ReconciliationRequested,
            ReconciliationEvent::Started => EventType::ReconciliationStarted,
            ReconciliationEvent::Progressed { .. } => EventType::ReconciliationProgressed,
            ReconciliationEvent::Completed { .. } => EventType::ReconciliationCompleted,
            ReconciliationEvent::Failed { .. } => EventType::ReconciliationFailed,
        },
        Event::SyncRequested(_) => EventType::SyncRequested,
        Event::AccountApplied(_) => EventType::AccountApplied,
        Event::AccountVerified(_) => EventType::AccountVerified,
        Event::AccountRejected(_) => EventType::AccountRejected,
        Event::DriftDetected(_) => EventType::DriftDetected,
        Event::ObligationAtRisk(_) => EventType::ObligationAtRisk,
        Event::LeaverCompleted(_) => EventType::LeaverCompleted,
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
        Event::AppConfigured(e) => app_wire::to_stored(e).encode_to_vec(),
        Event::AppRemoved(id) => v1::AppRemoved { app_id: id.to_string() }.encode_to_vec(),
        Event::AccountApplied(e) => v1::AccountApplied {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            remote_id: e.remote_id.clone().unwrap_or_default(),
            operation: wire::to_operation(e.operation),
            adopted: wire::to_adopted(e.origin),
            group: e.group.clone().unwrap_or_default(),
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
            parked_at: e.parked_at.map(|at| at.0).unwrap_or_default(),
        }
        .encode_to_vec(),
        Event::AccountAdopted(e) => v1::AccountAdopted {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            remote_id: e.remote_id.clone(),
        }
        .encode_to_vec(),
        Event::DriftDetected(e) => v1::DriftDetected {
            app_id: e.id.app.to_string(),
            identity_id: e.id.identity.to_string(),
            version: e.version.0,
            kind: wire::to_drift(e.id.kind),
            differences: wire::to_changed(&e.differences),
            remote_id: e.remote_id.clone(),
            user_name: e.user_name.clone(),
        }
        .encode_to_vec(),
        Event::DriftCleared(id) => v1::DriftCleared { drift_id: id.to_string() }.encode_to_vec(),
        Event::DriftAccepted(e) => v1::DriftAccepted {
            drift_id: e.id.to_string(),
            reason: e.reason.clone(),
            expires_at: Some(wire::to_proto_time(e.expires_at)),
        }
        .encode_to_vec(),
        Event::ObligationWaived(e) => v1::ObligationWaived {
            obligation_id: e.id.to_string(),
            reason: e.reason.clone(),
            expires_at: Some(wire::to_proto_time(e.expires_at)),
        }
        .encode_to_vec(),
        Event::AppDiscovered(e) => v1::AppDiscovered {
            app_id: e.app.to_string(),
            capabilities: Some(app_wire::to_capabilities(&e.capabilities)),
        }
        .encode_to_vec(),
        Event::AppQuarantined(e) => v1::AppQuarantined {
            app_id: e.app.to_string(),
            cause: wire::to_cause(e.rejection.cause),
            status: e.rejection.status.map(u32::from).unwrap_or_default(),
            detail: e.rejection.detail.clone(),
            failures: e.failures,
        }
        .encode_to_vec(),
        Event::AppRecovered(id) => v1::AppRecovered { app_id: id.to_string() }.encode_to_vec(),
        Event::HoldPlaced(e) => v1::HoldPlaced {
            source: e.source.to_string(),
            app_id: e.app.to_string(),
            removals: e.removals as u64,
            by: e.by.0,
            since: Some(wire::to_proto_time(e.since)),
        }
        .encode_to_vec(),
        Event::HoldDecided(e) => {
            let expires_at = match e.decision {
                Decision::Release => None,
                Decision::Reject { expires_at } => Some(wire::to_proto_time(expires_at)),
            };
            v1::HoldDecided { source: e.source.to_string(), reason: e.reason.clone(), expires_at }.encode_to_vec()
        }
        Event::Reconciliation(e) => reconciliation(e).encode_to_vec(),
        Event::SyncRequested(e) => match e {
            SyncRequested::Identity(id) => v1::SyncRequested { identity_id: id.to_string(), ..Default::default() },
            SyncRequested::App(app) => v1::SyncRequested { app_id: app.to_string(), ..Default::default() },
        }
        .encode_to_vec(),
        Event::ObligationAtRisk(e) => v1::ObligationAtRisk {
            obligation_id: e.id.to_string(),
            change: wire::to_change(e.change),
            deadline: Some(wire::to_proto_time(e.deadline)),
        }
        .encode_to_vec(),
        Event::LeaverCompleted(e) => v1::LeaverCompleted {
            identity_id: e.identity.to_string(),
            opened_by: e.opened_by.0,
            left_at: Some(wire::to_proto_time(e.left_at)),
            completed_at: Some(wire::to_proto_time(e.completed_at)),
            apps: e.apps.iter().map(to_outcome).collect(),
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
        Event::AlertFired(e) | Event::AlertResolved(e) => alert(e).encode_to_vec(),
        Event::Unknown => Vec::new(),
    }
}

fn alert(e: &AlertChanged) -> v1::AlertChanged {
    let told = v1::AlertChanged {
        key: e.key.clone(),
        sink: e.sink.clone(),
        summary: e.summary.clone(),
        level: e.level.0,
        ..Default::default()
    };
    let about = |word: &str| word.to_owned();
    match &e.about {
        About::Leaver { identity, opened_by } => v1::AlertChanged {
            about: about("leaver"),
            identity_id: identity.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Quarantine { app, by } => {
            v1::AlertChanged { about: about("quarantine"), app_id: app.to_string(), opened_by: by.0, ..told }
        }
        About::Hold { source, by } => {
            v1::AlertChanged { about: about("hold"), source: source.to_string(), opened_by: by.0, ..told }
        }
        About::Zombie { app, identity, opened_by } => v1::AlertChanged {
            about: about("zombie"),
            app_id: app.to_string(),
            identity_id: identity.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Silence { source } => v1::AlertChanged { about: about("silence"), source: source.to_string(), ..told },
        About::Sink { name } => v1::AlertChanged { about: about("sink"), failing_sink: name.clone(), ..told },
        About::Log => v1::AlertChanged { about: about("log"), ..told },
        About::Lag => v1::AlertChanged { about: about("lag"), ..told },
    }
}

fn to_outcome(outcome: &AppOutcome) -> v1::AppOutcome {
    v1::AppOutcome {
        app_id: outcome.app.to_string(),
        deadline: Some(wire::to_proto_time(outcome.deadline)),
        applied_at: outcome.applied_at.map(wire::to_proto_time),
        verified_at: outcome.verified_at.map(wire::to_proto_time),
        overdue_at: outcome.overdue_at.map(wire::to_proto_time),
    }
}

fn from_outcome(stored: v1::AppOutcome) -> Option<AppOutcome> {
    Some(AppOutcome {
        app: stored.app_id.parse().ok()?,
        deadline: stored.deadline.and_then(wire::from_proto_time)?,
        applied_at: stored.applied_at.and_then(wire::from_proto_time),
        verified_at: stored.verified_at.and_then(wire::from_proto_time),
        overdue_at: stored.overdue_at.and_then(wire::from_proto_time),
    })
}

fn reconciliation(e: &Reconciliation) -> v1::Reconciliation {
    let (progress, detail) = match &e.event {
        ReconciliationEvent::Progressed { progress } | ReconciliationEvent::Completed { progress } => {
            (*progress, String::new())
        }
        ReconciliationEvent::Failed { detail } => (Progress::default(), detail.clone()),
        ReconciliationEvent::Requested | ReconciliationEvent::Started => (Progress::default(), String::new()),
    };
    v1::Reconciliation {
        app_id: e.app.to_string(),
        accounts: progress.accounts,
        groups: progress.groups,
        findings: progress.findings,
        detail,
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
    let by = Sequence(m.opened_by);
    // Before there was a word for it, the ids told.
    let word = match (m.about.as_str(), m.app_id.as_str(), m.source.as_str()) {
        ("", "", "") => "leaver",
        ("", _, "") => "quarantine",
        ("", _, _) => "hold",
        (word, _, _) => word,
    };
    let about = match word {
        "leaver" => {
            // Before it had a field of its own, the departure was a part of the key only.
            let opened_by = if m.opened_by == 0 { m.key.rsplit('-').next()?.parse().ok()? } else { m.opened_by };
            About::Leaver { identity: m.identity_id.parse().ok()?, opened_by: Sequence(opened_by) }
        }
        "quarantine" => About::Quarantine { app: m.app_id.parse().ok()?, by },
        "hold" => About::Hold { source: m.source.parse().ok()?, by },
        "zombie" => About::Zombie { app: m.app_id.parse().ok()?, identity: m.identity_id.parse().ok()?, opened_by: by },
        "silence" => About::Silence { source: m.source.parse().ok()? },
        "sink" => About::Sink { name: m.failing_sink },
        "log" => About::Log,
        "lag" => About::Lag,
        _ => return None,
    };
    let level = if m.level == 0 { Level::WRONG } else { Level(m.level) };
    Some(AlertChanged { key: m.key, sink: m.sink, about, level, summary: m.summary })
}

fn rejection(cause: i32, status: u32, detail: String) -> Option<Rejection> {
    let status = u16::try_from(status).ok().filter(|status| *status != 0);
    Some(Rejection { cause: wire::from_cause(cause)?, status, detail })
}

fn hold_decided(kind: EventType, payload: &[u8]) -> Option<Event> {
    let m = v1::HoldDecided::decode(payload).ok()?;
    let decision = if kind == EventType::HoldReleased {
        Decision::Release
    } else {
        Decision::Reject { expires_at: m.expires_at.and_then(wire::from_proto_time)? }
    };
    Some(Event::HoldDecided(HoldDecided { source: m.source.parse().ok()?, decision, reason: m.reason }))
}

fn reconciled(kind: EventType, payload: &[u8]) -> Option<Event> {
    let m = v1::Reconciliation::decode(payload).ok()?;
    let progress = Progress { accounts: m.accounts, groups: m.groups, findings: m.findings };
    let event = match kind {
        EventType::ReconciliationRequested => ReconciliationEvent::Requested,
        EventType::ReconciliationStarted => ReconciliationEvent::Started,
        EventType::ReconciliationProgressed => ReconciliationEvent::Progressed { progress },
        EventType::ReconciliationCompleted => ReconciliationEvent::Completed { progress },
        _ => ReconciliationEvent::Failed { detail: m.detail },
    };
    Some(Event::Reconciliation(Reconciliation { app: m.app_id.parse().ok()?, event }))
}

fn decode_payload(kind: EventType, payload: &[u8]) -> Option<Event> {
    Some(match kind {
        EventType::IdentityJoined => identity_changed(IdentityChange::Joined, payload)?,
        EventType::IdentityMoved => identity_changed(IdentityChange::Moved, payload)?,
        EventType::IdentityLeft => identity_changed(IdentityChange::Left, payload)?,
        EventType::IdentityLeaveScheduled => identity_changed(IdentityChange::LeaveScheduled, payload)?,
        EventType::IdentityLeaveCancelled => identity_changed(IdentityChange::LeaveCancelled, payload)?,
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
            Event::AppConfigured(Box::new(app_wire::from_stored(v1::AppConfigured::decode(payload).ok()?)?))
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
                group: wire::optional(m.group),
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
                rejection: rejection(m.cause, m.status, m.detail)?,
                parked_at: Some(Sequence(m.parked_at)).filter(|at| at.0 != 0),
            })
        }
        EventType::DriftDetected => {
            let m = v1::DriftDetected::decode(payload).ok()?;
            Event::DriftDetected(DriftDetected {
                id: DriftId {
                    app: m.app_id.parse().ok()?,
                    identity: m.identity_id.parse().ok()?,
                    kind: wire::from_drift(m.kind)?,
                },
                version: Sequence(m.version),
                differences: wire::from_changed(m.differences),
                remote_id: m.remote_id,
                user_name: m.user_name,
            })
        }
        EventType::DriftCleared => Event::DriftCleared(v1::DriftCleared::decode(payload).ok()?.drift_id.parse().ok()?),
        EventType::DriftAccepted => {
            let m = v1::DriftAccepted::decode(payload).ok()?;
            let expires_at = m.expires_at.and_then(wire::from_proto_time)?;
            Event::DriftAccepted(DriftAccepted { id: m.drift_id.parse().ok()?, reason: m.reason, expires_at })
        }
        EventType::ObligationWaived => {
            let m = v1::ObligationWaived::decode(payload).ok()?;
            let expires_at = m.expires_at.and_then(wire::from_proto_time)?;
            Event::ObligationWaived(Waived { id: m.obligation_id.parse().ok()?, reason: m.reason, expires_at })
        }
        EventType::AppDiscovered => {
            let m = v1::AppDiscovered::decode(payload).ok()?;
            let capabilities = app_wire::from_capabilities(m.capabilities?);
            Event::AppDiscovered(Discovered { app: m.app_id.parse().ok()?, capabilities })
        }
        EventType::AppQuarantined => {
            let m = v1::AppQuarantined::decode(payload).ok()?;
            let rejection = rejection(m.cause, m.status, m.detail)?;
            Event::AppQuarantined(Quarantined { app: m.app_id.parse().ok()?, rejection, failures: m.failures })
        }
        EventType::AppRecovered => Event::AppRecovered(v1::AppRecovered::decode(payload).ok()?.app_id.parse().ok()?),
        EventType::AccountAdopted => {
            let m = v1::AccountAdopted::decode(payload).ok()?;
            let (app, identity) = (m.app_id.parse().ok()?, m.identity_id.parse().ok()?);
            Event::AccountAdopted(Adopted { app, identity, remote_id: m.remote_id })
        }
        EventType::HoldPlaced => {
            let m = v1::HoldPlaced::decode(payload).ok()?;
            Event::HoldPlaced(Hold {
                source: m.source.parse().ok()?,
                app: m.app_id.parse().ok()?,
                removals: usize::try_from(m.removals).ok()?,
                by: Sequence(m.by),
                since: m.since.and_then(wire::from_proto_time)?,
            })
        }
        EventType::HoldReleased | EventType::HoldRejected => hold_decided(kind, payload)?,
        EventType::ReconciliationRequested
        | EventType::ReconciliationStarted
        | EventType::ReconciliationProgressed
        | EventType::ReconciliationCompleted
        | EventType::ReconciliationFailed => reconciled(kind, payload)?,
        EventType::SyncRequested => {
            let m = v1::SyncRequested::decode(payload).ok()?;
            Event::SyncRequested(match m.identity_id.parse() {
                Ok(id) => SyncRequested::Identity(id),
                Err(_) => SyncRequested::App(m.app_id.parse().ok()?),
            })
        }
        EventType::ObligationAtRisk => {
            let m = v1::ObligationAtRisk::decode(payload).ok()?;
            Event::ObligationAtRisk(AtRisk {
                id: m.obligation_id.parse().ok()?,
                change: wire::from_change(m.change)?,
                deadline: m.deadline.and_then(wire::from_proto_time)?,
            })
        }
        EventType::LeaverCompleted => {
            let m = v1::LeaverCompleted::decode(payload).ok()?;
            Event::LeaverCompleted(LeaverCompleted {
                identity: m.identity_id.parse().ok()?,
                opened_by: Sequence(m.opened_by),
                left_at: m.left_at.and_then(wire::from_proto_time)?,
                completed_at: m.completed_at.and_then(wire::from_proto_time)?,
                apps: m.apps.into_iter().map(from_outcome).collect::<Option<_>>()?,
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
