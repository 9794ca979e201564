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
use rollcall_domain::ids::AppId;
use rollcall_domain::kv::{KvError, Read, Write, load, load_all, store};
use rollcall_domain::{Event, Recorded, directory};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::{Api, Person, Shared, unknown};
use crate::error::{ApiError, Problem};
use crate::query::Path;
use crate::words;

const PREFIX: &str = "api-token/";

/// What every token begins with, so that who looks for lost secrets finds it.
const MARK: &str = "rollcall_";

/// The random part of a token, in bytes.
const RANDOM: usize = 32;

/// How often it is said that one is used.
const SAID_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// How long a token lasts when nobody says.
const LASTS: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How long one may last.
const LASTS_AT_MOST: SignedDuration = SignedDuration::from_hours(366 * 24);

/// The longest name.
const MAX_NAME: usize = 100;

/// A token in the projection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct KnownToken {
    pub id: String,
    pub issued: IssuedToken,
    pub issued_by: String,
    pub issued_at: Timestamp,
    pub used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

impl KnownToken {
    /// Whether it opens anything.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.issued.expires_at
    }

    /// Whether that it is used has not been said for a while.
    #[must_use]
    pub fn is_silent(&self, now: Timestamp) -> bool {
        self.used_at.is_none_or(|at| now.duration_since(at) > SAID_EVERY)
    }

    /// Whose it is.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        let apps = Some(self.issued.apps.clone()).filter(|apps| !apps.is_empty());
        Some(Person { name: self.issued.name.clone(), role: Role::from_name(&self.issued.role)?, apps })
    }
}

/// Keeps the tokens.
///
/// # Errors
/// When the state can't be read.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let Event::ApiToken(ApiTokenChanged { id, step }) = &event.event else { return Ok(()) };
    let key = format!("{PREFIX}{id}");
    let now = event.recorded_at;
    let changed = match (step, load::<KnownToken>(state, &key)?) {
        (ApiTokenStep::Issued(issued), None) => KnownToken {
            id: id.clone(),
            issued: issued.clone(),
            issued_by: event.meta.actor.clone(),
            issued_at: now,
            used_at: None,
            revoked_at: None,
        },
        (ApiTokenStep::Used, Some(token)) => KnownToken { used_at: Some(now), ..token },
        (ApiTokenStep::Revoked, Some(token)) => {
            KnownToken { revoked_at: Some(token.revoked_at.unwrap_or(now)), ..token }
        }
        _ => return Ok(()),
    };
    store(state, key, &changed);
    Ok(())
}

/// Every token that was ever made.
///
/// # Errors
/// When the state can't be read.
pub fn all(state: &impl Read) -> Result<Vec<KnownToken>, KvError> {
    Ok(load_all(state, PREFIX, None, usize::MAX)?.into_iter().map(|(_, token)| token).collect())
}

/// Who is behind a name: of a token that was made here, whoever made it, and so on to one that was not made here. What a person
/// does with tokens that they have made themselves is what they do.
///
/// # Errors
/// When the state can't be read.
pub fn root(state: &impl Read, name: &str) -> Result<String, KvError> {
    let all = all(state)?;
    let (mut root, mut seen) = (name.to_owned(), BTreeSet::new());
    // The newest of that name: an older one may have been revoked.
    while let Some(token) = all.iter().filter(|t| t.issued.name == root).max_by_key(|t| t.issued_at) {
        if !seen.insert(root.clone()) {
            break;
        }
        root.clone_from(&token.issued_by);
    }
    Ok(root)
}

/// What is kept of a token.
#[must_use]
pub fn digest(token: &str) -> Vec<u8> {
    Sha512::digest(token.as_bytes()).to_vec()
}

/// The token with this name that opens something.
///
/// # Errors
/// When the state can't be read.
pub fn live_by_name(state: &impl Read, name: &str, now: Timestamp) -> Result<Option<KnownToken>, KvError> {
    Ok(all(state)?.into_iter().find(|token| token.issued.name == name && token.is_live(now)))
}

/// The token that someone has sent, when it is one that was made here and opens something.
///
/// # Errors
/// When the state can't be read.
pub fn find(state: &impl Read, sent: &str, now: Timestamp) -> Result<Option<KnownToken>, KvError> {
    let Some(id) = id_of(sent) else { return Ok(None) };
    let found = load::<KnownToken>(state, &format!("{PREFIX}{id}"))?;
    let is_it = |token: &KnownToken| bool::from(token.issued.digest.as_slice().ct_eq(&digest(sent)));
    Ok(found.filter(|token| is_it(token) && token.is_live(now)))
}

/// The part of a token that says which it is.
#[must_use]
pub fn id_of(sent: &str) -> Option<&str> {
    let id = sent.strip_prefix(MARK)?.split('_').next()?;
    (id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit())).then_some(id)
}

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
    #[schema(schema_with = words::time)]
    issued_at: Timestamp,
    #[schema(schema_with = words::time)]
    expires_at: Timestamp,
    /// When it was used last, to the hour.
    #[schema(schema_with = words::time_or_null)]
    used_at: Option<Timestamp>,
    #[schema(schema_with = words::time_or_null)]
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
    #[schema(schema_with = words::time_or_null)]
    expires_at: Option<Timestamp>,
}

/// A new token: it is shown once.
#[derive(Debug, Serialize, ToSchema)]
struct Issued {
    id: String,
    token: String,
    #[schema(schema_with = words::time)]
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
    api.append(&person.name, event).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_which_it_is() {
        let id = "0123456789abcdef0123456789abcdef";
        assert_eq!(id_of(&format!("rollcall_{id}_secret_with_bars")), Some(id));
        for other in ["rollcall_", "rollcall_short_x", "secret", &format!("other_{id}_x")] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
