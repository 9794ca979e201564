//! Removals that wait for a decision.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::Who;
use super::list::{FilterSays, List, shown};
use crate::api::context::Shared;
use crate::api::views::HoldView;
use crate::console::asked::Asked;
use crate::console::ui::{Cell, Column, Empty, Head, Row, Table, Tone};
use crate::error::ApiError;

const COLUMNS: [Column; 5] = [
    Column::text("by", "By"),
    Column::text("app", "Too many in"),
    Column::number("removals", "Removals that wait"),
    Column::text("where", "Where"),
    Column::text("since", "Since"),
];

/// All of them as a table.
pub fn table(view: &View, caption: &str) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let row = |hold: &rollcall_domain::governance::hold::Hold| {
        let hold = HoldView::of(view, hold)?;
        let all = hold.apps.iter().map(|(app, count)| format!("{app}: {count}")).collect::<Vec<_>>().join(", ");
        let cells = vec![
            Cell::link(hold.source.clone(), format!("/console/holds/{}", hold.source)),
            Cell::link(hold.app.to_string(), format!("/console/apps/{}", hold.app)),
            Cell::number(hold.removals),
            Cell::text(all),
            Cell::when(Some(hold.since), now),
        ];
        Ok(Row { id: None, cells })
    };
    let rows = ledger::holds(view)?.iter().map(row).collect::<Result<Vec<_>, ApiError>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

/// Removals that wait for a decision.
pub async fn holds(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let view = api.fresh().await?;
        let lede = "More removals by one cause than the guard of an app lets go: they wait until a person has released or \
                    rejected them.";
        Ok(List {
            here: "/console/holds",
            call: "/v1/holds".into(),
            head: Head::new("Holds", lede),
            stats: Vec::new(),
            fields: Vec::new(),
            table: table(&view, "What waits, by cause")?,
            empty: Empty::new(
                Tone::Good,
                "Nothing waits for a decision.",
                "[apps.guard] says how many removals go by themselves.",
            ),
            filter: FilterSays::Nothing,
            next: None,
            bulk: Vec::new(),
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
