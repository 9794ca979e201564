//! Who holds what and why: access of an identity, explanations, the catalogue of entitlements, roles.

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_domain::access::account::Account;
use rollcall_domain::access::entitlement::{EntitlementId, Part};
use rollcall_domain::access::policy::Policy;
use rollcall_domain::access::role::Role;
use rollcall_domain::kv::{KeyPage, KvError, Read, decode};
use rollcall_domain::ledger::{self, Held};
use rollcall_domain::{AppId, directory};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::identities::known_identity;
use crate::api::paging::{Answer, Extent, List, One, Who, page, page_after};
use crate::api::params;
use crate::api::query::Path;
use crate::api::views::{AccessView, EntitlementView, ExplanationView, HolderView, PolicyView, RoleView};
use crate::as_of::StateAt;
use crate::error::{ApiError, Problem};

/// The paths.
pub fn router() -> OpenApiRouter<std::sync::Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(access))
        .routes(routes!(explain))
        .routes(routes!(entitlements))
        .routes(routes!(holders))
        .routes(routes!(roles))
        .routes(routes!(policies))
}

/// What someone holds in every app, since when, until when and why, and whether the app was read back.
#[utoipa::path(get, path = "/v1/identities/{id}/access", tag = "access",
    params(("id" = uuid::Uuid, Path, description = "The identity."), params::AsOfOnly), responses(
    (status = 200, body = One<AccessView>), Problem
))]
async fn access(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<AccessView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let identity = known_identity(&snapshot.state, &id)?;
    let item = AccessView::of(&snapshot.state, &api.catalogue, identity, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

/// An entitlement by its id in a request.
pub fn known_entitlement(state: &impl Read, text: &str) -> Result<EntitlementId, ApiError> {
    let id: EntitlementId =
        text.parse().map_err(|e: rollcall_domain::ids::BadId| ApiError::BadRequest(e.to_string()))?;
    directory::app(state, &id.app)?.ok_or_else(|| unknown("app", id.app.as_str()))?;
    Ok(id)
}

/// Whether someone holds something, and why; or why not, and what would have to change.
#[utoipa::path(get, path = "/v1/explain", tag = "access", params(params::Explain), responses(
    (status = 200, body = One<ExplanationView>), Problem
))]
async fn explain(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<One<ExplanationView>> {
    let query = api.query::<params::Explain>(pairs)?;
    let asked = |name: &str| {
        query.text(name).ok_or_else(|| ApiError::BadRequest(format!("query parameter '{name}' is missing")))
    };
    let (who, what) = (asked("identity")?, asked("entitlement")?);
    let snapshot = api.snapshot(&query).await?;
    let identity = known_identity(&snapshot.state, who)?;
    let entitlement = known_entitlement(&snapshot.state, what)?;
    let item = ExplanationView::of(&snapshot.state, &api.catalogue, identity, &entitlement, person.sees())?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

/// What can be held: the account of each app, and the groups that Rollcall manages there.
#[utoipa::path(get, path = "/v1/entitlements", tag = "access", params(params::Entitlements), responses(
    (status = 200, body = List<EntitlementView>), Problem
))]
async fn entitlements(State(api): Shared, pairs: Pairs) -> Answer<List<EntitlementView>> {
    let query = api.query::<params::Entitlements>(pairs)?;
    let only: Option<AppId> = query.parsed("app", "an app id")?;
    let (limit, after) = (query.limit()?, query.cursor().map(str::to_owned));
    let snapshot = api.snapshot(&query).await?;
    let mut items = catalogue(&snapshot.state, only.as_ref())?;
    items.retain(|item| after.as_ref().is_none_or(|after| item.id > *after));
    let next_cursor = items.get(limit).and_then(|_| items.get(limit - 1)).map(|last| last.id.clone());
    items.truncate(limit);
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Every entitlement of the apps that are configured, in the order of their ids.
pub fn catalogue(state: &StateAt, only: Option<&AppId>) -> Result<Vec<EntitlementView>, KvError> {
    let roles = directory::roles(state)?;
    let mut all = Vec::new();
    for app in directory::apps(state)? {
        let spec = &app.spec;
        if app.connection != rollcall_domain::app::Connection::Configured || only.is_some_and(|only| *only != spec.id) {
            continue;
        }
        let groups = spec.managed_groups().into_iter().map(Part::Group);
        all.extend(std::iter::once(Part::Account).chain(groups).map(|part| EntitlementView::of(spec, part, &roles)));
    }
    all.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(all)
}

/// Who holds something.
#[utoipa::path(get, path = "/v1/entitlements/{id}/holders", tag = "access",
    params(("id" = String, Path, description = "The entitlement, such as `crm` or `crm:group:Admins`."), params::Holders), responses(
    (status = 200, body = List<HolderView>), Problem
))]
async fn holders(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<List<HolderView>> {
    let query = api.query::<params::Holders>(pairs)?;
    let extent = Extent::of(&query)?;
    let snapshot = api.snapshot(&query).await?;
    let entitlement = known_entitlement(&snapshot.state, &id)?;
    let holds = |account: &Account| account.app == entitlement.app && account.holds.contains_key(&entitlement.part);
    let (found, next_cursor) = page_after(accounts(&snapshot.state), query.cursor(), extent, holds)?;
    let shown = |account| HolderView::of(&snapshot.state, account, &entitlement.part, person.sees());
    let items = found.iter().map(shown).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Every account, as [`page_after`] reads them.
fn accounts(state: &impl Read) -> impl Fn(Option<&str>, usize) -> Result<KeyPage<Account>, KvError> {
    move |after, look| {
        let after = after.map(|after| format!("{}{after}", ledger::ACCOUNTS));
        let KeyPage { pairs, next } = state.scan_some(ledger::ACCOUNTS, after.as_deref(), look)?;
        let place = |key: &str| key.strip_prefix(ledger::ACCOUNTS).unwrap_or(key).to_owned();
        let typed = |(key, bytes): (String, Vec<u8>)| Ok((place(&key), decode(&key, &bytes)?));
        let pairs = pairs.into_iter().map(typed).collect::<Result<_, KvError>>()?;
        Ok(KeyPage { pairs, next: next.as_deref().map(place) })
    }
}

/// The roles: named sets of entitlements, each with its rule.
#[utoipa::path(get, path = "/v1/roles", tag = "access", params(params::Roles), responses(
    (status = 200, body = List<RoleView>), Problem
))]
async fn roles(State(api): Shared, pairs: Pairs) -> Answer<List<RoleView>> {
    let query = api.query::<params::Roles>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page::<Role>(&snapshot.state, directory::ROLES, &query, |_| true)?;
    let items = found.iter().map(RoleView::of).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// The policies as code.
#[utoipa::path(get, path = "/v1/policies", tag = "access", params(params::Roles), responses(
    (status = 200, body = List<PolicyView>), Problem
))]
async fn policies(State(api): Shared, pairs: Pairs) -> Answer<List<PolicyView>> {
    let query = api.query::<params::Roles>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page::<Policy>(&snapshot.state, directory::POLICIES, &query, |_| true)?;
    let items = found.iter().map(PolicyView::of).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Why somebody holds something, in words, where they do.
pub fn reasons_in_words(state: &impl Read, held: &Held) -> Result<String, KvError> {
    let all = held.reasons.iter().map(|reason| crate::api::views::reason_in_words(state, &held.id, reason));
    Ok(all.collect::<Result<Vec<_>, _>>()?.join("; "))
}
