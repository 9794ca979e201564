//! Drift.

use jiff::Timestamp;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::{DriftId, DriftItem};
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_scim::Changed;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::schema;
use crate::api::views::{Detail, ExceptionView};

/// A difference between two versions.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[allow(dead_code, reason = "describes rollcall_scim::Changed, which knows nothing of the API")]
pub struct ChangedView {
    pub path: String,
    /// Absent: was not set, or may not be seen.
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// An open difference between what is desired and what was read.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DriftView {
    #[schema(value_type = String)]
    pub id: DriftId,
    #[schema(value_type = String)]
    pub app: AppId,
    /// None: it belongs to nobody.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub identity: Option<IdentityId>,
    #[schema(schema_with = schema::drift_kind)]
    pub kind: DriftKind,
    /// Absent for viewers.
    pub remote_id: Option<String>,
    /// Absent for viewers.
    pub user_name: Option<String>,
    #[schema(value_type = Vec<ChangedView>)]
    pub differences: Vec<Changed>,
    #[schema(schema_with = schema::time)]
    pub detected_at: Timestamp,
    pub age_hours: f64,
    /// When the app last refused what would mend it.
    #[schema(schema_with = schema::time_or_null)]
    pub refused_at: Option<Timestamp>,
    pub accepted: Option<ExceptionView>,
    #[schema(value_type = u64)]
    pub version: Sequence,
}

impl DriftView {
    /// An open drift item.
    pub fn of(item: &DriftItem, now: Timestamp, detail: Detail) -> Self {
        Self {
            id: item.id.clone(),
            app: item.id.app.clone(),
            identity: Some(item.id.identity).filter(|_| item.id.kind != DriftKind::Orphan),
            kind: item.id.kind,
            remote_id: detail.show(item.remote_id.clone()),
            user_name: detail.show(item.user_name.clone()),
            differences: detail.changes(&item.differences),
            detected_at: item.detected_at,
            age_hours: now.duration_since(item.detected_at).as_secs_f64() / 3600.0,
            refused_at: item.refused.map(|refused| refused.at),
            accepted: item.accepted.as_ref().map(|exception| ExceptionView::of(exception, detail)),
            version: item.version,
        }
    }
}
