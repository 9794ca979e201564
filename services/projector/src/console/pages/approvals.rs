//! What waits for a second person.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;

use super::list::{FilterSays, List, shown};
use super::{Who, whose};
use crate::api::approvals::{ApprovalView, waiting};
use crate::api::context::Shared;
use crate::console::asked::Asked;
use crate::console::ui::{Cell, Column, Empty, Head, Row, Table, Tone};
use crate::error::ApiError;

const COLUMNS: [Column; 6] = [
    Column::text("what", "What"),
    Column::text("about", "About"),
    Column::text("asked_by", "Asked by"),
    Column::text("reason", "Because"),
    Column::text("asked", "Asked"),
    Column::text("expires", "Expires"),
];

/// What waits for a second person.
pub async fn approvals(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let found = waiting(&api, &person).await?;
        let (view, now) = (api.store.view(), Timestamp::now());
        let row = |approval: &ApprovalView| {
            let cells = vec![
                Cell::text(approval.what.clone()),
                approval.identity.map_or_else(|| Ok(Cell::text("")), |id| whose(&view, &person, id))?,
                Cell::text(approval.asked_by.clone()),
                Cell::text(approval.reason.clone()),
                Cell::when(Some(approval.asked_at), now),
                Cell::when(Some(approval.expires_at), now),
            ];
            Ok(Row { id: Some(approval.id.clone()), cells })
        };
        let rows = found.iter().map(row).collect::<Result<Vec<_>, ApiError>>()?;
        let lede = "What is dangerous is asked for by one person, and approved by another one whom it is not about.";
        Ok(List {
            here: "/console/approvals",
            call: "/v1/approvals".into(),
            head: Head::new("Approvals", lede),
            stats: Vec::new(),
            fields: Vec::new(),
            table: Table::new(format!("{} wait", rows.len()), &COLUMNS).with(rows),
            empty: Empty::new(Tone::Good, "Nothing waits for a second person.", "[approvals] says what does."),
            filter: FilterSays::Nothing,
            next: None,
            bulk: vec![("approve", "approve"), ("deny", "deny, or take back")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
