//! One identity: lanes and timeline.

use askama::Template;
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::Sequence;
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;
use serde::Deserialize;
use serde_json::Value;

use super::{Frame, ObligationRow, ROWS, Who, answer, name_of, obligation_row};
use crate::api::context::Shared;
use crate::api::identities::known_identity;
use crate::api::person::Person;
use crate::api::views::Detail;
use crate::console::format::{at, word};
use crate::console::lanes::{self, Lane};
use crate::error::ApiError;
use crate::timeline::entry::Entry;
use crate::timeline::selection::{self, Choice, Order};

struct EntryRow {
    sequence: Sequence,
    recorded_at: String,
    shown_at: String,
    kind: String,
    summary: String,
    caused_by: Option<Sequence>,
    facts: Vec<(String, String)>,
}

impl EntryRow {
    fn of(entry: &Entry) -> Self {
        let value = |v: &Option<Value>| v.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string);
        let mut facts = vec![("by".to_owned(), entry.actor.clone())];
        facts.extend((!entry.reason.is_empty()).then(|| ("because".to_owned(), entry.reason.clone())));
        facts.extend(entry.app.iter().map(|app| ("app".to_owned(), app.to_string())));
        facts.extend(entry.deadline.iter().map(|deadline| ("due".to_owned(), at(*deadline))));
        for change in &entry.changes {
            facts.push((change.path.clone(), format!("{} → {}", value(&change.before), value(&change.after))));
        }
        if let Some(detail) = entry.details.get("detail").and_then(Value::as_str).filter(|d| !d.is_empty()) {
            facts.push(("the app said".to_owned(), detail.to_owned()));
        }
        Self {
            sequence: entry.sequence,
            recorded_at: entry.recorded_at.to_string(),
            shown_at: at(entry.recorded_at),
            kind: entry.type_name.clone(),
            summary: entry.summary.clone(),
            caused_by: entry.caused_by,
            facts,
        }
    }
}

#[derive(Template)]
#[template(path = "identity.html")]
struct IdentityPage {
    frame: Frame,
    name: String,
    lifecycle: String,
    facts: Vec<(&'static str, String)>,
    lanes: Vec<Lane>,
    height: usize,
    axis: (String, String),
    obligations: Vec<ObligationRow>,
    /// None: they may not be seen.
    entries: Option<Vec<EntryRow>>,
    next: Option<Sequence>,
}

#[derive(Deserialize)]
pub struct Before {
    before: Option<u64>,
}

/// One identity: their lanes and their timeline.
pub async fn identity(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    Query(before): Query<Before>,
) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let found = known_identity(&view, &id)?;
        let mut owed = ledger::obligations_of(&view, found.id)?;
        owed.sort_by_key(|o| std::cmp::Reverse(o.id.opened_by));
        owed.truncate(ROWS);
        let now = Timestamp::now();
        let axis = lanes::axis(&owed, now);
        let lanes = axis.map(|axis| lanes::lanes(&owed, axis, now)).unwrap_or_default();
        let (mut entries, mut next) = (None, None);
        if person.role >= Role::Auditor {
            let choice = Choice { identity: Some(found.id), ..Choice::default() };
            let page = selection::page(&view, &choice, Order::Newest, before.before.map(Sequence), ROWS)?;
            entries = Some(page.entries.iter().map(EntryRow::of).collect());
            next = page.next;
        }
        Ok(IdentityPage {
            frame: Frame::new(&api, &person, "", format!("/v1/identities/{id} and /v1/identities/{id}/timeline")),
            name: name_of(&view, &person, found.id)?,
            lifecycle: word(&found.lifecycle),
            facts: facts(&view, &person, &found)?,
            height: lanes.len() * lanes::STEP,
            lanes,
            axis: axis.map(|(from, to)| (at(from), at(to))).unwrap_or_default(),
            obligations: owed.iter().map(|o| obligation_row(o, String::new())).collect(),
            entries,
            next,
        })
    };
    answer(&api, &person, page.await)
}

fn facts(view: &View, person: &Person, found: &Identity) -> Result<Vec<(&'static str, String)>, ApiError> {
    let mut facts = vec![("Id", found.id.to_string())];
    if person.sees() == Detail::Full {
        let known = [("displayName", "Name"), ("title", "Title"), ("userType", "Type")];
        let text = |path: &str| found.resource.get(path).and_then(Value::as_str).map(str::to_owned);
        facts.extend(known.iter().filter_map(|(path, name)| text(path).map(|value| (*name, value))));
    }
    match found.content {
        Content::Open => {
            let order = ledger::ordered(view, found.id)?;
            facts.extend(
                order.map(|order| ("To be erased", format!("since {}, once no app keeps an account", at(order.at)))),
            );
        }
        Content::Sealed => facts.push(("Personal data", "sealed: its key is not here".to_owned())),
        Content::Erased => facts.push(("Personal data", "erased".to_owned())),
    }
    facts.extend(found.source.iter().map(|source| ("Source", source.to_string())));
    facts.push(("Joined", at(found.created_at)));
    facts.push(("Changed", at(found.changed_at)));
    let groups = directory::groups_of(view, found.id)?;
    let names: Vec<&str> = groups.iter().map(|(group, _)| group.display_name()).collect();
    facts.extend((!names.is_empty()).then(|| ("Groups", names.join(", "))));
    Ok(facts)
}
