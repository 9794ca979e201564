//! `/v1/leavers`: departures.

use axum::extract::State;
use axum::{Extension, Json};
use rollcall_domain::access::case::{Case, CaseStatus};

use crate::api::context::{Pairs, Shared};
use crate::api::paging::{Answer, List, Who, page};
use crate::api::params;
use crate::api::views::LeaverView;
use crate::error::{ApiError, Problem};

/// Who left, and whether they are gone.
#[utoipa::path(get, path = "/v1/leavers", tag = "state", params(params::Leavers), responses(
    (status = 200, body = List<LeaverView>), Problem
))]
pub async fn leavers(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<LeaverView>> {
    let query = api.query::<params::Leavers>(pairs)?;
    let wanted: &[CaseStatus] = match query.text("status") {
        None => {
            use CaseStatus::{Attested, Completed, Open, Overdue, Superseded};
            &[Open, Overdue, Completed, Attested, Superseded]
        }
        // Overdue is open, and worse.
        Some("open") => &[CaseStatus::Open, CaseStatus::Overdue],
        Some("overdue") => &[CaseStatus::Overdue],
        Some("completed") => &[CaseStatus::Completed],
        Some("attested") => &[CaseStatus::Attested],
        Some("superseded") => &[CaseStatus::Superseded],
        Some(other) => {
            let message =
                format!("query parameter 'status': '{other}' is not open, overdue, completed, attested or superseded");
            return Err(ApiError::BadRequest(message));
        }
    };
    let snapshot = api.snapshot(&query).await?;
    let (found, next_cursor) = page::<Case>(&snapshot.state, "leaver/", &query, |l| wanted.contains(&l.status()))?;
    let items = found.iter().map(|l| LeaverView::of(&snapshot.state, l, person.sees())).collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}
