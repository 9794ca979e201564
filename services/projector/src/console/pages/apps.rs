//! The health of each app.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::app::App;
use rollcall_domain::{directory, ledger};

use super::list::{FilterSays, List, options, shown};
use super::{Who, rows};
use crate::api::context::Shared;
use crate::api::latency::{self, GroupBy};
use crate::api::views::AppView;
use crate::console::asked::Asked;
use crate::console::ui::{Badge, Cell, Column, Empty, Field, Head, Row, Table, Tone, span_of};
use crate::error::ApiError;

const HEALTHS: [&str; 3] = ["working", "quarantined", "overdue"];

const COLUMNS: [Column; 10] = [
    Column::text("app", "App"),
    Column::text("owner", "Owner"),
    Column::text("health", "Health"),
    Column::number("conformance", "Does what it says"),
    Column::text("latency", "To verified, p50 / p99"),
    Column::number("open", "Open"),
    Column::number("overdue", "Overdue"),
    Column::number("drift", "Drift items"),
    Column::number("debt", "Drift debt"),
    Column::text("compared", "Compared"),
];

/// Every app.
pub async fn apps(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let view = api.fresh().await?;
        let health = asked.one_of("health", &HEALTHS)?;
        let text = asked.get("q").to_lowercase();
        let named = |app: &App| {
            let spec = &app.spec;
            let is_named = text.is_empty()
                || [spec.id.as_str(), &spec.name, &spec.owner].iter().any(|of| of.to_lowercase().contains(&text));
            // What can't be read is shown: its page says why.
            let is_so = |health: &str| match health {
                "overdue" => ledger::count_of(&view, &spec.id).map_or(true, |count| count.overdue > 0),
                "quarantined" => ledger::quarantine(&view, &spec.id).map_or(true, |quarantine| quarantine.is_some()),
                _ => ledger::quarantine(&view, &spec.id).map_or(true, |quarantine| quarantine.is_none()),
            };
            is_named && health.is_none_or(is_so)
        };
        let (found, next) = rows::<App>(&view, directory::APPS, asked.cursor(), named)?;
        let now = Timestamp::now();
        let from = now.checked_sub(SignedDuration::from_hours(7 * 24)).ok();
        let choice = latency::Choice { from, ..latency::Choice::default() };
        let state = view.clone();
        let measured = tokio::task::spawn_blocking(move || latency::by_group(&state, &choice, GroupBy::App));
        let measured = measured.await.map_err(|_| ApiError::Stopped)??;
        let mut lines = Vec::new();
        for app in &found {
            let shown = AppView::of(&view, app, now, person.sees())?;
            let took = measured.iter().find(|group| group.group == shown.id.as_str()).map(|g| &g.verified_seconds);
            lines.push(row(&shown, took, now));
        }
        Ok(List {
            here: "/console/apps",
            call: "/v1/apps and /v1/latency?group_by=app".into(),
            head: Head::new("Apps", "Health, conformance, latency over the last 7 days, and drift."),
            stats: Vec::new(),
            fields: vec![
                asked.field("q", "Name", "app or owner"),
                Field { options: options("all", &HEALTHS), ..asked.field("health", "Health", "") },
            ],
            table: Table::new(format!("{} shown", lines.len()), &COLUMNS).with(lines),
            empty: Empty::new(
                Tone::Plain,
                "No app is configured.",
                "Write one under [[apps]], and ask rollcall check about it.",
            ),
            filter: FilterSays::Nothing,
            next,
            bulk: vec![("reconcile", "compare now"), ("sync-app", "look at every account again, now")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}

/// What an app is like, in a word or two.
pub fn health(app: &AppView) -> Vec<Badge> {
    let mut badges = vec![Badge::word(app.health.state)];
    badges.extend(app.conformance.findings.iter().map(|finding| Badge::new(finding.clone(), Tone::Bad)));
    if !app.connected {
        badges.push(Badge::new("not configured any more", Tone::Warn));
    }
    badges
}

/// The share of what it confirmed that was seen.
pub fn score(app: &AppView) -> String {
    app.conformance.score.map_or_else(|| "–".to_owned(), |score| format!("{:.0} %", score * 100.0))
}

fn row(app: &AppView, took: Option<&latency::Quantiles>, now: Timestamp) -> Row {
    let seconds = |s: Option<f64>| s.map_or_else(|| "–".to_owned(), span_of);
    let cells = vec![
        Cell::link(app.name.clone(), format!("/console/apps/{}", app.id)),
        Cell::text(app.owner.clone()),
        Cell::Badges(health(app)),
        Cell::number(score(app)),
        Cell::text(took.map_or_else(|| "–".to_owned(), |q| format!("{} / {}", seconds(q.p50), seconds(q.p99)))),
        Cell::link(app.obligations_open.to_string(), format!("/console/obligations?status=open&app={}", app.id)),
        Cell::link(app.obligations_overdue.to_string(), format!("/console/obligations?status=overdue&app={}", app.id)),
        Cell::link(app.drift_items.to_string(), format!("/console/drift?app={}", app.id)),
        Cell::number(format!("{:.1} h", app.drift_debt_hours)),
        Cell::when(app.reconciliation.completed_at, now),
    ];
    // What can be done with several is to read them.
    Row { id: Some(app.id.to_string()).filter(|_| !app.kind.is_by_people()), cells }
}
