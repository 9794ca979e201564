//! `/v1/tasks`: what people have to do in apps that Rollcall does not change itself, and what they say of it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use rollcall_config::Role;
use rollcall_domain::access::account::Account;
use rollcall_domain::access::task::{TaskDone, TaskId, TaskUndone};
use rollcall_domain::identity::name::name_key;
use rollcall_domain::ids::AppId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, NewEvent, Sequence, directory, ledger};
use rollcall_event_log::{Expect, Unit, by_service};
use rollcall_projection::View;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::decisions::{Answer as Decided, Said, read};
use crate::api::paging::{Answer, Extent, List, Who, page_shown};
use crate::api::params;
use crate::api::person::{Person, Vouched, unvouched};
use crate::api::plan::held_back;
use crate::api::query::Path;
use crate::api::relations::{is_owner, is_them};
use crate::api::views::{Detail, TaskStatus, TaskView};
use crate::error::{ApiError, Problem, ProblemBody};

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// The longest word on where something can be looked up.
const MAX_REFERENCE: usize = 500;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(tasks))
        .routes(routes!(done))
        .routes(routes!(undone))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// Whether somebody answers for an app.
fn answers_for(state: &impl Read, person: &Person, app: &AppId) -> Result<bool, KvError> {
    match directory::app(state, app)? {
        Some(app) => is_owner(state, person, &app.spec.owner),
        None => Ok(false),
    }
}

/// A task, as much of it as somebody may see: who answers for the app has to know what to do there.
///
/// # Errors
/// When the state can't be read.
pub fn seen(state: &impl Read, person: &Person, account: &Account) -> Result<Option<TaskView>, KvError> {
    let is_theirs = person.sees() == Detail::Impersonal && answers_for(state, person, &account.app)?;
    TaskView::of(state, account, if is_theirs { Detail::Full } else { person.sees() })
}

/// What people have to do now in apps of kind `manual` and `list`.
#[utoipa::path(get, path = "/v1/tasks", tag = "tasks", params(params::Tasks), responses(
    (status = 200, body = List<TaskView>), Problem
))]
async fn tasks(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<TaskView>> {
    let query = api.query::<params::Tasks>(pairs)?;
    let status: Option<TaskStatus> = query.word("status")?;
    let app = query.parsed::<AppId>("app", "an app id")?;
    let owner = query.text("owner").map(name_key);
    let view = api.fresh().await?;
    let read = |after: Option<&str>, look| ledger::tasks_after(&view, app.as_ref(), after, look);
    let is_wanted = |task: &TaskView| {
        status.is_none_or(|status| status == task.status)
            && owner.as_ref().is_none_or(|owner| *owner == name_key(&task.owner))
    };
    let show = |account: Account| Ok(seen(&view, &person, &account)?.filter(is_wanted));
    let (items, next_cursor) = page_shown(read, query.cursor(), Extent::of(&query)?, show)?;
    Ok(Json(List { items, next_cursor, as_of: None }))
}

/// Where it can be looked up that something was done.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct DoneBody {
    /// Such as the number of a ticket, or the hash of a file.
    reference: String,
}

/// The task of this id, for somebody who may say what became of it: an operator, and who answers for the app.
fn may_speak_of(view: &View, person: &Person, id: &str) -> Result<TaskId, ApiError> {
    let parsed: Option<TaskId> = id.parse().ok();
    if person.role < Role::Operator {
        let may = match &parsed {
            Some(parsed) => answers_for(view, person, &parsed.app)?,
            None => false,
        };
        // Who may not say so does not learn whether it is there.
        if !may {
            let who = "an operator, or who answers for the app, does";
            return Err(ApiError::Forbidden(format!("'{}' does not say that it is done: {who}", person.name)));
        }
    }
    parsed.ok_or_else(|| unknown("task", id))
}

/// The account that a task is about, for somebody who may say that it is done: an operator, and who answers for the app.
///
/// # Errors
/// 403, 404, 409 where something else is to be done by now, and when the state can't be read.
pub fn doable(view: &View, person: &Person, id: &str) -> Result<Account, ApiError> {
    let parsed = may_speak_of(view, person, id)?;
    if let Some(found) = ledger::task(view, &parsed)? {
        return Ok(found);
    }
    match ledger::account(view, parsed.identity, &parsed.app)? {
        Some(_) => Err(ApiError::Conflict(
            "there is nothing to do, or something else than this: it was done, or what is desired has changed. Look at /v1/tasks again"
                .into(),
        )),
        None => Err(unknown("task", id)),
    }
}

/// Says that a task is done: it is shown as the word of whoever says so, and never as verified.
#[utoipa::path(post, path = "/v1/tasks/{id}/done", tag = "tasks", request_body = DoneBody,
    params(("id" = String, Path, description = "The task.")), responses(
    (status = 202, body = Said),
    (status = 409, description = "It was done, something else is to be done by now, or it waits for a decision.", content_type = "application/problem+json", body = ProblemBody), Problem
))]
pub async fn done(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Decided {
    let view = api.fresh().await?;
    let found = doable(&view, &person, &id)?;
    let DoneBody { reference } = if body.is_empty() { DoneBody::default() } else { read(&body)? };
    if person.vouched == Vouched::No {
        return Err(unvouched());
    }
    if is_them(&api, &view, &person, found.identity)? {
        return Err(not_of_oneself());
    }
    let by = Speaker { actor: &person.actor(&view)?, how: "" };
    let sequence = attest(&api, &view, by, &found, &reference).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}

/// The account of which somebody has said that it is as this task wants it, for somebody who may take that back.
///
/// # Errors
/// 403, 404, 409 where nobody says so any more, and when the state can't be read.
pub fn said(view: &View, person: &Person, id: &str) -> Result<(Account, Sequence), ApiError> {
    let TaskId { version, app, identity } = may_speak_of(view, person, id)?;
    let account = ledger::account(view, identity, &app)?.ok_or_else(|| unknown("task", id))?;
    if account.standing_word().is_some_and(|word| word.version == version) {
        return Ok((account, version));
    }
    Err(ApiError::Conflict(
        "nobody says that it is done, or that counts for nothing any more: look at the account again".into(),
    ))
}

/// Why what was said is taken back.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
struct UndoneBody {
    reason: String,
}

/// Takes back what was said of a task, which is not done: what it has ended is owed anew.
#[utoipa::path(post, path = "/v1/tasks/{id}/undone", tag = "tasks", request_body = UndoneBody,
    params(("id" = String, Path, description = "The task, as `attested_task` of an account has it.")), responses(
    (status = 202, body = Said),
    (status = 409, description = "Nobody says that it is done, or that counts for nothing any more.", content_type = "application/problem+json", body = ProblemBody), Problem
))]
pub async fn undone(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Decided {
    let view = api.fresh().await?;
    let (account, version) = said(&view, &person, &id)?;
    let UndoneBody { reason } = if body.is_empty() { UndoneBody::default() } else { read(&body)? };
    let reason = reason.trim().to_owned();
    if reason.is_empty() || reason.chars().count() > MAX_REFERENCE {
        return Err(ApiError::BadRequest(format!("'reason' is missing, or longer than {MAX_REFERENCE} characters")));
    }
    let (app, identity) = (account.app, account.identity);
    if is_them(&api, &view, &person, identity)? {
        return Err(not_of_oneself());
    }
    let meta = by_service(&person.actor(&view)?, &Uuid::now_v7().to_string(), None);
    let event = Event::TaskUndone(TaskUndone { app: app.clone(), identity, version, reason });
    let sequence = api.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
    // Something else may have become of it just before.
    let now = ledger::account(&api.fresh().await?, identity, &app)?;
    if !now.as_ref().and_then(Account::word).is_some_and(|word| word.version == version && word.taken_back) {
        return Err(ApiError::Conflict("it has changed meanwhile: look at the account again".into()));
    }
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}

/// Nobody gives their word of their own account.
pub fn not_of_oneself() -> ApiError {
    ApiError::Forbidden("whose account it is does not say what became of it: somebody else does".into())
}

/// Who says that something is done.
#[derive(Clone, Copy)]
pub struct Speaker<'a> {
    pub actor: &'a str,
    /// In what way, where it is not the usual one.
    pub how: &'a str,
}

/// Says of a task that it is done, by somebody who may; where that is on the log.
///
/// # Errors
/// 400 for a reference that is too long, 409 where it waits for a decision or has changed, and when it can't be said.
pub async fn attest(
    api: &Api,
    view: &View,
    by: Speaker<'_>,
    found: &Account,
    reference: &str,
) -> Result<Sequence, ApiError> {
    let reference = reference.trim().to_owned();
    if reference.chars().count() > MAX_REFERENCE {
        return Err(ApiError::BadRequest(format!("'reference' is longer than {MAX_REFERENCE} characters")));
    }
    if let Some(held) = held_back(view, found)? {
        return Err(ApiError::Conflict(format!("it is not to be done yet: {held}")));
    }
    let mut meta = by_service(by.actor, &Uuid::now_v7().to_string(), None);
    by.how.clone_into(&mut meta.reason);
    let TaskId { version, app, identity } = TaskId::of(found);
    let target = found.desired.target();
    let event = Event::TaskDone(TaskDone { app: app.clone(), identity, version, target, reference });
    let sequence = api.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
    // What is desired may have changed just before: then nothing follows from what was said.
    let now = ledger::account(&api.fresh().await?, identity, &app)?;
    let counts = |account: &Account| account.attested.as_ref().is_some_and(|said| said.by >= sequence);
    if !now.as_ref().is_some_and(|account| counts(account) || account.desired_version == version) {
        return Err(ApiError::Conflict("what is desired has changed meanwhile: look at /v1/tasks again".into()));
    }
    Ok(sequence)
}
