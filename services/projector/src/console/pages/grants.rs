//! Access that was asked for, is granted, or was: who, what, until when, and who agreed.

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::grant::{Grant, GrantStatus};
use rollcall_domain::ledger;
use rollcall_projection::View;

use super::list::{FilterSays, List, options, shown};
use super::{ROWS, Who, whose};
use crate::api::context::{Api, Shared};
use crate::api::grants;
use crate::api::person::Person;
use crate::console::asked::Asked;
use crate::console::format::word;
use crate::console::ui::{Action, Cell, Column, Empty, Field, Head, Row, Table, Tone, Weight};
use crate::error::ApiError;

const COLUMNS: [Column; 9] = [
    Column::text("status", "Status"),
    Column::text("who", "For whom"),
    Column::text("what", "What"),
    Column::text("asked_by", "Asked by"),
    Column::text("reason", "Because"),
    Column::text("approvals", "Approved"),
    Column::text("until", "Until"),
    Column::text("asked", "Asked"),
    Column::text("ended", "Ended"),
];

/// Grants as a table.
pub async fn table(
    api: &Api,
    view: &View,
    person: &Person,
    found: &[Grant],
    caption: String,
) -> Result<Table, ApiError> {
    let now = Timestamp::now();
    let mut rows = Vec::new();
    for grant in found {
        let seen = grants::shown(api, view, person, grant).await?;
        let because = match (seen.reason, seen.ticket) {
            (Some(reason), Some(ticket)) => format!("{reason} ({ticket})"),
            (Some(reason), None) => reason,
            (None, _) => String::new(),
        };
        let by = seen.approved_by.join(", ");
        let approved = match seen.approved_by.len() {
            0 => format!("0 of {}: {}", seen.approvals, seen.approvers.join(", ")),
            count => format!("{count} of {}: {by}", seen.approvals),
        };
        let until = match (seen.until, seen.lasts_for) {
            (Some(until), _) => Cell::when(Some(until), now),
            (None, Some(seconds)) => Cell::text(format!("{} after its approval", span_of(seconds))),
            (None, None) => Cell::text("without an end"),
        };
        let ended =
            seen.ended.map_or_else(|| Cell::text(""), |ended| Cell::text(format!("{} by {}", ended.why, ended.by)));
        let cells = vec![
            Cell::word(word(&seen.status)),
            whose(view, person, grant.identity)?,
            Cell::text(if seen.name == seen.what { seen.what } else { format!("{} ({})", seen.name, seen.what) }),
            Cell::text(seen.requested_by),
            Cell::text(because),
            Cell::text(approved),
            until,
            Cell::when(Some(seen.requested_at), now),
            ended,
        ];
        rows.push(Row { id: Some(grant.id.to_string()), cells });
    }
    Ok(Table::new(caption, &COLUMNS).with(rows))
}

fn span_of(seconds: f64) -> String {
    let time = jiff::SignedDuration::try_from_secs_f64(seconds).unwrap_or_default();
    format!("{time:#}")
}

/// What was asked for, is granted, or was.
pub async fn grants(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let list = async {
        let status = match asked.get("status") {
            "" | "requested" => GrantStatus::Requested,
            "active" => GrantStatus::Active,
            "ended" => GrantStatus::Ended,
            other => {
                return Err(ApiError::BadRequest(format!("'status' is '{other}': there are requested, active, ended")));
            }
        };
        let view = api.fresh().await?;
        let after = Some(asked.get("cursor")).filter(|text| !text.is_empty());
        let after = after.map(str::parse).transpose();
        let after = after.map_err(|_| ApiError::BadRequest("'cursor' is none of a page before".into()))?;
        let mut found = ledger::grants_in(&view, status, after, ROWS + 1)?;
        let next = found.get(ROWS).and_then(|_| found.get(ROWS - 1)).map(|last| last.id.to_string());
        found.truncate(ROWS);
        let caption = format!("{} {}", found.len(), status.name());
        let table = table(&api, &view, &person, &found, caption).await?;
        let (hidden, bulk): (&[&str], _) = match status {
            GrantStatus::Requested => (
                &["ended"],
                vec![("approve-grant", "approve"), ("deny-grant", "deny"), ("withdraw-grant", "take back")],
            ),
            GrantStatus::Active => (&["ended"], vec![("end-grant", "end now")]),
            GrantStatus::Ended => (&[], Vec::new()),
        };
        let kept: Vec<&str> = COLUMNS.iter().map(|column| column.key).filter(|key| !hidden.contains(key)).collect();
        let mut head = Head::new(
            "Access requests",
            "What somebody has asked for, for a time: approved by who may, and ended by itself. Each end is verified in the app.",
        );
        head.actions = vec![Action::new("Ask for access", "/console/ask".to_owned(), Weight::Primary)];
        Ok(List {
            here: "/console/grants",
            call: format!("/v1/grants?status={}", status.name()),
            head,
            stats: Vec::new(),
            fields: vec![Field {
                options: options("requested", &["active", "ended"]),
                ..asked.field("status", "Status", "")
            }],
            table: table.only(&kept),
            empty: Empty::new(
                Tone::Good,
                match status {
                    GrantStatus::Requested => "Nothing waits for approval.",
                    GrantStatus::Active => "Nothing is granted for a time now.",
                    GrantStatus::Ended => "Nothing has ended yet.",
                },
                "requestable = true, of [[apps.entitlements]] or [[roles]], says what can be asked for.",
            ),
            filter: FilterSays::All,
            next,
            bulk,
            searched: String::new(),
        })
    };
    let list = list.await;
    shown(&api, &person, &asked, list)
}
