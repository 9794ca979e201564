//! What is owed.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::ledger;

use super::{EXTENT, Frame, Listed, ObligationRow, Who, answer, name_of, obligation_row};
use crate::api::context::Shared;
use crate::api::paging::page_after;
use crate::console::format::word;
use crate::error::ApiError;

const STATUSES: [ObligationStatus; 6] = [
    ObligationStatus::Overdue,
    ObligationStatus::Open,
    ObligationStatus::Applied,
    ObligationStatus::Waived,
    ObligationStatus::Verified,
    ObligationStatus::Superseded,
];

#[derive(Template)]
#[template(path = "obligations.html")]
struct ObligationsPage {
    frame: Frame,
    words: Vec<String>,
    status: String,
    app: String,
    rows: Vec<ObligationRow>,
    next: Option<String>,
}

/// What is owed in a state, everywhere or in one app.
pub async fn obligations(State(api): Shared, Extension(person): Who, Query(listed): Query<Listed>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let words: Vec<String> = STATUSES.iter().map(word).collect();
        let wanted = STATUSES.iter().copied().find(|s| word(s) == listed.status).unwrap_or(ObligationStatus::Open);
        let app = listed.app.clone();
        let chosen = |o: &Obligation| o.status() == wanted && (app.is_empty() || o.id.subject.place() == app);
        let read =
            |after: Option<&str>, look| ledger::obligations_after(&view, ledger::Among::with(wanted), after, look);
        let (found, next) = page_after(read, listed.cursor.as_deref(), EXTENT, chosen)?;
        let row = |o: &Obligation| Ok(obligation_row(o, name_of(&view, &person, o.id.subject.identity())?));
        let rows = found.iter().map(row).collect::<Result<_, ApiError>>()?;
        let status = word(&wanted);
        let call = match app.is_empty() {
            true => format!("/v1/obligations?status={status}"),
            false => format!("/v1/obligations?status={status}&app={app}"),
        };
        let frame = Frame::new(&api, &person, "/console/obligations", call);
        Ok(ObligationsPage { frame, words, status, app, rows, next })
    };
    answer(&api, &person, page.await)
}
