//! What a person does: shown before it is done, with its reason, and on the log afterwards. Each is what the API does for the same.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::{Extension, Form, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_domain::access::account::Account;
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::access::separation::ViolationId;
use rollcall_domain::drift::DriftId;
use rollcall_domain::governance::hold::Cause;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::{directory, ledger};
use rollcall_projection::View;
use serde_json::{Value, json};

use super::acts::{Act, Whom};
use super::frame::{Frame, answer, problem};
use super::{Who, app_link, credentials, drift, grants, handovers, obligations, tasks, violations, whose};
use crate::api::approvals;
use crate::api::context::{Api, Shared, unknown};
use crate::api::credentials as api_credentials;
use crate::api::decisions;
use crate::api::drills;
use crate::api::grants as api_grants;
use crate::api::machines;
use crate::api::person::Person;
use crate::api::plan;
use crate::api::query::Path;
use crate::api::separations;
use crate::api::switch;
use crate::api::tasks as api_tasks;
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
    asks_whom: bool,
    must_say_whom: bool,
    whom: String,
    asks_reference: bool,
    reference: String,
    asks_control: bool,
    control: String,
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
    let act = Act::read(asked.get("do"))?;
    person.needs(act.least())?;
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
        asks_whom: act.asks_whom().is_some(),
        must_say_whom: act.asks_whom() == Some(Whom::Somebody),
        whom: asked.get("whom").to_owned(),
        asks_reference: act.asks_reference(),
        reference: asked.get("reference").to_owned(),
        asks_control: act.asks_control(),
        control: asked.get("control").to_owned(),
        asks_time: act.asks_time(),
        times: TIMES.to_vec(),
        lasting: lasting.to_owned(),
        button,
    })
}

const APPS: [Column; 2] = [Column::text("app", "App"), Column::text("who", "Who has an account")];
const MISSING: [Column; 2] = [Column::text("app", "App"), Column::text("what", "What is missing")];
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
        Act::Gone => {
            let mut rows = Vec::new();
            for id in ids {
                let app: AppId = id.parse().map_err(|_| unknown("app", id))?;
                let quarantine =
                    ledger::quarantine(view, &app)?.ok_or_else(|| unknown("app that is left alone", id))?;
                rows.push(vec![app_link(view, &app)?, Cell::text(quarantine.rejection.detail)]);
            }
            Ok(Table::new("What is missing", &MISSING).with(rows))
        }
        Act::Reconcile | Act::Drill | Act::SyncApp => {
            let mut rows = Vec::new();
            for id in ids {
                let app: AppId = id.parse().map_err(|_| unknown("app", id))?;
                let found = directory::app(view, &app)?.ok_or_else(|| unknown("app", id))?;
                rows.push(vec![app_link(view, &app)?, Cell::text(found.spec.assign)]);
            }
            Ok(Table::new("Which", &APPS).with(rows))
        }
        Act::AcceptViolation => {
            let mut found = Vec::new();
            for id in ids {
                let ViolationId { separation, identity } = id.parse().map_err(|_| unknown("violation", id))?;
                found.push(ledger::violation(view, &separation, identity)?.ok_or_else(|| unknown("violation", id))?);
            }
            Ok(violations::table(view, person, &found, "As it is now".into())?.unchosen())
        }
        Act::AcceptHandover | Act::PassHandover | Act::RetireHandover => {
            let mut found = Vec::new();
            for id in ids {
                found.push(machines::known(view, id)?);
            }
            Ok(handovers::table(view, person, &found, "As it is now".into())?.unchosen())
        }
        Act::ReportCredential => {
            let mut found = Vec::new();
            for id in ids {
                found.push(api_credentials::known(view, id)?);
            }
            Ok(credentials::table(view, person, &found, "As it is now".into())?.unchosen())
        }
        Act::UndoneTask => {
            let said = |id: &String| api_tasks::said(view, person, id).map(|(account, _)| account);
            let found: Vec<_> = ids.iter().map(said).collect::<Result<_, _>>()?;
            Ok(tasks::table(view, person, &found, "As it is now".into())?.unchosen())
        }
        Act::DoneTask => {
            let found: Vec<_> = ids.iter().map(|id| api_tasks::doable(view, person, id)).collect::<Result<_, _>>()?;
            Ok(tasks::table(view, person, &found, "As it is now".into())?.unchosen())
        }
        Act::ApproveGrant | Act::DenyGrant | Act::WithdrawGrant | Act::EndGrant => {
            let mut found = Vec::new();
            for id in ids {
                let parsed = id.parse().map_err(|_| unknown("grant", id))?;
                found.push(ledger::grant(view, parsed)?.ok_or_else(|| unknown("grant", id))?);
            }
            Ok(grants::table(api, view, person, &found, "What was asked for".into()).await?.unchosen())
        }
        Act::Sync | Act::Disable | Act::Enable => {
            let mut rows = Vec::new();
            for id in ids {
                let of: IdentityId = id.parse().map_err(|_| unknown("identity", id))?;
                directory::identity(view, of)?.ok_or_else(|| unknown("identity", id))?;
                let accounts = ledger::accounts_of(view, of)?;
                if act != Act::Sync {
                    rows.extend(
                        accounts.iter().map(|a| switched(view, person, act, a)).collect::<Result<Vec<_>, _>>()?,
                    );
                    continue;
                }
                for account in accounts {
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

/// What switching somebody off, or on, would do to one of their accounts.
fn switched(view: &View, person: &Person, act: Act, account: &Account) -> Result<Vec<Cell>, ApiError> {
    let is_live = account.observed.as_ref().is_some_and(|seen| seen.get("active") != Some(&Value::Bool(false)));
    let (would, why) = match (act, is_live) {
        (Act::Disable, true) => ("deactivate", "live when it was last read"),
        (Act::Disable, false) => ("nothing but a reading", "not live when it was last read"),
        _ if account.holds.is_empty() => ("nothing", "nothing gives them an account there now"),
        _ => ("what their roles, grants and rules give them", "they count again"),
    };
    Ok(vec![whose(view, person, account.identity)?, app_link(view, &account.app)?, Cell::text(would), Cell::text(why)])
}

/// Does it, for each that was chosen; the first that can't be done is said, and what was typed stays.
pub async fn act(
    State(api): State<Arc<Api>>,
    Extension(person): Who,
    Form(sent): Form<Vec<(String, String)>>,
) -> Response {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&sent).finish();
    let asked = Asked::read(Some(&query));
    // Whoever may do nothing here at all is told so before anything of it is looked at.
    if let Err(error) = Act::read(asked.get("do")).and_then(|act| person.needs(act.least())) {
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
        Act::AcceptViolation => {
            let accepted = json!({ "reason": reason, "control": asked.get("control"), "expires_at": until()? });
            separations::accept(state, who, path, body(accepted)).await?
        }
        Act::AcceptHandover => {
            let whom = Some(asked.get("whom").trim()).filter(|whom| !whom.is_empty());
            machines::accept(state, who, path, body(json!({ "reason": reason, "owner": whom }))).await?
        }
        Act::PassHandover => {
            machines::pass(state, who, path, body(json!({ "reason": reason, "to": asked.get("whom").trim() }))).await?
        }
        Act::ReportCredential => {
            api_credentials::compromised(state, who, path, body(json!({ "reason": reason }))).await?
        }
        Act::DoneTask => {
            api_tasks::done(state, who, path, body(json!({ "reference": asked.get("reference") }))).await?
        }
        Act::UndoneTask => api_tasks::undone(state, who, path, body(json!({ "reason": reason }))).await?,
        Act::RetireHandover => machines::retire(state, who, path, body(json!({ "reason": reason }))).await?,
        Act::Release => {
            decisions::release(state, who, path, body(json!({ "reason": reason, "through": through }))).await?
        }
        Act::Reject => {
            let rejected = json!({ "reason": reason, "expires_at": until()?, "through": through });
            decisions::reject(state, who, path, body(rejected)).await?
        }
        Act::Reconcile => decisions::reconcile(state, who, path).await?,
        Act::Drill => drills::drill(state, who, path).await?,
        Act::Gone => decisions::gone(state, who, path, body(json!({ "told": through, "reason": reason }))).await?,
        Act::SyncApp => decisions::sync(state, who, body(json!({ "app": id }))).await?,
        Act::Sync => decisions::sync(state, who, body(json!({ "identity": id }))).await?,
        Act::Disable => switch::disable(state, who, path, body(json!({ "reason": reason }))).await?,
        Act::Enable => switch::enable(state, who, path, body(json!({ "reason": reason }))).await?,
        Act::ApproveGrant | Act::DenyGrant | Act::WithdrawGrant | Act::EndGrant => {
            let because = body(json!({ "reason": reason }));
            let (_, Json(said)) = match act {
                Act::ApproveGrant => api_grants::approve(state, who, path).await?,
                Act::DenyGrant => api_grants::deny(state, who, path, because).await?,
                Act::WithdrawGrant => api_grants::withdraw(state, who, path, because).await?,
                _ => api_grants::end(state, who, path, because).await?,
            };
            return Ok(("done", said.sequence.to_string()));
        }
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
