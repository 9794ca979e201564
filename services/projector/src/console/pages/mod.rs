//! Each page: what it shows, from the same state as the API.

mod act;
mod acts;
mod app;
mod approvals;
mod apps;
mod ask;
mod credentials;
mod design;
mod drift;
mod event;
mod events;
mod frame;
mod grants;
mod handovers;
mod hold;
mod holds;
mod identities;
mod identity;
mod leavers;
mod list;
mod machines;
mod obligations;
mod overview;
mod tasks;
mod trends;
mod violations;

use axum::Extension;
use jiff::Timestamp;
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::access::subject::Subject;
use rollcall_domain::directory;
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::{AppId, CredentialId, IdentityId};
use rollcall_domain::kv::Read;
use rollcall_projection::View;

use crate::api::paging::{Extent, LOOK, page_after, under};
use crate::api::person::Person;
use crate::api::views::Detail;
use crate::console::ui::{Cell, Meter, When};
use crate::error::ApiError;

pub use act::{act, confirm};
pub use app::app;
pub use approvals::approvals;
pub use apps::apps;
pub use ask::{ask, asked};
pub use credentials::credentials;
pub use design::design;
pub use drift::drift;
pub use event::event;
pub use events::events;
pub use grants::grants;
pub use handovers::handovers;
pub use hold::hold;
pub use holds::holds;
pub use identities::identities;
pub use identity::identity;
pub use leavers::leavers;
pub use machines::machines;
pub use obligations::obligations;
pub use overview::overview;
pub use tasks::tasks;
pub use trends::trends;
pub use violations::violations;

/// The most rows of a page.
const ROWS: usize = 100;

/// How much of a list a page shows.
const EXTENT: Extent = Extent { limit: ROWS, look: LOOK };

type Who = Extension<Person>;

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

/// A link to whose something is.
fn whose(view: &View, person: &Person, id: IdentityId) -> Result<Cell, ApiError> {
    Ok(Cell::link(name_of(view, person, id)?, format!("/console/identities/{id}")))
}

/// A link to an app, by its name for people.
fn app_link(view: &impl Read, id: &AppId) -> Result<Cell, ApiError> {
    let name = directory::app(view, id)?.map_or_else(|| id.to_string(), |app| app.spec.name);
    Ok(Cell::link(name, format!("/console/apps/{id}")))
}

/// A link to a machine, by the name that it signs in with.
fn machine_link(view: &impl Read, id: IdentityId) -> Result<Cell, ApiError> {
    let name = directory::identity(view, id)?.filter(|machine| machine.content == Content::Open);
    let name = name.map_or_else(|| id.to_string(), |machine| machine.user_name().to_owned());
    Ok(Cell::link(name, format!("/console/identities/{id}")))
}

/// A link to a credential, by its kind and the inventory that lists it: what it is called is not for everybody.
fn credential_link(view: &impl Read, id: CredentialId) -> Result<Cell, ApiError> {
    let known = directory::credential(view, id)?.map(|known| known.listed);
    let name =
        known.map_or_else(|| id.to_string(), |known| format!("{} in {}", known.kind.in_words(), known.inventory));
    Ok(Cell::link(name, format!("/console/credentials?id={id}")))
}

/// A link to where something is owed.
fn place(view: &impl Read, owed: &Obligation) -> Result<Cell, ApiError> {
    match &owed.id.subject {
        Subject::Account { app, .. } => app_link(view, app),
        Subject::Handover { machine, .. } => machine_link(view, *machine),
        Subject::Credential { credential, .. } => credential_link(view, *credential),
    }
}

/// Until when something is due: what has ended, or is left as it is for a while, has no clock.
fn due(owed: &Obligation, now: Timestamp) -> Cell {
    if owed.end.is_some() || owed.status() == ObligationStatus::Waived {
        return Cell::when(Some(owed.deadline), now);
    }
    Cell::Meter(When::new(owed.deadline, now), Meter::of_time(owed.opened_at, owed.deadline, now))
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
