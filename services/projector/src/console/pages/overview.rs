//! The first page: is anything wrong now, and what is due next.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::access::case::CaseStatus;
use rollcall_domain::app::App;
use rollcall_domain::drift::DriftItem;
use rollcall_domain::identity::Identity;
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;

use super::frame::{Frame, answer};
use super::{Who, holds, leavers, rows};
use crate::api::context::Shared;
use crate::api::paging::{Extent, LOOK, page_after, under};
use crate::api::person::Person;
use crate::api::trends::MAX_PERIODS;
use crate::console::asked::Asked;
use crate::console::format::at;
use crate::console::ui::{Badge, Cell, Chart, Column, Empty, Head, Row, Stat, Stretch, Table, Tone, span_of};
use crate::error::ApiError;
use crate::proof::checkpoints;
use crate::trends::metric::Metric;
use crate::trends::period::{Every, Period, periods, start_of};
use crate::trends::point::{Point, Question, points};
use crate::trends::rollup::Of;

/// The most leavers that stand here.
const FIRST: usize = 20;

/// Of how many days the chart is.
const DAYS: i64 = 14;

/// Whether there is anything of a list.
const ONE: Extent = Extent { limit: 1, look: LOOK };

/// The most drift items that are counted here.
const DRIFT: Extent = Extent { limit: LOOK, look: LOOK };

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
    /// What is still to be done before anything can be seen here.
    hints: Vec<&'static str>,
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
        let mut hints = Vec::new();
        if page_after(under::<Identity>(&view, directory::IDENTITIES), None, ONE, |_| true)?.0.is_empty() {
            hints.push(
                "Nobody has been pushed yet. Let an identity provider or HR system push to /scim/v2 with the token of its \
                 [[sources]]; this page changes as soon as the first person has arrived.",
            );
        }
        if page_after(under::<App>(&view, directory::APPS), None, ONE, |_| true)?.0.is_empty() {
            hints.push("No app is connected yet. Write one under [[apps]], and ask `rollcall check` about it.");
        }
        let counts = ledger::counts(&view)?;
        let owed: u64 = counts.values().map(|count| count.overdue).sum();
        let (mut sick, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let (known, next) = rows::<App>(&view, directory::APPS, cursor.as_deref(), |_| true)?;
            for app in &known {
                sick.extend(sick_row(&view, app)?);
            }
            let Some(next) = next else { break };
            cursor = Some(next);
        }
        let (drift, more_drift) = page_after(under::<DriftItem>(&view, "drift/"), None, DRIFT, |_| true)?;
        let debt: f64 = drift.iter().map(|item| item.debt_hours(now)).sum();
        let at_least = if more_drift.is_some() { "at least " } else { "" };
        let approvals = match person.role >= Role::Operator {
            true => ledger::approvals(&view, now)?.len(),
            false => 0,
        };
        let state = view.clone();
        let chart = tokio::task::spawn_blocking(move || chart(&state, now));
        let chart = chart.await.map_err(|_| ApiError::Stopped)??;
        let overdue_all = usize::try_from(owed).unwrap_or(usize::MAX);
        let stats = vec![
            Stat::count(overdue, "leavers overdue", "/console/leavers?status=overdue", Tone::Bad),
            Stat::count(all.len(), "leavers open", "/console/leavers", Tone::Plain),
            Stat::count(overdue_all, "obligations overdue", "/console/obligations?status=overdue", Tone::Bad),
            Stat::count(holds.rows.len(), "holds that wait for a decision", "/console/holds", Tone::Warn),
            Stat {
                value: format!("{at_least}{}", drift.len()),
                label: "drift items".into(),
                href: "/console/drift".into(),
                tone: Tone::Plain,
            },
            Stat {
                value: format!("{at_least}{debt:.1} h"),
                label: "drift debt".into(),
                href: "/console/drift".into(),
                tone: Tone::Plain,
            },
            Stat::count(sick.len(), "apps that need someone", "/console/apps", Tone::Warn),
        ];
        let is_calm = overdue == 0 && overdue_all == 0 && holds.rows.is_empty() && sick.is_empty() && approvals == 0;
        let lede = if is_calm {
            "Nothing is overdue, every app is worked with, and nothing waits for a decision."
        } else {
            "Something needs a person."
        };
        let caption =
            format!("Who left and is not verified gone, the most overdue first; {} of {}", first.len(), all.len());
        Ok(OverviewPage {
            frame: Frame::new(&api, &person, "/", "/v1/leavers?status=open, /v1/apps and /v1/holds").noting(&asked),
            head: Head::new("Overview", lede),
            hints,
            stats,
            more: all.len() > first.len(),
            leavers: leavers::table(&view, &person, &first, caption)?.unchosen(),
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

/// An app that needs someone.
fn sick_row(view: &View, app: &App) -> Result<Option<Row>, ApiError> {
    let id = &app.spec.id;
    let (overdue, findings) = (ledger::count_of(view, id)?.overdue, ledger::conformance(view, id)?.findings());
    let mut health = Vec::new();
    if let Some(quarantine) = ledger::quarantine(view, id)? {
        health.push(Badge::new(format!("left alone: {}", quarantine.rejection.cause.name()), Tone::Bad));
    }
    health.extend(findings.into_iter().map(|finding| Badge::new(finding, Tone::Bad)));
    if health.is_empty() && overdue == 0 {
        return Ok(None);
    }
    let cells = vec![
        Cell::link(app.spec.name.clone(), format!("/console/apps/{id}")),
        Cell::Badges(health),
        Cell::link(overdue.to_string(), format!("/console/obligations?status=overdue&app={id}")),
        Cell::text(app.spec.owner.clone()),
    ];
    Ok(Some(Row { id: None, cells }))
}

/// How long changes took in each of the last days.
fn chart(view: &View, now: Timestamp) -> Result<Option<Chart>, ApiError> {
    let from = now.checked_sub(SignedDuration::from_hours(24 * (DAYS - 1))).unwrap_or(now);
    let periods = periods(from, now, Every::Day, MAX_PERIODS).unwrap_or_default();
    let question = Question { metric: Metric::ChangeToAccess, change: None, periods };
    let points = points(view, &question, &Of::All)?;
    let stretch = |(period, point): (&Period, &Point)| {
        let name = start_of(period.from).strftime("%d %b").to_string();
        let figures = point.seconds(50).zip(point.seconds(90));
        let title = match figures {
            Some((low, high)) => format!("{name}: half within {}, nine of ten within {}", span_of(low), span_of(high)),
            None => format!("{name}: nothing"),
        };
        Stretch { name, figures, title }
    };
    let stretches: Vec<Stretch> = question.periods.iter().zip(&points).map(stretch).collect();
    let any = stretches.iter().any(|stretch| stretch.figures.is_some());
    let label = format!("How long changes took until they were verified, in each of the last {DAYS} days");
    Ok(any.then(|| Chart::of(label, &stretches, span_of)))
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
