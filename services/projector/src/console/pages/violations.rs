//! Who holds together what a separation of duties forbids.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::separation::{Violation, ViolationStatus};
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{Who, rows, whose};
use crate::api::context::Shared;
use crate::api::person::Person;
use crate::api::views::{HeldTogetherView, ViolationView};
use crate::console::asked::Asked;
use crate::console::format::at;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Table, Tone};
use crate::error::ApiError;

const COLUMNS: [Column; 7] = [
    Column::text("status", "Status"),
    Column::text("who", "Who"),
    Column::text("separation", "Separation"),
    Column::text("held", "Holds together"),
    Column::text("since", "Since"),
    Column::text("owner", "Owner"),
    Column::text("accepted", "Accepted"),
];

/// Violations as a table.
pub fn table(view: &View, person: &Person, found: &[Violation], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = found.iter().map(|violation| row(view, person, violation, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

fn row(view: &View, person: &Person, violation: &Violation, now: Timestamp) -> Result<Row, ApiError> {
    let seen = ViolationView::of(view, violation, now, person.sees())?;
    let held = |one: &HeldTogetherView| match one.reasons.as_slice() {
        [] => format!("{} (being taken away, not verified)", one.entitlement),
        reasons => format!("{} ({})", one.entitlement, reasons.join("; ")),
    };
    let accepted = seen.accepted.map(|one| match one.by {
        Some(by) => format!("until {}, asked for by {by}", at(one.until)),
        None => format!("until {}", at(one.until)),
    });
    let cells = vec![
        Cell::word(seen.status.to_owned()),
        whose(view, person, violation.identity)?,
        Cell::text(format!("{} ({})", seen.name, seen.separation)),
        Cell::text(seen.held.iter().map(held).collect::<Vec<_>>().join("; ")),
        Cell::when(Some(seen.since), now),
        Cell::text(seen.owner),
        Cell::text(accepted.unwrap_or_default()),
    ];
    Ok(Row { id: Some(seen.id), cells })
}

/// Who holds together what nobody may.
pub async fn violations(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let status = asked.one_of("status", &ViolationStatus::ALL.map(ViolationStatus::name))?;
        let view = api.fresh().await?;
        let now = Timestamp::now();
        let wanted = |violation: &Violation| status.is_none_or(|status| violation.status(now).name() == status);
        let (found, next) = rows(&view, ledger::VIOLATIONS, asked.cursor(), wanted)?;
        Ok(List {
            here: "/console/violations",
            call: "/v1/violations".into(),
            head: Head::new(
                "Separation of duties",
                "Who holds together what a separation says nobody may, until one of it is verified to be gone. What is asked for and \
                 would be the second is refused.",
            ),
            stats: Vec::new(),
            fields: vec![Field {
                options: options("open and accepted", &["open", "accepted"]),
                ..asked.field("status", "Status", "")
            }],
            table: table(&view, &person, &found, format!("{} shown", found.len()))?,
            empty: Empty::new(
                Tone::Good,
                "Nobody holds together what must be apart.",
                "[[separations]] says what nobody may hold together.",
            ),
            filter: FilterSays::Nothing,
            next,
            bulk: vec![("accept-violation", "accept for a while")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
