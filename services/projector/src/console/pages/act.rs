//! What a person does: shown before it is done, with its reason, and on the log afterwards. Each is what the API does for the same.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::drift::DriftId;
use rollcall_domain::governance::hold::Cause;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;
use serde_json::{Value, json};

use super::frame::{Frame, answer, problem};
use super::{Who, app_link, drift, obligations, whose};
use crate::api::approvals;
use crate::api::context::{Api, Shared, unknown};
use crate::api::decisions;
use crate::api::person::Person;
use crate::api::plan;
use crate::api::query::Path;
use crate::console::asked::{Asked, local};
use crate::console::ui::{Cell, Column, Head, Table};
use crate::error::ApiError;

/// The most things that one act is about.
const MOST: usize = 100;

/// For how long something is left as it is.
const TIMES: [(&str, &str); 7] = [
    ("1", "an hour"),
    ("8", "8 hours"),
    ("24", "a day"),
    ("168", "a week"),
    ("720", "30 days"),
    ("2160", "90 days"),
    ("4320", "180 days"),
];

/// What can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Waive,
    Accept,
    Release,
    Reject,
    Reconcile,
    SyncApp,
    Sync,
    Approve,
    Deny,
}

impl Act {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Waive, "waive"),
        (Self::Accept, "accept"),
        (Self::Release, "release"),
        (Self::Reject, "reject"),
        (Self::Reconcile, "reconcile"),
        (Self::SyncApp, "sync-app"),
        (Self::Sync, "sync"),
        (Self::Approve, "approve"),
        (Self::Deny, "deny"),
    ];

    fn read(name: &str) -> Result<Self, ApiError> {
        let found = Self::ALL.into_iter().find(|(_, of)| *of == name);
        found
            .map(|(act, _)| act)
            .ok_or_else(|| ApiError::BadRequest(format!("'do' is '{name}': nothing is called that")))
    }

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(act, _)| *act == self).map_or("", |(_, name)| name)
    }

    /// What the page is called, what it does, and the words on the button with its look.
    const fn words(self) -> (&'static str, &'static str, (&'static str, &'static str)) {
        match self {
            Self::Waive => (
                "Leave obligations unmet for a while",
                "They are not overdue, wake nobody, and the account of a leaver is left as it is until the time is over. They stay owed. Your name and your reason are on the log for ever.",
                ("Waive", "danger"),
            ),
            Self::Accept => (
                "Leave drift as it is for a while",
                "It is not repaired and not counted until the time is over. Your name and your reason are on the log for ever.",
                ("Accept", "danger"),
            ),
            Self::Release => (
                "Let removals go on",
                "All of the removals that are counted here go on in their apps, now. What comes later by the same cause is decided about apart.",
                ("Release the removals", "danger"),
            ),
            Self::Reject => (
                "Call removals a mistake",
                "What they owe is left unmet until the time is over; the source has to say again who is there. Nothing is removed meanwhile.",
                ("Reject the removals", "danger"),
            ),
            Self::Reconcile => (
                "Compare apps now",
                "Every account that the app shows is read and compared with what is desired. Drift is found, and repaired where the policy says so.",
                ("Compare now", "primary"),
            ),
            Self::SyncApp => (
                "Look at every account of an app again",
                "Each account is read, and brought in line where it differs. What was parked is tried again, and what is missing is taken to be gone.",
                ("Look again", "primary"),
            ),
            Self::Sync => (
                "Look at the accounts of somebody again",
                "Each of their accounts is read, and brought in line where it differs. What was parked is tried again.",
                ("Look again", "primary"),
            ),
            Self::Approve => (
                "Approve what another person has asked for",
                "It is done now, as it was asked for. It is the decision of both of you.",
                ("Approve", "danger"),
            ),
            Self::Deny => {
                ("Deny what was asked for", "It is not done. Whoever wants it has to ask again.", ("Deny", "primary"))
            }
        }
    }

    const fn asks_reason(self) -> bool {
        matches!(self, Self::Waive | Self::Accept | Self::Release | Self::Reject)
    }

    const fn asks_time(self) -> bool {
        matches!(self, Self::Waive | Self::Accept | Self::Reject)
    }

    /// The call of the API, and of the command line where there is one.
    fn call(self, id: &str) -> String {
        match self {
            Self::Waive => format!("POST /v1/obligations/{id}/waive"),
            Self::Accept => format!("POST /v1/drift/{id}/accept"),
            Self::Release => format!("POST /v1/holds/{id}/release"),
            Self::Reject => format!("POST /v1/holds/{id}/reject"),
            Self::Reconcile => format!("POST /v1/apps/{id}/reconcile"),
            Self::SyncApp => format!("rollcall sync {id}, or POST /v1/sync {{\"app\": \"{id}\"}}"),
            Self::Sync => format!("rollcall sync {id}, or POST /v1/sync {{\"identity\": \"{id}\"}}"),
            Self::Approve => format!("POST /v1/approvals/{id}/approve"),
            Self::Deny => format!("POST /v1/approvals/{id}/deny"),
        }
    }
}

#[derive(Template)]
#[template(path = "act.html")]
struct ActPage {
    frame: Frame,
    head: Head,
    problem: Option<String>,
    table: Table,
    action: &'static str,
    back: String,
    through: Option<String>,
    ids: Vec<String>,
    effect: &'static str,
    asks_reason: bool,
    reason: String,
    asks_time: bool,
    times: Vec<(&'static str, &'static str)>,
    lasting: String,
    button: (&'static str, &'static str),
    command: String,
}

/// Shows what would be done.
pub async fn confirm(State(api): Shared, Extension(person): Who, RawQuery(query): RawQuery) -> Response {
    let asked = Asked::read(query.as_deref());
    let page = page(&api, &person, &asked, None).await;
    answer(&api, &person, page)
}

async fn page(api: &Api, person: &Person, asked: &Asked, problem: Option<String>) -> Result<ActPage, ApiError> {
    person.needs(Role::Operator)?;
    let act = Act::read(asked.get("do"))?;
    let ids: Vec<String> = asked.all("id").into_iter().map(str::to_owned).collect();
    if ids.is_empty() {
        return Err(ApiError::BadRequest("nothing was chosen: go back, and choose at least one row".into()));
    }
    if ids.len() > MOST {
        return Err(ApiError::BadRequest(format!("{} were chosen: at most {MOST} at once", ids.len())));
    }
    let view = api.fresh().await?;
    let (title, effect, button) = act.words();
    let mut frame = Frame::new(api, person, "", format!("/openapi.json, for {}", act.call("ID")));
    frame.still = true;
    let lasting = Some(asked.get("for")).filter(|text| !text.is_empty()).unwrap_or("24");
    Ok(ActPage {
        frame,
        head: Head::new(title, format!("{} chosen", ids.len())),
        problem,
        table: what(&view, api, person, act, &ids, asked.parsed::<u64>("through", "event")?).await?,
        action: act.name(),
        back: local(asked.get("back")).to_owned(),
        through: Some(asked.get("through").to_owned()).filter(|text| !text.is_empty()),
        command: act.call(ids.first().map_or("ID", String::as_str)),
        ids,
        effect,
        asks_reason: act.asks_reason(),
        reason: asked.get("reason").to_owned(),
        asks_time: act.asks_time(),
        times: TIMES.to_vec(),
        lasting: lasting.to_owned(),
        button,
    })
}

const APPS: [Column; 2] = [Column::text("app", "App"), Column::text("who", "Who has an account")];
const WAITS: [Column; 2] = [Column::text("who", "Whose account"), Column::text("app", "App")];
const ASKED: [Column; 3] =
    [Column::text("what", "What"), Column::text("by", "Asked by"), Column::text("reason", "Because")];
const PLAN: [Column; 4] = [
    Column::text("who", "Who"),
    Column::text("app", "App"),
    Column::text("would", "Would be sent"),
    Column::text("why", "Why"),
];

/// What an act is about, one by one.
async fn what(
    view: &View,
    api: &Api,
    person: &Person,
    act: Act,
    ids: &[String],
    through: Option<u64>,
) -> Result<Table, ApiError> {
    match act {
        Act::Waive => {
            let mut owed = Vec::new();
            for id in ids {
                let parsed: ObligationId = id.parse().map_err(|_| unknown("obligation", id))?;
                owed.push(ledger::obligation(view, &parsed)?.ok_or_else(|| unknown("obligation", id))?);
            }
            Ok(obligations::table(view, person, &owed, "As they are now".into())?.unchosen())
        }
        Act::Accept => {
            let mut items = Vec::new();
            for id in ids {
                let parsed: DriftId = id.parse().map_err(|_| unknown("drift item", id))?;
                let open = ledger::drift_of(view, &parsed.app, parsed.identity)?;
                items.push(
                    open.into_iter().find(|item| item.id == parsed).ok_or_else(|| unknown("open drift item", id))?,
                );
            }
            Ok(drift::table(view, person, &items, "As it is now".into())?.unchosen())
        }
        Act::Release | Act::Reject => {
            let [id] = ids else {
                return Err(ApiError::BadRequest("decide about one hold after the other".into()));
            };
            let cause: Cause = id.parse().map_err(|_| unknown("hold by", id))?;
            let hold = ledger::hold(view, &cause)?.ok_or_else(|| unknown("hold by", id))?;
            // What came after what was shown is decided about apart.
            let through = through.map_or(Sequence(u64::MAX), Sequence);
            let waiting = ledger::held(view, &hold)?;
            let waiting: Vec<_> = waiting.iter().filter(|account| account.desired_version <= through).collect();
            let mut rows = Vec::new();
            for account in waiting.iter().take(MOST) {
                rows.push(vec![whose(view, person, account.identity)?, app_link(view, &account.app)?]);
            }
            let last = waiting.iter().map(|account| account.desired_version).max().unwrap_or_default();
            let all = waiting.len();
            let caption =
                format!("It is about all {all} removals up to event {last}; the first {} are listed", rows.len());
            Ok(Table::new(caption, &WAITS).with(rows))
        }
        Act::Reconcile | Act::SyncApp => {
            let mut rows = Vec::new();
            for id in ids {
                let app: AppId = id.parse().map_err(|_| unknown("app", id))?;
                let found = directory::app(view, &app)?.ok_or_else(|| unknown("app", id))?;
                rows.push(vec![app_link(view, &app)?, Cell::text(found.spec.assign)]);
            }
            Ok(Table::new("Which", &APPS).with(rows))
        }
        Act::Sync => {
            let mut rows = Vec::new();
            for id in ids {
                let of: IdentityId = id.parse().map_err(|_| unknown("identity", id))?;
                directory::identity(view, of)?.ok_or_else(|| unknown("identity", id))?;
                for account in ledger::accounts_of(view, of)? {
                    let planned = plan::of_account(view, &account)?;
                    let steps: Vec<&str> = planned.steps.iter().map(|step| step.operation).collect();
                    let waits = planned.waits.as_ref().map(|waits| format!(" (waits: {waits})")).unwrap_or_default();
                    let would = if steps.is_empty() {
                        "nothing but a reading, from what is known".to_owned()
                    } else {
                        steps.join(", ")
                    };
                    rows.push(vec![
                        whose(view, person, of)?,
                        app_link(view, &account.app)?,
                        Cell::text(would + &waits),
                        Cell::text(planned.why),
                    ]);
                }
            }
            Ok(Table::new("What would be sent, from what is known", &PLAN).with(rows))
        }
        Act::Approve | Act::Deny => {
            let waiting = approvals::waiting(api, person).await?;
            let mut rows = Vec::new();
            for id in ids {
                let found = waiting
                    .iter()
                    .find(|approval| approval.id == *id)
                    .ok_or_else(|| unknown("approval that waits", id))?;
                rows.push(vec![
                    Cell::text(found.what.clone()),
                    Cell::text(found.asked_by.clone()),
                    Cell::text(found.reason.clone()),
                ]);
            }
            Ok(Table::new("What was asked for", &ASKED).with(rows))
        }
    }
}

/// Does it, for each that was chosen; the first that can't be done is said, and what was typed stays.
pub async fn act(
    State(api): State<Arc<Api>>,
    Extension(person): Who,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&sent).finish();
    let asked = Asked::read(Some(&query));
    if let Err(error) = person.needs(Role::Operator) {
        return problem(&api, &person, error);
    }
    let outcome = async {
        let act = Act::read(asked.get("do"))?;
        let ids = asked.all("id");
        if ids.is_empty() || ids.len() > MOST {
            return Err(ApiError::BadRequest(format!("{} were chosen: from 1 to {MOST}", ids.len())));
        }
        // Whether all of it can be done is seen before any of it is.
        page(&api, &person, &asked, None).await?;
        let mut last = None;
        for (done, id) in ids.iter().enumerate() {
            match one(&api, &person, act, id, &asked).await {
                // One that waits for a second person is said, whatever came after it.
                Ok(said) => last = Some(last.filter(|(name, _): &(&str, String)| *name == "waits").unwrap_or(said)),
                Err(error) => return Ok(Outcome::Stopped { done, error }),
            }
        }
        last.map(|(name, number)| Outcome::Done(name, number))
            .ok_or_else(|| ApiError::BadRequest("nothing was chosen".into()))
    };
    match outcome.await {
        Ok(Outcome::Stopped { done, error }) => {
            let why = error.to_string();
            let status = error.into_response().status();
            let ids = asked.all("id");
            let why = match done {
                0 => why,
                done => format!("{done} are done, and this is about the rest, of which the first failed: {why}"),
            };
            let mut rest = asked.without(&["id"]);
            rest.extend(ids.iter().skip(done).map(|id| ("id".to_owned(), (*id).to_owned())));
            refused(&api, &person, &Asked(rest), why, status).await
        }
        Ok(Outcome::Done(name, number)) => {
            let back = local(asked.get("back"));
            let (path, query) = back.split_once('?').unwrap_or((back, ""));
            let back = Asked(Asked::read(Some(query)).without(&["done", "waits"]));
            Redirect::to(&back.with(path, name, Some(&number))).into_response()
        }
        Err(error) => {
            let why = error.to_string();
            let status = error.into_response().status();
            refused(&api, &person, &asked, why, status).await
        }
    }
}

/// What became of an act.
enum Outcome {
    Done(&'static str, String),
    /// So many were done before one could not be.
    Stopped {
        done: usize,
        error: ApiError,
    },
}

/// The page again, with what is wrong and with what was typed.
async fn refused(api: &Api, person: &Person, asked: &Asked, why: String, status: StatusCode) -> Response {
    match page(api, person, asked, Some(why.clone())).await {
        Ok(page) => {
            let mut response = answer(api, person, Ok(page));
            *response.status_mut() = status;
            response
        }
        // What it was about is gone.
        Err(_) => problem(api, person, ApiError::Conflict(why)),
    }
}

/// One of them: whether it is done or waits, and its event.
async fn one(
    api: &Arc<Api>,
    person: &Person,
    act: Act,
    id: &str,
    asked: &Asked,
) -> Result<(&'static str, String), ApiError> {
    let until = || {
        let hours = asked.parsed::<i64>("for", "number of hours")?.filter(|hours| (1..=24 * 366).contains(hours));
        let hours = hours.ok_or_else(|| ApiError::BadRequest("say for how long".into()))?;
        Ok::<_, ApiError>(Timestamp::now().checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX))
    };
    let reason = asked.get("reason");
    let through = asked.parsed::<u64>("through", "event")?;
    let body = |value: Value| Bytes::from(value.to_string());
    let (state, who, path) = (State(Arc::clone(api)), Extension(person.clone()), Path(id.to_owned()));
    let (_, Json(said)): (StatusCode, _) = match act {
        Act::Waive => {
            decisions::waive(state, who, path, body(json!({ "reason": reason, "expires_at": until()? }))).await?
        }
        Act::Accept => {
            decisions::accept(state, who, path, body(json!({ "reason": reason, "expires_at": until()? }))).await?
        }
        Act::Release => {
            decisions::release(state, who, path, body(json!({ "reason": reason, "through": through }))).await?
        }
        Act::Reject => {
            let rejected = json!({ "reason": reason, "expires_at": until()?, "through": through });
            decisions::reject(state, who, path, body(rejected)).await?
        }
        Act::Reconcile => decisions::reconcile(state, who, path).await?,
        Act::SyncApp => decisions::sync(state, who, body(json!({ "app": id }))).await?,
        Act::Sync => decisions::sync(state, who, body(json!({ "identity": id }))).await?,
        Act::Approve | Act::Deny => {
            let (_, Json(decided)) = match act {
                Act::Approve => approvals::approve(state, who, path).await?,
                _ => approvals::deny(state, who, path).await?,
            };
            return Ok(("done", decided.sequence.to_string()));
        }
    };
    let name = if said.approval.is_some() { "waits" } else { "done" };
    Ok((name, said.sequence.to_string()))
}
