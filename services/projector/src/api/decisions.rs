//! What operators decide and ask for. Each is an event by a named person; nothing is changed here.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::access::obligation::{ObligationId, Waived};
use rollcall_domain::access::subject::Subject;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::app::{AppSpec, Connection};
use rollcall_domain::drift::DriftAccepted;
use rollcall_domain::drift::reconciliation::{Reconciliation, ReconciliationEvent, SyncRequested};
use rollcall_domain::governance::hold::{Cause, Decision, Hold, HoldDecided};
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::{Event, NewEvent, directory, ledger};
use rollcall_event_log::{Expect, Unit, by_service};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::approvals::{self, Weight};
use crate::api::context::{Api, unknown};
use crate::api::person::{Person, Vouched};
use crate::api::query::Path;
use crate::api::relations::is_about_others;
use crate::api::views::HoldView;
use crate::error::{ApiError, Problem};

pub(super) type Answer = Result<(StatusCode, Json<Said>), ApiError>;
type Shared = State<Arc<Api>>;
type Who = Extension<Person>;

/// The largest body of a decision.
const MAX_BODY: usize = 64 << 10;

/// The longest reason.
pub(crate) const MAX_REASON: usize = 1000;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(waive))
        .routes(routes!(accept))
        .routes(routes!(release))
        .routes(routes!(reject))
        .routes(routes!(reconcile))
        .routes(routes!(gone))
        .routes(routes!(same))
        .routes(routes!(remove))
        .routes(routes!(sync))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// Where what was asked for is on the log.
#[derive(serde::Serialize, ToSchema)]
pub struct Said {
    #[schema(value_type = u64)]
    pub sequence: Sequence,
    /// Set: it is not done yet, and waits for a second person, who approves it by this id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
}

/// Why something is left as it is, and until when.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExceptionBody {
    reason: String,
    #[schema(schema_with = crate::api::schema::time)]
    expires_at: Timestamp,
}

/// Why removals go on, and up to which change, as the hold showed it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    reason: String,
    #[schema(value_type = u64, required = true)]
    through: Option<Sequence>,
}

/// Why removals are a mistake, up to which change, as the hold showed it, and until when what they owe is left unmet.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RejectBody {
    reason: String,
    #[schema(schema_with = crate::api::schema::time)]
    expires_at: Timestamp,
    #[schema(value_type = u64, required = true)]
    through: Option<Sequence>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SyncBody {
    #[schema(value_type = Option<Uuid>)]
    identity: Option<IdentityId>,
    #[schema(value_type = Option<String>)]
    app: Option<AppId>,
}

pub(crate) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|e| ApiError::BadRequest(format!("the body: {e}")))
}

pub(crate) fn reason(text: &str) -> Result<String, ApiError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(ApiError::BadRequest("'reason' is empty: say why".into())),
        n if n > MAX_REASON => Err(ApiError::BadRequest(format!("'reason' is longer than {MAX_REASON} characters"))),
        _ => Ok(text.to_owned()),
    }
}

/// An end that lies ahead, and whether it takes two people to leave something as it is for so long.
pub(crate) async fn later(api: &Api, expires_at: Timestamp) -> Result<(Timestamp, Weight), ApiError> {
    let now = Timestamp::now();
    if expires_at <= now {
        return Err(ApiError::BadRequest(format!("'expires_at' is past: {expires_at}")));
    }
    let span = |limit: Duration| SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX);
    let (alone, together) = (span(api.max_exception), span(api.max_approved_exception.max(api.max_exception)));
    let ahead = expires_at.duration_since(now);
    if ahead <= alone {
        return Ok((expires_at, Weight::Usual));
    }
    let (limit, key) = if approvals::needs_two(api, Role::Operator) {
        (together, "audit.max_approved_exception")
    } else {
        (alone, "audit.max_exception")
    };
    if ahead > limit {
        let days = limit.as_hours() / 24;
        return Err(ApiError::BadRequest(format!(
            "'expires_at' is more than {days} days ahead ({key}): what is left as it is has to be looked at again"
        )));
    }
    Ok((expires_at, Weight::Dangerous))
}

async fn exception(api: &Api, body: &Bytes) -> Result<(ExceptionBody, Weight), ApiError> {
    let body: ExceptionBody = read(body)?;
    let reason = reason(&body.reason)?;
    let (expires_at, weight) = later(api, body.expires_at).await?;
    Ok((ExceptionBody { reason, expires_at }, weight))
}

/// How dangerous it is to leave something as it is: whoever may choose their name where they sign in may be whom it is about.
fn weighed(person: &Person, weight: Weight) -> Weight {
    if person.vouched == Vouched::No { Weight::Dangerous } else { weight }
}

/// Appends what a person wants, or that they ask for it where it needs a second one; the answer says under which number it is
/// on the log.
async fn decide(api: &Api, person: &Person, event: Event, weight: Weight) -> Answer {
    let reason = match &event {
        Event::ObligationWaived(Waived { reason, .. })
        | Event::DriftAccepted(DriftAccepted { reason, .. })
        | Event::HoldDecided(HoldDecided { reason, .. }) => reason.clone(),
        _ => String::new(),
    };
    decide_because(api, person, event, weight, &reason).await
}

/// The same of what does not say itself why.
async fn decide_because(api: &Api, person: &Person, event: Event, weight: Weight, reason: &str) -> Answer {
    if weight == Weight::Usual || !approvals::needs_two(api, Role::Operator) {
        return say_because(api, person, event, reason).await;
    }
    let (sequence, id) = approvals::ask(api, person, event, reason).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: Some(id) })))
}

/// Appends what a person wants; the answer says under which number it is on the log.
pub(super) async fn say(api: &Api, person: &Person, event: Event) -> Answer {
    say_because(api, person, event, "").await
}

async fn say_because(api: &Api, person: &Person, event: Event, reason: &str) -> Answer {
    let mut meta = by_service(&person.name, &Uuid::now_v7().to_string(), None);
    reason.clone_into(&mut meta.reason);
    let sequence = api.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}

/// Leaves an obligation unmet for a while.
#[utoipa::path(post, path = "/v1/obligations/{id}/waive", tag = "decisions", params(("id" = String, Path, description = "Which.")) , request_body = ExceptionBody, responses(
    (status = 202, body = Said), (status = 409, description = "It has ended.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn waive(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Answer {
    person.needs(Role::Operator)?;
    let (ExceptionBody { reason, expires_at }, weight) = exception(&api, &body).await?;
    let parsed: ObligationId = id.parse().map_err(|_| unknown("obligation", &id))?;
    let view = api.fresh().await?;
    let found = ledger::obligation(&view, &parsed)?.ok_or_else(|| unknown("obligation", &id))?;
    if found.end.is_some() {
        return Err(ApiError::Conflict(format!("obligation '{id}' has ended: there is nothing to waive")));
    }
    // The account of nobody may be somebody's second one.
    let whose = match &parsed.subject {
        Subject::Account { app, identity } => ledger::duplicate_of(&view, app, *identity)?,
        _ => None,
    };
    is_about_others(&api, &view, &person, whose.into_iter().chain([parsed.subject.identity()]))?;
    decide(&api, &person, Event::ObligationWaived(Waived { id: parsed, reason, expires_at }), weighed(&person, weight))
        .await
}

/// Leaves drift in place for a while.
#[utoipa::path(post, path = "/v1/drift/{id}/accept", tag = "decisions", params(("id" = String, Path, description = "Which.")) , request_body = ExceptionBody, responses(
    (status = 202, body = Said), Problem
))]
pub async fn accept(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Answer {
    person.needs(Role::Operator)?;
    let (ExceptionBody { reason, expires_at }, weight) = exception(&api, &body).await?;
    let parsed: rollcall_domain::drift::DriftId = id.parse().map_err(|_| unknown("drift item", &id))?;
    let view = api.fresh().await?;
    let open = ledger::drift_of(&view, &parsed.app, parsed.identity)?;
    if !open.iter().any(|item| item.id == parsed) {
        return Err(unknown("open drift item", &id));
    }
    // The account of nobody may be somebody's second one.
    let owner = ledger::duplicate_of(&view, &parsed.app, parsed.identity)?;
    is_about_others(&api, &view, &person, [parsed.identity].into_iter().chain(owner))?;
    decide(
        &api,
        &person,
        Event::DriftAccepted(DriftAccepted { id: parsed, reason, expires_at }),
        weighed(&person, weight),
    )
    .await
}

/// Finds the hold that a person decides about, and has seen up to a change.
async fn held(api: &Api, source: &str, through: Option<Sequence>) -> Result<(Hold, Weight), ApiError> {
    let parsed: Cause = source.parse().map_err(|_| unknown("hold by", source))?;
    let view = api.fresh().await?;
    let hold = ledger::hold(&view, &parsed)?.ok_or_else(|| unknown("hold by", source))?;
    let HoldView { through: newest, removals, .. } = HoldView::of(&view, &hold)?;
    let guard = directory::app(&view, &hold.app)?.map(|app| app.spec.guard).unwrap_or_default();
    let is_large = guard.is_too_many(removals, ledger::present(&view, &hold.app)?.saturating_add(removals));
    let weight = if is_large { Weight::Dangerous } else { Weight::Usual };
    match through {
        Some(through) if through <= newest => Ok((hold, weight)),
        Some(through) => Err(ApiError::Conflict(format!("nothing waits here up to {through}: the last change is {newest}"))),
        None => Err(ApiError::BadRequest(
            "'through' is missing: give that of the hold as GET /v1/holds shows it; what came later is decided about apart"
                .into(),
        )),
    }
}

/// Lets the removals of a source go on.
#[utoipa::path(post, path = "/v1/holds/{source}/release", tag = "decisions", params(("source" = String, Path, description = "Which.")) , request_body = ReleaseBody, responses(
    (status = 202, body = Said), Problem
))]
pub async fn release(State(api): Shared, Extension(person): Who, Path(source): Path<String>, body: Bytes) -> Answer {
    person.needs(Role::Operator)?;
    let ReleaseBody { reason: said, through } = read(&body)?;
    let reason = reason(&said)?;
    let (Hold { cause, .. }, weight) = held(&api, &source, through).await?;
    let (decision, through) = (Decision::Release, through.unwrap_or_default());
    decide(&api, &person, Event::HoldDecided(HoldDecided { cause, through, decision, reason }), weight).await
}

/// Calls the removals of a source a mistake for a while.
#[utoipa::path(post, path = "/v1/holds/{source}/reject", tag = "decisions", params(("source" = String, Path, description = "Which.")) , request_body = RejectBody, responses(
    (status = 202, body = Said), Problem
))]
pub async fn reject(State(api): Shared, Extension(person): Who, Path(source): Path<String>, body: Bytes) -> Answer {
    person.needs(Role::Operator)?;
    let RejectBody { reason: said, expires_at, through } = read(&body)?;
    let reason = reason(&said)?;
    let (expires_at, weight) = later(&api, expires_at).await?;
    let (hold, _) = held(&api, &source, through).await?;
    let view = api.store.view();
    let waiting = ledger::held(&view, &hold)?.into_iter().map(|account| account.identity);
    is_about_others(&api, &view, &person, waiting)?;
    let cause = hold.cause;
    let (decision, through) = (Decision::Reject { expires_at }, through.unwrap_or_default());
    decide(
        &api,
        &person,
        Event::HoldDecided(HoldDecided { cause, through, decision, reason }),
        weighed(&person, weight),
    )
    .await
}

/// Wants an app compared now.
#[utoipa::path(post, path = "/v1/apps/{id}/reconcile", tag = "decisions", params(("id" = String, Path, description = "Which.")) , responses(
    (status = 202, body = Said), (status = 409, description = "People change it, and nothing of it can be read.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn reconcile(State(api): Shared, Extension(person): Who, Path(id): Path<String>) -> Answer {
    person.needs(Role::Operator)?;
    let app: AppId = id.parse().map_err(|_| unknown("app", &id))?;
    let view = api.fresh().await?;
    asked_by_us(&directory::app(&view, &app)?.ok_or_else(|| unknown("app", &id))?.spec)?;
    let event = Reconciliation { app, event: ReconciliationEvent::Requested };
    say(&api, &person, Event::Reconciliation(event)).await
}

/// Refuses an app of which nothing can be read.
///
/// # Errors
/// 409.
pub(super) fn asked_by_us(app: &AppSpec) -> Result<(), ApiError> {
    match app.kind {
        AppKind::Scim | AppKind::List => Ok(()),
        AppKind::Manual => Err(ApiError::Conflict(format!(
            "app '{}' is changed by people, and nothing of it can be read: see /v1/tasks?app={}",
            app.id, app.id
        ))),
    }
}

/// Which accounts of an app are gone, and why that is known.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GoneBody {
    /// The event that says what is missing, as the app shows it: what was found since is not answered by it.
    #[schema(value_type = u64)]
    told: Sequence,
    reason: String,
}

/// Says of an app that is left alone because accounts are missing there that they are gone.
#[utoipa::path(post, path = "/v1/apps/{id}/gone", tag = "decisions", params(("id" = String, Path, description = "Which.")), request_body = GoneBody, responses(
    (status = 202, body = Said), (status = 409, description = "Nothing is missing there, or something else than what was told.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn gone(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Answer {
    answer(&api, &person, &id, &body, |app, told| SyncRequested::Gone { app, told }).await
}

/// Says of an app that is left alone because accounts are missing there that it is the one that is known, and its ids are: the accounts have
/// other names by now.
#[utoipa::path(post, path = "/v1/apps/{id}/same", tag = "decisions", params(("id" = String, Path, description = "Which.")), request_body = GoneBody, responses(
    (status = 202, body = Said), (status = 409, description = "Nothing is missing there, or something else than what was told.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn same(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Answer {
    answer(&api, &person, &id, &body, |app, told| SyncRequested::Same { app, told }).await
}

/// Answers what is missing in an app.
async fn answer(
    api: &Api,
    person: &Person,
    id: &str,
    body: &Bytes,
    said: impl FnOnce(AppId, Sequence) -> SyncRequested,
) -> Answer {
    person.needs(Role::Operator)?;
    let app: AppId = id.parse().map_err(|_| unknown("app", id))?;
    let GoneBody { told, reason: text } = read(body)?;
    let because = reason(&text)?;
    let view = api.fresh().await?;
    directory::app(&view, &app)?.ok_or_else(|| unknown("app", id))?;
    let missing = ledger::missing_in(&view, &app)?;
    match missing {
        None => return Err(ApiError::Conflict(format!("nothing that must be there is missing in '{app}' now"))),
        Some(quarantine) if quarantine.by != told => {
            return Err(ApiError::Conflict(format!(
                "what is missing in '{app}' now is told by event {}, and not by {told}: {}",
                quarantine.by, quarantine.rejection.detail
            )));
        }
        Some(_) => {}
    }
    decide_because(api, person, Event::SyncRequested(said(app, told)), Weight::Dangerous, &because).await
}

/// Why something is done.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: String,
}

/// Governs an app no more, after it was taken out of the configuration: where two people decide it stays governed until they do.
#[utoipa::path(post, path = "/v1/apps/{id}/remove", tag = "decisions", params(("id" = String, Path, description = "Which.")), request_body = ReasonBody, responses(
    (status = 202, body = Said), (status = 409, description = "It is not governed any more.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn remove(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Answer {
    person.needs(Role::Operator)?;
    let app: AppId = id.parse().map_err(|_| unknown("app", &id))?;
    let because = reason(&read::<ReasonBody>(&body)?.reason)?;
    let known = directory::app(&api.fresh().await?, &app)?.ok_or_else(|| unknown("app", &id))?;
    if known.connection == Connection::Removed {
        return Err(ApiError::Conflict(format!("app '{app}' is not governed any more: its accounts are as they were")));
    }
    decide_because(&api, &person, Event::AppRemoved(app), Weight::Dangerous, &because).await
}

/// Wants accounts read now: those of an identity, or those in an app.
#[utoipa::path(post, path = "/v1/sync", tag = "decisions", request_body = SyncBody, responses(
    (status = 202, body = Said), (status = 409, description = "People change it, and nothing of it can be read.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn sync(State(api): Shared, Extension(person): Who, body: Bytes) -> Answer {
    person.needs(Role::Operator)?;
    let view = api.fresh().await?;
    let wanted = match read::<SyncBody>(&body)? {
        SyncBody { identity: Some(id), app: None } => {
            person.needs_app(None)?;
            directory::identity(&view, id)?.ok_or_else(|| unknown("identity", &id.to_string()))?;
            SyncRequested::Identity(id)
        }
        SyncBody { identity: None, app: Some(app) } => {
            person.needs_app(Some(&app))?;
            asked_by_us(&directory::app(&view, &app)?.ok_or_else(|| unknown("app", app.as_str()))?.spec)?;
            // To look once more is no answer to whether they are gone.
            if let Some(quarantine) = ledger::missing_in(&view, &app)? {
                return Err(ApiError::Conflict(format!(
                    "'{app}' is left alone since event {}: {}. It is looked at again by itself. If they are gone, say so: POST \
                     /v1/apps/{app}/gone {{\"told\": {}, \"reason\": …}}, or rollcall gone {app}",
                    quarantine.by, quarantine.rejection.detail, quarantine.by
                )));
            }
            SyncRequested::App(app)
        }
        _ => return Err(ApiError::BadRequest("the body must have one of 'identity' and 'app'".into())),
    };
    say(&api, &person, Event::SyncRequested(wanted)).await
}
