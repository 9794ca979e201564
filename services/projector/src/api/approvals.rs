//! What is dangerous needs a second person: one asks, another who is neither they nor whom it is about approves.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::{ApiToken, Role, deciders};
use rollcall_domain::access::obligation::Waived;
use rollcall_domain::access::subject::Subject;
use rollcall_domain::app::Connection;
use rollcall_domain::drift::reconciliation::SyncRequested;
use rollcall_domain::governance::approval::{ApprovalChanged, ApprovalStep};
use rollcall_domain::governance::erasure::ErasureOrdered;
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger::{self, WaitingApproval};
use rollcall_domain::{Event, NewEvent, directory};
use rollcall_event_log::{Expect, LogError, Unit, by_service};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::context::{Api, Shared, unknown};
use crate::api::person::{Person, Vouched};
use crate::api::query::Path;
use crate::api::{relations, schema};
use crate::erasure::decision;
use crate::error::{ApiError, Problem};
use crate::timeline::summary::in_words;

/// How much one decision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// One person decides.
    Usual,
    /// It needs a second one.
    Dangerous,
}

/// Something that waits for a second person.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalView {
    pub id: String,
    /// What is wanted, in words.
    pub what: String,
    pub asked_by: String,
    pub reason: String,
    #[schema(schema_with = schema::time)]
    pub asked_at: Timestamp,
    /// Whom it is about.
    #[schema(value_type = Option<Uuid>)]
    pub identity: Option<IdentityId>,
    #[schema(schema_with = schema::time)]
    pub expires_at: Timestamp,
}

#[derive(Debug, Serialize, ToSchema)]
struct Approvals {
    items: Vec<ApprovalView>,
}

/// Where the decision is on the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct Decided {
    #[schema(value_type = u64)]
    pub sequence: Sequence,
}

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(approvals)).routes(routes!(approve)).routes(routes!(deny))
}

/// Whether what is dangerous, and takes at least this role, waits for a second person.
pub fn needs_two(api: &Api, least: Role) -> bool {
    // One of the configuration's made all others: those are no second person.
    api.approvals.two_people.applies(deciders(&api.tokens, &api.roles_of_groups, least))
}

/// Asks for something in the place of doing it; the id that it is approved by.
///
/// # Errors
/// 403 for who is not known; when the log can't be reached.
pub async fn ask(api: &Api, person: &Person, wanted: Event, reason: &str) -> Result<(Sequence, String), ApiError> {
    // Nobody could tell them from whoever approves it.
    if person.vouched == Vouched::No {
        return Err(ApiError::Forbidden(
            "it takes two people, and whoever signs in with a name that they may choose themselves is not known to be one of them: set \
             oidc.name_claim, or use a token"
                .into(),
        ));
    }
    let id = Uuid::now_v7().to_string();
    let lasts = SignedDuration::try_from(api.approvals.expires_after).unwrap_or(SignedDuration::MAX);
    let expires_at = Timestamp::now().checked_add(lasts).unwrap_or(Timestamp::MAX);
    let about = about(&wanted);
    let step = ApprovalStep::Requested { wanted: Box::new(wanted), about, expires_at };
    let mut meta = by_service(&person.name, &id, None);
    reason.clone_into(&mut meta.reason);
    let event = Event::Approval(ApprovalChanged { id: id.clone(), step });
    let sequence = api.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Any)).await?;
    Ok((sequence, id))
}

/// Whom it is about.
const fn about(wanted: &Event) -> Option<IdentityId> {
    match wanted {
        Event::ObligationWaived(waived) => Some(waived.id.subject.identity()),
        Event::DriftAccepted(accepted) => Some(accepted.id.identity),
        Event::ErasureOrdered(order) => Some(order.id),
        Event::ViolationAccepted(accepted) => Some(accepted.identity),
        _ => None,
    }
}

/// What waits for a second person.
#[utoipa::path(get, path = "/v1/approvals", tag = "state", responses((status = 200, body = Approvals), Problem))]
async fn approvals(State(api): Shared, Extension(person): Extension<Person>) -> Result<Json<Approvals>, ApiError> {
    Ok(Json(Approvals { items: waiting(&api, &person).await? }))
}

/// What waits for a second person.
///
/// # Errors
/// For who may not see it, and when it can't be read.
pub async fn waiting(api: &Api, person: &Person) -> Result<Vec<ApprovalView>, ApiError> {
    person.needs(Role::Operator)?;
    let view = api.fresh().await?;
    let mut items = Vec::new();
    for waiting in ledger::approvals(&view, Timestamp::now())? {
        let Some(wanted) = wanted(api, &waiting).await? else { continue };
        items.push(ApprovalView {
            id: waiting.id,
            what: in_words(&wanted),
            asked_by: waiting.asked_by,
            reason: waiting.reason,
            asked_at: waiting.asked_at,
            identity: waiting.about,
            expires_at: waiting.expires_at,
        });
    }
    Ok(items)
}

/// What was asked for, as the log has it.
async fn wanted(api: &Api, waiting: &WaitingApproval) -> Result<Option<Event>, LogError> {
    let recorded = api.log.event(waiting.asked_in).await?;
    Ok(recorded.and_then(|recorded| match recorded.event {
        Event::Approval(ApprovalChanged { step: ApprovalStep::Requested { wanted, .. }, .. }) => Some(*wanted),
        _ => None,
    }))
}

/// One that a person may decide about.
async fn open(api: &Api, person: &Person, id: &str) -> Result<(WaitingApproval, Event), ApiError> {
    person.needs(Role::Operator)?;
    let view = api.fresh().await?;
    let waiting = ledger::approval(&view, id)?.filter(|waiting| waiting.expires_at > Timestamp::now());
    let waiting = waiting.ok_or_else(|| unknown("approval that waits", id))?;
    let wanted = wanted(api, &waiting).await?.ok_or_else(|| unknown("approval that waits", id))?;
    Ok((waiting, wanted))
}

/// Everybody whom it is about.
fn everybody(state: &impl Read, waiting: &WaitingApproval, wanted: &Event) -> Result<Vec<IdentityId>, KvError> {
    let mut all: Vec<IdentityId> = waiting.about.into_iter().collect();
    if let Event::HoldDecided(decided) = wanted
        && let Some(hold) = ledger::hold(state, &decided.cause)?
    {
        all.extend(ledger::held(state, &hold)?.iter().map(|account| account.identity));
    }
    // The account of nobody may be somebody's second one.
    let whose = match wanted {
        Event::ObligationWaived(Waived { id, .. }) => match &id.subject {
            Subject::Account { app, identity } => Some((app, *identity)),
            Subject::Handover { .. } | Subject::Credential { .. } => None,
        },
        Event::DriftAccepted(accepted) => Some((&accepted.id.app, accepted.id.identity)),
        _ => None,
    };
    if let Some((app, identity)) = whose {
        all.extend(ledger::duplicate_of(state, app, identity)?);
    }
    Ok(all)
}

/// Whether what was asked for can still be done.
fn is_still_wanted(tokens: &[ApiToken], state: &impl Read, wanted: &Event, now: Timestamp) -> Result<bool, KvError> {
    Ok(match wanted {
        Event::ObligationWaived(waived) => {
            waived.expires_at > now && ledger::obligation(state, &waived.id)?.is_some_and(|owed| owed.end.is_none())
        }
        Event::DriftAccepted(accepted) => {
            let open = ledger::drift_of(state, &accepted.id.app, accepted.id.identity)?;
            accepted.expires_at > now && open.iter().any(|item| item.id == accepted.id)
        }
        Event::HoldDecided(decided) => ledger::hold(state, &decided.cause)?.is_some(),
        Event::SyncRequested(SyncRequested::Gone { app, told } | SyncRequested::Same { app, told }) => {
            ledger::missing_in(state, app)?.is_some_and(|missing| missing.by == *told)
        }
        Event::AppRemoved(app) => {
            directory::app(state, app)?.is_some_and(|app| app.connection == Connection::Configured)
        }
        Event::ViolationAccepted(accepted) => {
            let known = ledger::violation(state, &accepted.separation, accepted.identity)?;
            accepted.expires_at > now && known.is_some_and(|known| known.held.is_subset(&accepted.held))
        }
        Event::ErasureOrdered(order) => {
            ledger::ordered(state, order.id)?.is_none() && decision::erasable(tokens, state, order.id).is_ok()
        }
        _ => false,
    })
}

/// Approves what another person has asked for: it is done now.
#[utoipa::path(post, path = "/v1/approvals/{id}/approve", tag = "decisions", params(("id" = String, Path, description = "Which.")), responses(
    (status = 202, body = Decided), (status = 409, description = "It can't be done any more.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn approve(
    State(api): Shared,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Decided>), ApiError> {
    let (waiting, wanted) = open(&api, &person, &id).await?;
    if matches!(wanted, Event::ErasureOrdered(_)) {
        person.needs(Role::Admin)?;
    }
    if person.vouched == Vouched::No {
        return Err(ApiError::Forbidden(
            "whoever signs in with a name that they may choose themselves approves nothing: set oidc.name_claim".into(),
        ));
    }
    let view = api.store.view();
    relations::are_two(&api, &view, &waiting.asked_by, &person)?;
    relations::is_about_others(&api, &view, &person, everybody(&view, &waiting, &wanted)?)?;
    if !is_still_wanted(&api.tokens, &view, &wanted, Timestamp::now())? {
        return Err(ApiError::Conflict("what was asked for has ended meanwhile: there is nothing to approve".into()));
    }
    let approved = by_service(&person.name, &id, None);
    // It is the decision of who asked; that another one approved it is the event before.
    let mut meta = by_service(&waiting.asked_by, &id, Some(approved.event_id));
    waiting.reason.clone_into(&mut meta.reason);
    let step = Event::Approval(ApprovalChanged { id, step: ApprovalStep::Approved });
    let mut unit = Unit::one(NewEvent { meta: approved, event: step }, Expect::Last(waiting.asked_in));
    match wanted {
        Event::ErasureOrdered(order) => {
            let order = ErasureOrdered { approved_by: Some(person.name.clone()), ..order };
            decision::push(&api.log, (&api.tokens, &api.fresh().await?), &mut unit, meta, order).await?;
        }
        event => unit.push(NewEvent { meta, event }, Expect::Any),
    }
    done(&api, &unit).await
}

/// Denies what another person has asked for, or takes back what one has asked for oneself.
#[utoipa::path(post, path = "/v1/approvals/{id}/deny", tag = "decisions", params(("id" = String, Path, description = "Which.")), responses(
    (status = 202, body = Decided), Problem
))]
pub async fn deny(
    State(api): Shared,
    Extension(person): Extension<Person>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Decided>), ApiError> {
    let (waiting, _) = open(&api, &person, &id).await?;
    let meta = by_service(&person.name, &id, None);
    let event = Event::Approval(ApprovalChanged { id, step: ApprovalStep::Denied });
    done(&api, &Unit::one(NewEvent { meta, event }, Expect::Last(waiting.asked_in))).await
}

/// Appends a decision, once.
async fn done(api: &Api, unit: &Unit) -> Result<(StatusCode, Json<Decided>), ApiError> {
    let sequence = match api.append_unit(unit).await {
        Err(ApiError::Log(LogError::Conflict { .. })) => {
            return Err(ApiError::Conflict("someone else has decided about it meanwhile".into()));
        }
        outcome => outcome?,
    };
    Ok((StatusCode::ACCEPTED, Json(Decided { sequence })))
}
