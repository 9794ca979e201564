//! One entry of the audit timeline: an event, for people and auditors.

use jiff::Timestamp;
use rollcall_domain::drift::{DriftId, DriftKind};
use rollcall_domain::group::MemberId;
use rollcall_domain::ids::{AppId, IdentityId, Sequence, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::reconciliation::SyncRequested;
use rollcall_domain::{Event, Recorded};
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::summary::summary;

/// An entry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Entry {
    pub sequence: Sequence,
    pub event_id: Uuid,
    #[serde(rename = "type")]
    pub type_name: String,
    pub schema_version: u32,
    pub recorded_at: Timestamp,
    pub occurred_at: Timestamp,
    pub actor: String,
    pub source: Option<SourceName>,
    pub reason: String,
    /// The deviations from the RFCs that the request relied on.
    #[serde(default)]
    pub quirks: Vec<String>,
    pub summary: String,
    pub changes: Vec<Changed>,
    pub identity: Option<IdentityId>,
    pub app: Option<AppId>,
    pub correlation_id: String,
    pub causation_id: Option<Uuid>,
    pub trace_id: Option<String>,
    /// The payload as it was stored, fields of a newer version named.
    pub details: Value,
}

impl Entry {
    /// The entry of an event, and every identity whose timeline it belongs to.
    pub fn of(event: &Recorded, state: &impl Read) -> Result<(Self, Vec<IdentityId>), KvError> {
        let (identities, app, changes) = about(&event.event);
        let details = rollcall_proto::payload_json(&event.type_name, &event.payload)
            .unwrap_or_else(|e| serde_json::json!({ "undecodable": e.to_string() }));
        let meta = &event.meta;
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
            correlation_id: meta.correlation_id.clone(),
            causation_id: meta.causation_id,
            trace_id: meta.trace.traceparent.split('-').nth(1).map(str::to_owned),
            details,
        };
        Ok((entry, identities))
    }
}

fn about(event: &Event) -> (Vec<IdentityId>, Option<AppId>, Vec<Changed>) {
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
        Event::AccountAdopted(e) => (vec![e.identity], Some(e.app.clone()), Vec::new()),
        Event::AppDiscovered(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::AppQuarantined(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::AppRecovered(id) => (Vec::new(), Some(id.clone()), Vec::new()),
        Event::DriftDetected(e) => (whose(&e.id), Some(e.id.app.clone()), e.differences.clone()),
        Event::DriftCleared(id) => (whose(id), Some(id.app.clone()), Vec::new()),
        Event::DriftAccepted(e) => (whose(&e.id), Some(e.id.app.clone()), Vec::new()),
        Event::ObligationWaived(e) => (vec![e.id.identity], Some(e.id.app.clone()), Vec::new()),
        Event::HoldPlaced(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::HoldDecided(_) => (Vec::new(), None, Vec::new()),
        Event::Reconciliation(e) => (Vec::new(), Some(e.app.clone()), Vec::new()),
        Event::SyncRequested(SyncRequested::Identity(id)) => (vec![*id], None, Vec::new()),
        Event::SyncRequested(SyncRequested::App(app)) => (Vec::new(), Some(app.clone()), Vec::new()),
        Event::ObligationAtRisk(e) => (vec![e.id.identity], Some(e.id.app.clone()), Vec::new()),
        Event::LeaverCompleted(e) => (vec![e.identity], None, Vec::new()),
        Event::ObligationOverdue(e) => (vec![e.id.identity], Some(e.id.app.clone()), Vec::new()),
        Event::AlertFired(e) | Event::AlertResolved(e) => {
            (e.about.identity().into_iter().collect(), e.about.app().cloned(), Vec::new())
        }
        Event::Unknown => (Vec::new(), None, Vec::new()),
    }
}

/// The account of nobody belongs to no timeline but that of its app.
fn whose(id: &DriftId) -> Vec<IdentityId> {
    if id.kind == DriftKind::Orphan { Vec::new() } else { vec![id.identity] }
}
