//! Everything that happened.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::ids::{AppId, Sequence};
use rollcall_projection::View;

use super::list::{FilterSays, List, shown};
use super::{ROWS, Who};
use crate::api::context::Shared;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::ui::{Cell, Column, Empty, Head, Row, Table, Tone};
use crate::error::ApiError;
use crate::timeline::entry::Entry;
use crate::timeline::selection::{self, Choice, Order};

const COLUMNS: [Column; 7] = [
    Column::text("event", "Event"),
    Column::text("recorded", "Recorded"),
    Column::text("type", "Type"),
    Column::text("what", "What"),
    Column::text("by", "By"),
    Column::text("app", "App"),
    Column::text("about", "About"),
];

/// Some of them as a table.
pub fn table(view: &View, person: &Person, entries: &[Entry], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let row = |entry: &Entry| {
        let about = match entry.identity {
            Some(id) => super::whose(view, person, id)?,
            None => Cell::text(""),
        };
        let app = entry.app.as_ref();
        let cells = vec![
            Cell::link(entry.sequence.to_string(), format!("/console/events/{}", entry.sequence)),
            Cell::when(Some(entry.recorded_at), now),
            Cell::text(entry.type_name.clone()),
            Cell::text(entry.summary.clone()),
            Cell::text(entry.actor.clone()),
            app.map_or_else(|| Cell::text(""), |app| Cell::link(app.as_str(), format!("/console/apps/{app}"))),
            about,
        ];
        Ok(Row { id: None, cells })
    };
    let rows = entries.iter().map(row).collect::<Result<Vec<_>, ApiError>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

/// Everything that happened, the newest first.
pub async fn events(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        person.needs(Role::Auditor)?;
        let view = api.fresh().await?;
        let some = |name: &str| Some(asked.get(name).to_owned()).filter(|text| !text.is_empty());
        let choice = Choice {
            type_name: some("type"),
            app: asked.parsed::<AppId>("app", "id of an app")?,
            actor: some("actor"),
            source: some("source"),
            text: some("q"),
            from: asked.parsed::<Timestamp>("from", "time, such as 2026-11-28T12:00:00Z")?,
            to: asked.parsed::<Timestamp>("to", "time, such as 2026-11-28T12:00:00Z")?,
            ..Choice::default()
        };
        let after = asked.parsed::<u64>("cursor", "cursor of this list")?.map(Sequence);
        let state = view.clone();
        let read = move || selection::page::<Entry>(&state, &choice, Order::Newest, after, ROWS);
        let page = tokio::task::spawn_blocking(read).await.map_err(|_| ApiError::Stopped)??;
        Ok(List {
            here: "/console/events",
            call: "/v1/timeline".into(),
            head: Head::new(
                "Events",
                "Everything that happened, as it is on the log, the newest first. Nothing here is ever changed.",
            ),
            stats: Vec::new(),
            fields: vec![
                asked.field("q", "Text", "part of what it says"),
                asked.field("type", "Type", "account.rejected"),
                asked.field("app", "App", "id of an app"),
                asked.field("actor", "By", "who did it"),
                asked.field("source", "Source", "name of a source"),
                asked.field("from", "From", "2026-11-28T12:00:00Z"),
                asked.field("to", "To", "2026-11-28T13:00:00Z"),
            ],
            table: table(&view, &person, &page.entries, format!("{} shown", page.entries.len()))?,
            empty: Empty::new(
                Tone::Plain,
                "Nothing that matches.",
                "After 20,000 events were looked at the search goes on with More.",
            ),
            filter: FilterSays::Nothing,
            next: page.next.map(|next| next.to_string()),
            bulk: Vec::new(),
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
