//! Grants as they are shown.

use jiff::Timestamp;
use rollcall_domain::access::entitlement::Grantable;
use rollcall_domain::access::grant::{Grant, GrantRequested, GrantStatus, Lasts};
use rollcall_domain::directory;
use rollcall_domain::ids::{GrantId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::schema;
use crate::api::views::Detail;
use crate::timeline::summary::actor;

/// When and why a grant ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EndedView {
    #[schema(schema_with = schema::time)]
    pub at: Timestamp,
    /// `expired`, `ended`, `denied`, `withdrawn`, `unanswered`, `left` or `extended`.
    pub why: &'static str,
    pub by: String,
}

/// Something that was asked for, for someone, for a time.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GrantView {
    #[schema(value_type = uuid::Uuid)]
    pub id: GrantId,
    #[schema(value_type = uuid::Uuid)]
    pub identity: IdentityId,
    /// Absent for viewers whom it does not concern.
    pub user_name: Option<String>,
    /// `APP`, `APP:group:NAME` or `role:ID`.
    pub what: String,
    /// Its name for people.
    pub name: String,
    #[schema(schema_with = schema::grant_status)]
    pub status: GrantStatus,
    pub requested_by: String,
    #[schema(schema_with = schema::time)]
    pub requested_at: Timestamp,
    /// Absent for viewers whom it does not concern, and of who was erased.
    pub reason: Option<String>,
    pub ticket: Option<String>,
    /// In seconds from its approval, where it was asked for so.
    pub lasts_for: Option<f64>,
    /// `manager`, `owner` and `group:NAME`.
    pub approvers: Vec<String>,
    /// How many different people have to approve it.
    pub approvals: u32,
    pub approved_by: Vec<String>,
    /// Until when it can be approved.
    #[schema(schema_with = schema::time)]
    pub expires_at: Timestamp,
    /// Since when it is, or was, held.
    #[schema(schema_with = schema::time_or_null)]
    pub active_since: Option<Timestamp>,
    /// When it ends, or would end, by itself.
    #[schema(schema_with = schema::time_or_null)]
    pub until: Option<Timestamp>,
    /// The grant that lasts longer by it.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub extends: Option<GrantId>,
    pub ended: Option<EndedView>,
}

impl GrantView {
    pub fn of(
        state: &impl Read,
        grant: &Grant,
        request: Option<&GrantRequested>,
        detail: Detail,
    ) -> Result<Self, KvError> {
        let identity = directory::identity(state, grant.identity)?;
        let user_name = identity.map(|identity| identity.user_name().to_owned()).filter(|name| !name.is_empty());
        let request = detail.show(request).flatten();
        let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let ended = grant.ended.as_ref().map(|ended| -> Result<_, KvError> {
            Ok(EndedView { at: ended.at, why: ended.why.name(), by: shown(state, &ended.by, detail)? })
        });
        Ok(Self {
            id: grant.id,
            identity: grant.identity,
            user_name: detail.show(user_name).flatten(),
            what: grant.what.to_string(),
            name: name_of(state, &grant.what)?,
            status: grant.status(),
            requested_by: shown(state, &grant.requested_by, detail)?,
            requested_at: grant.requested_at,
            reason: request.and_then(|request| said(&request.reason)),
            ticket: request.and_then(|request| said(&request.ticket)),
            lasts_for: match grant.lasts {
                Lasts::For(time) => Some(time.as_secs_f64()),
                Lasts::Until(_) | Lasts::Standing => None,
            },
            approvers: grant.approvers.iter().map(ToString::to_string).collect(),
            approvals: grant.approvals,
            approved_by: grant.approved_by.iter().map(|by| shown(state, by, detail)).collect::<Result<_, _>>()?,
            expires_at: grant.expires_at,
            active_since: grant.active_since,
            until: grant.until.or(match grant.lasts {
                Lasts::Until(until) => Some(until),
                Lasts::For(_) | Lasts::Standing => None,
            }),
            extends: grant.extends,
            ended: ended.transpose()?,
        })
    }
}

/// Who did something: by name to whoever may see names.
fn shown(state: &impl Read, by: &str, detail: Detail) -> Result<String, KvError> {
    match detail {
        Detail::Full => actor(state, by),
        Detail::Impersonal => Ok(by.to_owned()),
    }
}

/// What it is called that was asked for.
pub fn name_of(state: &impl Read, what: &Grantable) -> Result<String, KvError> {
    Ok(match what {
        Grantable::Role(id) => directory::role(state, id)?.map_or_else(|| id.to_string(), |role| role.spec.name),
        Grantable::Entitlement(id) => {
            let spec = directory::app(state, &id.app)?.map(|app| app.spec);
            let described = spec.as_ref().and_then(|spec| spec.entitlement(&id.part));
            described.map_or_else(|| id.to_string(), |known| known.name.clone())
        }
    })
}
