//! `/v1/obligations`: what is owed, and what was.

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::ids::AppId;
use rollcall_domain::ledger::{Among, obligations_after};

use crate::api::context::{Pairs, Shared};
use crate::api::paging::{Answer, Extent, List, Who, page_after};
use crate::api::params;
use crate::api::views::ObligationView;
use crate::error::Problem;

/// What is owed, and what was.
#[utoipa::path(get, path = "/v1/obligations", tag = "state", params(params::Obligations), responses(
    (status = 200, body = List<ObligationView>), Problem
))]
pub async fn obligations(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<ObligationView>> {
    let query = api.query::<params::Obligations>(pairs)?;
    let status: Option<ObligationStatus> = query.word("status")?;
    let change: Option<ChangeKind> = query.word("change")?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let snapshot = api.snapshot(&query).await?;
    let wanted = |o: &Obligation| {
        status.is_none_or(|s| s == o.status())
            && change.is_none_or(|c| c == o.change)
            && app.as_ref().is_none_or(|a| o.id.subject.app() == Some(a))
    };
    let among = status.map_or(Among::All, Among::with);
    let read = |after: Option<&str>, look| obligations_after(&snapshot.state, among, after, look);
    let (found, next_cursor) = page_after(read, query.cursor(), Extent::of(&query)?, wanted)?;
    let items = found.iter().map(|owed| ObligationView::of(owed, person.sees())).collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}
