//! Service accounts and agents, and who answers for them.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::handover::Machine;
use rollcall_domain::kv::KvError;
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{Who, machine_link, name_of, rows, whose};
use crate::api::context::Shared;
use crate::api::machines::MachineIs;
use crate::api::person::Person;
use crate::api::views::MachineView;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Stat, Table, Tone};
use crate::error::ApiError;

const COLUMNS: [Column; 8] = [
    Column::text("machine", "Machine"),
    Column::text("kind", "Kind"),
    Column::text("lifecycle", "Lifecycle"),
    Column::text("owner", "Owner"),
    Column::text("team", "Team"),
    Column::text("environment", "Environment"),
    Column::text("purpose", "Purpose"),
    Column::text("ends", "Ends"),
];

fn row(view: &View, person: &Person, machine: &Machine, now: Timestamp) -> Result<Option<Row>, ApiError> {
    let Some(seen) = MachineView::of(view, machine, person.sees())? else { return Ok(None) };
    let owner = match machine.owner {
        Some(owner) if seen.without_owner => Cell::text(format!("{} (has left)", name_of(view, person, owner)?)),
        Some(owner) => whose(view, person, owner)?,
        None => Cell::text("nobody"),
    };
    let lifecycle = if seen.disabled { "off".to_owned() } else { word(&seen.lifecycle) };
    let cells = vec![
        machine_link(view, machine.id)?,
        Cell::text(seen.kind),
        Cell::word(lifecycle),
        owner,
        Cell::text(seen.team.unwrap_or_default()),
        Cell::text(seen.environment.unwrap_or_default()),
        Cell::text(seen.purpose.unwrap_or_default()),
        Cell::when(seen.expires_at, now),
    ];
    Ok(Some(Row { id: None, cells }))
}

/// Machines, all or those that are so.
pub async fn machines(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let chosen = asked.one_of("is", &MachineIs::ALL.map(MachineIs::name))?;
        let is = MachineIs::ALL.into_iter().find(|is| Some(is.name()) == chosen);
        let view = api.fresh().await?;
        let now = Timestamp::now();
        // What can't be told is shown.
        let wanted = |machine: &Machine| is.is_none_or(|is| is.holds(&view, machine, now).unwrap_or(true));
        let (found, next) = rows(&view, ledger::MACHINES, asked.cursor(), wanted)?;
        let rows = found.iter().map(|machine| row(&view, &person, machine, now)).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<Row> = rows.into_iter().flatten().collect();
        Ok(List {
            here: "/console/machines",
            call: chosen.map_or_else(|| "/v1/machines".to_owned(), |is| format!("/v1/machines?is={is}")),
            head: Head::new(
                "Machines",
                "Service accounts and agents. A person answers for each; when they leave, it is handed over or ends.",
            ),
            stats: stats(&view)?,
            fields: vec![Field {
                options: options("all", &MachineIs::ALL.map(MachineIs::name)),
                ..asked.field("is", "Only those", "")
            }],
            table: Table::new(format!("{} shown", rows.len()), &COLUMNS).with(rows),
            empty: Empty::new(
                Tone::Plain,
                "No machine is so.",
                "Sources send service accounts to /ServiceAccounts and agents to /Agents.",
            ),
            filter: FilterSays::Nothing,
            next,
            bulk: Vec::new(),
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}

fn stats(view: &View) -> Result<Vec<Stat>, KvError> {
    let handovers = ledger::count_handovers(view)?;
    let without = ledger::count_without_owner(view)?;
    let stat = |count: u64, label: &str, href: &str, some| {
        Stat::count(usize::try_from(count).unwrap_or(usize::MAX), label, href, some)
    };
    Ok(vec![
        stat(without, "without an owner", "/console/machines?is=without_owner", Tone::Warn),
        stat(handovers.open, "to be handed over", "/console/handovers", Tone::Warn),
        stat(handovers.overdue, "handed over late", "/console/handovers", Tone::Bad),
    ])
}
