//! Machines of those who leave: who takes them over, and by when.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::handover::{Handover, HandoverStatus};
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::list::{FilterSays, List, shown};
use super::{Who, due, machine_link, rows, whose};
use crate::api::context::Shared;
use crate::api::person::Person;
use crate::api::views::HandoverView;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Table, Tone};
use crate::error::ApiError;

const STATUSES: [HandoverStatus; 6] = [
    HandoverStatus::Open,
    HandoverStatus::Retiring,
    HandoverStatus::Accepted,
    HandoverStatus::Reassigned,
    HandoverStatus::Retired,
    HandoverStatus::Returned,
];

const COLUMNS: [Column; 6] = [
    Column::text("status", "Status"),
    Column::text("machine", "Machine"),
    Column::text("by", "Handed over by"),
    Column::text("since", "Since"),
    Column::text("deadline", "Deadline"),
    Column::text("proposed", "Proposed"),
];

/// Hand-overs as a table.
pub fn table(view: &View, person: &Person, found: &[Handover], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = found.iter().map(|handover| row(view, person, handover, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

fn row(view: &View, person: &Person, handover: &Handover, now: Timestamp) -> Result<Row, ApiError> {
    let seen = HandoverView::of(view, handover, person.sees())?;
    let proposed = seen.proposed.iter().map(|candidate| {
        let name = candidate.who.user_name.clone().unwrap_or_else(|| candidate.who.id.to_string());
        format!("{name} ({})", candidate.because)
    });
    let owed = handover.obligation();
    let cells = vec![
        Cell::word(word(&seen.status)),
        machine_link(view, handover.machine)?,
        match handover.former() {
            Some(owner) => whose(view, person, owner)?,
            None => Cell::text("nobody answered for it"),
        },
        Cell::when(Some(seen.opened_at), now),
        owed.as_ref().map_or_else(|| Cell::text(String::new()), |owed| due(owed, now)),
        Cell::text(proposed.collect::<Vec<_>>().join(", ")),
    ];
    Ok(Row { id: Some(seen.id.to_string()).filter(|_| handover.end.is_none()), cells })
}

/// The machines that are to be handed over.
pub async fn handovers(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let words: Vec<String> = STATUSES.iter().map(word).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let chosen = asked.one_of("status", &words)?.unwrap_or("open");
        let view = api.fresh().await?;
        let wanted = |handover: &Handover| word(&handover.status()) == chosen;
        let (found, next) = rows(&view, ledger::HANDOVERS, asked.cursor(), wanted)?;
        Ok(List {
            here: "/console/handovers",
            call: format!("/v1/handovers?status={chosen}"),
            head: Head::new(
                "Hand-overs",
                "Machines for which somebody answers who has left: somebody else takes them, or they end. The leaver is complete once all of \
                 theirs are handed over.",
            ),
            stats: Vec::new(),
            fields: vec![Field {
                options: words.iter().map(|word| ((*word).to_owned(), (*word).to_owned())).collect(),
                value: chosen.to_owned(),
                ..asked.field("status", "Status", "")
            }],
            table: table(&view, &person, &found, format!("{} {chosen}", found.len()))?,
            empty: Empty::new(
                Tone::Good,
                format!("No hand-over is {chosen}."),
                "One opens for each machine of whoever leaves.",
            ),
            filter: FilterSays::All,
            next,
            bulk: vec![
                ("accept-handover", "take over"),
                ("pass-handover", "ask somebody to take over"),
                ("retire-handover", "end the machine"),
            ],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
