//! Search by name.

use askama::Template;
use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use rollcall_config::Role;
use rollcall_domain::directory;
use rollcall_domain::identity::Identity;
use rollcall_domain::ids::IdentityId;
use serde::Deserialize;
use serde_json::Value;

use super::{Frame, ROWS, Who, answer, rows};
use crate::api::context::Shared;
use crate::console::format::{at, word};
use crate::state::search;

#[derive(Deserialize)]
pub struct Search {
    #[serde(default)]
    q: String,
}

struct IdentityRow {
    id: IdentityId,
    user_name: String,
    display_name: String,
    lifecycle: String,
    source: String,
    changed: String,
}

#[derive(Template)]
#[template(path = "identities.html")]
struct IdentitiesPage {
    frame: Frame,
    rows: Vec<IdentityRow>,
}

/// Who has a name.
pub async fn identities(State(api): Shared, Extension(person): Who, Query(asked): Query<Search>) -> Response {
    let page = async {
        person.needs(Role::Auditor)?;
        let view = api.fresh().await?;
        let found = match asked.q.trim().is_empty() {
            true => rows::<Identity>(&view, directory::IDENTITIES, None, |_| true)?.0,
            false => search::find(&view, &asked.q, ROWS)?,
        };
        let row = |i: &Identity| IdentityRow {
            id: i.id,
            user_name: i.user_name().to_owned(),
            display_name: i.resource.get("displayName").and_then(Value::as_str).unwrap_or_default().to_owned(),
            lifecycle: word(&i.lifecycle),
            source: i.source.as_ref().map(ToString::to_string).unwrap_or_default(),
            changed: at(i.changed_at),
        };
        let mut frame = Frame::new(&api, &person, "/console/identities", "/v1/identities?name=…");
        frame.searched = asked.q;
        Ok(IdentitiesPage { frame, rows: found.iter().map(row).collect() })
    };
    answer(&api, &person, page.await)
}
