//! Each page: what it shows, from the same state as the API.

mod apps;
mod drift;
mod identities;
mod identity;
mod leavers;
mod obligations;

use askama::Template;
use axum::Extension;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use jiff::Timestamp;
use rollcall_domain::access::obligation::Obligation;
use rollcall_domain::directory;
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_projection::View;
use serde::Deserialize;

use crate::api::context::Api;
use crate::api::paging::{Extent, LOOK, page_after, under};
use crate::api::person::Person;
use crate::api::views::Detail;
use crate::console::format::{at, at_or_none, word};
use crate::error::ApiError;

pub use apps::apps;
pub use drift::drift;
pub use identities::identities;
pub use identity::identity;
pub use leavers::leavers;
pub use obligations::obligations;

/// The most rows of a page.
const ROWS: usize = 100;

/// How much of a list a page shows.
const EXTENT: Extent = Extent { limit: ROWS, look: LOOK };

type Who = Extension<Person>;

/// What every page has around its content.
struct Frame {
    here: &'static str,
    person: String,
    role: &'static str,
    sequence: Sequence,
    now: String,
    call: String,
    searched: String,
}

impl Frame {
    fn new(api: &Api, person: &Person, here: &'static str, call: impl Into<String>) -> Self {
        Self {
            here,
            person: person.name.clone(),
            role: person.role.name(),
            sequence: api.store.cursor(),
            now: at(Timestamp::now()),
            call: call.into(),
            searched: String::new(),
        }
    }

    const fn pages(&self) -> [(&'static str, &'static str); 5] {
        [
            ("/", "Leavers"),
            ("/console/identities", "Identities"),
            ("/console/apps", "Apps"),
            ("/console/drift", "Drift"),
            ("/console/obligations", "Obligations"),
        ]
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct Problem {
    frame: Frame,
    title: String,
    detail: String,
}

fn html(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(e) => ApiError::Unwritable(e.to_string()).into_response(),
    }
}

/// A page, or the page that says why not.
fn answer<T: Template>(api: &Api, person: &Person, page: Result<T, ApiError>) -> Response {
    let error = match page {
        Ok(page) => return html(&page),
        Err(error) => error,
    };
    let detail = error.to_string();
    let status = error.into_response().status();
    let title = status.canonical_reason().unwrap_or("Something went wrong").to_owned();
    let mut response = html(&Problem { frame: Frame::new(api, person, "", "/openapi.json"), title, detail });
    if response.status() == StatusCode::OK {
        *response.status_mut() = status;
    }
    response
}

/// Whose something is, as much as may be seen.
fn name_of(view: &View, person: &Person, id: IdentityId) -> Result<String, ApiError> {
    if person.sees() == Detail::Impersonal {
        return Ok(id.to_string());
    }
    let Some(found) = directory::identity(view, id)? else { return Ok(id.to_string()) };
    Ok(match found.content {
        Content::Open => found.user_name().to_owned(),
        Content::Sealed => format!("sealed ({id})"),
        Content::Erased => format!("erased ({id})"),
    })
}

#[derive(Deserialize)]
pub struct Listed {
    #[serde(default)]
    app: String,
    #[serde(default)]
    status: String,
    cursor: Option<String>,
}

/// One page of the values under a prefix, and where the next one starts.
fn rows<T: serde::de::DeserializeOwned>(
    view: &View,
    prefix: &str,
    cursor: Option<&str>,
    wanted: impl Fn(&T) -> bool,
) -> Result<(Vec<T>, Option<String>), ApiError> {
    page_after(under(view, prefix), cursor, EXTENT, wanted)
}

struct ObligationRow {
    identity: IdentityId,
    name: String,
    app: String,
    change: String,
    target: String,
    opened: String,
    applied: String,
    verified: String,
    deadline: String,
    status: String,
}

fn obligation_row(o: &Obligation, name: String) -> ObligationRow {
    ObligationRow {
        identity: o.id.subject.identity(),
        name,
        app: o.id.subject.place().to_owned(),
        change: word(&o.change),
        target: word(&o.target),
        opened: at(o.opened_at),
        applied: at_or_none(o.applied_at),
        verified: at_or_none(o.verified_at()),
        deadline: at(o.deadline),
        status: word(&o.status()),
    }
}
