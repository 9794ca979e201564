//! One event: what it says, what it came from and what came from it, and its proof.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::ids::Sequence;
use serde_json::Value;

use super::app::{DetailPage, Section};
use super::frame::{Frame, answer};
use super::{Who, events, name_of};
use crate::api::context::{Shared, unknown};
use crate::console::format::at;
use crate::console::ui::{Cell, Column, Head, Notice, Table, Tone};
use crate::error::ApiError;
use crate::proof::checkpoints;
use crate::timeline::entries::Reader;
use crate::timeline::entry::Entry;
use crate::timeline::selection::{self, Choice, Order};

const CHANGES: [Column; 3] =
    [Column::text("path", "Attribute"), Column::text("before", "Before"), Column::text("after", "After")];

/// The most effects that are shown.
const MOST: usize = 50;

/// One event.
pub async fn event(State(api): Shared, Extension(person): Who, Path(sequence): Path<String>) -> Response {
    let page = async {
        person.needs(Role::Auditor)?;
        let view = api.fresh().await?;
        let wanted = Sequence(sequence.parse().map_err(|_| unknown("event", &sequence))?);
        let read = |bytes: &[u8]| serde_json::from_slice::<Entry>(bytes);
        let found = Reader::default().entry(&view, wanted, read)?.ok_or_else(|| unknown("event", &sequence))?;
        let cause = match found.caused_by {
            Some(cause) => Reader::default().entry(&view, cause, read)?,
            None => None,
        };
        let choice = Choice { caused_by: Some(found.event_id), ..Choice::default() };
        let state = view.clone();
        let effects = move || selection::page::<Entry>(&state, &choice, Order::Oldest, None, MOST);
        let effects = tokio::task::spawn_blocking(effects).await.map_err(|_| ApiError::Stopped)??;
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
        let changes = found
            .changes
            .iter()
            .map(|c| vec![Cell::text(c.path.clone()), Cell::text(text(&c.before)), Cell::text(text(&c.after))]);
        let checkpoint = checkpoints::latest(&view)?;
        let proof = match checkpoint {
            Some(checkpoint) if wanted <= checkpoint.size => format!(
                "Held by the checkpoint up to event {}, signed {}. rollcall verify proves it on an export; GET /v1/events/{wanted}/proof has the hashes.",
                checkpoint.size,
                at(checkpoint.recorded_at)
            ),
            _ => "No checkpoint holds it yet: one is signed in a moment.".to_owned(),
        };
        let mut head = Head::new(format!("Event {wanted}"), found.summary.clone());
        head.crumb = Some(("Events", "/console/events"));
        let mut facts = vec![
            ("Type", found.type_name.clone()),
            ("Recorded", at(found.recorded_at)),
            ("Happened", at(found.occurred_at)),
            ("By", found.actor.clone()),
        ];
        facts.extend(found.source.as_ref().map(|source| ("Source", source.to_string())));
        facts.extend((!found.reason.is_empty()).then(|| ("Because", found.reason.clone())));
        facts.extend(found.app.as_ref().map(|app| ("App", app.to_string())));
        if let Some(id) = found.identity {
            facts.push(("About", name_of(&view, &person, id)?));
        }
        facts.extend(found.deadline.map(|deadline| ("Due", at(deadline))));
        facts.push(("Correlation", found.correlation_id.clone()));
        facts.extend(found.trace_id.clone().map(|trace| ("Trace", trace)));
        facts.extend((!found.quirks.is_empty()).then(|| ("Quirks", found.quirks.join(", "))));
        facts.push(("Id", found.event_id.to_string()));
        let notes = match found.is_erased() {
            true => {
                vec![Notice { text: "What was personal in it is erased.".into(), tone: Tone::Warn, sequence: None }]
            }
            false => Vec::new(),
        };
        let caused: Vec<Entry> = cause.into_iter().collect();
        let raw = serde_json::to_string_pretty(&found.details).unwrap_or_default();
        Ok(DetailPage {
            frame: Frame::new(&api, &person, "/console/events", format!("/v1/events/{wanted}/proof")),
            head,
            notes,
            stats: Vec::new(),
            facts,
            sections: vec![
                Section::table(
                    "What changed",
                    Table::new("Before and after", &CHANGES).with(changes),
                    "Nothing of a resource.",
                ),
                Section::table(
                    "What it came from",
                    events::table(&view, &person, &caused, "The event before".into())?,
                    "Nothing: it came from outside.",
                ),
                Section::table(
                    "What came from it",
                    events::table(
                        &view,
                        &person,
                        &effects.entries,
                        format!("{} events, the oldest first", effects.entries.len()),
                    )?,
                    "Nothing yet.",
                ),
                Section::text("Proof", proof),
                Section::raw("Details", raw),
                Section::text("As of then", as_of(&found, found.recorded_at)),
            ],
        })
    };
    answer(&api, &person, page.await)
}

/// How to ask for the state as it was.
fn as_of(entry: &Entry, time: Timestamp) -> String {
    match entry.identity {
        Some(id) => format!("GET /v1/identities/{id}?as_of={time} is everything about them as it was then."),
        None => format!("?as_of={time} behind an address of the API gives the state as it was then."),
    }
}
