//! Where apps differ from what is desired.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::drift::DriftItem;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::ids::AppId;
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{Who, app_link, rows, whose};
use crate::api::context::Shared;
use crate::api::person::Person;
use crate::api::views::Detail;
use crate::console::asked::Asked;
use crate::console::format::{at, word};
use crate::console::ui::{Cell, Column, Empty, Field, Head, Row, Table, Tone};
use crate::error::ApiError;

const KINDS: [DriftKind; 8] = [
    DriftKind::Zombie,
    DriftKind::Orphan,
    DriftKind::Membership,
    DriftKind::Attribute,
    DriftKind::Missing,
    DriftKind::Duplicate,
    DriftKind::Residue,
    DriftKind::Invited,
];

const COLUMNS: [Column; 7] = [
    Column::text("whose", "Whose"),
    Column::text("kind", "Kind"),
    Column::text("app", "App"),
    Column::text("differs", "Differs in"),
    Column::text("since", "Since"),
    Column::text("refused", "Refused"),
    Column::text("accepted", "Accepted"),
];

/// Some of it as a table.
pub fn table(view: &View, person: &Person, found: &[DriftItem], caption: String) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let rows = found.iter().map(|item| row(view, person, item, now)).collect::<Result<Vec<_>, _>>()?;
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

/// Where apps differ.
pub async fn drift(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let view = api.fresh().await?;
        let names: Vec<String> = KINDS.iter().map(word).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let kind = asked.one_of("kind", &names)?;
        let app = asked.get("app");
        let wanted = |item: &DriftItem| {
            (app.is_empty() || item.id.app.as_str() == app) && kind.is_none_or(|kind| word(&item.id.kind) == kind)
        };
        // The items of one app stand together.
        let prefix = match app.parse::<AppId>() {
            Ok(app) => format!("drift/{app}/"),
            Err(_) => "drift/".to_owned(),
        };
        let (found, next) = rows(&view, &prefix, asked.cursor(), wanted)?;
        Ok(List {
            here: "/console/drift",
            call: if app.is_empty() { "/v1/drift".into() } else { format!("/v1/drift?app={app}") },
            head: Head::new(
                "Drift",
                "Where an app was read and differs from what is desired, until it is repaired, accepted or gone.",
            ),
            stats: Vec::new(),
            fields: vec![
                asked.field("app", "App", "id of an app"),
                Field { options: options("every kind", &names), ..asked.field("kind", "Kind", "") },
            ],
            table: table(&view, &person, &found, format!("{} shown", found.len()))?,
            empty: Empty::new(
                Tone::Good,
                "Every account that was read is as desired.",
                "Apps are compared as a whole every reconcile_every.",
            ),
            filter: FilterSays::Nothing,
            next,
            bulk: vec![("accept", "leave as it is for a while")],
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}

fn row(view: &View, person: &Person, item: &DriftItem, now: Timestamp) -> Result<Row, ApiError> {
    let of = match item.id.kind {
        DriftKind::Orphan if person.sees() == Detail::Impersonal => Cell::text("nobody's: an account"),
        DriftKind::Orphan => Cell::text(format!("nobody's: {}", item.user_name)),
        _ => whose(view, person, item.id.identity)?,
    };
    let accepted =
        item.accepted.as_ref().map(|e| format!("by {} until {}", e.by, at(e.expires_at))).unwrap_or_default();
    let cells = vec![
        of,
        Cell::word(word(&item.id.kind)),
        app_link(view, &item.id.app)?,
        Cell::text(item.differences.iter().map(|c| c.path.as_str()).collect::<Vec<_>>().join(", ")),
        Cell::when(Some(item.detected_at), now),
        Cell::when(item.refused.map(|refused| refused.at), now),
        Cell::text(accepted),
    ];
    Ok(Row { id: Some(item.id.to_string()), cells })
}
