//! One entry of the audit timeline: an event, for people and auditors.

use std::borrow::Cow;

use jiff::Timestamp;
use rollcall_domain::access::entitlement::Grantable;
use rollcall_domain::access::grant::GrantStep;
use rollcall_domain::access::handover::HandoverStep;
use rollcall_domain::access::outcome::{Applied, Rejected, Verified};
use rollcall_domain::drift::DriftId;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::reconciliation::SyncRequested;
use rollcall_domain::governance::approval::ApprovalStep;
use rollcall_domain::identity::group::MemberId;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::ids::{AppId, IdentityId, Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, Recorded, ledger};
use rollcall_proto::{EventType, personal};
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::schema;
use crate::api::views::ChangedView;
use crate::timeline::entries;
use crate::timeline::summary::summary;

/// An entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[allow(missing_docs)]
pub struct Entry {
    #[schema(value_type = u64)]
    pub sequence: Sequence,
    pub event_id: Uuid,
    /// Such as `identity.left`; one that this version does not know is shown as it is.
    #[serde(rename = "type")]
    pub type_name: String,
    pub schema_version: u32,
    /// The log's clock.
    #[schema(schema_with = schema::time)]
    pub recorded_at: Timestamp,
    /// The clock of whoever appended it.
    #[schema(schema_with = schema::time)]
    pub occurred_at: Timestamp,
    pub actor: String,
    #[schema(value_type = Option<String>)]
    pub source: Option<SourceName>,
    pub reason: String,
    /// The deviations from the RFCs that the request relied on.
    #[serde(default)]
    pub quirks: Vec<String>,
    pub summary: String,
    #[schema(value_type = Vec<ChangedView>)]
    pub changes: Vec<Changed>,
    #[schema(value_type = Option<Uuid>)]
    pub identity: Option<IdentityId>,
    #[schema(value_type = Option<String>)]
    pub app: Option<AppId>,
    /// What it means for the identity, or what it is about.
    #[schema(schema_with = schema::change_kind_or_null)]
    pub change: Option<ChangeKind>,
    /// By when: the deadline of the obligation that it is about, or the first of those that it opened.
    #[schema(schema_with = schema::time_or_null)]
    pub deadline: Option<Timestamp>,
    /// The same for everything that one request led to: `?correlation_id=` tells the whole story.
    pub correlation_id: String,
    /// The event that led to this one.
    pub causation_id: Option<Uuid>,
    /// The same as its position; `?caused_by=` with this entry's `event_id` leads the other way.
    #[schema(value_type = Option<u64>)]
    pub caused_by: Option<Sequence>,
    pub trace_id: Option<String>,
    /// The payload as it was stored, fields of a newer version named.
    #[schema(value_type = Object)]
    pub details: Value,
}

/// What stands where a person was.
pub const ERASED: &str = "erased";

/// The same of an entry as it is stored.
///
/// # Errors
/// When it is damaged.
pub fn is_erased(stored: &[u8]) -> Result<bool, serde_json::Error> {
    #[derive(Deserialize)]
    struct Shown<'a> {
        #[serde(borrow, rename = "type")]
        type_name: Cow<'a, str>,
        #[serde(borrow)]
        summary: Cow<'a, str>,
    }
    let Shown { type_name, summary } = serde_json::from_slice(stored)?;
    Ok(summary.strip_prefix(&*type_name).is_some_and(|rest| rest.strip_prefix(": ") == Some(ERASED)))
}

impl Entry {
    /// The same without what is personal, as it would be made of the event without its key.
    #[must_use]
    pub fn erased(mut self) -> Self {
        self.summary = format!("{}: {ERASED}", self.type_name);
        let names = EventType::from_name(&self.type_name).map(personal::names).unwrap_or_default();
        // Nothing of it was sealed: it is about a group, and they are one of its members.
        if names.is_empty() {
            return self;
        }
        self.reason.clear();
        self.changes.clear();
        // What was asked for says where.
        if self.type_name == EventType::ApprovalRequested.name() {
            self.app = None;
        }
        if let Some(details) = self.details.as_object_mut() {
            details.retain(|name, _| !names.contains(name));
        }
        self
    }

    /// Whether what is personal was taken out.
    pub fn is_erased(&self) -> bool {
        self.summary.strip_prefix(&self.type_name).is_some_and(|rest| rest.strip_prefix(": ") == Some(ERASED))
    }

    /// The entry of an event, and every identity whose timeline it belongs to.
    pub fn of(event: &Recorded, state: &impl Read) -> Result<(Self, Vec<IdentityId>), KvError> {
        let (identities, app, changes) = about(&event.event);
        let details = details(event);
        let meta = &event.meta;
        let (change, deadline) = due(&event.event, event.sequence, app.as_ref(), state)?;
        let caused_by = meta.causation_id.map(|id| entries::sequence_of(state, id)).transpose()?.flatten();
        let entry = Self {
            sequence: event.sequence,
            event_id: meta.event_id,
            type_name: event.type_name.clone(),
            schema_version: event.schema_version,
            recorded_at: event.recorded_at,
            occurred_at: meta.occurred_at,
            actor: meta.actor.clone(),
            source: meta.source.clone(),
            reason: meta.reason.clone(),
            quirks: meta.quirks.clone(),
            summary: summary(event, state)?,
            changes,
            identity: identities.first().copied().filter(|_| identities.len() == 1),
            app,
            change,
            deadline,
            caused_by,
            correlation_id: meta.correlation_id.clone(),
            causation_id: meta.causation_id,
            trace_id: meta.trace.traceparent.split('-').nth(1).map(str::to_owned),
            details,
        };
        Ok((entry, identities))
    }
}

/// The payload as it was stored, fields of a newer version named.
pub fn details(event: &Recorded) -> Value {
    match &event.event {
        // Half a megabyte that nobody reads: an export has it.
        Event::Checkpoint(e) => json!({ "from": e.from, "size": e.size, "note": e.note }),
        _ => rollcall_proto::payload_json(&event.type_name, &event.payload)
            .unwrap_or_else(|e| json!({ "undecodable": e.to_string() })),
    }
}

/// The kind of change that an event is about, and by when.
fn due(
    event: &Event,
    sequence: Sequence,
    app: Option<&AppId>,
    state: &impl Read,
) -> Result<(Option<ChangeKind>, Option<Timestamp>), KvError> {
    Ok(match event {
        Event::Identity(e) => {
            let kind = e.change.kind();
            // A change of no kind opens nothing.
            let opened = kind.map(|_| ledger::obligations_opened_by(state, e.id, sequence)).transpose()?;
            (kind, opened.iter().flatten().map(|o| o.deadline).min())
        }
        Event::ObligationAtRisk(e) => (Some(e.change), Some(e.deadline)),
        Event::ObligationOverdue(e) => (Some(e.change), Some(e.deadline)),
        Event::LeaverCompleted(_) => (Some(ChangeKind::Leaver), None),
        Event::IdentitySwitched(Switched { id, to: Switch::Off, .. }) => {
            let opened = ledger::obligations_opened_by(state, *id, sequence)?;
            (Some(ChangeKind::Disable), opened.iter().map(|o| o.deadline).min())
        }
        Event::Grant(changed) => {
            let opened = ledger::obligations_opened_by(state, changed.identity, sequence)?;
            let deadline = opened.iter().map(|o| o.deadline).min();
            (deadline.map(|_| ChangeKind::Grant), deadline)
        }
        Event::AccountApplied(Applied { identity, .. })
        | Event::AccountVerified(Verified { identity, .. })
        | Event::AccountRejected(Rejected { identity, .. }) => {
            let owed = app.map(|app| ledger::last_obligation(state, *identity, app)).transpose()?.flatten();
            (owed.as_ref().map(|o| o.change), owed.map(|o| o.deadline))
        }
        _ => (None, None),
    })
}

/// Whom an event is about, in which app, and what it changes.
pub fn about(event: &Event) -> (Vec<IdentityId>, Option<AppId>, Vec<Changed>) {
    match event {
        Event::Identity(e) => (vec![e.id], None, e.changed.clone()),
        // Owners share one space of ids with identities.
        Event::NameClaimed(e) | Event::NameReleased(e) => (vec![IdentityId(e.owner)], None, Vec::new()),
        Event::Group(e) => {
            (e.added.iter().chain(&e.removed).filter_map(MemberId::identity).collect(), None, e.changed.clone())
        }
        Event::Resource(e) => (Vec::new(), None, e.changed.clone()),
        Event::ChangeRefused(e) => {
            let denied = e.denied.iter().map(|d| d.change.clone()).collect();
            (e.target.map(IdentityId).into_iter().collect(), None, denied)
        }
        Event::AppConfigured(e) => (Vec::new(), Some(e.id.clone()), Vec::new()),
        Event::AppRemoved(id) => (Vec::new(), Some(id.clone()), Vec::new()),
        Event::AccountApplied(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AccountVerified(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AccountRejected(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AccountAttempted(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AccountAdopted(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AccountAttested(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::TaskDone(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::TaskUndone(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AppDiscovered(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::AppQuarantined(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::AppRecovered(now) => (Vec::new(), Some(now.app.clone()), Vec::new()),
        Event::DriftDetected(e) => (whose(&e.id), Some(e.id.app.clone()), e.differences.clone()),
        Event::DriftCleared(id) => (whose(id), Some(id.app.clone()), Vec::new()),
        Event::DriftAccepted(e) => (whose(&e.id), Some(e.id.app.clone()), Vec::new()),
        Event::ObligationWaived(e) => (vec![e.id.subject.identity()], e.id.subject.app().cloned(), Vec::new()),
        Event::HoldPlaced(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::HoldDecided(_) => (Vec::new(), None, Vec::new()),
        Event::Drill(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::Reconciliation(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::SyncRequested(SyncRequested::Identity(id)) => (vec![*id], None, Vec::new()),
        Event::SyncRequested(
            SyncRequested::App(app) | SyncRequested::Gone { app, .. } | SyncRequested::Same { app, .. },
        ) => (Vec::new(), Some(app.clone()), Vec::new()),
        Event::ObligationAtRisk(e) => (vec![e.id.subject.identity()], e.id.subject.app().cloned(), Vec::new()),
        Event::LeaverCompleted(e) => (vec![e.identity], None, Vec::new()),
        Event::ObligationOverdue(e) => (vec![e.id.subject.identity()], e.id.subject.app().cloned(), Vec::new()),
        Event::AlertFired(e) | Event::AlertResolved(e) => {
            (e.about.identity().into_iter().collect(), e.about.app().cloned(), Vec::new())
        }
        Event::Session(_) | Event::ApiToken(_) => (Vec::new(), None, Vec::new()),
        Event::Approval(e) => match &e.step {
            ApprovalStep::Requested { wanted, about: whom, .. } => {
                (whom.iter().copied().collect(), about(wanted).1, Vec::new())
            }
            ApprovalStep::Approved | ApprovalStep::Denied => (Vec::new(), None, Vec::new()),
        },
        Event::ConfigurationRead(e) => (Vec::new(), None, e.changed.clone()),
        Event::EffectFailed(e) => (vec![e.id], None, Vec::new()),
        Event::ErasureOrdered(e) => (vec![e.id], None, Vec::new()),
        Event::IdentityErased(e) => (vec![e.id], None, Vec::new()),
        Event::IdentitySwitched(e) => (vec![e.id], None, Vec::new()),
        Event::RoleConfigured(_)
        | Event::RoleRemoved(_)
        | Event::PolicyConfigured(_)
        | Event::PolicyRemoved(_)
        | Event::SeparationConfigured(_)
        | Event::SeparationRemoved(_)
        | Event::Configuring(_)
        | Event::Reevaluated(_)
        | Event::ReevaluationConfigured(_) => (Vec::new(), None, Vec::new()),
        Event::ViolationAccepted(e) => (vec![e.identity], None, Vec::new()),
        Event::MachinesConfigured(_) | Event::InventoryRead(_) => (Vec::new(), None, Vec::new()),
        Event::CredentialListed(e) => (e.holder.into_iter().collect(), e.app.clone(), Vec::new()),
        Event::CredentialUnlisted(e) => (e.holder.into_iter().collect(), None, Vec::new()),
        Event::CredentialCompromised(e) => (e.holder.into_iter().collect(), None, Vec::new()),
        Event::Handover(e) => {
            let to = match e.step {
                HandoverStep::Accepted(to) | HandoverStep::Passed(to) => Some(to),
                HandoverStep::Retired => None,
            };
            ([e.owner, e.machine].into_iter().chain(to).collect(), None, Vec::new())
        }
        Event::Grant(e) => {
            let app = match &e.step {
                GrantStep::Requested(asked) => match &asked.what {
                    Grantable::Entitlement(id) => Some(id.app.clone()),
                    Grantable::Role(_) => None,
                },
                GrantStep::Approved | GrantStep::Ended { .. } => None,
            };
            (vec![e.identity], app, Vec::new())
        }
        Event::Access(e) => (e.identity.into_iter().collect(), None, Vec::new()),
        Event::Checkpoint(_) | Event::Unknown => (Vec::new(), None, Vec::new()),
    }
}

/// The account of nobody belongs to no timeline but that of its app.
fn whose(id: &DriftId) -> Vec<IdentityId> {
    if id.kind == DriftKind::Orphan { Vec::new() } else { vec![id.identity] }
}
