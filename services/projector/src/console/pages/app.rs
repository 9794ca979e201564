//! One app: how it is, what it can do and what showed it, what is open in it.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::access::account::Account;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::drift::DriftItem;
use rollcall_domain::ids::AppId;
use rollcall_domain::{directory, ledger};

use super::frame::{Frame, answer};
use super::{Who, apps, drift, events, tasks};
use crate::api::context::{Shared, unknown};
use crate::api::latency::{self, GroupBy};
use crate::api::views::{AppView, DrillResultView, DrillsView};
use crate::console::asked::Asked;
use crate::console::format::at_or_none;
use crate::console::ui::{Action, Cell, Column, Head, Notice, Stat, Table, Tone, Weight, span_of};
use crate::error::ApiError;
use crate::timeline::entry::Entry;
use crate::timeline::selection::{self, Choice, Order};

/// A part of a page: a table, or a text.
pub struct Section {
    pub title: String,
    pub table: Option<Table>,
    pub text: String,
    /// Whether the text is shown as it is.
    pub raw: bool,
}

impl Section {
    /// A table, and what stands where it has no rows.
    pub fn table(title: impl Into<String>, table: Table, empty: &str) -> Self {
        Self { title: title.into(), table: Some(table), text: empty.to_owned(), raw: false }
    }

    /// A text.
    pub fn text(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { title: title.into(), table: None, text: text.into(), raw: false }
    }

    /// A text as it is.
    pub fn raw(title: impl Into<String>, text: impl Into<String>) -> Self {
        Self { raw: true, ..Self::text(title, text) }
    }
}

/// A page about one thing.
#[derive(Template)]
#[template(path = "detail.html")]
pub struct DetailPage {
    pub frame: Frame,
    pub head: Head,
    pub notes: Vec<Notice>,
    pub stats: Vec<Stat>,
    pub facts: Vec<(&'static str, String)>,
    pub sections: Vec<Section>,
}

const OPERATIONS: [Column; 4] = [
    Column::text("operation", "Operation"),
    Column::number("confirmed", "Confirmed"),
    Column::number("seen", "Seen when read back"),
    Column::number("share", "Share"),
];

const CAPABILITIES: [Column; 3] =
    [Column::text("capability", "Capability"), Column::text("is", "Is"), Column::text("from", "Known from")];

const WAYS: [Column; 4] = [
    Column::text("attribute", "Attribute"),
    Column::text("way", "Kept"),
    Column::text("sent", "As sent"),
    Column::text("shown", "As shown"),
];

/// How many of the newest things stand on the page.
const SOME: usize = 10;

/// One app.
pub async fn app(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let asked = Asked::read(query.as_deref());
    let page = async {
        let view = api.fresh().await?;
        let app: AppId = id.parse().map_err(|_| unknown("app", &id))?;
        let found = directory::app(&view, &app)?.ok_or_else(|| unknown("app", &id))?;
        let now = Timestamp::now();
        let shown = AppView::of(&view, &found, now, person.sees())?;
        let from = now.checked_sub(SignedDuration::from_hours(7 * 24)).ok();
        let choice = latency::Choice { from, app: Some(app.clone()), ..latency::Choice::default() };
        let state = view.clone();
        let measured = tokio::task::spawn_blocking(move || latency::by_group(&state, &choice, GroupBy::Change));
        let measured = measured.await.map_err(|_| ApiError::Stopped)??;
        let drills = DrillsView::of(&view, &app, person.sees())?;
        let mut items: Vec<DriftItem> = ledger::drift(&view, Some(&app))?;
        items.sort_by_key(|item| item.detected_at);
        items.truncate(SOME);
        let by_people = shown.kind.is_by_people();
        let mut sections = vec![
            Section::table("Does what it says", operations(&shown), "Nothing it confirmed was read back yet."),
            Section::table("How long changes took, the last 7 days", times(&measured), "Nothing was verified."),
            Section::table("The last drill", drilled(&drills), "It was never drilled."),
            Section::table(
                "What it can do",
                capabilities(&found.spec.capabilities, &shown.capabilities),
                "Nothing is known yet.",
            ),
            Section::table(
                "How it keeps attributes",
                ways(&shown.capabilities),
                "As they are sent, as far as it was seen.",
            ),
            Section::table(
                "Drift, the oldest first",
                drift::table(&view, &person, &items, format!("{} of {}", items.len(), shown.drift_items))?.unchosen(),
                "Every account that was read is as desired.",
            ),
        ];
        if by_people {
            let found = ledger::tasks_after(&view, Some(&app), None, SOME)?;
            let found: Vec<Account> = found.pairs.into_iter().map(|(_, account)| account).collect();
            let table = tasks::table(&view, &person, &found, "The most urgent first".into())?.unchosen();
            sections = vec![Section::table("What has to be done there", table, "Nobody has anything to do.")];
        }
        if person.role >= Role::Auditor && !by_people {
            let wanted =
                Choice { app: Some(app.clone()), type_name: Some("account.rejected".into()), ..Choice::default() };
            let state = view.clone();
            let read = move || selection::page::<Entry>(&state, &wanted, Order::Newest, None, SOME);
            let page = tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::Stopped)??;
            let table = events::table(&view, &person, &page.entries, "What it refused last, in its own words".into())?;
            sections.push(Section::table("What it said last", table, "It has refused nothing lately."));
        }
        let mut notes = Vec::new();
        if let Some(reason) = &shown.health.reason {
            let since = at_or_none(shown.health.since);
            let said = reason.detail.clone().unwrap_or_default();
            let text = format!("Left alone but for a probe since {since}: {} {said}", reason.cause);
            notes.push(Notice { text, tone: Tone::Bad, sequence: None });
        }
        if let Some(why) = &drills.failure {
            let text = format!("The last drill could not be done to its end: {why}");
            notes.push(Notice { text, tone: Tone::Warn, sequence: None });
        }
        if !drills.left_behind.is_empty() {
            let text =
                format!("Drills have left accounts there, as {}: remove them by hand", drills.left_behind.join(", "));
            notes.push(Notice { text, tone: Tone::Bad, sequence: None });
        }
        let mut head = Head::new(shown.name.clone(), shown.base_url.clone());
        head.badges = apps::health(&shown);
        head.crumb = Some(("Apps", "/console/apps"));
        if by_people {
            head.lede = "People change it: what they say is their word, and nothing can be read.".to_owned();
            head.actions = vec![Action::new("Tasks", format!("/console/tasks?app={app}"), Weight::Primary)];
        } else if person.role >= Role::Operator {
            let act = |what: &str| format!("/console/act?do={what}&id={app}&back=/console/apps/{app}");
            head.actions = vec![
                Action::new("Compare now", act("reconcile"), Weight::Primary),
                Action::new("Drill now", act("drill"), Weight::Usual),
            ];
            // To look once more is no answer to whether they are gone.
            head.actions.push(match ledger::missing_in(&view, &app)? {
                Some(missing) => {
                    let href = format!("{}&through={}", act("gone"), missing.by);
                    Action::new("Say that what is missing is gone", href, Weight::Usual)
                }
                None => Action::new("Look at every account again", act("sync-app"), Weight::Usual),
            });
        }
        let list = |path: &str, status: &str| format!("/console/{path}?{status}app={app}");
        let open = usize::try_from(shown.obligations_open).unwrap_or(usize::MAX);
        let overdue = usize::try_from(shown.obligations_overdue).unwrap_or(usize::MAX);
        let hours = |seconds: f64| span_of(seconds);
        let sla = &shown.sla_seconds;
        let deadlines = format!(
            "leaver {}, joiner {}, mover {}, emergency {}",
            hours(sla.leaver),
            hours(sla.joiner),
            hours(sla.mover),
            hours(sla.emergency)
        );
        let facts = [
            ("Id", app.to_string()),
            ("Owner", shown.owner.clone()),
            ("How it is done there", shown.instructions.clone()),
            ("Who has an account", shown.assign.clone()),
            ("How access ends", crate::console::format::word(&shown.deprovision)),
            ("Deadlines", deadlines),
            ("Groups", groups(&shown)),
            ("Never touched", shown.protected.iter().flatten().cloned().collect::<Vec<_>>().join(", ")),
            ("Compared", at_or_none(shown.reconciliation.completed_at)),
        ];
        Ok(DetailPage {
            frame: Frame::new(&api, &person, "/console/apps", format!("/v1/apps/{app}")).noting(&asked),
            head,
            notes,
            stats: vec![
                Stat::count(overdue, "overdue", list("obligations", "status=overdue&"), Tone::Bad),
                Stat::count(open, "open", list("obligations", "status=open&"), Tone::Plain),
                Stat::count(shown.drift_items, "drift items", list("drift", ""), Tone::Plain),
                Stat {
                    value: format!("{:.1} h", shown.drift_debt_hours),
                    label: "drift debt".into(),
                    href: list("drift", ""),
                    tone: Tone::Plain,
                },
                Stat {
                    value: apps::score(&shown),
                    label: "of what it confirmed was seen".into(),
                    href: String::new(),
                    tone: Tone::Plain,
                },
            ],
            facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            sections,
        })
    };
    answer(&api, &person, page.await)
}

const DRILLED: [Column; 6] = [
    Column::text("step", "Step"),
    Column::text("of", "Of"),
    Column::text("verdict", "Went"),
    Column::text("before", "Before"),
    Column::number("visible", "Showed after"),
    Column::text("detail", "What was seen"),
];

fn drilled(drills: &DrillsView) -> Table {
    let Some(report) = drills.reports.first() else { return Table::new("Each step", &DRILLED) };
    let row = |result: &DrillResultView| {
        vec![
            Cell::text(result.step.replace('_', " ")),
            Cell::text(result.of.clone()),
            Cell::word(result.verdict),
            Cell::text(result.before.unwrap_or_default()),
            Cell::number(result.visible_after_seconds.map_or_else(|| "–".to_owned(), span_of)),
            Cell::text(result.detail.clone().unwrap_or_else(|| "left out".to_owned())),
        ]
    };
    let score = report.score.map_or_else(|| "–".to_owned(), |score| score.to_string());
    let caption = format!("{}: {score} of 100", at_or_none(Some(report.at)));
    Table::new(caption, &DRILLED).with(report.results.iter().map(row))
}

fn groups(app: &AppView) -> String {
    app.groups.iter().map(|rule| format!("{} → {}", rule.from, rule.to)).collect::<Vec<_>>().join(", ")
}

fn operations(app: &AppView) -> Table {
    let row = |(operation, tally): (&&str, &rollcall_domain::app::conformance::Tally)| {
        let share = match tally.confirmed {
            0 => "–".to_owned(),
            all => format!("{:.0} %", 100.0 * tally.honoured as f64 / all as f64),
        };
        vec![Cell::text(*operation), Cell::number(tally.confirmed), Cell::number(tally.honoured), Cell::number(share)]
    };
    Table::new("What it confirmed, and what was seen", &OPERATIONS).with(app.conformance.operations.iter().map(row))
}

const TIMES: [Column; 5] = [
    Column::text("change", "Change"),
    Column::number("count", "Verified"),
    Column::number("p50", "Half within"),
    Column::number("p99", "99 of 100 within"),
    Column::number("share", "In time"),
];

fn times(measured: &[latency::LatencyView]) -> Table {
    let seconds = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), span_of);
    let row = |group: &latency::LatencyView| {
        vec![
            Cell::text(group.group.clone()),
            Cell::number(group.count),
            Cell::number(seconds(group.verified_seconds.p50)),
            Cell::number(seconds(group.verified_seconds.p99)),
            Cell::number(format!("{:.0} %", group.within_service_level * 100.0)),
        ]
    };
    Table::new("By kind of change, to verified", &TIMES).with(measured.iter().map(row))
}

fn capabilities(configured: &Capabilities, now: &Capabilities) -> Table {
    let flags = |can: &Capabilities| {
        [
            ("PATCH", can.patch),
            ("Filters", can.filter),
            ("Groups", can.groups),
            ("active", can.deactivate),
            ("Pages by cursor", can.cursor),
            ("Members shown", can.members_shown),
            ("PATCH in capitals", can.patch_capitalized),
            ("PATCH with paths", can.patch_paths),
            ("Several operations in a PATCH", can.patch_many),
            ("Removal of members by value", can.removal_by_value),
            ("Invites people", can.invites),
        ]
    };
    let word = |support: Support| match support {
        Support::Yes => "yes",
        Support::No => "no",
        Support::Unknown => "not known",
    };
    let mut rows: Vec<Vec<Cell>> = flags(configured)
        .into_iter()
        .zip(flags(now))
        .filter(|(_, (_, is))| *is != Support::Unknown)
        .map(|((name, said), (_, is))| {
            let from = if said == Support::Unknown { "the app" } else { "configuration" };
            vec![Cell::text(name), Cell::text(word(is)), Cell::text(from)]
        })
        .collect();
    if !now.required.is_empty() {
        let from = if configured.required.is_empty() { "the app" } else { "configuration" };
        rows.push(vec![Cell::text("Makes no account without"), Cell::text(now.required.join(", ")), Cell::text(from)]);
    }
    for quirk in &now.quirks {
        let name = crate::console::format::word(quirk);
        rows.push(vec![Cell::text("Quirk"), Cell::text(name), Cell::text("its answers")]);
    }
    Table::new("What is configured wins over what the app shows", &CAPABILITIES).with(rows)
}

fn ways(can: &Capabilities) -> Table {
    let row = |(path, keeps): (&String, &rollcall_domain::app::own_way::Keeps)| {
        vec![
            Cell::text(path.clone()),
            Cell::text(keeps.way.to_string()),
            Cell::text(keeps.sent.clone()),
            Cell::text(keeps.shown.clone()),
        ]
    };
    Table::new("Examples are the shape of a value, and nobody's data", &WAYS).with(can.keeps.iter().map(row))
}
