//! Whether it gets better: figures by period, as a picture and as a table, and group by group.

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use jiff::Timestamp;
use rollcall_domain::identity::lifecycle::ChangeKind;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Who;
use super::frame::{Frame, answer, problem};
use super::list::{file_of, options};
use crate::api::context::Shared;
use crate::api::trends::{self, Asked as Question, GroupView, PointView, TrendView};
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Badge, Cell, Chart, Column, Empty, Field, Head, Row, Stretch, Table, Tone, span_of};
use crate::error::ApiError;
use crate::trends::metric::{Dimension, Metric};
use crate::trends::period::Every;
use crate::trends::point::Quadrant;

const HERE: &str = "/console/trends";

/// The most groups of a page.
const GROUPS: usize = 50;

#[derive(Template)]
#[template(path = "trends.html")]
struct TrendsPage {
    frame: Frame,
    head: Head,
    fields: Vec<Field>,
    filtered: bool,
    charts: Vec<(String, Chart)>,
    table: Table,
    empty: Empty,
    next: Option<String>,
    csv: String,
    ndjson: String,
}

/// Whether it gets better.
pub async fn trends(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let page = async {
        let question = question(&asked)?;
        let found = question.clone().answered(&api, &person).await?;
        let one = match found.items.as_slice() {
            [one] if question.group_by.is_none() || question.group.is_some() => Some(one),
            _ => None,
        };
        let table = match one {
            Some(one) => by_period(question.metric, one),
            None => by_group(&asked, &found),
        };
        if let Some(file) = file_of(HERE, asked.get("format"), &table)? {
            return Ok(file);
        }
        let charts = one.map(|one| charts(question.metric, one)).unwrap_or_default();
        let nothing = "Nothing was measured yet, or it is told apart by something that nobody has.";
        let page = TrendsPage {
            frame: Frame::new(&api, &person, HERE, call(&asked)).noting(&asked),
            head: Head::new("Trends", lede(question.metric)),
            fields: fields(&asked, question.metric),
            filtered: !asked.0.is_empty(),
            charts,
            table,
            empty: Empty::new(Tone::Plain, "Nothing to show.", nothing),
            next: found.next_cursor.map(|next| asked.with(HERE, "cursor", Some(&next))),
            csv: asked.with(HERE, "format", Some("csv")),
            ndjson: asked.with(HERE, "format", Some("ndjson")),
        };
        Ok(answer(&api, &person, Ok(page)).into_response())
    };
    let page: Result<Response, ApiError> = page.await;
    page.unwrap_or_else(|error| problem(&api, &person, error))
}

fn enum_of<T: DeserializeOwned>(asked: &Asked, name: &str) -> Result<Option<T>, ApiError> {
    match asked.get(name) {
        "" => Ok(None),
        text => serde_json::from_value(Value::from(text))
            .map(Some)
            .map_err(|e| ApiError::BadRequest(format!("'{name}' is '{text}': {e}"))),
    }
}

/// A time, or a day, which begins at midnight in UTC.
fn time(asked: &Asked, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let text = match asked.get(name) {
        "" => return Ok(None),
        text if text.contains('T') => text.to_owned(),
        day => format!("{day}T00:00:00Z"),
    };
    let wrong = |_| ApiError::BadRequest(format!("'{name}' is '{text}': write a day, such as 2026-01-31"));
    text.parse().map(Some).map_err(wrong)
}

fn question(asked: &Asked) -> Result<Question, ApiError> {
    let metric = enum_of(asked, "metric")?.unwrap_or(Metric::ChangeToAccess);
    let group_by: Option<Dimension> = enum_of(asked, "group_by")?;
    Ok(Question {
        metric,
        // What another metric could be told apart by stays in the form.
        group_by: group_by.filter(|by| metric.dimensions().contains(by)),
        group: asked.0.iter().find(|(name, _)| name == "group").map(|(_, group)| group.clone()),
        change: enum_of(asked, "change")?.filter(|_| metric == Metric::ChangeToAccess),
        every: enum_of(asked, "every")?.unwrap_or(Every::Week),
        from: time(asked, "from")?,
        to: time(asked, "to")?,
        after: asked.cursor().map(trends::after).transpose()?,
        limit: GROUPS,
    })
}

/// The call of the API that gives the same.
fn call(asked: &Asked) -> String {
    Asked(asked.without(&["format", "done", "waits"])).with("/v1/trends", "cursor", asked.cursor())
}

fn fields(asked: &Asked, metric: Metric) -> Vec<Field> {
    let metrics = Metric::ALL.map(|metric| (metric.name().to_owned(), in_words(metric).to_owned()));
    let by: Vec<&str> = metric.dimensions().iter().map(|by| by.name()).collect();
    let every = Every::ALL.map(|every| word(&every));
    let every: Vec<(String, String)> = every.into_iter().map(|every| (every.clone(), every)).collect();
    let mut fields = vec![
        Field { options: metrics.to_vec(), value: metric.name().into(), ..asked.field("metric", "What", "") },
        Field { options: options("all of it", &by), ..asked.field("group_by", "Told apart by", "") },
        Field {
            value: if asked.get("every").is_empty() { word(&Every::Week) } else { asked.get("every").into() },
            options: every,
            ..asked.field("every", "Each", "")
        },
        asked.field("from", "From", "2026-01-31"),
        asked.field("to", "Until before", "2026-12-31"),
    ];
    if metric == Metric::ChangeToAccess {
        let changes = ChangeKind::ALL.map(ChangeKind::name);
        fields.push(Field { options: options("every change", &changes), ..asked.field("change", "Change", "") });
    }
    fields
}

const fn in_words(metric: Metric) -> &'static str {
    match metric {
        Metric::ChangeToAccess => "change to verified access",
        Metric::LeaverCompletion => "leaver to complete",
        Metric::Drift => "drift",
        Metric::Orphans => "accounts of nobody",
        Metric::Tasks => "manual tasks",
        Metric::Exceptions => "exceptions",
        Metric::DrillScore => "scores of drills",
        Metric::WorkAndDrift => "manual work and drift",
    }
}

const fn lede(metric: Metric) -> &'static str {
    match metric {
        Metric::ChangeToAccess => {
            "How long it takes from a change until the app was read back, and how much of what is owed is met in time. What is not met \
             counts as late from its deadline on."
        }
        Metric::LeaverCompletion => {
            "How long it takes from the moment that somebody leaves until nothing is owed for it any more."
        }
        Metric::Drift => {
            "Where apps differ from what is desired: what was found, what ended, and what was open at the end."
        }
        Metric::Orphans => "How many accounts of nobody were open when an app had been compared as a whole.",
        Metric::Tasks => {
            "What people have to do in apps that Rollcall does not change itself, and how long it takes them."
        }
        Metric::Exceptions => "What people have left as it is for a while, and what ran out before it was met.",
        Metric::DrillScore => "Of a hundred steps of a drill, those that passed.",
        Metric::WorkAndDrift => {
            "Manual work beside the drift that remains. Little work and much drift is administration that was automated, and that nobody \
             governs."
        }
    }
}

/// The figures of a metric, in the order of its columns.
fn columns(metric: Metric) -> Vec<Column> {
    let count = |label| Column::number("count", label);
    let took = [Column::number("p50", "Half within"), Column::number("p90", "Nine of ten within")];
    let balance = [
        Column::number("opened", "Opened"),
        Column::number("closed", "Ended"),
        Column::number("open", "Open at the end"),
    ];
    match metric {
        Metric::ChangeToAccess => {
            let mut all = vec![count("Verified")];
            all.extend(took);
            all.push(Column::number("in_time", "In time"));
            all
        }
        Metric::LeaverCompletion => [count("Complete")].into_iter().chain(took).collect(),
        Metric::Drift => balance.to_vec(),
        Metric::Orphans => vec![count("Comparisons"), Column::number("mean", "Accounts of nobody, on average")],
        Metric::Tasks => [count("Done")].into_iter().chain(took).chain(balance).collect(),
        Metric::Exceptions => vec![Column::number("opened", "Granted"), Column::number("expired", "Ran out unmet")],
        Metric::DrillScore => vec![count("Drills"), Column::number("mean", "Score, on average")],
        Metric::WorkAndDrift => {
            let mut all = vec![count("Tasks done")];
            all.extend(balance);
            all.push(Column::text("quadrant", "Which is"));
            all
        }
    }
}

fn quadrant(of: Quadrant) -> Badge {
    match of {
        Quadrant::Governed => Badge::new("governed", Tone::Good),
        Quadrant::AutomatedWithoutGovernance => Badge::new("automated without governance", Tone::Bad),
        Quadrant::GovernedByHand => Badge::new("governed by hand", Tone::Info),
        Quadrant::Neither => Badge::new("neither", Tone::Warn),
    }
}

fn cell(point: &PointView, column: &Column) -> Cell {
    let seconds = |value: Option<f64>| value.map(span_of);
    let number = |value: Option<u64>| value.map(|value| value.to_string());
    let text = match column.key {
        "count" => number(point.count),
        "p50" => seconds(point.p50_seconds),
        "p90" => seconds(point.p90_seconds),
        "in_time" => point.within_service_level.map(percent),
        "opened" => number(point.opened),
        "closed" => number(point.closed),
        "open" => number(point.open),
        "expired" => number(point.expired),
        "mean" => point.mean.map(|mean| format!("{mean:.1}")),
        _ => return Cell::Badges(point.quadrant.map(quadrant).into_iter().collect()),
    };
    Cell::Number(text.unwrap_or_else(|| "–".to_owned()))
}

fn percent(share: f64) -> String {
    // What is not all of it is not shown as that.
    format!("{:.1} %", (share * 1000.0).floor() / 10.0)
}

fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// The periods of one group, the newest first.
fn by_period(metric: Metric, one: &GroupView) -> Table {
    let mut all = vec![Column::text("from", "From"), Column::text("to", "Until before")];
    all.extend(columns(metric));
    let now = Timestamp::now();
    let row = |point: &PointView| {
        let until = if point.to > now { format!("{}, so far", day(point.to)) } else { day(point.to) };
        let mut cells = vec![Cell::text(day(point.from)), Cell::text(until)];
        cells.extend(columns(metric).iter().map(|column| cell(point, column)));
        cells
    };
    let caption = one.group.as_ref().map_or_else(|| "All of it".to_owned(), |group| named(group));
    Table::new(caption, &all).with(one.points.iter().rev().map(row))
}

fn named(group: &str) -> String {
    if group.is_empty() { "none".to_owned() } else { group.to_owned() }
}

/// The last period of each group, and what became of it since the one before.
fn by_group(asked: &Asked, found: &TrendView) -> Table {
    let metric = found.metric;
    let mut all = vec![Column::text("group", "Group")];
    all.extend(columns(metric));
    all.extend([Column::number("before", "The period before"), Column::text("became", "Which is")]);
    let row = |one: &GroupView| -> Option<Row> {
        let group = one.group.as_deref()?;
        let (last, before) = match one.points.as_slice() {
            [.., before, last] => (last, Some(before)),
            [last] => (last, None),
            [] => return None,
        };
        let here = Asked(asked.without(&["cursor", "format"]));
        // An address has no blank values.
        let mut cells = vec![match group {
            "" => Cell::text(named(group)),
            group => Cell::link(group, here.with(HERE, "group", Some(group))),
        }];
        cells.extend(columns(metric).iter().map(|column| cell(last, column)));
        let (now, then) = (figure(metric, last), before.and_then(|before| figure(metric, before)));
        cells.push(Cell::Number(then.map_or_else(|| "–".to_owned(), |then| said(metric, then))));
        cells.push(Cell::Badges(now.zip(then).map(|(now, then)| became(metric, now, then)).into_iter().collect()));
        Some(cells.into())
    };
    let rows: Vec<Row> = found.items.iter().filter_map(row).collect();
    let caption = match found.items.first().and_then(|one| one.points.last()) {
        Some(last) => format!("From {} until before {}; {} shown", day(last.from), day(last.to), rows.len()),
        None => String::new(),
    };
    Table::new(caption, &all).with(rows)
}

/// The figure that a metric is judged by.
fn figure(metric: Metric, point: &PointView) -> Option<f64> {
    match metric {
        Metric::ChangeToAccess => point.within_service_level,
        Metric::LeaverCompletion => point.p90_seconds,
        Metric::Drift | Metric::Tasks | Metric::WorkAndDrift => point.open.map(|open| open as f64),
        Metric::Orphans | Metric::DrillScore => point.mean,
        Metric::Exceptions => point.opened.map(|opened| opened as f64),
    }
}

fn said(metric: Metric, figure: f64) -> String {
    match metric {
        Metric::ChangeToAccess => percent(figure),
        Metric::LeaverCompletion => span_of(figure),
        Metric::Orphans | Metric::DrillScore => format!("{figure:.1}"),
        Metric::Drift | Metric::Tasks | Metric::WorkAndDrift | Metric::Exceptions => format!("{figure:.0}"),
    }
}

fn became(metric: Metric, now: f64, then: f64) -> Badge {
    let more_is_better = matches!(metric, Metric::ChangeToAccess | Metric::DrillScore);
    match now.total_cmp(&then) {
        std::cmp::Ordering::Equal => Badge::new("the same", Tone::Plain),
        order if order.is_gt() == more_is_better => Badge::new("better", Tone::Good),
        _ => Badge::new("worse", Tone::Bad),
    }
}

/// What a metric looks like.
fn charts(metric: Metric, one: &GroupView) -> Vec<(String, Chart)> {
    let chart = |title: &str, of: &dyn Fn(&PointView) -> Option<(f64, f64)>, words: &dyn Fn(f64) -> String| {
        let stretch = |point: &PointView| {
            let name = point.from.strftime("%d %b").to_string();
            let figures = of(point);
            let title = match figures {
                Some((low, high)) if low == high => format!("from {name}: {}", words(high)),
                Some((low, high)) => {
                    format!("from {name}: half within {}, nine of ten within {}", words(low), words(high))
                }
                None => format!("from {name}: nothing"),
            };
            Stretch { name, figures, title }
        };
        let stretches: Vec<Stretch> = one.points.iter().map(stretch).collect();
        let any = stretches.iter().any(|stretch| stretch.figures.is_some());
        any.then(|| {
            (
                title.to_owned(),
                Chart::of(format!("{title}, by period; the table below has the same"), &stretches, words),
            )
        })
    };
    let single = |value: Option<f64>| value.map(|value| (value, value));
    let took = |point: &PointView| point.p50_seconds.zip(point.p90_seconds);
    let took = |title: &str| chart(title, &took, &span_of);
    let count = |value: f64| format!("{value:.0}");
    let of = |point: &PointView| single(figure(metric, point));
    let all = match metric {
        Metric::ChangeToAccess => vec![
            chart("The share that was met in time", &of, &percent),
            took("How long it took: half within, nine of ten within"),
        ],
        Metric::LeaverCompletion => vec![took("How long it took: half within, nine of ten within")],
        Metric::Tasks => vec![
            chart("Tasks that were open at the end", &of, &count),
            took("How long they took: half within, nine of ten within"),
        ],
        Metric::WorkAndDrift => vec![
            chart("Tasks that people did", &|point| single(point.count.map(|count| count as f64)), &count),
            chart("Drift that was open at the end", &of, &count),
        ],
        Metric::Drift => vec![chart("Drift that was open at the end", &of, &count)],
        Metric::Orphans => {
            vec![chart("Accounts of nobody that a comparison found, on average", &of, &|v| format!("{v:.1}"))]
        }
        Metric::Exceptions => vec![chart("Exceptions that were granted", &of, &count)],
        Metric::DrillScore => vec![chart("Scores of drills, on average", &of, &|v| format!("{v:.0} of 100"))],
    };
    all.into_iter().flatten().collect()
}
