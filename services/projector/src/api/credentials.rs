//! Credentials: whose they are, and which of them must not open anything any more.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::access::credential::{Compromised, Credential, Inventory, Presence};
use rollcall_domain::ids::CredentialId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, EventMeta, NewEvent, directory, ledger};
use rollcall_event_log::{Expect, Unit, by_service};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::decisions::{Answer as Decided, Said, read, reason};
use crate::api::machines::asked_owner;
use crate::api::paging::{Answer, Extent, List, One, Who, page, page_where, under};
use crate::api::params;
use crate::api::query::Path;
use crate::api::views::{CredentialView, InventoryView};
use crate::error::{ApiError, Problem, ProblemBody};

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// A credential that was not used for this long counts as unused.
const UNUSED: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(credentials))
        .routes(routes!(credential))
        .routes(routes!(inventories))
        .routes(routes!(compromised))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// A filter of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialIs {
    ToRevoke,
    Compromised,
    OfNobody,
    Expired,
    /// The same secret for longer than `machines.max_credential_age`.
    OverAge,
    Unused,
    Gone,
}

impl CredentialIs {
    /// Each.
    pub const ALL: [Self; 7] =
        [Self::ToRevoke, Self::Compromised, Self::OfNobody, Self::Expired, Self::OverAge, Self::Unused, Self::Gone];

    /// Its name in questions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ToRevoke => "to_revoke",
            Self::Compromised => "compromised",
            Self::OfNobody => "of_nobody",
            Self::Expired => "expired",
            Self::OverAge => "over_age",
            Self::Unused => "unused",
            Self::Gone => "gone",
        }
    }

    /// Whether a credential matches this filter. Every filter except `Gone` and `ToRevoke` matches only credentials that are listed now.
    pub fn holds(
        self,
        state: &impl Read,
        credential: &Credential,
        (now, max_age): (Timestamp, Duration),
    ) -> Result<bool, KvError> {
        let listed = &credential.listed;
        let is_so = match self {
            Self::Gone => return Ok(credential.presence != Presence::Listed),
            // A credential that no list has may still have to be revoked: a list from before the obligation does not end it.
            Self::ToRevoke => return Ok(!ledger::revocations_of_credential(state, listed.id)?.is_empty()),
            Self::Compromised => credential.standing_report().is_some(),
            Self::OfNobody => listed.holder.is_none(),
            Self::Expired => listed.expires_at.is_some_and(|end| end <= now),
            Self::OverAge => credential.is_over_age(now, max_age),
            Self::Unused => {
                let last = listed.used_at.or(listed.issued_at).unwrap_or(credential.first_listed_at);
                now.duration_since(last) >= UNUSED
            }
        };
        Ok(is_so && credential.presence == Presence::Listed)
    }
}

/// Keys, tokens and certificates, as their inventories list them.
#[utoipa::path(get, path = "/v1/credentials", tag = "machines", params(params::Credentials), responses(
    (status = 200, body = List<CredentialView>), Problem
))]
async fn credentials(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<CredentialView>> {
    let query = api.query::<params::Credentials>(pairs)?;
    let is: Option<CredentialIs> = query.word("is")?;
    let inventory = query.text("inventory");
    let snapshot = api.snapshot(&query).await?;
    let state = &snapshot.state;
    let holder = query.text("holder").map(|holder| asked_owner(state, &person, holder)).transpose()?;
    let now = (snapshot.as_of.instant, api.max_credential_age);
    let is_wanted = |credential: &Credential| {
        let is_so = match is {
            Some(is) => is.holds(state, credential, now)?,
            None => credential.presence == Presence::Listed,
        };
        let is_theirs = match holder {
            None => true,
            Some(holder) if credential.listed.person() == holder => true,
            // It has another holder now; the former one, who is asked for, still knows the secret.
            Some(holder) => {
                let owed = ledger::revocation(state, holder, credential.listed.id)?;
                owed.is_some_and(|owed| !owed.owes.is_empty())
            }
        };
        Ok::<_, KvError>(
            is_so && is_theirs && inventory.is_none_or(|name| credential.listed.inventory.as_str() == name),
        )
    };
    let extent = Extent::of(&query)?;
    let (found, next_cursor) = match holder {
        Some(holder) => {
            let held = |after: Option<&str>, look| directory::credentials_held_after(state, holder, after, look);
            page_where(held, query.cursor(), extent, is_wanted)?
        }
        None => page_where(under(state, directory::CREDENTIALS), query.cursor(), extent, is_wanted)?,
    };
    let shown = found.iter().map(|credential| CredentialView::of(state, credential, person.sees()));
    let items = shown.collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// One credential, listed or gone.
#[utoipa::path(get, path = "/v1/credentials/{id}", tag = "machines",
    params(("id" = Uuid, Path, description = "The credential."), params::AsOfOnly), responses(
    (status = 200, body = One<CredentialView>), Problem
))]
async fn credential(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<CredentialView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let found = known(&snapshot.state, &id)?;
    let item = CredentialView::of(&snapshot.state, &found, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

/// A credential by its id, listed or gone.
///
/// # Errors
/// 404, and when the state can't be read.
pub fn known(state: &impl Read, id: &str) -> Result<Credential, ApiError> {
    let parsed: CredentialId = id.parse().map_err(|_| unknown("credential", id))?;
    directory::credential(state, parsed)?.ok_or_else(|| unknown("credential", id))
}

/// The inventories, and their last lists.
#[utoipa::path(get, path = "/v1/inventories", tag = "machines", params(params::Inventories), responses(
    (status = 200, body = List<InventoryView>), Problem
))]
async fn inventories(State(api): Shared, pairs: Pairs) -> Answer<List<InventoryView>> {
    let query = api.query::<params::Inventories>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let such = |inventory: &Inventory| inventory.read.is_some();
    let (found, next_cursor) = page(&snapshot.state, directory::INVENTORIES, &query, such)?;
    let items = found.iter().filter_map(InventoryView::of).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Why others may know the secret.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CompromisedBody {
    reason: String,
}

/// Reports that others may know the secret of a credential: it is to be revoked within the shortest time. Takes the role of an operator.
#[utoipa::path(post, path = "/v1/credentials/{id}/compromised", tag = "machines", request_body = CompromisedBody,
    params(("id" = Uuid, Path, description = "The credential.")), responses(
    (status = 202, body = Said), (status = 409, body = ProblemBody, description = "It is gone, or was reported."), Problem
))]
pub async fn compromised(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Decided {
    person.needs(Role::Operator)?;
    let view = api.fresh().await?;
    let found = known(&view, &id)?;
    let CompromisedBody { reason: said } = read(&body)?;
    let reason = reason(&said)?;
    if found.presence != Presence::Listed {
        return Err(ApiError::Conflict("it is gone: its inventory does not list it any more".into()));
    }
    if found.standing_report().is_some() {
        return Err(ApiError::Conflict("it was reported before, and its secret is the same".into()));
    }
    let (actor, correlation_id) = (person.actor(&view)?, Uuid::now_v7().to_string());
    let meta = EventMeta { reason: reason.clone(), ..by_service(&actor, &correlation_id, None) };
    let event = Event::CredentialCompromised(Compromised { id: found.listed.id, holder: found.listed.holder, reason });
    let sequence = api.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}
