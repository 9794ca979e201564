//! One hold: what waits, by whom, one by one.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::governance::hold::Cause;
use rollcall_domain::ledger;

use super::app::{DetailPage, Section};
use super::frame::{Frame, answer};
use super::{ROWS, Who, app_link, whose};
use crate::api::context::{Shared, unknown};
use crate::api::views::HoldView;
use crate::console::format::at;
use crate::console::ui::{Action, Cell, Column, Head, Stat, Table, Tone, Weight};
use crate::error::ApiError;

const COLUMNS: [Column; 4] = [
    Column::text("who", "Whose account"),
    Column::text("app", "App"),
    Column::text("since", "Since"),
    Column::text("event", "By event"),
];

/// One hold.
pub async fn hold(State(api): Shared, Extension(person): Who, Path(cause): Path<String>) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let parsed: Cause = cause.parse().map_err(|_| unknown("hold by", &cause))?;
        let found = ledger::hold(&view, &parsed)?.ok_or_else(|| unknown("hold by", &cause))?;
        let shown = HoldView::of(&view, &found)?;
        let waiting = ledger::held(&view, &found)?;
        let now = Timestamp::now();
        let mut rows = Vec::new();
        for account in waiting.iter().take(ROWS) {
            let event = account.desired_version;
            let since = account.owes.first().map(|owed| owed.opened_at);
            rows.push(vec![
                whose(&view, &person, account.identity)?,
                app_link(&view, &account.app)?,
                Cell::when(since, now),
                match person.role >= Role::Auditor {
                    true => Cell::link(event.to_string(), format!("/console/events/{event}")),
                    false => Cell::number(event),
                },
            ]);
        }
        let mut head = Head::new(
            format!("Removals by {}", shown.source),
            "They wait until a person has released them, or called them a mistake. Leavers in them are owed all the while.",
        );
        head.crumb = Some(("Holds", "/console/holds"));
        if person.role >= Role::Operator {
            let act = |what: &str| {
                format!("/console/act?do={what}&id={}&through={}&back=/console/holds", shown.source, shown.through)
            };
            head.actions = vec![
                Action::new("Release", act("release"), Weight::Primary),
                Action::new("Reject", act("reject"), Weight::Usual),
            ];
        }
        let caption = format!("{} of {}", rows.len(), waiting.len());
        let stats = shown
            .apps
            .iter()
            .map(|(app, count)| Stat::count(*count, app.clone(), format!("/console/apps/{app}"), Tone::Warn));
        Ok::<_, ApiError>(DetailPage {
            frame: Frame::new(&api, &person, "/console/holds", "/v1/holds"),
            head,
            notes: Vec::new(),
            stats: stats.collect(),
            facts: vec![
                ("Since", at(shown.since)),
                ("One too many", format!("event {}, in {}", shown.by, shown.app)),
                ("Decided about", format!("what is shown here, up to event {}", shown.through)),
            ],
            sections: vec![Section::table("What waits", Table::new(caption, &COLUMNS).with(rows), "Nothing any more.")],
        })
    };
    answer(&api, &person, page.await)
}
