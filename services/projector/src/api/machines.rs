//! Machines, who answers for them, and what becomes of those for which somebody answers who leaves.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use jiff::{SignedDuration, Timestamp};
use rollcall_config::Role;
use rollcall_domain::access::handover::{Handover, HandoverChanged, HandoverStatus, HandoverStep, Machine};
use rollcall_domain::access::obligation::ObligationId;
use rollcall_domain::access::subject::Subject as About;
use rollcall_domain::identity::ownership::Ownership;
use rollcall_domain::identity::switch::{Switch, Switched};
use rollcall_domain::ids::{IdentityId, Sequence};
use rollcall_domain::kv::{KeyPage, KvError, Read};
use rollcall_domain::{Event, EventMeta, NewEvent, directory, ledger};
use rollcall_event_log::{Expect, LogError, Subject, Unit, by_service};
use rollcall_projection::View;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::api::candidates::is_candidate;
use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::decisions::{Answer as Decided, Said, read, reason};
use crate::api::grants::whom;
use crate::api::paging::{Answer, Extent, List, One, Who, page_after, page_where, under};
use crate::api::params;
use crate::api::person::Person;
use crate::api::query::Path;
use crate::api::views::{HandoverView, MachineView};
use crate::error::{ApiError, Problem, ProblemBody};

/// The largest body.
const MAX_BODY: usize = 16 << 10;

/// How far ahead the end of a machine is one that comes.
const ENDING: SignedDuration = SignedDuration::from_hours(30 * 24);

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(machines))
        .routes(routes!(machine))
        .routes(routes!(handovers))
        .routes(routes!(accept))
        .routes(routes!(pass))
        .routes(routes!(retire))
        .layer(axum::extract::DefaultBodyLimit::max(MAX_BODY))
}

/// By what machines are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineIs {
    WithoutOwner,
    HandedOver,
    Ending,
}

impl MachineIs {
    /// Each.
    pub const ALL: [Self; 3] = [Self::WithoutOwner, Self::HandedOver, Self::Ending];

    /// Its name in questions.
    pub const fn name(self) -> &'static str {
        match self {
            Self::WithoutOwner => "without_owner",
            Self::HandedOver => "handed_over",
            Self::Ending => "ending",
        }
    }

    /// Whether a machine is so.
    pub fn holds(self, state: &impl Read, machine: &Machine, now: Timestamp) -> Result<bool, KvError> {
        match self {
            Self::WithoutOwner => ledger::is_without_owner(state, machine.id),
            Self::HandedOver => Ok(!ledger::handovers_of_machine(state, machine.id)?.is_empty()),
            Self::Ending => {
                let Some(identity) = directory::identity(state, machine.id)? else { return Ok(false) };
                let end = Ownership::stated(&identity.resource).ends_at;
                let soon = now.checked_add(ENDING).unwrap_or(Timestamp::MAX);
                Ok(identity.is_active() && end.is_some_and(|end| end <= soon))
            }
        }
    }
}

/// The machines of a list of ids, as [`page_where`] reads them.
fn by_ids(
    state: &impl Read,
    ids: impl Fn(Option<IdentityId>, usize) -> Result<Vec<IdentityId>, KvError>,
) -> impl Fn(Option<&str>, usize) -> Result<KeyPage<Machine>, KvError> {
    move |after, look| {
        let ids = ids(after.and_then(|after| after.parse().ok()), look)?;
        let next = ids.last().filter(|_| ids.len() == look).map(ToString::to_string);
        let found = ids.into_iter().map(|id| Ok((id.to_string(), ledger::machine(state, id)?)));
        let found = found.collect::<Result<Vec<_>, KvError>>()?;
        let pairs = found.into_iter().filter_map(|(place, machine)| Some((place, machine?))).collect();
        Ok(KeyPage { pairs, next })
    }
}

/// Of whom somebody asks: who may not look for people by name gives an id.
pub fn asked_owner(state: &impl Read, person: &Person, text: &str) -> Result<IdentityId, ApiError> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) if person.role < Role::Auditor => {
            Err(ApiError::Forbidden(format!("'{}' does not look for people by name: give an id", person.name)))
        }
        Err(_) => Ok(whom(state, text)?.id),
    }
}

/// Who is to take a machine over; who may not look for people learns no more than that they can't.
fn taker(state: &View, person: &Person, open: &Handover, text: &str) -> Result<IdentityId, ApiError> {
    let found = whom(state, text).map(|who| who.id).and_then(|id| may_be_given(state, open, id).map(|()| id));
    found.map_err(|e| match e {
        ApiError::NotFound(_) | ApiError::Conflict(_) if person.role < Role::Operator => {
            ApiError::Conflict(format!("'{text}' can't take it over"))
        }
        e => e,
    })
}

/// Service accounts and agents, and who answers for them.
#[utoipa::path(get, path = "/v1/machines", tag = "machines", params(params::Machines), responses(
    (status = 200, body = List<MachineView>), Problem
))]
async fn machines(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<MachineView>> {
    let query = api.query::<params::Machines>(pairs)?;
    let wanted: Option<MachineIs> = query.word("is")?;
    let snapshot = api.snapshot(&query).await?;
    let state = &snapshot.state;
    let owner = query.text("owner").map(|owner| asked_owner(state, &person, owner)).transpose()?;
    let now = snapshot.as_of.instant;
    let is_wanted = |machine: &Machine| wanted.map_or(Ok(true), |wanted| wanted.holds(state, machine, now));
    let extent = Extent::of(&query)?;
    let (found, next_cursor) = match (owner, wanted) {
        (Some(owner), _) => {
            let ids = |after, look| ledger::machines_owned(state, owner, after, look);
            page_where(by_ids(state, ids), query.cursor(), extent, is_wanted)?
        }
        (None, Some(MachineIs::WithoutOwner)) => {
            let ids = |after, look| ledger::machines_without_owner(state, after, look);
            page_where(by_ids(state, ids), query.cursor(), extent, is_wanted)?
        }
        (None, _) => page_where(under(state, ledger::MACHINES), query.cursor(), extent, is_wanted)?,
    };
    let shown = found.iter().map(|machine| MachineView::of(state, machine, person.sees()));
    let items = shown.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// One machine.
#[utoipa::path(get, path = "/v1/machines/{id}", tag = "machines",
    params(("id" = Uuid, Path, description = "The identity of the machine."), params::AsOfOnly), responses(
    (status = 200, body = One<MachineView>), Problem
))]
async fn machine(
    State(api): Shared,
    Extension(person): Who,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Answer<One<MachineView>> {
    let query = api.query::<params::AsOfOnly>(pairs)?;
    let snapshot = api.snapshot(&query).await?;
    let parsed: IdentityId = id.parse().map_err(|_| unknown("machine", &id))?;
    let found = ledger::machine(&snapshot.state, parsed)?.ok_or_else(|| unknown("machine", &id))?;
    let item = MachineView::of(&snapshot.state, &found, person.sees())?.ok_or_else(|| unknown("machine", &id))?;
    Ok(Json(One { item, as_of: snapshot.as_of }))
}

/// The machines that are to be handed over, and those that were.
#[utoipa::path(get, path = "/v1/handovers", tag = "machines", params(params::Handovers), responses(
    (status = 200, body = List<HandoverView>), Problem
))]
async fn handovers(State(api): Shared, Extension(person): Who, pairs: Pairs) -> Answer<List<HandoverView>> {
    let query = api.query::<params::Handovers>(pairs)?;
    let status: Option<HandoverStatus> = query.word("status")?;
    let snapshot = api.snapshot(&query).await?;
    let state = &snapshot.state;
    let owner = query.text("owner").map(|owner| asked_owner(state, &person, owner)).transpose()?;
    let wanted = |handover: &Handover| {
        status.is_none_or(|status| status == handover.status()) && owner.is_none_or(|owner| owner == handover.owner)
    };
    let prefix = owner.map_or_else(|| ledger::HANDOVERS.to_owned(), |owner| format!("{}{owner}/", ledger::HANDOVERS));
    let (found, next_cursor) = page_after(under(state, &prefix), query.cursor(), Extent::of(&query)?, wanted)?;
    let shown = found.iter().map(|handover| HandoverView::of(state, handover, person.sees()));
    let items = shown.collect::<Result<_, _>>()?;
    Ok(Json(List { items, next_cursor, as_of: Some(snapshot.as_of) }))
}

/// Who takes a machine over, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AcceptBody {
    reason: String,
    /// Who takes it: the id, or the user name. Without it, oneself; for somebody else an operator says it.
    owner: Option<String>,
}

/// Who is asked to take a machine over, and why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PassBody {
    reason: String,
    /// The id, or the user name.
    to: String,
}

/// Why.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RetireBody {
    reason: String,
}

/// Takes over a machine: whoever does answers for it from now on.
#[utoipa::path(post, path = "/v1/handovers/{id}/accept", tag = "machines",
    params(("id" = String, Path, description = "The hand-over.")), request_body = AcceptBody, responses(
    (status = 202, body = Said),
    (status = 409, description = "It has ended, or whoever is to take it can't.", content_type = "application/problem+json", body = ProblemBody), Problem
))]
pub async fn accept(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Decided {
    let (before, view) = before(&api, &id).await?;
    let open = decidable(&view, &person, &id)?;
    let AcceptBody { reason: said, owner } = read(&body)?;
    let reason = reason(&said)?;
    let me = person.identity(&view)?;
    let to = match owner {
        Some(owner) => taker(&view, &person, &open, &owner)?,
        None => {
            let me = me.ok_or_else(|| {
                ApiError::BadRequest("'owner' must say who takes it: you are not known as an identity".into())
            })?;
            may_be_given(&view, &open, me)?;
            me
        }
    };
    if me != Some(to) {
        person.needs(Role::Operator)?;
    }
    append(&api, &view, &person, (&open, before), HandoverStep::Accepted(to), reason).await
}

/// Asks somebody to take over a machine.
#[utoipa::path(post, path = "/v1/handovers/{id}/pass", tag = "machines",
    params(("id" = String, Path, description = "The hand-over.")), request_body = PassBody, responses(
    (status = 202, body = Said),
    (status = 409, description = "It has ended, or whoever is to take it can't.", content_type = "application/problem+json", body = ProblemBody), Problem
))]
pub async fn pass(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Decided {
    let (before, view) = before(&api, &id).await?;
    let open = decidable(&view, &person, &id)?;
    let PassBody { reason: said, to } = read(&body)?;
    let reason = reason(&said)?;
    let to = taker(&view, &person, &open, &to)?;
    append(&api, &view, &person, (&open, before), HandoverStep::Passed(to), reason).await
}

/// Ends a machine: it is switched off in every app, and the hand-over is done once each of them was read back without a live account of it.
#[utoipa::path(post, path = "/v1/handovers/{id}/retire", tag = "machines",
    params(("id" = String, Path, description = "The hand-over.")), request_body = RetireBody, responses(
    (status = 202, body = Said),
    (status = 409, description = "It has ended.", content_type = "application/problem+json", body = ProblemBody), Problem
))]
pub async fn retire(State(api): Shared, Extension(person): Who, Path(id): Path<String>, body: Bytes) -> Decided {
    let (before, view) = before(&api, &id).await?;
    let open = decidable(&view, &person, &id)?;
    let RetireBody { reason: said } = read(&body)?;
    let reason = reason(&said)?;
    append(&api, &view, &person, (&open, before), HandoverStep::Retired, reason).await
}

/// The hand-over with this id, open or ended.
///
/// # Errors
/// 404, and when the state can't be read.
pub fn known(state: &View, id: &str) -> Result<Handover, ApiError> {
    let parsed: ObligationId = id.parse().map_err(|_| unknown("hand-over", id))?;
    let found = match &parsed.subject {
        About::Handover { machine, owner } => ledger::handover(state, *owner, *machine)?,
        About::Account { .. } | About::Credential { .. } => None,
    };
    found.filter(|handover| handover.id() == parsed).ok_or_else(|| unknown("hand-over", id))
}

/// An open hand-over that somebody may decide about: an operator, and who may take it over.
fn decidable(state: &View, person: &Person, id: &str) -> Result<Handover, ApiError> {
    let found = match known(state, id) {
        Ok(found) => Some(found),
        Err(ApiError::NotFound(_)) => None,
        Err(e) => return Err(e),
    };
    if person.role < Role::Operator {
        let me = person.identity(state)?;
        let mut may = false;
        if let (Some(me), Some(handover)) = (me, &found) {
            may = is_candidate(state, handover, me)?;
        }
        // Who may not decide about it does not learn whether it is there.
        if !may {
            let who = "an operator, whoever was asked, the manager of whoever leaves, the machine's second owner and its team";
            return Err(ApiError::Forbidden(format!("'{}' decides nothing about it: {who} do", person.name)));
        }
    }
    let found = found.ok_or_else(|| unknown("hand-over", id))?;
    match found.end {
        None => Ok(found),
        Some(_) => Err(ApiError::Conflict(format!("it has ended: {}", in_words(found.status())))),
    }
}

/// Where the log was when it was looked at: what was decided about the hand-overs of a machine, and what its source has said of it.
struct Before {
    decided: Sequence,
    said: Sequence,
}

/// The state to decide on, and what it must not be older than when that is appended; none: the id names no hand-over.
async fn before(api: &Api, id: &str) -> Result<(Option<Before>, View), ApiError> {
    let parsed: Option<ObligationId> = id.parse().ok();
    let Some(About::Handover { machine, .. }) = parsed.map(|id| id.subject) else {
        return Ok((None, api.fresh().await?));
    };
    // In this order: the state has all that these are.
    let last = async |subject: &Subject| {
        Ok::<_, LogError>(api.log.last(subject).await?.map_or(Sequence(0), |event| event.sequence))
    };
    let before =
        Before { decided: last(&Subject::handover(machine)).await?, said: last(&Subject::identity(machine)).await? };
    Ok((Some(before), api.fresh().await?))
}

const fn in_words(status: HandoverStatus) -> &'static str {
    match status {
        HandoverStatus::Open | HandoverStatus::Retiring => "it has not",
        HandoverStatus::Accepted => "somebody has taken it over",
        HandoverStatus::Reassigned => "its source names another owner",
        HandoverStatus::Retired => "the machine has ended",
        HandoverStatus::Returned => "its owner is back",
    }
}

/// Refuses who can't answer for a machine.
fn may_be_given(state: &impl Read, open: &Handover, to: IdentityId) -> Result<(), ApiError> {
    if to == open.owner {
        return Err(ApiError::Conflict("whoever leaves does not take it over".into()));
    }
    if open.retired_in.is_some() && ledger::switched_off(state, open.machine)?.is_some() {
        return Err(ApiError::Conflict("the machine is to end, and is switched off: enable it first".into()));
    }
    let identity = directory::identity(state, to)?;
    if identity.is_some_and(|identity| identity.kind.is_machine()) {
        return Err(ApiError::Conflict("a machine answers for nothing: give a person".into()));
    }
    if !ledger::can_own(state, to)? || ledger::switched_off(state, to)?.is_some() {
        return Err(ApiError::Conflict("they have left, or are switched off: give somebody who is there".into()));
    }
    Ok(())
}

async fn append(
    api: &Api,
    view: &View,
    person: &Person,
    (open, before): (&Handover, Option<Before>),
    step: HandoverStep,
    reason: String,
) -> Decided {
    let (actor, correlation_id) = (person.actor(view)?, Uuid::now_v7().to_string());
    let meta = || EventMeta { reason: reason.clone(), ..by_service(&actor, &correlation_id, None) };
    let (machine, owner) = (open.machine, open.owner);
    let changed = HandoverChanged { machine, owner, step, reason: reason.clone() };
    let Some(before) = before else { return Err(unknown("hand-over", &open.id().to_string())) };
    let mut unit = Unit::default();
    unit.push(NewEvent { meta: meta(), event: Event::Handover(changed) }, Expect::Last(before.decided));
    let same = Subject::identity(machine);
    if step == HandoverStep::Retired && ledger::switched_off(view, machine)?.is_none() {
        let event = Event::IdentitySwitched(Switched { id: machine, to: Switch::Off, reason: reason.clone() });
        // Whoever was named meanwhile by its source would find it off.
        unit.push_while(NewEvent { meta: meta(), event }, same, before.said);
    }
    let sequence = api.append_unit(&unit).await.map_err(|e| match e {
        ApiError::Log(LogError::Conflict { .. }) => ApiError::Conflict(
            "somebody has decided about it, or its source has changed it, meanwhile: look again".into(),
        ),
        e => e,
    })?;
    Ok((StatusCode::ACCEPTED, Json(Said { sequence, approval: None })))
}
