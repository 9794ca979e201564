//! The first page: is anything wrong now, and what is due next.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::app::App;
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;

use super::frame::{Frame, answer};
use super::{Who, apps, holds, leavers, rows};
use crate::api::context::Shared;
use crate::api::latency;
use crate::api::person::Person;
use crate::api::views::AppView;
use crate::console::asked::Asked;
use crate::console::format::at;
use crate::console::ui::{Cell, Chart, Column, Empty, Head, Row, Stat, Stretch, Table, Tone};
use crate::error::ApiError;
use crate::proof::checkpoints;

/// The most leavers that stand here.
const FIRST: usize = 20;

/// Of how many days the chart is.
const DAYS: i64 = 14;

/// The most obligations that the chart is made of: a picture, and no report.
const SAMPLE: usize = 20_000;

const SICK: [Column; 4] = [
    Column::text("app", "App"),
    Column::text("health", "Health"),
    Column::number("overdue", "Overdue"),
    Column::text("owner", "Owner"),
];

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    head: Head,
    stats: Vec<Stat>,
    leavers: Table,
    no_leavers: Empty,
    more: bool,
    holds: Table,
    chart: Option<Chart>,
    apps: Table,
    log: Vec<(&'static str, String)>,
}

/// Is anything wrong now.
pub async fn overview(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let page = async {
        let view = api.fresh().await?;
        let now = Timestamp::now();
        let all = leavers::open(&view)?;
        let overdue = all.iter().filter(|leaver| leaver.status() == CaseStatus::Overdue).count();
        let first: Vec<_> = all.iter().take(FIRST).cloned().collect();
        let holds = holds::table(&view, "What waits, by cause")?;
        let (known, _) = rows::<App>(&view, directory::APPS, None, |_| true)?;
        let (mut sick, mut items, mut debt, mut owed) = (Vec::new(), 0, 0.0, 0);
        for app in &known {
            let shown = AppView::of(&view, app, now, person.sees())?;
            items += shown.drift_items;
            debt += shown.drift_debt_hours;
            owed += shown.obligations_overdue;
            if shown.health.state != "working"
                || shown.obligations_overdue > 0
                || !shown.conformance.findings.is_empty()
            {
                sick.push(sick_row(&shown));
            }
        }
        let state = view.clone();
        let chart = tokio::task::spawn_blocking(move || chart(&state, now));
        let chart = chart.await.map_err(|_| ApiError::Stopped)??;
        let overdue_all = usize::try_from(owed).unwrap_or(usize::MAX);
        let stats = vec![
            Stat::count(overdue, "leavers overdue", "/console/leavers?status=overdue", Tone::Bad),
            Stat::count(all.len(), "leavers open", "/console/leavers", Tone::Plain),
            Stat::count(overdue_all, "obligations overdue", "/console/obligations?status=overdue", Tone::Bad),
            Stat::count(holds.rows.len(), "holds that wait for a decision", "/console/holds", Tone::Warn),
            Stat::count(items, "drift items", "/console/drift", Tone::Plain),
            Stat {
                value: format!("{debt:.1} h"),
                label: "drift debt".into(),
                href: "/console/drift".into(),
                tone: Tone::Plain,
            },
            Stat::count(sick.len(), "apps that need someone", "/console/apps", Tone::Warn),
        ];
        let is_calm = overdue == 0 && overdue_all == 0 && holds.rows.is_empty();
        let lede =
            if is_calm { "Nothing is overdue, and nothing waits for a decision." } else { "Something needs a person." };
        let caption =
            format!("Who left and is not verified gone, the most overdue first; {} of {}", first.len(), all.len());
        Ok(OverviewPage {
            frame: Frame::new(&api, &person, "/", "/v1/leavers?status=open, /v1/apps and /v1/holds").noting(&asked),
            head: Head::new("Overview", lede),
            stats,
            more: all.len() > first.len(),
            leavers: unchosen(leavers::table(&view, &person, &first, caption)?),
            no_leavers: Empty::new(
                Tone::Good,
                "Nobody who left still owes anything.",
                "Whoever leaves stands here until every app was read back.",
            ),
            holds,
            chart,
            apps: Table::new("Left alone, overdue, or not doing what they say", &SICK).with(sick),
            log: log(&view, &person, now)?,
        })
    };
    answer(&api, &person, page.await)
}

/// Without rows that can be chosen.
pub fn unchosen(mut table: Table) -> Table {
    table.rows.iter_mut().for_each(|row| row.id = None);
    table
}

fn sick_row(app: &AppView) -> Row {
    let cells = vec![
        Cell::link(app.name.clone(), format!("/console/apps/{}", app.id)),
        Cell::Badges(apps::health(app)),
        Cell::link(app.obligations_overdue.to_string(), format!("/console/obligations?status=overdue&app={}", app.id)),
        Cell::text(app.owner.clone()),
    ];
    Row { id: None, cells }
}

fn chart(view: &View, now: Timestamp) -> Result<Option<Chart>, ApiError> {
    let day = SignedDuration::from_hours(24);
    let mut stretches = Vec::new();
    let (mut left, mut any) = (SAMPLE, false);
    for back in (0..DAYS).rev() {
        let hours = |days: i64| SignedDuration::from_hours(24 * days);
        let to = now.checked_sub(hours(back)).unwrap_or(now);
        let from = to.checked_sub(day).unwrap_or(to);
        let quantiles = latency::between(view, from, to, &mut left)?;
        any |= quantiles.is_some();
        stretches.push(Stretch { name: to.strftime("%d %b").to_string(), within: quantiles });
    }
    let label = format!("How long changes took until they were verified, in each of the last {DAYS} days");
    Ok(any.then(|| Chart::of(label, &stretches)))
}

fn log(view: &View, person: &Person, now: Timestamp) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut facts = Vec::new();
    if let Some(checkpoint) = checkpoints::latest(view)? {
        let ago = crate::console::format::span(now.duration_since(checkpoint.recorded_at));
        facts.push((
            "Last checkpoint",
            format!("up to event {}, signed {ago} ago ({})", checkpoint.size, at(checkpoint.recorded_at)),
        ));
    } else {
        facts.push(("Last checkpoint", "none yet".to_owned()));
    }
    if let Some(oldest) = ledger::oldest_overdue(view)? {
        facts.push(("Oldest overdue", format!("due {}", at(oldest))));
    }
    facts.push(("You", format!("{}, {}", person.name, person.role.name())));
    Ok(facts)
}
