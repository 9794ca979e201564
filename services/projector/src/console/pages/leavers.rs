//! The leaver board.

use std::collections::BTreeSet;

use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use rollcall_domain::access::case::{Case, CaseStatus};
use rollcall_domain::access::obligation::{Obligation, ObligationStatus};
use rollcall_domain::ids::IdentityId;
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;

use super::{Frame, ROWS, Who, answer, name_of};
use crate::api::context::Shared;
use crate::api::person::Person;
use crate::console::format::{at, span, word};
use crate::error::ApiError;

struct LeaverRow {
    id: IdentityId,
    name: String,
    status: String,
    left: String,
    apps: Vec<OwedApp>,
    late: String,
    owners: String,
}

struct OwedApp {
    name: String,
    status: String,
    deadline: String,
}

#[derive(Template)]
#[template(path = "leavers.html")]
struct LeaversPage {
    frame: Frame,
    overdue: usize,
    open: usize,
    held: usize,
    more: bool,
    rows: Vec<LeaverRow>,
}

/// Who left and is not gone.
pub async fn leavers(State(api): Shared, Extension(person): Who) -> Response {
    let page = async {
        let view = api.fresh().await?;
        let mut all = ledger::open_leavers(&view)?;
        all.sort_by_key(|l| (l.status() != CaseStatus::Overdue, l.overdue_since, l.opened_at));
        let overdue = all.iter().filter(|l| l.status() == CaseStatus::Overdue).count();
        let (open, more) = (all.len(), all.len() > ROWS);
        let rows = all.iter().take(ROWS).map(|l| leaver_row(&view, &person, l)).collect::<Result<_, _>>()?;
        let held = ledger::holds(&view)?.len();
        let frame = Frame::new(&api, &person, "/", "/v1/leavers?status=open");
        Ok(LeaversPage { frame, overdue, open, held, more, rows })
    };
    answer(&api, &person, page.await)
}

fn leaver_row(view: &View, person: &Person, leaver: &Case) -> Result<LeaverRow, ApiError> {
    let now = Timestamp::now();
    let owed = ledger::obligations_of_leaver(view, leaver)?;
    let owed: Vec<&Obligation> = owed.iter().filter(|o| o.end.is_none()).collect();
    let late = owed.iter().filter(|o| o.status() == ObligationStatus::Overdue).map(|o| o.deadline).min();
    let mut owners = BTreeSet::new();
    let mut apps = Vec::new();
    for o in owed {
        let app = o.id.subject.app().map(|app| directory::app(view, app)).transpose()?.flatten();
        let name = app.as_ref().map_or_else(|| o.id.subject.place().to_owned(), |app| app.spec.name.clone());
        owners.extend(app.map(|app| app.spec.owner));
        apps.push(OwedApp { name, status: word(&o.status()), deadline: at(o.deadline) });
    }
    Ok(LeaverRow {
        id: leaver.identity,
        name: name_of(view, person, leaver.identity)?,
        status: word(&leaver.status()),
        left: at(leaver.opened_at),
        apps,
        late: late.map_or_else(|| "–".to_owned(), |deadline| span(now.duration_since(deadline))),
        owners: owners.into_iter().collect::<Vec<_>>().join(", "),
    })
}
