//! `/v1/drift`: where apps differ from what is desired.

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_domain::drift::DriftItem;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::ids::AppId;

use crate::api::context::{Pairs, Shared};
use crate::api::paging::{Answer, List, Who, page};
use crate::api::params;
use crate::api::views::DriftView;
use crate::error::Problem;

/// Where apps differ from what is desired.
#[utoipa::path(get, path = "/v1/drift", tag = "state", params(params::Drift), responses(
    (status = 200, body = List<DriftView>), Problem
))]
pub async fn drift(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<DriftView>> {
    let query = api.query::<params::Drift>(pairs)?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let kind: Option<DriftKind> = query.word("kind")?;
    let snapshot = api.snapshot(&query).await?;
    let wanted =
        |item: &DriftItem| app.as_ref().is_none_or(|a| *a == item.id.app) && kind.is_none_or(|k| k == item.id.kind);
    let (found, next_cursor) = page(&snapshot.state, "drift/", &query, wanted)?;
    let items = found.iter().map(|item| DriftView::of(item, snapshot.as_of.instant, person.sees())).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}
