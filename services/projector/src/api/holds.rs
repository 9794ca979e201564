//! `/v1/holds`: removals that wait for a decision.

use axum::Json;
use axum::extract::State;
use rollcall_domain::governance::hold::Hold;
use rollcall_domain::ledger;

use crate::api::context::{Pairs, Shared};
use crate::api::paging::{Answer, List, page};
use crate::api::params;
use crate::api::views::HoldView;
use crate::error::Problem;

/// The removals that wait for a person.
#[utoipa::path(get, path = "/v1/holds", tag = "state", params(params::Paging), responses(
    (status = 200, body = List<HoldView>), Problem
))]
pub async fn holds(State(api): Shared, pairs: Pairs) -> Answer<List<HoldView>> {
    let query = api.query::<params::Paging>(pairs)?;
    let view = api.fresh().await?;
    let (found, next_cursor) = page::<Hold>(&view, ledger::HOLDS, &query, |_| true)?;
    Ok(Json(List {
        items: found.iter().map(|hold| HoldView::of(&view, hold)).collect::<Result<_, _>>()?,
        next_cursor,
        as_of: None,
    }))
}
