//! What people have to do in apps that Rollcall does not change itself.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::obligation::Obligation;
use rollcall_domain::ids::AppId;
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{EXTENT, Who, app_link, due, whose};
use crate::api::context::Shared;
use crate::api::paging::page_where;
use crate::api::person::Person;
use crate::api::tasks;
use crate::api::views::{Detail, TaskStatus, TaskView};
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Table, Tone};
use crate::error::ApiError;

const COLUMNS: [Column; 7] = [
    Column::text("status", "Status"),
    Column::text("app", "App"),
    Column::text("who", "Whose account"),
    Column::text("to_do", "What has to be done"),
    Column::text("how", "How"),
    Column::text("deadline", "Deadline"),
    Column::text("owner", "Owner"),
];

fn row(view: &View, person: &Person, account: &Account, now: Timestamp) -> Result<Option<Row>, ApiError> {
    let Some(task) = tasks::seen(view, person, account)? else { return Ok(None) };
    let first: Option<&Obligation> = account.owes.iter().min_by_key(|owed| owed.deadline);
    let to_do = task.to_do.map_or_else(|| format!("there must be: {}", word(&task.target)), |steps| steps.join(". "));
    let to_do = match (&task.waits, &task.attested_by) {
        _ if task.refuted => format!("It is said to be done, and the list shows otherwise. {to_do}"),
        (Some(waits), _) => format!("Not yet: {waits}. {to_do}"),
        (None, Some(by)) => format!("{to_do}. {by} says that it is done: a list will show it"),
        (None, None) => to_do,
    };
    let cells = vec![
        Cell::word(word(&task.status)),
        app_link(view, &account.app)?,
        match task.user_name {
            Some(name) => Cell::link(name, format!("/console/identities/{}", account.identity)),
            None => whose(view, person, account.identity)?,
        },
        Cell::text(to_do),
        match task.instructions.starts_with("https://") {
            true => Cell::link(task.instructions.clone(), task.instructions),
            false => Cell::text(task.instructions),
        },
        first.map_or_else(|| Cell::text(String::new()), |owed| due(owed, now)),
        Cell::text(task.owner),
    ];
    Ok(Some(Row { id: Some(task.id.to_string()), cells }))
}

/// Tasks as a table.
pub fn table(view: &View, person: &Person, found: &[Account], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = found.iter().map(|one| row(view, person, one, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows.into_iter().flatten()))
}

/// What has to be done: all of it, in one app, or by how far it is.
pub async fn tasks(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let words = TaskStatus::ALL.map(|status| word(&status));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let chosen = asked.one_of("status", &words)?;
        let app = asked.parsed::<AppId>("app", "id of an app")?;
        let view = api.fresh().await?;
        let read = |after: Option<&str>, look| ledger::tasks_after(&view, app.as_ref(), after, look);
        let is_wanted = |account: &Account| {
            let Some(chosen) = chosen else { return Ok(true) };
            let task = TaskView::of(&view, account, Detail::Impersonal)?;
            Ok(task.is_some_and(|task| word(&task.status) == chosen))
        };
        let (found, next) = page_where(read, asked.cursor(), EXTENT, is_wanted)?;
        Ok(List {
            here: "/console/tasks",
            call: chosen.map_or_else(|| "/v1/tasks".to_owned(), |status| format!("/v1/tasks?status={status}")),
            head: Head::new(
                "Tasks",
                "What people have to do in apps that Rollcall does not change itself, with the deadline of what is owed. Whoever did it says \
                 so: that is shown as their word, and never as verified.",
            ),
            stats: Vec::new(),
            fields: vec![
                asked.field("app", "App", "id of an app"),
                Field { options: options("all", &words), ..asked.field("status", "Status", "") },
            ],
            table: table(&view, &person, &found, format!("{} to do", found.len()))?,
            empty: Empty::new(
                Tone::Good,
                "Nobody has anything to do.",
                "What is owed in an app of kind manual stands here until somebody says that it is done.",
            ),
            filter: FilterSays::All,
            next,
            bulk: vec![("done-task", "say that it is done")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
