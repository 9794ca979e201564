//! The health of each app.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::directory;
use rollcall_domain::ids::AppId;

use super::{Frame, Listed, Who, answer, rows};
use crate::api::context::Shared;
use crate::api::latency::{self, GroupBy};
use crate::api::views::AppView;
use crate::console::format::at_or_none;
use crate::error::ApiError;

struct AppRow {
    id: AppId,
    name: String,
    owner: String,
    connected: bool,
    health: &'static str,
    findings: Vec<String>,
    score: String,
    latency: String,
    open: u64,
    overdue: u64,
    drift: usize,
    debt: String,
    compared: String,
}

#[derive(Template)]
#[template(path = "apps.html")]
struct AppsPage {
    frame: Frame,
    rows: Vec<AppRow>,
    next: Option<String>,
}

/// The health of each app.
pub async fn apps(State(api): Shared, Extension(person): Who, Query(listed): Query<Listed>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let (found, next) = rows(&view, directory::APPS, listed.cursor.as_deref(), |_| true)?;
        let now = Timestamp::now();
        let from = now.checked_sub(SignedDuration::from_hours(7 * 24)).ok();
        let choice = latency::Choice { from, ..latency::Choice::default() };
        let state = view.clone();
        let measured = tokio::task::spawn_blocking(move || latency::by_group(&state, &choice, GroupBy::App));
        let measured = measured.await.map_err(|_| ApiError::Stopped)??;
        let row = |app| {
            let shown = AppView::of(&view, app, now, person.sees())?;
            let took = measured.iter().find(|group| group.group == shown.id.as_str()).map(|g| &g.verified_seconds);
            let seconds = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), |s| format!("{s:.1} s"));
            Ok(AppRow {
                latency: took.map_or_else(|| "–".to_owned(), |q| format!("{} / {}", seconds(q.p50), seconds(q.p99))),
                score: shown
                    .conformance
                    .score
                    .map_or_else(|| "–".to_owned(), |score| format!("{:.0} %", score * 100.0)),
                compared: at_or_none(shown.reconciliation.completed_at),
                debt: format!("{:.1} h", shown.drift_debt_hours),
                id: shown.id,
                name: shown.name,
                owner: shown.owner,
                connected: shown.connected,
                health: shown.health.state,
                findings: shown.conformance.findings,
                open: shown.obligations_open,
                overdue: shown.obligations_overdue,
                drift: shown.drift_items,
            })
        };
        let rows = found.iter().map(row).collect::<Result<_, ApiError>>()?;
        let frame = Frame::new(&api, &person, "/console/apps", "/v1/apps and /v1/latency?group_by=app");
        Ok(AppsPage { frame, rows, next })
    };
    answer(&api, &person, page.await)
}
