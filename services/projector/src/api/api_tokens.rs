//! API tokens that are made while Rollcall runs. Keys: `api-token/<id>`. The log has a digest of each.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use axum_extra::extract::cookie::Key;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::governance::api_token::{ApiTokenChanged, ApiTokenStep, IssuedToken};
use rollcall_domain::identity::is_reserved;
use rollcall_domain::ids::AppId;
use rollcall_domain::kv::load;
use rollcall_domain::{Event, directory};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Shared, unknown};
use crate::api::person::Person;
use crate::api::query::Path;
use crate::api::schema;
use crate::error::{ApiError, Problem};
use crate::state::api_tokens::{KnownToken, MARK, PREFIX, RANDOM, all, digest, live_by_name};

/// How long a token lasts when nobody says.
const LASTS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How long one may last.
const LASTS_AT_MOST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The longest name.
const MAX_NAME: usize = 100;

/// A token that is made while Rollcall runs.
#[derive(Debug, Serialize, ToSchema)]
struct TokenView {
    id: String,
    name: String,
    role: String,
    /// What it is for; none: all apps.
    #[schema(value_type = Vec<String>)]
    apps: BTreeSet<AppId>,
    issued_by: String,
    #[schema(schema_with = schema::time)]
    issued_at: Timestamp,
    #[schema(schema_with = schema::time)]
    expires_at: Timestamp,
    /// When it was used last, to the hour.
    #[schema(schema_with = schema::time_or_null)]
    used_at: Option<Timestamp>,
    #[schema(schema_with = schema::time_or_null)]
    revoked_at: Option<Timestamp>,
}

impl From<KnownToken> for TokenView {
    fn from(token: KnownToken) -> Self {
        let IssuedToken { name, role, apps, expires_at, .. } = token.issued;
        let KnownToken { id, issued_by, issued_at, used_at, revoked_at, .. } = token;
        Self { id, name, role, apps, issued_by, issued_at, expires_at, used_at, revoked_at }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct TokenList {
    items: Vec<TokenView>,
}

/// Whose a new token is, what it may do and how long.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct IssueBody {
    name: String,
    /// viewer, auditor, operator or admin.
    role: String,
    /// What it is for; none: all apps.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    apps: BTreeSet<AppId>,
    /// At most 366 days ahead; absent: in 90 days.
    #[serde(default)]
    #[schema(schema_with = schema::time_or_null)]
    expires_at: Option<Timestamp>,
}

/// A new token: it is shown once.
#[derive(Debug, Serialize, ToSchema)]
struct Issued {
    id: String,
    token: String,
    #[schema(schema_with = schema::time)]
    expires_at: Timestamp,
}

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(tokens, issue)).routes(routes!(revoke))
}

/// The API tokens that were made while Rollcall runs; those of the configuration are not among them.
#[utoipa::path(get, path = "/v1/tokens", tag = "state", responses((status = 200, body = TokenList), Problem))]
async fn tokens(State(api): Shared, Extension(person): Extension<Person>) -> Result<Json<TokenList>, ApiError> {
    person.needs(Role::Admin)?;
    let items = all(&api.fresh().await?)?.into_iter().map(TokenView::from).collect();
    Ok(Json(TokenList { items }))
}

/// Makes an API token; it is shown once, and kept nowhere.
#[utoipa::path(post, path = "/v1/tokens", tag = "decisions", request_body = IssueBody, responses(
    (status = 201, body = Issued), Problem
))]
async fn issue(
    State(api): Shared,
    Extension(person): Extension<Person>,
    body: Bytes,
) -> Result<(StatusCode, Json<Issued>), ApiError> {
    person.needs(Role::Admin)?;
    let IssueBody { name, role, apps, expires_at } =
        serde_json::from_slice(&body).map_err(|e| ApiError::BadRequest(format!("the body: {e}")))?;
    let (name, now) = (name.trim().to_owned(), Timestamp::now());
    let is_name = !name.is_empty() && name.chars().count() <= MAX_NAME && !name.chars().any(char::is_control);
    if !is_name {
        return Err(ApiError::BadRequest(format!("'name' must have from 1 to {MAX_NAME} characters")));
    }
    if is_reserved(&name) {
        return Err(ApiError::BadRequest(format!(
            "'name': nobody is called '{name}': 'identity:' and 'link:' are ours"
        )));
    }
    if Role::from_name(&role).is_none() {
        return Err(ApiError::BadRequest(format!("'role': '{role}' must be viewer, auditor, operator or admin")));
    }
    let expires_at = expires_at.unwrap_or_else(|| now + LASTS);
    if expires_at <= now || expires_at.duration_since(now) > LASTS_AT_MOST {
        let days = LASTS_AT_MOST.as_hours() / 24;
        return Err(ApiError::BadRequest(format!("'expires_at' must be ahead, and at most {days} days")));
    }
    let view = api.fresh().await?;
    for app in &apps {
        directory::app(&view, app)?.ok_or_else(|| ApiError::BadRequest(format!("'apps': there is no app '{app}'")))?;
    }
    let is_taken = api.tokens.iter().any(|token| token.name == name) || live_by_name(&view, &name, now)?.is_some();
    if is_taken {
        return Err(ApiError::Conflict(format!("there is a token '{name}' already: what is done is told by its name")));
    }
    let id = Uuid::new_v4().simple().to_string();
    let random: Vec<u8> = Key::generate().master().iter().copied().take(RANDOM).collect();
    let token = format!("{MARK}{id}_{}", URL_SAFE_NO_PAD.encode(random));
    let issued = IssuedToken { name, role, apps, digest: digest(&token), expires_at };
    let event = Event::ApiToken(ApiTokenChanged { id: id.clone(), step: ApiTokenStep::Issued(issued) });
    // Who they are is known by that as long as it opens something, whatever their own token is called by then.
    api.append(&person.actor(&view)?, event).await?;
    Ok((StatusCode::CREATED, Json(Issued { id, token, expires_at })))
}

/// Revokes an API token: it opens nothing any more, and what was signed in with it ends.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "decisions", params(("id" = String, Path, description = "Which.")), responses(
    (status = 202, description = "It is revoked."), Problem
))]
async fn revoke(
    State(api): Shared,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    person.needs(Role::Admin)?;
    let view = api.fresh().await?;
    let token: KnownToken = load(&view, &format!("{PREFIX}{id}"))?.ok_or_else(|| unknown("API token", &id))?;
    let event = Event::ApiToken(ApiTokenChanged { id: token.id, step: ApiTokenStep::Revoked });
    api.append(&person.name, event).await?;
    Ok(StatusCode::ACCEPTED)
}
