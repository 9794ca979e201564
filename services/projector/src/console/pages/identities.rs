//! Everybody, and search by name.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::directory;
use rollcall_domain::identity::Identity;
use serde_json::Value;

use super::list::{FilterSays, List, options, shown};
use super::{ROWS, Who, rows};
use crate::api::context::Shared;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Table, Tone};
use crate::state::search;

const LIFECYCLES: [&str; 4] = ["staged", "active", "leaving", "left"];

const COLUMNS: [Column; 6] = [
    Column::text("user_name", "User name"),
    Column::text("name", "Name"),
    Column::text("lifecycle", "Lifecycle"),
    Column::text("source", "Source"),
    Column::text("joined", "Joined"),
    Column::text("changed", "Changed"),
];

/// The most that are found by a name before the other filters.
const FOUND: usize = 1000;

/// Who has a name, or everybody.
pub async fn identities(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        person.needs(Role::Auditor)?;
        let view = api.fresh().await?;
        let lifecycle = asked.one_of("lifecycle", &LIFECYCLES)?;
        let (text, source) = (asked.get("q"), asked.get("source"));
        let wanted = |identity: &Identity| {
            lifecycle.is_none_or(|wanted| word(&identity.lifecycle) == wanted)
                && (source.is_empty() || identity.source.as_ref().is_some_and(|of| of.as_str() == source))
        };
        let (found, next) = match text.is_empty() {
            true => rows::<Identity>(&view, directory::IDENTITIES, asked.cursor(), wanted)?,
            false => {
                let some = search::find(&view, text, FOUND)?;
                (some.into_iter().filter(wanted).take(ROWS).collect(), None)
            }
        };
        let now = Timestamp::now();
        let row = |i: &Identity| Row {
            id: Some(i.id.to_string()),
            cells: vec![
                Cell::link(i.user_name(), format!("/console/identities/{}", i.id)),
                Cell::text(i.resource.get("displayName").and_then(Value::as_str).unwrap_or_default()),
                Cell::word(word(&i.lifecycle)),
                Cell::text(i.source.as_ref().map(ToString::to_string).unwrap_or_default()),
                Cell::when(Some(i.created_at), now),
                Cell::when(Some(i.changed_at), now),
            ],
        };
        Ok(List {
            here: "/console/identities",
            call: "/v1/identities?name=…".into(),
            head: Head::new("Identities", "Everybody whom a source has ever said: people and machines."),
            stats: Vec::new(),
            fields: vec![
                asked.field("q", "Name", "part of a name"),
                asked.field("source", "Source", "name of a source"),
                Field { options: options("all", &LIFECYCLES), ..asked.field("lifecycle", "Lifecycle", "") },
            ],
            table: Table::new(format!("{} shown", found.len()), &COLUMNS).with(found.iter().map(row)),
            empty: match text.is_empty() {
                true => Empty::new(
                    Tone::Plain,
                    "Nobody yet.",
                    "Connect a source under [[sources]], and let it push its people to /scim/v2.",
                ),
                false => Empty::new(
                    Tone::Plain,
                    format!("Nobody has a name like “{text}”."),
                    "Part of a user name, a name or an address is enough.",
                ),
            },
            filter: FilterSays::Nothing,
            next,
            bulk: vec![("sync", "look at every account again, now")],
            searched: text.to_owned(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
