//! Domain events to stored bytes.

use prost::Message as _;
use rollcall_domain::access::departure::AppOutcome;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::grant::GrantStep;
use rollcall_domain::access::handover::HandoverStep;
use rollcall_domain::access::outcome::Left;
use rollcall_domain::alert::{About, AlertChanged};
use rollcall_domain::app::drill::{Drill, DrillEvent, DrillResult};
use rollcall_domain::drift::reconciliation::{Progress, Reconciliation, ReconciliationEvent, SyncRequested};
use rollcall_domain::governance::api_token::{ApiTokenChanged, ApiTokenStep};
use rollcall_domain::governance::approval::{ApprovalChanged, ApprovalStep};
use rollcall_domain::governance::configuration::Configuring;
use rollcall_domain::governance::disclosure::Outcome;
use rollcall_domain::governance::erasure::{Other, Owed};
use rollcall_domain::governance::hold::Decision;
use rollcall_domain::governance::session::{SessionChanged, SessionHolder, SessionStep};
use rollcall_domain::identity::authority::Denied;
use rollcall_domain::identity::group::{GroupChange, MemberId};
use rollcall_domain::identity::lifecycle::{IdentityChange, Urgency};
use rollcall_domain::identity::name::NameSpace;
use rollcall_domain::identity::resource::ResourceChange;
use rollcall_domain::identity::switch::Switch;
use rollcall_domain::identity::urgency;
use rollcall_domain::{AppId, Event, KeyRef, NewEvent};
use rollcall_privacy::{DataKey, PrivacyError, SealedPart};
use rollcall_proto::{EventType, SCHEMA_VERSION, personal, v1};

use crate::app_wire::millis;
use crate::subject::Subject;
use crate::{access_wire, app_wire, credential_wire, wire};

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
        Event::AccountAttempted(_) => EventType::AccountAttempted,
        Event::TaskDone(_) => EventType::TaskDone,
        Event::TaskUndone(_) => EventType::TaskUndone,
        Event::AccountAttested(_) => EventType::AccountAttested,
        Event::DriftCleared(_) => EventType::DriftCleared,
        Event::DriftAccepted(_) => EventType::DriftAccepted,
        Event::ObligationWaived(_) => EventType::ObligationWaived,
        Event::HoldPlaced(_) => EventType::HoldPlaced,
        Event::HoldDecided(decided) => match decided.decision {
            Decision::Release => EventType::HoldReleased,
            Decision::Reject { .. } => EventType::HoldRejected,
            Decision::Lapse => EventType::HoldLapsed,
        },
        Event::Drill(drill) => match drill.event {
            DrillEvent::Requested => EventType::DrillRequested,
            DrillEvent::Started(_) => EventType::DrillStarted,
            DrillEvent::Made { .. } => EventType::DrillMade,
            DrillEvent::Completed { .. } => EventType::DrillCompleted,
            DrillEvent::Failed { .. } => EventType::DrillFailed,
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
        Event::Checkpoint(_) => EventType::LogCheckpoint,
        Event::Session(session) => match session.step {
            SessionStep::Opened { .. } => EventType::SessionOpened,
            SessionStep::Used => EventType::SessionUsed,
            SessionStep::Ended => EventType::SessionEnded,
        },
        Event::ApiToken(token) => match token.step {
            ApiTokenStep::Issued(_) => EventType::ApiTokenIssued,
            ApiTokenStep::Used => EventType::ApiTokenUsed,
            ApiTokenStep::Revoked => EventType::ApiTokenRevoked,
        },
        Event::Approval(approval) => match approval.step {
            ApprovalStep::Requested { .. } => EventType::ApprovalRequested,
            ApprovalStep::Approved => EventType::ApprovalApproved,
            ApprovalStep::Denied => EventType::ApprovalDenied,
        },
        Event::ConfigurationRead(_) => EventType::ConfigurationRead,
        Event::EffectFailed(_) => EventType::IdentityEffectFailed,
        Event::ErasureOrdered(_) => EventType::IdentityErasureOrdered,
        Event::IdentityErased(_) => EventType::IdentityErased,
        Event::IdentitySwitched(switched) => match switched.to {
            Switch::Off => EventType::IdentityDisabled,
            Switch::On => EventType::IdentityEnabled,
        },
        Event::RoleConfigured(_) => EventType::RoleConfigured,
        Event::RoleRemoved(_) => EventType::RoleRemoved,
        Event::PolicyConfigured(_) => EventType::PolicyConfigured,
        Event::PolicyRemoved(_) => EventType::PolicyRemoved,
        Event::SeparationConfigured(_) => EventType::SeparationConfigured,
        Event::SeparationRemoved(_) => EventType::SeparationRemoved,
        Event::ViolationAccepted(_) => EventType::SeparationViolationAccepted,
        Event::Configuring(Configuring::Begins) => EventType::ConfigurationChangeBegan,
        Event::Configuring(Configuring::Ends) => EventType::ConfigurationChangeEnded,
        Event::Reevaluated(_) => EventType::AccessReevaluated,
        Event::ReevaluationConfigured(_) => EventType::ReevaluationConfigured,
        Event::MachinesConfigured(_) => EventType::MachinesConfigured,
        Event::Handover(changed) => match changed.step {
            HandoverStep::Accepted(_) => EventType::HandoverAccepted,
            HandoverStep::Passed(_) => EventType::HandoverPassed,
            HandoverStep::Retired => EventType::HandoverRetired,
        },
        Event::CredentialListed(_) => EventType::CredentialListed,
        Event::CredentialUnlisted(_) => EventType::CredentialUnlisted,
        Event::CredentialCompromised(_) => EventType::CredentialCompromised,
        Event::InventoryRead(_) => EventType::InventoryRead,
        Event::Grant(changed) => match changed.step {
            GrantStep::Requested(_) => EventType::GrantRequested,
            GrantStep::Approved => EventType::GrantApproved,
            GrantStep::Ended { .. } => EventType::GrantEnded,
        },
        Event::Access(access) => match access.outcome {
            Outcome::Read => EventType::AccessRead,
            Outcome::Denied => EventType::AccessDenied,
        },
        Event::Unknown => return None,
    })
}

/// An event as it is stored, and its type; `None` for an unknown one, which only a newer version can write.
pub fn encode(event: &NewEvent) -> Option<(EventType, Vec<u8>)> {
    let kind = type_of(&event.event)?;
    Some((kind, envelope(kind, event).encode_to_vec()))
}

/// The same with what is personal sealed: with the key of whom it is about.
///
/// # Errors
/// When it can't be sealed.
pub fn encode_sealed(
    event: &NewEvent,
    subject: &Subject,
    (at, key): (KeyRef, &DataKey),
) -> Result<Option<(EventType, Vec<u8>)>, PrivacyError> {
    let Some(kind) = type_of(&event.event) else { return Ok(None) };
    let mut envelope = envelope(kind, event);
    let (readable, payload) = personal::split(kind, &envelope.payload);
    let personal = v1::Personal { payload, reason: std::mem::take(&mut envelope.reason) };
    let about = SealedPart { event: event.meta.event_id, subject: subject.as_str(), type_name: kind.name() };
    envelope.sealed = key.of_event(about.event).seal(&about, &personal.encode_to_vec())?;
    envelope.payload = readable;
    envelope.key = at.number();
    Ok(Some((kind, envelope.encode_to_vec())))
}

/// Whether something of an event is personal, and has to be sealed.
pub fn is_personal(event: &Event) -> bool {
    type_of(event).is_some_and(personal::is_personal)
}

fn envelope(kind: EventType, event: &NewEvent) -> v1::Envelope {
    let meta = &event.meta;
    let trace = wire::to_trace(&meta.trace.traceparent).unwrap_or_default();
    v1::Envelope {
        id: meta.event_id.as_bytes().to_vec(),
        r#type: kind.name().to_owned(),
        schema_version: SCHEMA_VERSION,
        occurred_at: Some(wire::to_proto_time(meta.occurred_at)),
        actor: meta.actor.clone(),
        source: meta.source.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: meta.reason.clone(),
        correlation_id: meta.correlation_id.clone(),
        causation: meta.causation_id.map(|id| id.as_bytes().to_vec()).unwrap_or_default(),
        traceparent: if trace.is_empty() { meta.trace.traceparent.clone() } else { String::new() },
        trace,
        tracestate: meta.trace.tracestate.clone(),
        payload: encode_payload(&event.event),
        quirks: meta.quirks.clone(),
        ..v1::Envelope::default()
    }
}

fn to_owed(owed: &Owed) -> v1::OwedOnce {
    v1::OwedOnce {
        opened_by: owed.opened_by.0,
        change: wire::to_change(owed.change),
        present: wire::to_present(owed.target),
        apps: owed.apps.iter().map(ToString::to_string).collect(),
        identity_id: owed.nobody.map(|id| id.to_string()).unwrap_or_default(),
    }
}

fn to_other(other: &Other) -> v1::OtherAccount {
    v1::OtherAccount { app_id: other.app.to_string(), identity_id: other.nobody.to_string() }
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
            // A creation sets what its resource says.
            changed: if e.before.is_none() { Vec::new() } else { wire::to_changed(&e.changed) },
            effective_at: e.effective_at.map(wire::to_proto_time),
            kind: wire::to_kind(e.kind),
            emergency: urgency(&e.resource) == Urgency::Emergency,
            provenance: e.provenance.iter().map(|(path, source)| (path.clone(), source.to_string())).collect(),
            ownership: wire::to_ownership(&e.ownership),
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
            unclean: e.left == Left::Something,
            differences: wire::to_changed(&e.differences),
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
        Event::AccountAttempted(e) => v1::AccountAttempted {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            sent: e.sent.iter().cloned().collect(),
            creations: e.creations,
        }
        .encode_to_vec(),
        Event::AccountAttested(e) => {
            v1::AccountAttested { app_id: e.app.to_string(), identity_id: e.identity.to_string(), version: e.version.0 }
                .encode_to_vec()
        }
        Event::TaskDone(e) => v1::TaskDone {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            present: e.target == Target::Present,
            reference: e.reference.clone(),
        }
        .encode_to_vec(),
        Event::TaskUndone(e) => v1::TaskUndone {
            app_id: e.app.to_string(),
            identity_id: e.identity.to_string(),
            version: e.version.0,
            reason: e.reason.clone(),
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
        Event::AppRecovered(now) => v1::AppRecovered {
            app_id: now.app.to_string(),
            recognized_at: now.recognized_at.clone().unwrap_or_default(),
        }
        .encode_to_vec(),
        Event::HoldPlaced(e) => v1::HoldPlaced {
            source: e.cause.to_string(),
            app_id: e.app.to_string(),
            removals: e.removals as u64,
            by: e.by.0,
            since: Some(wire::to_proto_time(e.since)),
        }
        .encode_to_vec(),
        Event::HoldDecided(e) => {
            let expires_at = match e.decision {
                Decision::Release | Decision::Lapse => None,
                Decision::Reject { expires_at } => Some(wire::to_proto_time(expires_at)),
            };
            v1::HoldDecided { source: e.cause.to_string(), reason: e.reason.clone(), expires_at, through: e.through.0 }
                .encode_to_vec()
        }
        Event::Reconciliation(e) => reconciliation(e).encode_to_vec(),
        Event::Drill(e) => drill(e).encode_to_vec(),
        Event::SyncRequested(e) => match e {
            SyncRequested::Identity(id) => v1::SyncRequested { identity_id: id.to_string(), ..Default::default() },
            SyncRequested::App(app) => v1::SyncRequested { app_id: app.to_string(), ..Default::default() },
            SyncRequested::Same { app, told } => {
                v1::SyncRequested { app_id: app.to_string(), same: told.0, ..Default::default() }
            }
            SyncRequested::Gone { app, told } => {
                v1::SyncRequested { app_id: app.to_string(), gone: told.0, ..Default::default() }
            }
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
            app_id: e.id.subject.app().map(AppId::to_string).unwrap_or_default(),
            identity_id: e.id.subject.identity().to_string(),
            opened_by: e.id.opened_by.0,
            change: wire::to_change(e.change),
            deadline: Some(wire::to_proto_time(e.deadline)),
        }
        .encode_to_vec(),
        Event::AlertFired(e) | Event::AlertResolved(e) => alert(e).encode_to_vec(),
        Event::Checkpoint(e) => {
            let (note, leaves) = (e.note.clone(), e.leaves.clone());
            v1::Checkpoint { from: e.from.0, size: e.size.0, note, leaves }.encode_to_vec()
        }
        Event::Session(e) => session(e).encode_to_vec(),
        Event::ApiToken(e) => api_token(e).encode_to_vec(),
        Event::Approval(e) => approval(e).encode_to_vec(),
        Event::ConfigurationRead(e) => v1::ConfigurationRead {
            service: e.service.clone(),
            digest: e.digest.clone(),
            settings_json: wire::to_json(&e.settings),
            changed: wire::to_changed(&e.changed),
        }
        .encode_to_vec(),
        Event::ErasureOrdered(e) => v1::ErasureOrdered {
            identity_id: e.id.to_string(),
            reason: e.reason.clone(),
            legal_basis: e.legal_basis.clone(),
            approved_by: e.approved_by.clone().unwrap_or_default(),
        }
        .encode_to_vec(),
        Event::IdentityErased(e) => v1::IdentityErased {
            identity_id: e.id.to_string(),
            reason: e.reason.clone(),
            legal_basis: e.legal_basis.clone(),
            approved_by: e.approved_by.clone().unwrap_or_default(),
            keys: e.keys.iter().map(|key| key.number()).collect(),
            owed: e.owed.iter().map(to_owed).collect(),
            others: e.others.iter().map(to_other).collect(),
        }
        .encode_to_vec(),
        Event::IdentitySwitched(e) => access_wire::to_switched(e),
        Event::RoleConfigured(e) => access_wire::to_role(e).encode_to_vec(),
        Event::RoleRemoved(id) => v1::RoleRemoved { role_id: id.to_string() }.encode_to_vec(),
        Event::PolicyConfigured(e) => v1::PolicyConfigured {
            policy_id: e.id.to_string(),
            text: e.text.clone(),
            reason: e.reason.clone(),
            owner: e.owner.clone(),
        }
        .encode_to_vec(),
        Event::PolicyRemoved(id) => v1::PolicyRemoved { policy_id: id.to_string() }.encode_to_vec(),
        Event::SeparationConfigured(e) => access_wire::to_separation(e).encode_to_vec(),
        Event::SeparationRemoved(id) => v1::SeparationRemoved { separation_id: id.to_string() }.encode_to_vec(),
        Event::ViolationAccepted(e) => access_wire::to_violation_accepted(e).encode_to_vec(),
        Event::Configuring(_) => v1::Configuring {}.encode_to_vec(),
        Event::ReevaluationConfigured(e) => {
            v1::ReevaluationConfigured { people_at_once: u32::try_from(e.people_at_once).unwrap_or(u32::MAX) }
                .encode_to_vec()
        }
        Event::Reevaluated(e) => v1::AccessReevaluated {
            since: e.since.0,
            pass: e.pass.name().to_owned(),
            through_identity_id: e.through.map(|id| id.to_string()).unwrap_or_default(),
        }
        .encode_to_vec(),
        Event::MachinesConfigured(e) => access_wire::to_machine_policy(*e),
        Event::Handover(e) => access_wire::to_handover(e),
        Event::CredentialListed(e) => credential_wire::to_listed(e),
        Event::CredentialUnlisted(e) => credential_wire::to_unlisted(e),
        Event::CredentialCompromised(e) => credential_wire::to_compromised(e),
        Event::InventoryRead(e) => credential_wire::to_inventory_read(e),
        Event::Grant(e) => access_wire::to_grant(e),
        Event::EffectFailed(e) => v1::EffectFailed {
            identity_id: e.id.to_string(),
            version: e.version.0,
            effective_at: Some(wire::to_proto_time(e.effective_at)),
            reason: e.reason.clone(),
        }
        .encode_to_vec(),
        Event::Access(e) => v1::Access {
            role: e.role.clone(),
            method: e.method.clone(),
            path: e.path.clone(),
            identity_id: e.identity.map(|id| id.to_string()).unwrap_or_default(),
        }
        .encode_to_vec(),
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
        About::Vanished { app, by } => {
            v1::AlertChanged { about: about("vanished"), app_id: app.to_string(), opened_by: by.0, ..told }
        }
        About::Drill { app, by } => {
            v1::AlertChanged { about: about("drill"), app_id: app.to_string(), opened_by: by.0, ..told }
        }
        About::Uncompared { app, by } => {
            v1::AlertChanged { about: about("uncompared"), app_id: app.to_string(), opened_by: by.0, ..told }
        }
        About::Hold { cause, by } => {
            v1::AlertChanged { about: about("hold"), source: cause.to_string(), opened_by: by.0, ..told }
        }
        About::Disable { app, identity, opened_by } => v1::AlertChanged {
            about: about("disable"),
            app_id: app.to_string(),
            identity_id: identity.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Grant { app, identity, opened_by } => v1::AlertChanged {
            about: about("grant"),
            app_id: app.to_string(),
            identity_id: identity.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Handover { owner, opened_by } => v1::AlertChanged {
            about: about("handover"),
            identity_id: owner.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Revocation { holder, opened_by } => v1::AlertChanged {
            about: about("revocation"),
            identity_id: holder.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Zombie { app, identity, opened_by } => v1::AlertChanged {
            about: about("zombie"),
            app_id: app.to_string(),
            identity_id: identity.to_string(),
            opened_by: opened_by.0,
            ..told
        },
        About::Stuck { identity, by } => {
            v1::AlertChanged { about: about("stuck"), identity_id: identity.to_string(), opened_by: by.0, ..told }
        }
        About::FarAhead { identity, by } => {
            v1::AlertChanged { about: about("far_ahead"), identity_id: identity.to_string(), opened_by: by.0, ..told }
        }
        About::GrantEnds { identity, by } => {
            v1::AlertChanged { about: about("grant_ends"), identity_id: identity.to_string(), opened_by: by.0, ..told }
        }
        About::Task { app, identity, by } => v1::AlertChanged {
            about: about("task"),
            app_id: app.to_string(),
            identity_id: identity.to_string(),
            opened_by: by.0,
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
        attested_at: outcome.attested.as_ref().map(|(at, _)| wire::to_proto_time(*at)),
        attested_by: outcome.attested.as_ref().map(|(_, who)| who.clone()).unwrap_or_default(),
    }
}

fn drill(e: &Drill) -> v1::Drill {
    let drill = v1::Drill { app_id: e.app.to_string(), ..Default::default() };
    match &e.event {
        DrillEvent::Requested => drill,
        DrillEvent::Started(canary) => {
            v1::Drill { user_name: canary.user_name.clone(), external_id: canary.external_id.clone(), ..drill }
        }
        DrillEvent::Made { remote_id } => v1::Drill { remote_id: remote_id.clone(), ..drill },
        DrillEvent::Completed { results, left_behind } => {
            let result = |result: &DrillResult| v1::DrillResult {
                step: result.step.name().to_owned(),
                of: result.of.clone(),
                verdict: result.verdict.name().to_owned(),
                detail: result.detail.clone(),
                visible_after_ms: result.visible_after.map(millis),
            };
            let results = results.iter().map(result).collect();
            v1::Drill { results, left_behind: left_behind.clone(), ..drill }
        }
        DrillEvent::Failed { detail, left_behind } => {
            v1::Drill { detail: detail.clone(), left_behind: left_behind.clone(), ..drill }
        }
    }
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

fn api_token(changed: &ApiTokenChanged) -> v1::ApiTokenChanged {
    let empty = v1::ApiTokenChanged { token_id: changed.id.clone(), ..Default::default() };
    let ApiTokenStep::Issued(issued) = &changed.step else { return empty };
    v1::ApiTokenChanged {
        name: issued.name.clone(),
        role: issued.role.clone(),
        apps: issued.apps.iter().map(ToString::to_string).collect(),
        digest: issued.digest.clone(),
        expires_at: Some(wire::to_proto_time(issued.expires_at)),
        ..empty
    }
}

fn approval(changed: &ApprovalChanged) -> v1::ApprovalChanged {
    let empty = v1::ApprovalChanged { approval_id: changed.id.clone(), ..Default::default() };
    let ApprovalStep::Requested { wanted, about, expires_at } = &changed.step else { return empty };
    v1::ApprovalChanged {
        wanted_type: type_of(wanted).map(|kind| kind.name().to_owned()).unwrap_or_default(),
        wanted: encode_payload(wanted),
        identity_id: about.map(|id| id.to_string()).unwrap_or_default(),
        expires_at: Some(wire::to_proto_time(*expires_at)),
        ..empty
    }
}

fn session(changed: &SessionChanged) -> v1::SessionChanged {
    let empty = v1::SessionChanged { session_id: changed.id.clone(), ..Default::default() };
    let SessionStep::Opened { holder, until } = &changed.step else { return empty };
    let opened = v1::SessionChanged { until: Some(wire::to_proto_time(*until)), ..empty };
    match holder {
        SessionHolder::Token { name, proof } => {
            v1::SessionChanged { name: name.clone(), token_proof: proof.clone(), ..opened }
        }
        SessionHolder::Provider { name, role } => {
            v1::SessionChanged { name: name.clone(), role: role.clone(), ..opened }
        }
    }
}
