//! Grants: somebody asks for something for a time, others agree, and it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::access::entitlement::{Grantable, Part, Requestable, Terms};
use rollcall_domain::access::grant::{Grant, GrantChanged, GrantEnd, GrantRequested, GrantStatus, GrantStep, Lasts};
use rollcall_domain::access::role::Standing;
use rollcall_domain::access::separation::{Separated, ViolationStatus};
use rollcall_domain::app::Connection;
use rollcall_domain::identity::Identity;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{Event, GrantId, IdentityId, NewEvent, Sequence, directory, ledger};
use rollcall_event_log::{Expect, LogError, Unit, by_service};
use rollcall_policy::Action;
use rollcall_projection::View;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::access::reasons_in_words;
use crate::api::candidates::manager_of;
use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::decisions::{read, reason};
use crate::api::identities::known_identity;
use crate::api::paging::{Answer, List, Who};
use crate::api::params;
use crate::api::person::Person;
use crate::api::query::Path;
use crate::api::relations::{Relation, aliases, aliases_of_actor, are_two, may_approve, relation};
use crate::api::views::{GrantView, policy_in_words, separation_in_words};
use crate::error::{ApiError, Problem};

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// The longest name of a ticket.
const MAX_TICKET: usize = 200;

/// The most grants, and requests for them, of one identity that have not ended.
const MOST_OPEN: usize = 100;

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(grants, request))
        .routes(routes!(grant))
        .routes(routes!(approve))
        .routes(routes!(deny))
        .routes(routes!(withdraw))
        .routes(routes!(end))
        .routes(routes!(extend))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// What somebody asks for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    /// For whom: the id, or the user name.
    identity: String,
    /// What: `APP`, `APP:group:NAME`, or `role:ID`.
    what: String,
    /// Until when; not with `for`.
    #[schema(schema_with = crate::api::schema::time_or_null)]
    until: Option<Timestamp>,
    /// For how long from its approval, such as `1h`; not with `until`.
    #[serde(rename = "for")]
    lasts: Option<String>,
    reason: String,
    /// Where it is talked about.
    ticket: Option<String>,
}

/// For how much longer, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ExtendBody {
    #[schema(schema_with = crate::api::schema::time_or_null)]
    until: Option<Timestamp>,
    /// For how long from its approval, such as `1h`.
    #[serde(rename = "for")]
    lasts: Option<String>,
    reason: String,
    ticket: Option<String>,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReasonBody {
    reason: String,
}

/// Where what somebody did is on the log, and which grant it is about.
#[derive(Serialize, ToSchema)]
pub struct GrantSaid {
    #[schema(value_type = Uuid)]
    pub id: GrantId,
    #[schema(value_type = u64)]
    pub sequence: Sequence,
}

type Done = Result<(StatusCode, Json<GrantSaid>), ApiError>;

/// Grants and requests for them, oldest first: those that may be seen.
#[utoipa::path(get, path = "/v1/grants", tag = "access", params(params::Grants), responses(
    (status = 200, body = List<GrantView>), Problem
))]
async fn grants(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<GrantView>> {
    let query = api.query::<params::Grants>(pairs)?;
    let status: Option<GrantStatus> = query.word("status")?;
    let snapshot = api.snapshot(&query).await?;
    let (limit, state) = (query.limit()?, &snapshot.state);
    let after: Option<GrantId> = query.cursor().map(str::parse).transpose().map_err(|_| unknown("page", "cursor"))?;
    let mut found = match query.text("identity") {
        Some(id) => {
            let mut all = ledger::grants_of(state, known_identity(state, id)?.id)?;
            all.retain(|grant| status.is_none_or(|status| status == grant.status()));
            all.retain(|grant| after.is_none_or(|after| grant.id > after));
            all.truncate(limit.saturating_add(1));
            all
        }
        None => ledger::grants_in(state, status.unwrap_or(GrantStatus::Requested), after, limit.saturating_add(1))?,
    };
    let next_cursor = found.get(limit).and_then(|_| found.get(limit - 1)).map(|last| last.id.to_string());
    found.truncate(limit);
    let mut items = Vec::new();
    for grant in &found {
        items.push(shown(&api, state, &person, grant).await?);
    }
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// A grant as somebody may see it: why it was asked for is for those whom it concerns.
pub async fn shown(api: &Api, state: &impl Read, person: &Person, grant: &Grant) -> Result<GrantView, ApiError> {
    // Who may see it is a question about now.
    let concerns = person.role >= Role::Auditor || relation(api, &api.store.view(), person, grant)? != Relation::None;
    let request = match concerns {
        true => asked(api, grant).await?,
        false => None,
    };
    let detail = if concerns { crate::api::views::Detail::Full } else { person.sees() };
    Ok(GrantView::of(state, grant, request.as_ref(), detail)?)
}

/// What was asked for, as the log has it.
async fn asked(api: &Api, grant: &Grant) -> Result<Option<GrantRequested>, LogError> {
    let recorded = api.log.event(grant.requested_in).await?;
    Ok(recorded.and_then(|recorded| match recorded.event {
        Event::Grant(GrantChanged { step: GrantStep::Requested(asked), .. }) if !recorded.seal.is_closed() => {
            Some(*asked)
        }
        _ => None,
    }))
}

/// One grant.
#[utoipa::path(get, path = "/v1/grants/{id}", tag = "access", params(("id" = Uuid, Path, description = "The grant.")), responses(
    (status = 200, body = GrantView), Problem
))]
async fn grant(State(api): Shared, Extension(person): Who, Path(id): Path<String>) -> Answer<GrantView> {
    let view = api.fresh().await?;
    let grant = known(&view, &id)?;
    Ok(Json(shown(&api, &view, &person, &grant).await?))
}

fn known(state: &impl Read, id: &str) -> Result<Grant, ApiError> {
    let parsed: GrantId = id.parse().map_err(|_| unknown("grant", id))?;
    ledger::grant(state, parsed)?.ok_or_else(|| unknown("grant", id))
}

fn bad(text: impl Into<String>) -> ApiError {
    ApiError::BadRequest(text.into())
}

/// By id, or by user name.
pub fn whom(state: &impl Read, text: &str) -> Result<Identity, ApiError> {
    // An id first: somebody may be called like another one's.
    if text.parse::<IdentityId>().is_ok() {
        return known_identity(state, text);
    }
    directory::identity_by_user_name(state, text)?.ok_or_else(|| unknown("identity", text))
}

/// How long it is asked for, within what its terms allow.
fn lasts(until: Option<Timestamp>, time: Option<&str>, terms: &Terms, now: Timestamp) -> Result<Lasts, ApiError> {
    let in_words = |time: Duration| {
        jiff::SignedDuration::try_from(time).map_or_else(|_| format!("{time:?}"), |time| format!("{time:#}"))
    };
    let (lasts, length) = match (until, time) {
        (Some(_), Some(_)) => return Err(bad("give 'until' or 'for', not both")),
        (Some(until), None) if until <= now => return Err(bad(format!("'until' is past: {until}"))),
        (Some(until), None) => (Lasts::Until(until), Duration::try_from(until.duration_since(now)).ok()),
        (None, Some(text)) => {
            let time = rollcall_config::time_span(text).map_err(|e| bad(format!("'for': {e}")))?;
            if time < Duration::from_secs(1) {
                return Err(bad("'for' must be a second or more"));
            }
            (Lasts::For(time), Some(time))
        }
        (None, None) => (Lasts::Standing, None),
    };
    match (terms.max_duration, length) {
        (Some(most), None) => {
            Err(bad(format!("say 'until' when or 'for' how long: it is granted for {} at most", in_words(most))))
        }
        (Some(most), Some(length)) if length > most => {
            Err(bad(format!("it is granted for {} at most", in_words(most))))
        }
        _ => Ok(lasts),
    }
}

/// The terms of something that can be asked for.
fn terms_of(state: &impl Read, what: &Grantable, identity: &Identity) -> Result<Terms, ApiError> {
    let closed = || {
        ApiError::Conflict(format!("'{what}' can't be asked for: its configuration does not say requestable = true"))
    };
    let terms = match what {
        Grantable::Role(id) => {
            let role = directory::role(state, id)?.filter(|role| role.standing == Standing::Configured);
            role.ok_or_else(|| unknown("role", id.as_str()))?.spec.terms
        }
        Grantable::Entitlement(id) => {
            let app = directory::app(state, &id.app)?.filter(|app| app.connection == Connection::Configured);
            let spec = app.ok_or_else(|| unknown("app", id.app.as_str()))?.spec;
            if let Part::Group(name) = &id.part
                && !spec.manages(name)
            {
                return Err(unknown("managed group", name));
            }
            if !spec.identities.contains(&identity.kind) {
                return Err(ApiError::Conflict(format!("'{}' takes no accounts of their kind", id.app)));
            }
            spec.entitlement(&id.part).ok_or_else(closed)?.terms.clone()
        }
    };
    if terms.requestable == Requestable::Yes { Ok(terms) } else { Err(closed()) }
}

/// Why there is no need to ask for something.
fn not_held(api: &Api, state: &impl Read, what: &Grantable, identity: &Identity) -> Result<(), ApiError> {
    if let Some(grant) = ledger::grant_for(state, identity.id, what)? {
        let id = grant.id;
        return Err(ApiError::Conflict(match grant.status() {
            GrantStatus::Active => format!("they hold it by grant {id}: extend that one"),
            GrantStatus::Requested | GrantStatus::Ended => format!("it was asked for already: grant {id}"),
        }));
    }
    if let Grantable::Entitlement(entitlement) = what
        && let (Some(held), _) = ledger::explain(state, &api.catalogue, identity.clone(), entitlement)?
        && held.until.is_none()
    {
        let why = reasons_in_words(state, &held)?;
        return Err(ApiError::Conflict(format!("they hold it already: {why}")));
    }
    Ok(())
}

/// Asks for something for someone: oneself, somebody whose manager one is, or as an operator anybody.
#[utoipa::path(post, path = "/v1/grants", tag = "access", request_body = RequestBody, responses(
    (status = 202, body = GrantSaid),
    (status = 409, description = "It can't be asked for, or is held already.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn request(State(api): Shared, Extension(person): Who, body: Bytes) -> Done {
    let body: RequestBody = read(&body)?;
    let reason = reason(&body.reason)?;
    let ticket = ticket(body.ticket)?;
    let what: Grantable = body.what.parse().map_err(|e: rollcall_domain::ids::BadId| bad(e.to_string()))?;
    let view = api.fresh().await?;
    let identity = match whom(&view, &body.identity) {
        // Who may not ask for others does not learn whom there is.
        Err(ApiError::NotFound(_)) if person.role < Role::Operator => return Err(not_theirs(&person)),
        found => found?,
    };
    may_ask_for(&view, &person, &identity)?;
    let terms = terms_of(&view, &what, &identity)?;
    not_held(&api, &view, &what, &identity)?;
    for action in [Action::Hold, Action::Request] {
        allowed(&api, &view, &identity, action, &what)?;
    }
    kept_apart(&view, identity.id, &what)?;
    let lasts = lasts(body.until, body.lasts.as_deref(), &terms, Timestamp::now())?;
    let asked = Asked { what, lasts, reason, ticket, extends: None };
    append_request(&api, &view, &person, identity.id, terms, asked).await
}

/// What was asked for, once it is known to be in order.
struct Asked {
    what: Grantable,
    lasts: Lasts,
    reason: String,
    ticket: String,
    extends: Option<GrantId>,
}

async fn append_request(
    api: &Api,
    view: &View,
    person: &Person,
    identity: IdentityId,
    terms: Terms,
    asked: Asked,
) -> Done {
    let open = ledger::grants_of(view, identity)?.iter().filter(|grant| grant.ended.is_none()).count();
    if open >= MOST_OPEN {
        return Err(ApiError::Conflict(format!("they have {open} grants and requests that have not ended: end some")));
    }
    let after = jiff::SignedDuration::try_from(api.approvals.grant_expires_after).unwrap_or(jiff::SignedDuration::MAX);
    let expires_at = Timestamp::now().checked_add(after).unwrap_or(Timestamp::MAX);
    let Asked { what, lasts, reason, ticket, extends } = asked;
    let (approvers, approvals) = (terms.approvers, terms.approvals);
    let request = GrantRequested { what, lasts, reason, ticket, approvers, approvals, expires_at, extends };
    let id = GrantId(Uuid::now_v7());
    let mut meta = by_service(&person.actor(view)?, &id.to_string(), None);
    meta.reason.clone_from(&request.reason);
    let event = Event::Grant(GrantChanged { id, identity, step: GrantStep::Requested(Box::new(request)) });
    let sequence = api.append_unit(&Unit::one(NewEvent { meta, event }, Expect::Last(Sequence(0)))).await?;
    Ok((StatusCode::ACCEPTED, Json(GrantSaid { id, sequence })))
}

fn ticket(text: Option<String>) -> Result<String, ApiError> {
    let text = text.unwrap_or_default();
    if text.chars().count() > MAX_TICKET || text.chars().any(char::is_control) {
        return Err(bad(format!(
            "'ticket' must have at most {MAX_TICKET} characters, and none that are control characters"
        )));
    }
    Ok(text)
}

/// Refuses who may not ask for something for someone, and for whom nothing can be asked.
fn may_ask_for(state: &impl Read, person: &Person, identity: &Identity) -> Result<(), ApiError> {
    let them = person.identity(state)?;
    let is_manager = them.is_some_and(|them| manager_of(identity) == Some(them));
    if them != Some(identity.id) && !is_manager && person.role < Role::Operator {
        return Err(not_theirs(person));
    }
    if !identity.is_active() {
        return Err(ApiError::Conflict("they are not active: nothing can be granted to them".into()));
    }
    if ledger::switched_off(state, identity.id)?.is_some() {
        return Err(ApiError::Conflict("they are switched off: switch them on first".into()));
    }
    Ok(())
}

fn not_theirs(person: &Person) -> ApiError {
    ApiError::Forbidden(format!(
        "'{}' may ask for what they get themselves, or somebody whose manager they are; for others it takes an operator",
        person.name
    ))
}

/// Approves a request: one of its approvers, who is neither who asked nor who gets it.
#[utoipa::path(post, path = "/v1/grants/{id}/approve", tag = "access", params(("id" = Uuid, Path, description = "The grant.")), responses(
    (status = 202, body = GrantSaid),
    (status = 409, description = "It can't be approved any more.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn approve(State(api): Shared, Extension(person): Who, Path(id): Path<String>) -> Done {
    let view = api.fresh().await?;
    let grant = known(&view, &id)?;
    waits(&grant)?;
    may_approve(&api, &view, &person, &grant)?;
    are_two(&api, &view, &grant.requested_by, &person)?;
    kept_apart(&view, grant.identity, &grant.what)?;
    if let Some(approver) = person.identity(&view)?.map(|id| directory::identity(&view, id)).transpose()?.flatten() {
        allowed(&api, &view, &approver, Action::Approve, &grant.what)?;
    }
    let theirs = aliases(&api, &view, &person)?;
    for by in &grant.approved_by {
        if !aliases_of_actor(&api, &view, by)?.is_disjoint(&theirs) {
            return Err(ApiError::Conflict("you have approved it already: it waits for somebody else".into()));
        }
        are_two(&api, &view, by, &person)?;
    }
    step(&api, &view, &person, &grant, GrantStep::Approved).await
}

/// Refuses what a separation forbids besides what somebody holds.
fn kept_apart(state: &impl Read, identity: IdentityId, what: &Grantable) -> Result<(), ApiError> {
    let mut found = ledger::separated(state, identity, what)?;
    // What two people leave as it is for a time may go on meanwhile.
    let now = Timestamp::now();
    let accepted = ledger::violations_of(state, identity)?;
    let accepted: Vec<_> = accepted.iter().filter(|one| one.status(now) == ViolationStatus::Accepted).collect();
    found.retain(|one| {
        !accepted.iter().any(|known| {
            known.separation == one.by && known.held.contains(&one.second) && known.held.contains(&one.first)
        })
    });
    if found.is_empty() {
        return Ok(());
    }
    let words = |one: &Separated| {
        let words = separation_in_words(state, &one.by, &one.first)?;
        Ok(format!("{words}; it would be the second ('{}')", one.second))
    };
    let all = found.iter().map(words).collect::<Result<Vec<_>, KvError>>()?;
    Err(ApiError::Conflict(all.join("; ")))
}

/// Refuses what a policy forbids somebody.
fn allowed(
    api: &Api,
    state: &impl Read,
    identity: &Identity,
    action: Action,
    what: &Grantable,
) -> Result<(), ApiError> {
    let found = ledger::forbidden(state, &api.catalogue, identity.clone(), action, what)?;
    if found.is_empty() {
        return Ok(());
    }
    let all = found.iter().map(|id| policy_in_words(state, id)).collect::<Result<Vec<_>, _>>()?;
    Err(ApiError::Forbidden(format!("'{}' of '{what}' is forbidden by {}", action.name(), all.join(", and "))))
}

/// Refuses what can't be decided about any more.
fn waits(grant: &Grant) -> Result<(), ApiError> {
    match grant.status() {
        GrantStatus::Requested if grant.expires_at > Timestamp::now() => Ok(()),
        GrantStatus::Requested => Err(ApiError::Conflict(format!("it could be approved until {}", grant.expires_at))),
        GrantStatus::Active => Err(ApiError::Conflict("it is approved already".into())),
        GrantStatus::Ended => {
            let why = grant.ended.as_ref().map_or("ended", |ended| ended.why.name());
            Err(ApiError::Conflict(format!("it is over: {why}")))
        }
    }
}

/// Denies a request: one of its approvers.
#[utoipa::path(post, path = "/v1/grants/{id}/deny", tag = "access", params(("id" = Uuid, Path, description = "The grant.")), request_body = ReasonBody, responses(
    (status = 202, body = GrantSaid),
    (status = 409, description = "It does not wait any more.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn deny(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Done {
    let said = reason(&read::<ReasonBody>(&body)?.reason)?;
    let view = api.fresh().await?;
    let grant = known(&view, &id)?;
    waits(&grant)?;
    may_approve(&api, &view, &person, &grant)?;
    step(&api, &view, &person, &grant, over(GrantEnd::Denied, said)).await
}

/// Takes a request back: who asked, or who would get it.
#[utoipa::path(post, path = "/v1/grants/{id}/withdraw", tag = "access", params(("id" = Uuid, Path, description = "The grant.")), request_body = ReasonBody, responses(
    (status = 202, body = GrantSaid),
    (status = 409, description = "It does not wait any more.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn withdraw(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Done {
    let said = reason(&read::<ReasonBody>(&body)?.reason)?;
    let view = api.fresh().await?;
    let grant = known(&view, &id)?;
    waits(&grant)?;
    let is_theirs = matches!(relation(&api, &view, &person, &grant)?, Relation::Asked | Relation::Gets);
    if !is_theirs && person.role < Role::Operator {
        return Err(ApiError::Forbidden("who has asked for it, or would get it, takes it back".into()));
    }
    step(&api, &view, &person, &grant, over(GrantEnd::Withdrawn, said)).await
}

/// Ends a grant before its time: who has it, one of its approvers, who asked for it, or an operator.
#[utoipa::path(post, path = "/v1/grants/{id}/end", tag = "access", params(("id" = Uuid, Path, description = "The grant.")), request_body = ReasonBody, responses(
    (status = 202, body = GrantSaid),
    (status = 409, description = "It is not held.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
pub async fn end(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Done {
    let said = reason(&read::<ReasonBody>(&body)?.reason)?;
    let view = api.fresh().await?;
    let grant = known(&view, &id)?;
    match grant.status() {
        GrantStatus::Active => {}
        GrantStatus::Requested => return Err(ApiError::Conflict("it is not approved yet: withdraw or deny it".into())),
        GrantStatus::Ended => return Err(ApiError::Conflict("it is over already".into())),
    }
    if relation(&api, &view, &person, &grant)? == Relation::None && person.role < Role::Operator {
        return Err(ApiError::Forbidden("who has it, who may approve it, or an operator ends it".into()));
    }
    step(&api, &view, &person, &grant, over(GrantEnd::Ended, said)).await
}

/// Asks for more time for a grant: it takes a new approval.
#[utoipa::path(post, path = "/v1/grants/{id}/extend", tag = "access", params(("id" = Uuid, Path, description = "The grant.")), request_body = ExtendBody, responses(
    (status = 202, body = GrantSaid),
    (status = 409, description = "It is not held, or has no end.", content_type = "application/problem+json", body = crate::error::ProblemBody), Problem
))]
async fn extend(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Done {
    let body: ExtendBody = read(&body)?;
    let reason = reason(&body.reason)?;
    let ticket = ticket(body.ticket)?;
    let view = api.fresh().await?;
    let grant = known(&view, &id)?;
    if grant.status() != GrantStatus::Active {
        return Err(ApiError::Conflict("it is not held: ask for it anew".into()));
    }
    let Some(ends) = grant.until else {
        return Err(ApiError::Conflict("it has no end".into()));
    };
    let identity = directory::identity(&view, grant.identity)?.ok_or_else(|| unknown("identity", &id))?;
    may_ask_for(&view, &person, &identity)?;
    let terms = terms_of(&view, &grant.what, &identity)?;
    let now = Timestamp::now();
    let lasts = lasts(body.until, body.lasts.as_deref(), &terms, now)?;
    if lasts.end(now).is_some_and(|end| end <= ends) {
        return Err(bad(format!("that is not longer: it ends at {ends}")));
    }
    kept_apart(&view, grant.identity, &grant.what)?;
    for action in [Action::Hold, Action::Request] {
        allowed(&api, &view, &identity, action, &grant.what)?;
    }
    let waits = ledger::grants_of(&view, grant.identity)?;
    if let Some(other) = waits.iter().find(|other| other.extends == Some(grant.id) && other.ended.is_none()) {
        return Err(ApiError::Conflict(format!("more time for it was asked for already: grant {}", other.id)));
    }
    let asked = Asked { what: grant.what, lasts, reason, ticket, extends: Some(grant.id) };
    append_request(&api, &view, &person, identity.id, terms, asked).await
}

const fn over(why: GrantEnd, reason: String) -> GrantStep {
    GrantStep::Ended { why, of: None, reason }
}

/// Appends what somebody has decided, unless somebody else has decided meanwhile.
async fn step(api: &Api, view: &View, person: &Person, grant: &Grant, step: GrantStep) -> Done {
    let mut meta = by_service(&person.actor(view)?, &grant.id.to_string(), None);
    if let GrantStep::Ended { reason, .. } = &step {
        meta.reason.clone_from(reason);
    }
    let event = Event::Grant(GrantChanged { id: grant.id, identity: grant.identity, step });
    let unit = Unit::one(NewEvent { meta, event }, Expect::Last(grant.version));
    match api.append_unit(&unit).await {
        Ok(sequence) => Ok((StatusCode::ACCEPTED, Json(GrantSaid { id: grant.id, sequence }))),
        Err(ApiError::Log(LogError::Conflict { .. })) => {
            Err(ApiError::Conflict("somebody else has decided about it meanwhile: look again".into()))
        }
        Err(e) => Err(e),
    }
}
