//! `/v1/identities`: people and machines, now or as of an instant.

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::content::Content;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::Read;
use rollcall_domain::{directory, ledger};

use crate::api::context::{Pairs, Shared, unknown};
use crate::api::paging::{Answer, List, One, Who, page};
use crate::api::params;
use crate::api::query::{Path, Query};
use crate::api::views::{Detail, IdentitySummary, IdentityView};
use crate::as_of::Snapshot;
use crate::error::{ApiError, Problem};
use crate::state::search;

/// An identity by the id in a path.
pub fn known_identity(state: &impl Read, id: &str) -> Result<Identity, ApiError> {
    let parsed: IdentityId = id.parse().map_err(|_| unknown("identity", id))?;
    directory::identity(state, parsed)?.ok_or_else(|| unknown("identity", id))
}

/// Who there is.
#[utoipa::path(get, path = "/v1/identities", tag = "state", params(params::Identities), responses(
    (status = 200, body = List<IdentitySummary>), Problem
))]
pub async fn identities(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<IdentitySummary>> {
    let query = api.query::<params::Identities>(pairs)?;
    let lifecycle: Option<Lifecycle> = query.word("lifecycle")?;
    let (user_name, name) = (query.text("user_name"), query.text("name"));
    if user_name.is_some() || name.is_some() {
        // Whether someone is here is personal, too.
        person.needs(Role::Auditor)?;
    }
    let snapshot = api.snapshot(&query).await?;
    let disabled: Option<bool> = query.parsed("disabled", "true or false")?;
    if disabled == Some(true) {
        return switched_off(&snapshot, &query, person.sees());
    }
    let (found, next_cursor) = match (user_name, name) {
        (Some(_), Some(_)) => return Err(ApiError::BadRequest("give 'name' or 'user_name', not both".into())),
        (Some(name), None) => (directory::identity_by_user_name(&snapshot.state, name)?.into_iter().collect(), None),
        (None, Some(_)) if query.text("as_of").is_some() => {
            return Err(ApiError::BadRequest(
                "query parameter 'name': the past can't be searched; use user_name".into(),
            ));
        }
        (None, Some(name)) => (search::find(&snapshot.state, name, query.limit()?)?, None),
        (None, None) => page::<Identity>(&snapshot.state, directory::IDENTITIES, &query, |i| {
            lifecycle.is_none_or(|l| l == i.lifecycle)
        })?,
    };
    let items = found.iter().map(|identity| IdentitySummary::of(identity, person.sees())).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Whom a person has switched off.
fn switched_off(snapshot: &Snapshot, query: &Query, detail: Detail) -> Answer<List<IdentitySummary>> {
    let (state, limit) = (&snapshot.state, query.limit()?);
    let after = query.cursor().map(str::parse).transpose().map_err(|_| unknown("page", "cursor"))?;
    let mut found = ledger::all_switched_off(state, after, limit.saturating_add(1))?;
    let next_cursor = found.get(limit).and_then(|_| found.get(limit - 1)).map(|(last, _)| last.to_string());
    found.truncate(limit);
    let found = found.into_iter().map(|(id, _)| directory::identity(state, id)).collect::<Result<Vec<_>, _>>()?;
    let items = found.iter().flatten().map(|identity| IdentitySummary::of(identity, detail)).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// One identity with its accounts, obligations and drift.
#[utoipa::path(get, path = "/v1/identities/{id}", tag = "state",
    params(("id" = uuid::Uuid, Path, description = "The identity."), params::AsOfOnly), responses(
    (status = 200, body = One<IdentityView>), Problem
))]
pub async fn identity(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<IdentityView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let found = match known_identity(&snapshot.state, &id) {
        // Of who was erased nothing is known of before, either.
        Err(missing) => known_identity(&api.store.view(), &id)
            .ok()
            .filter(|identity| identity.content == Content::Erased)
            .ok_or(missing)?,
        found => found?,
    };
    let item = IdentityView::of(&snapshot.state, &found, snapshot.as_of.instant, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}
