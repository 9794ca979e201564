//! What is owed.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::list::{FilterSays, List, shown};
use super::{EXTENT, Who, due, place, whose};
use crate::api::context::Shared;
use crate::api::paging::page_after;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Table, Tone};
use crate::error::ApiError;

const STATUSES: [ObligationStatus; 6] = [
    ObligationStatus::Overdue,
    ObligationStatus::Open,
    ObligationStatus::Applied,
    ObligationStatus::Waived,
    ObligationStatus::Verified,
    ObligationStatus::Superseded,
];

const COLUMNS: [Column; 9] = [
    Column::text("whose", "Whose"),
    Column::text("app", "App"),
    Column::text("change", "Change"),
    Column::text("desired", "Desired"),
    Column::text("since", "Since"),
    Column::text("applied", "Applied"),
    Column::text("verified", "Verified"),
    Column::text("deadline", "Deadline"),
    Column::text("status", "Status"),
];

/// Some of them as a table.
pub fn table(view: &View, person: &Person, owed: &[Obligation], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = owed.iter().map(|o| row(view, person, o, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

fn row(view: &View, person: &Person, o: &Obligation, now: Timestamp) -> Result<Row, ApiError> {
    let cells = vec![
        whose(view, person, o.id.subject.identity())?,
        place(view, o)?,
        Cell::text(word(&o.change)),
        Cell::text(word(&o.target)),
        Cell::when(Some(o.opened_at), now),
        Cell::when(o.applied_at, now),
        Cell::when(o.verified_at(), now),
        due(o, now),
        Cell::word(word(&o.status())),
    ];
    Ok(Row { id: Some(o.id.to_string()).filter(|_| o.end.is_none()), cells })
}

/// What is owed in a state, everywhere or in one app.
pub async fn obligations(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let view = api.fresh().await?;
        let words: Vec<String> = STATUSES.iter().map(word).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let chosen = asked.one_of("status", &words)?;
        let wanted =
            STATUSES.iter().copied().find(|s| Some(word(s).as_str()) == chosen).unwrap_or(ObligationStatus::Open);
        let (app, change) = (asked.get("app"), asked.get("change"));
        let choose = |o: &Obligation| {
            o.status() == wanted
                && (app.is_empty() || o.id.subject.place() == app)
                && (change.is_empty() || word(&o.change) == change)
        };
        let read =
            |after: Option<&str>, look| ledger::obligations_after(&view, ledger::Among::with(wanted), after, look);
        let (found, next) = page_after(read, asked.cursor(), EXTENT, choose)?;
        let status = word(&wanted);
        let statuses = words.iter().map(|word| ((*word).to_owned(), (*word).to_owned())).collect();
        Ok(List {
            here: "/console/obligations",
            call: match app.is_empty() {
                true => format!("/v1/obligations?status={status}"),
                false => format!("/v1/obligations?status={status}&app={app}"),
            },
            head: Head::new(
                "Obligations",
                "“This account must reach this state by this deadline, because of that change.” It ends when the app was read back.",
            ),
            stats: Vec::new(),
            fields: vec![
                Field { options: statuses, value: status.clone(), ..asked.field("status", "Status", "") },
                asked.field("app", "App", "id of an app"),
                asked.field("change", "Change", "joiner, mover, leaver, …"),
            ],
            table: table(&view, &person, &found, format!("{} {status}", found.len()))?,
            empty: Empty::new(
                Tone::Plain,
                format!("Nothing is {status}."),
                "An obligation opens when what somebody must have changes.",
            ),
            filter: FilterSays::All,
            next,
            bulk: vec![("waive", "leave unmet for a while")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
