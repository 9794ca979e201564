//! Stored bytes to domain events. What does not decode is carried as unknown, never lost and never fatal.

use std::sync::Arc;

use jiff::Timestamp;
use prost::Message as _;
use std::time::Duration;

use rollcall_domain::access::departure::{AppOutcome, LeaverCompleted};
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::obligation::{AtRisk, Overdue, Waived};
use rollcall_domain::access::outcome::{Adopted, Applied, Attempted, Left, Rejected, Verified};
use rollcall_domain::access::policy::PolicySpec;
use rollcall_domain::access::reevaluation::{Pass, Reevaluated, ReevaluationPolicy};
use rollcall_domain::access::rejection::Rejection;
use rollcall_domain::access::task::{StandsOnWord, TaskDone, TaskUndone};
use rollcall_domain::alert::{About, AlertChanged, Level};
use rollcall_domain::app::capability::Discovered;
use rollcall_domain::app::drill::{Canary, Drill, DrillEvent, DrillResult, DrillStep, DrillVerdict};
use rollcall_domain::app::health::{Quarantined, Recovered};
use rollcall_domain::drift::reconciliation::{Progress, Reconciliation, ReconciliationEvent, SyncRequested};
use rollcall_domain::drift::{DriftAccepted, DriftDetected, DriftId};
use rollcall_domain::governance::api_token::{ApiTokenChanged, ApiTokenStep, IssuedToken};
use rollcall_domain::governance::approval::{ApprovalChanged, ApprovalStep};
use rollcall_domain::governance::checkpoint::Checkpoint;
use rollcall_domain::governance::configuration::{ConfigurationRead, Configuring};
use rollcall_domain::governance::disclosure::{Access, Outcome};
use rollcall_domain::governance::erasure::{Erased, ErasureOrdered, Other, Owed};
use rollcall_domain::governance::hold::{Decision, Hold, HoldDecided};
use rollcall_domain::governance::session::{SessionChanged, SessionHolder, SessionStep};
use rollcall_domain::identity::authority::{ChangeRefused, Denied};
use rollcall_domain::identity::group::{GroupChange, GroupChanged, MemberId};
use rollcall_domain::identity::lifecycle::IdentityChange;
use rollcall_domain::identity::name::NameSpace;
use rollcall_domain::identity::resource::{ResourceChange, ResourceChanged};
use rollcall_domain::identity::switch::Switch;
use rollcall_domain::identity::{EffectFailed, IdentityChanged, NameChanged};
use rollcall_domain::ids::Sequence;
use rollcall_domain::{Event, EventMeta, KeyRef, Recorded, Seal, TraceContext};
use rollcall_privacy::{EventKey, SealedPart};
use rollcall_proto::{EventType, personal, v1};
use rollcall_scim::{LIFECYCLE, changed_paths};
use serde_json::{Map, json};
use tracing::error;
use uuid::Uuid;

use crate::{access_wire, app_wire, credential_wire, wire};

/// A stored event; one that does not decode is `Event::Unknown` with its bytes. What is sealed stays closed.
pub fn decode(sequence: Sequence, recorded_at: Timestamp, subject: &str, stored: &[u8]) -> Recorded {
    decode_with(sequence, recorded_at, subject, stored, &|_, _| None)
}

/// An event as it is read when the key of whom it is about is destroyed, for those who have no key to destroy.
#[must_use]
pub fn closed(recorded: &Recorded, erased: &Arc<Erased>) -> Recorded {
    let (Some(kind), Ok(mut envelope)) =
        (EventType::from_name(&recorded.type_name), v1::Envelope::decode(recorded.stored.as_slice()))
    else {
        return recorded.clone();
    };
    if !personal::is_personal(kind) {
        return recorded.clone();
    }
    envelope.payload = personal::split(kind, &envelope.payload).0;
    envelope.reason.clear();
    envelope.key = KeyRef { page: 0, slot: 0 }.number();
    let closed = decode(recorded.sequence, recorded.recorded_at, &recorded.subject, &envelope.encode_to_vec());
    // What is proved stays what it was.
    Recorded { stored: recorded.stored.clone(), erased: Some(Arc::clone(erased)), ..closed }
}

/// Where the key is that a stored event is sealed with, and the id of the event.
pub fn sealed_with(stored: &[u8]) -> Option<(KeyRef, Uuid)> {
    let envelope = v1::Envelope::decode(stored).ok()?;
    Some((KeyRef::from_number(envelope.key)?, wire::from_id(&envelope.id, &envelope.event_id)?))
}

/// Opens what is sealed of an event, where its key is known.
fn open(envelope: &mut v1::Envelope, subject: &str, key: Option<EventKey>, event: Uuid) -> Opened {
    let Some(key) = key else { return Opened::No };
    let about = SealedPart { event, subject, type_name: &envelope.r#type };
    let opened = key.open(&about, &envelope.sealed).map_err(|e| e.to_string());
    match opened.and_then(|bytes| v1::Personal::decode(bytes.as_slice()).map_err(|e| e.to_string())) {
        Ok(v1::Personal { payload, reason }) => {
            envelope.payload.extend(payload);
            envelope.reason = reason;
            Opened::Yes
        }
        Err(reason) => {
            error!(%event, reason, "what is sealed of an event can't be opened");
            Opened::No
        }
    }
}

#[derive(PartialEq, Eq)]
enum Opened {
    Yes,
    No,
}

/// The same as [`decode`], with the keys that are known: of an event, by where its person's key is and by its id.
pub fn decode_with(
    sequence: Sequence,
    recorded_at: Timestamp,
    subject: &str,
    stored: &[u8],
    keys: &dyn Fn(KeyRef, Uuid) -> Option<EventKey>,
) -> Recorded {
    let Ok(mut envelope) = v1::Envelope::decode(stored) else {
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
            subject: subject.to_owned(),
            stored: stored.to_vec(),
            seal: Seal::None,
            erased: None,
        };
    };
    let event_id = wire::from_id(&envelope.id, &envelope.event_id).unwrap_or_default();
    let seal = match KeyRef::from_number(envelope.key) {
        None => Seal::None,
        Some(at) => match open(&mut envelope, subject, keys(at, event_id), event_id) {
            Opened::Yes => Seal::Opened(at),
            Opened::No => Seal::Closed(at),
        },
    };
    let event = EventType::from_name(&envelope.r#type).and_then(|kind| decode_kind(kind, &envelope.payload));
    Recorded {
        sequence,
        recorded_at,
        schema_version: envelope.schema_version,
        meta: EventMeta {
            event_id,
            occurred_at: envelope.occurred_at.and_then(wire::from_proto_time).unwrap_or(recorded_at),
            actor: envelope.actor,
            source: envelope.source.parse().ok(),
            reason: envelope.reason,
            correlation_id: envelope.correlation_id,
            causation_id: wire::from_id(&envelope.causation, &envelope.causation_id),
            trace: TraceContext {
                traceparent: wire::from_trace(&envelope.trace).unwrap_or(envelope.traceparent),
                tracestate: envelope.tracestate,
            },
            quirks: envelope.quirks,
        },
        type_name: envelope.r#type,
        event: event.unwrap_or(Event::Unknown),
        payload: envelope.payload,
        subject: subject.to_owned(),
        stored: stored.to_vec(),
        seal,
        erased: None,
    }
}

fn api_token(kind: EventType, payload: &[u8]) -> Option<Event> {
    let m = v1::ApiTokenChanged::decode(payload).ok()?;
    let step = match kind {
        EventType::ApiTokenUsed => ApiTokenStep::Used,
        EventType::ApiTokenRevoked => ApiTokenStep::Revoked,
        _ => ApiTokenStep::Issued(IssuedToken {
            name: m.name,
            role: m.role,
            apps: m.apps.iter().map(|app| app.parse().ok()).collect::<Option<_>>()?,
            digest: m.digest,
            expires_at: m.expires_at.and_then(wire::from_proto_time)?,
        }),
    };
    Some(Event::ApiToken(ApiTokenChanged { id: m.token_id, step }))
}

fn approval(kind: EventType, payload: &[u8]) -> Option<Event> {
    let m = v1::ApprovalChanged::decode(payload).ok()?;
    let step = match kind {
        EventType::ApprovalApproved => ApprovalStep::Approved,
        EventType::ApprovalDenied => ApprovalStep::Denied,
        _ => {
            let wanted = EventType::from_name(&m.wanted_type)?;
            // What is asked for is never itself that something is asked for: it would have no end.
            let is_plain = wanted != EventType::ApprovalRequested;
            ApprovalStep::Requested {
                wanted: Box::new(match is_plain.then(|| decode_kind(wanted, &m.wanted))? {
                    Some(wanted) => wanted,
                    // It is sealed, and its key is not here: that somebody asked is readable.
                    None if m.wanted.is_empty() => Event::Unknown,
                    None => return None,
                }),
                about: m.identity_id.parse().ok(),
                expires_at: m.expires_at.and_then(wire::from_proto_time)?,
            }
        }
    };
    Some(Event::Approval(ApprovalChanged { id: m.approval_id, step }))
}

fn session(kind: EventType, payload: &[u8]) -> Option<Event> {
    let m = v1::SessionChanged::decode(payload).ok()?;
    let step = match kind {
        EventType::SessionUsed => SessionStep::Used,
        EventType::SessionEnded => SessionStep::Ended,
        _ => {
            let holder = match m.token_proof.is_empty() {
                true => SessionHolder::Provider { name: m.name, role: m.role },
                false => SessionHolder::Token { name: m.name, proof: m.token_proof },
            };
            SessionStep::Opened { holder, until: m.until.and_then(wire::from_proto_time)? }
        }
    };
    Some(Event::Session(SessionChanged { id: m.session_id, step }))
}

fn access(outcome: Outcome, payload: &[u8]) -> Option<Access> {
    let v1::Access { role, method, path, identity_id } = v1::Access::decode(payload).ok()?;
    Some(Access { outcome, role, method, path, identity: identity_id.parse().ok() })
}

fn identity_changed(change: IdentityChange, payload: &[u8]) -> Option<Event> {
    let m = v1::IdentityChanged::decode(payload).ok()?;
    let (before, mut resource) = (wire::from_lifecycle(m.before), wire::object(&m.resource_json)?);
    if m.emergency && resource.is_empty() {
        // All that is readable of a resource that is sealed.
        resource.insert(LIFECYCLE.id.into(), json!({ "emergency": true }));
    }
    let changed = match before {
        // A creation sets what its resource says.
        None if m.changed.is_empty() => changed_paths(&Map::new(), &resource),
        _ => wire::from_changed(m.changed),
    };
    Some(Event::Identity(IdentityChanged {
        id: m.identity_id.parse().ok()?,
        kind: wire::from_kind(m.kind).unwrap_or_default(),
        change,
        before,
        after: wire::from_lifecycle(m.after)?,
        deleted: m.deleted,
        resource,
        changed,
        effective_at: m.effective_at.and_then(wire::from_proto_time),
        provenance: m.provenance.into_iter().filter_map(|(path, source)| Some((path, source.parse().ok()?))).collect(),
        ownership: m.ownership.map(wire::from_ownership).unwrap_or_default(),
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
        "vanished" => About::Vanished { app: m.app_id.parse().ok()?, by },
        "drill" => About::Drill { app: m.app_id.parse().ok()?, by },
        "uncompared" => About::Uncompared { app: m.app_id.parse().ok()?, by },
        "hold" => About::Hold { cause: m.source.parse().ok()?, by },
        "zombie" => About::Zombie { app: m.app_id.parse().ok()?, identity: m.identity_id.parse().ok()?, opened_by: by },
        "disable" => {
            About::Disable { app: m.app_id.parse().ok()?, identity: m.identity_id.parse().ok()?, opened_by: by }
        }
        "grant" => About::Grant { app: m.app_id.parse().ok()?, identity: m.identity_id.parse().ok()?, opened_by: by },
        "handover" => About::Handover { owner: m.identity_id.parse().ok()?, opened_by: by },
        "revocation" => About::Revocation { holder: m.identity_id.parse().ok()?, opened_by: by },
        "stuck" => About::Stuck { identity: m.identity_id.parse().ok()?, by },
        "far_ahead" => About::FarAhead { identity: m.identity_id.parse().ok()?, by },
        "grant_ends" => About::GrantEnds { identity: m.identity_id.parse().ok()?, by },
        "task" => About::Task { app: m.app_id.parse().ok()?, identity: m.identity_id.parse().ok()?, by },
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
    let decision = match kind {
        EventType::HoldReleased => Decision::Release,
        EventType::HoldLapsed => Decision::Lapse,
        _ => Decision::Reject { expires_at: m.expires_at.and_then(wire::from_proto_time)? },
    };
    // Before it was said a decision was about everything.
    let through = Sequence(if m.through == 0 { u64::MAX } else { m.through });
    Some(Event::HoldDecided(HoldDecided { cause: m.source.parse().ok()?, through, decision, reason: m.reason }))
}

fn drilled(kind: EventType, payload: &[u8]) -> Option<Event> {
    let m = v1::Drill::decode(payload).ok()?;
    let result = |r: v1::DrillResult| {
        Some(DrillResult {
            step: DrillStep::named(&r.step)?,
            of: r.of,
            verdict: DrillVerdict::ALL.into_iter().find(|verdict| verdict.name() == r.verdict)?,
            detail: r.detail,
            visible_after: r.visible_after_ms.map(Duration::from_millis),
        })
    };
    let event = match kind {
        EventType::DrillRequested => DrillEvent::Requested,
        EventType::DrillStarted => DrillEvent::Started(Canary { user_name: m.user_name, external_id: m.external_id }),
        EventType::DrillMade => DrillEvent::Made { remote_id: m.remote_id },
        // A step that a newer version knows is not shown.
        EventType::DrillCompleted => DrillEvent::Completed {
            results: m.results.into_iter().filter_map(result).collect(),
            left_behind: m.left_behind,
        },
        _ => DrillEvent::Failed { detail: m.detail, left_behind: m.left_behind },
    };
    Some(Event::Drill(Drill { app: m.app_id.parse().ok()?, event }))
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

fn erasure_ordered(payload: &[u8]) -> Option<ErasureOrdered> {
    let m = v1::ErasureOrdered::decode(payload).ok()?;
    Some(ErasureOrdered {
        id: m.identity_id.parse().ok()?,
        reason: m.reason,
        legal_basis: m.legal_basis,
        approved_by: wire::optional(m.approved_by),
    })
}

fn other(other: &v1::OtherAccount) -> Option<Other> {
    Some(Other { app: other.app_id.parse().ok()?, nobody: other.identity_id.parse().ok()? })
}

fn identity_erased(payload: &[u8]) -> Option<Erased> {
    let m = v1::IdentityErased::decode(payload).ok()?;
    let owed = |owed: v1::OwedOnce| {
        Some(Owed {
            opened_by: Sequence(owed.opened_by),
            nobody: owed.identity_id.parse().ok(),
            change: wire::from_change(owed.change)?,
            target: wire::from_present(owed.present),
            apps: owed.apps.iter().filter_map(|app| app.parse().ok()).collect(),
        })
    };
    Some(Erased {
        id: m.identity_id.parse().ok()?,
        reason: m.reason,
        legal_basis: m.legal_basis,
        approved_by: wire::optional(m.approved_by),
        keys: m.keys.into_iter().filter_map(KeyRef::from_number).collect(),
        owed: m.owed.into_iter().filter_map(owed).collect(),
        others: m.others.iter().filter_map(other).collect(),
    })
}

/// What the payload of an event of a type says; `None` for what this version does not know, or what is damaged.
#[must_use]
pub fn decode_payload(type_name: &str, payload: &[u8]) -> Option<Event> {
    decode_kind(EventType::from_name(type_name)?, payload)
}

fn decode_kind(kind: EventType, payload: &[u8]) -> Option<Event> {
    Some(match kind {
        EventType::IdentityErasureOrdered => Event::ErasureOrdered(erasure_ordered(payload)?),
        EventType::IdentityDisabled => Event::IdentitySwitched(access_wire::from_switched(Switch::Off, payload)?),
        EventType::IdentityEnabled => Event::IdentitySwitched(access_wire::from_switched(Switch::On, payload)?),
        EventType::RoleConfigured => Event::RoleConfigured(Box::new(access_wire::from_role(payload)?)),
        EventType::RoleRemoved => Event::RoleRemoved(v1::RoleRemoved::decode(payload).ok()?.role_id.parse().ok()?),
        EventType::PolicyConfigured => {
            let m = v1::PolicyConfigured::decode(payload).ok()?;
            let id = m.policy_id.parse().ok()?;
            Event::PolicyConfigured(Box::new(PolicySpec { id, text: m.text, reason: m.reason, owner: m.owner }))
        }
        EventType::PolicyRemoved => {
            Event::PolicyRemoved(v1::PolicyRemoved::decode(payload).ok()?.policy_id.parse().ok()?)
        }
        EventType::SeparationConfigured => {
            Event::SeparationConfigured(Box::new(access_wire::from_separation(payload)?))
        }
        EventType::SeparationRemoved => {
            Event::SeparationRemoved(v1::SeparationRemoved::decode(payload).ok()?.separation_id.parse().ok()?)
        }
        EventType::SeparationViolationAccepted => {
            Event::ViolationAccepted(access_wire::from_violation_accepted(payload)?)
        }
        EventType::ConfigurationChangeBegan => Event::Configuring(Configuring::Begins),
        EventType::ConfigurationChangeEnded => Event::Configuring(Configuring::Ends),
        EventType::ReevaluationConfigured => {
            let people_at_once = v1::ReevaluationConfigured::decode(payload).ok()?.people_at_once;
            Event::ReevaluationConfigured(ReevaluationPolicy { people_at_once: usize::try_from(people_at_once).ok()? })
        }
        EventType::AccessReevaluated => {
            let m = v1::AccessReevaluated::decode(payload).ok()?;
            let through = m.through_identity_id;
            Event::Reevaluated(Reevaluated {
                since: Sequence(m.since),
                pass: Pass::ALL.into_iter().find(|pass| pass.name() == m.pass)?,
                through: if through.is_empty() { None } else { Some(through.parse().ok()?) },
            })
        }
        EventType::MachinesConfigured => Event::MachinesConfigured(access_wire::from_machine_policy(payload)?),
        EventType::HandoverAccepted | EventType::HandoverPassed | EventType::HandoverRetired => {
            Event::Handover(access_wire::from_handover(kind, payload)?)
        }
        EventType::CredentialListed => Event::CredentialListed(Box::new(credential_wire::from_listed(payload)?)),
        EventType::CredentialUnlisted => Event::CredentialUnlisted(credential_wire::from_unlisted(payload)?),
        EventType::CredentialCompromised => Event::CredentialCompromised(credential_wire::from_compromised(payload)?),
        EventType::InventoryRead => Event::InventoryRead(credential_wire::from_inventory_read(payload)?),
        EventType::GrantRequested => Event::Grant(access_wire::from_grant_requested(payload)?),
        EventType::GrantApproved => Event::Grant(access_wire::from_grant_approved(payload)?),
        EventType::GrantEnded => Event::Grant(access_wire::from_grant_ended(payload)?),
        EventType::IdentityErased => Event::IdentityErased(identity_erased(payload)?),
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
                left: if m.unclean { Left::Something } else { Left::Nothing },
                differences: wire::from_changed(m.differences),
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
        EventType::AppRecovered => {
            let m = v1::AppRecovered::decode(payload).ok()?;
            let recognized_at = Some(m.recognized_at).filter(|address| !address.is_empty());
            Event::AppRecovered(Recovered { app: m.app_id.parse().ok()?, recognized_at })
        }
        EventType::AccountAttempted => {
            let m = v1::AccountAttempted::decode(payload).ok()?;
            Event::AccountAttempted(Attempted {
                app: m.app_id.parse().ok()?,
                identity: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                creations: m.creations.max(u32::from(!m.sent.is_empty())),
                sent: m.sent.into_iter().collect(),
            })
        }
        EventType::AccountAttested => {
            let m = v1::AccountAttested::decode(payload).ok()?;
            let (app, identity) = (m.app_id.parse().ok()?, m.identity_id.parse().ok()?);
            Event::AccountAttested(StandsOnWord { app, identity, version: Sequence(m.version) })
        }
        EventType::TaskDone => {
            let m = v1::TaskDone::decode(payload).ok()?;
            Event::TaskDone(TaskDone {
                app: m.app_id.parse().ok()?,
                identity: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                target: if m.present { Target::Present } else { Target::Absent },
                reference: m.reference,
            })
        }
        EventType::TaskUndone => {
            let m = v1::TaskUndone::decode(payload).ok()?;
            let (app, identity) = (m.app_id.parse().ok()?, m.identity_id.parse().ok()?);
            Event::TaskUndone(TaskUndone { app, identity, version: Sequence(m.version), reason: m.reason })
        }
        EventType::AccountAdopted => {
            let m = v1::AccountAdopted::decode(payload).ok()?;
            let (app, identity) = (m.app_id.parse().ok()?, m.identity_id.parse().ok()?);
            Event::AccountAdopted(Adopted { app, identity, remote_id: m.remote_id })
        }
        EventType::HoldPlaced => {
            let m = v1::HoldPlaced::decode(payload).ok()?;
            Event::HoldPlaced(Hold {
                released: Sequence(0),
                cause: m.source.parse().ok()?,
                app: m.app_id.parse().ok()?,
                removals: usize::try_from(m.removals).ok()?,
                by: Sequence(m.by),
                since: m.since.and_then(wire::from_proto_time)?,
            })
        }
        EventType::HoldReleased | EventType::HoldRejected | EventType::HoldLapsed => hold_decided(kind, payload)?,
        EventType::DrillRequested
        | EventType::DrillStarted
        | EventType::DrillMade
        | EventType::DrillCompleted
        | EventType::DrillFailed => drilled(kind, payload)?,
        EventType::ReconciliationRequested
        | EventType::ReconciliationStarted
        | EventType::ReconciliationProgressed
        | EventType::ReconciliationCompleted
        | EventType::ReconciliationFailed => reconciled(kind, payload)?,
        EventType::SyncRequested => {
            let m = v1::SyncRequested::decode(payload).ok()?;
            Event::SyncRequested(match m.identity_id.parse() {
                Ok(id) => SyncRequested::Identity(id),
                Err(_) if m.same > 0 => SyncRequested::Same { app: m.app_id.parse().ok()?, told: Sequence(m.same) },
                Err(_) if m.gone > 0 => SyncRequested::Gone { app: m.app_id.parse().ok()?, told: Sequence(m.gone) },
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
        EventType::LogCheckpoint => {
            let m = v1::Checkpoint::decode(payload).ok()?;
            let (from, size) = (Sequence(m.from), Sequence(m.size));
            Event::Checkpoint(Checkpoint { from, size, note: m.note, leaves: m.leaves })
        }
        EventType::SessionOpened | EventType::SessionUsed | EventType::SessionEnded => session(kind, payload)?,
        EventType::ApiTokenIssued | EventType::ApiTokenUsed | EventType::ApiTokenRevoked => api_token(kind, payload)?,
        EventType::ApprovalRequested | EventType::ApprovalApproved | EventType::ApprovalDenied => {
            approval(kind, payload)?
        }
        EventType::ConfigurationRead => {
            let m = v1::ConfigurationRead::decode(payload).ok()?;
            Event::ConfigurationRead(ConfigurationRead {
                service: m.service,
                digest: m.digest,
                settings: serde_json::from_str(&m.settings_json).ok()?,
                changed: wire::from_changed(m.changed),
            })
        }
        EventType::IdentityEffectFailed => {
            let m = v1::EffectFailed::decode(payload).ok()?;
            Event::EffectFailed(EffectFailed {
                id: m.identity_id.parse().ok()?,
                version: Sequence(m.version),
                effective_at: m.effective_at.and_then(wire::from_proto_time)?,
                reason: m.reason,
            })
        }
        EventType::AccessRead => Event::Access(access(Outcome::Read, payload)?),
        EventType::AccessDenied => Event::Access(access(Outcome::Denied, payload)?),
    })
}

fn from_outcome(stored: v1::AppOutcome) -> Option<AppOutcome> {
    Some(AppOutcome {
        app: stored.app_id.parse().ok()?,
        deadline: stored.deadline.and_then(wire::from_proto_time)?,
        applied_at: stored.applied_at.and_then(wire::from_proto_time),
        verified_at: stored.verified_at.and_then(wire::from_proto_time),
        overdue_at: stored.overdue_at.and_then(wire::from_proto_time),
        attested: stored.attested_at.and_then(wire::from_proto_time).map(|at| (at, stored.attested_by)),
    })
}

fn from_denied(denied: v1::DeniedPath) -> Option<Denied> {
    let change = wire::from_changed(denied.change.into_iter().collect()).pop()?;
    Some(Denied { change, held_by: denied.held_by.parse().ok() })
}
