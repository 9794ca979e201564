//! Who left, and what is left of them.

use std::collections::BTreeSet;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::case::{Case, CaseStatus};
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{ROWS, Who, due, name_of, whose};
use crate::api::context::Shared;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Badge, Cell, Column, Empty, Field, Head, Row, Stat, Table, Tone, When};
use crate::error::ApiError;

const STATUSES: [&str; 2] = ["overdue", "open"];

const COLUMNS: [Column; 7] = [
    Column::text("who", "Who"),
    Column::text("status", "Status"),
    Column::text("left", "Left"),
    Column::text("due", "Due"),
    Column::text("where", "Where"),
    Column::text("source", "Said by"),
    Column::text("owner", "App owner"),
];

/// The most that are looked at for one page.
const LOOKED_AT: usize = 2000;

/// Leavers that are open, the most overdue first.
pub fn open(view: &View) -> Result<Vec<Case>, ApiError> {
    let mut all = ledger::open_leavers(view)?;
    all.sort_by_key(|l| (l.status() != CaseStatus::Overdue, l.overdue_since, l.opened_at));
    Ok(all)
}

/// Some of them as a table.
pub fn table(view: &View, person: &Person, leavers: &[Case], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = leavers.iter().map(|leaver| row(view, person, leaver, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

/// Who left and is not verified gone.
pub async fn leavers(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let view = api.fresh().await?;
        let status = asked.one_of("status", &STATUSES)?;
        let all = open(&view)?;
        let overdue = all.iter().filter(|leaver| leaver.status() == CaseStatus::Overdue).count();
        let (app, text) = (asked.get("app"), asked.get("q").to_lowercase());
        let (mut found, mut next) = (Vec::new(), None);
        let from = asked.parsed::<usize>("cursor", "place in this list")?.unwrap_or(0);
        for (place, leaver) in all.iter().enumerate().skip(from) {
            if found.len() == ROWS || place >= from.saturating_add(LOOKED_AT) {
                next = Some(place.to_string());
                break;
            }
            let is_at = |owed: &Obligation| owed.end.is_none() && owed.id.subject.place() == app;
            if status.is_some_and(|status| word(&leaver.status()) != status)
                || !app.is_empty() && !ledger::obligations_of_leaver(&view, leaver)?.iter().any(is_at)
                || !text.is_empty() && !name_of(&view, &person, leaver.identity)?.to_lowercase().contains(&text)
            {
                continue;
            }
            found.push(leaver.clone());
        }
        let lede = "Who left and is not verified gone, the most overdue first. Someone is gone when every app was read back and \
                    shows no account that can be used.";
        Ok(List {
            here: "/console/leavers",
            call: format!("/v1/leavers?status={}", status.unwrap_or("open")),
            head: Head::new("Leavers", lede),
            stats: vec![
                Stat::count(overdue, "overdue", "/console/leavers?status=overdue", Tone::Bad),
                Stat::count(all.len(), "open", "/console/leavers", Tone::Plain),
            ],
            fields: vec![
                asked.field("q", "Name", "part of it"),
                asked.field("app", "App", "id of an app"),
                Field { options: options("all that are open", &STATUSES), ..asked.field("status", "Status", "") },
            ],
            table: table(&view, &person, &found, format!("{} of {}", found.len(), all.len()))?,
            empty: Empty::new(
                Tone::Good,
                "Nobody who left still owes anything.",
                "Whoever leaves stands here until every app was read back.",
            ),
            filter: FilterSays::Nothing,
            next,
            bulk: vec![("sync", "look at every account again, now")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}

fn row(view: &View, person: &Person, leaver: &Case, now: Timestamp) -> Result<Row, ApiError> {
    let owed = ledger::obligations_of_leaver(view, leaver)?;
    let owed: Vec<&Obligation> = owed.iter().filter(|o| o.end.is_none()).collect();
    let first = owed.iter().min_by_key(|o| (o.status() != ObligationStatus::Overdue, o.deadline));
    let mut owners = BTreeSet::new();
    let mut places = Vec::new();
    for o in &owed {
        let app = o.id.subject.app().map(|app| directory::app(view, app)).transpose()?.flatten();
        let name = app.as_ref().map_or_else(|| o.id.subject.place().to_owned(), |app| app.spec.name.clone());
        owners.extend(app.map(|app| app.spec.owner));
        let status = word(&o.status());
        let tone = Tone::of(&status);
        places.push(Badge {
            text: format!("{name}: {status}"),
            title: format!("due {}", When::new(o.deadline, now).exact),
            tone,
        });
    }
    let due = first.map_or(Cell::When(None), |o| due(o, now));
    let cells = vec![
        whose(view, person, leaver.identity)?,
        Cell::word(word(&leaver.status())),
        Cell::when(Some(leaver.opened_at), now),
        due,
        Cell::Badges(places),
        Cell::text(leaver.source.as_ref().map(ToString::to_string).unwrap_or_default()),
        Cell::text(owners.into_iter().collect::<Vec<_>>().join(", ")),
    ];
    Ok(Row { id: Some(leaver.identity.to_string()), cells })
}
