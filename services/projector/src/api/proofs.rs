//! Tamper evidence over HTTP: checkpoints, and that an event is in one.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rollcall_config::Role;
use rollcall_domain::ids::Sequence;
use rollcall_proof::{Hash, Tree, leaf_hash};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::context::{Api, Pairs, Shared, unknown};
use crate::api::paging::{List, page};
use crate::api::person::Person;
use crate::api::query::Path;
use crate::api::{params, schema};
use crate::error::{ApiError, Problem};
use crate::proof::checkpoints::{self, CheckpointView};

type Who = Extension<Person>;

/// The newest checkpoint, and the keys that sign now.
#[derive(Debug, Serialize, ToSchema)]
pub struct LatestCheckpoint {
    #[serde(flatten)]
    pub checkpoint: CheckpointView,
    /// `name+id+data` (C2SP signed-note). Compare them with what you were given by another way.
    pub public_keys: Vec<String>,
}

/// That one checkpoint is a beginning of another.
#[derive(Debug, Serialize, ToSchema)]
pub struct Consistency {
    #[schema(value_type = u64)]
    pub from: Sequence,
    #[schema(value_type = u64)]
    pub to: Sequence,
    /// The checkpoint of `to` events.
    pub note: String,
    /// RFC 9162 §2.1.4, Base64.
    pub hashes: Vec<String>,
}

/// An event as the log has it, and that a checkpoint holds it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventProof {
    #[schema(value_type = u64)]
    pub sequence: Sequence,
    #[schema(schema_with = schema::time)]
    pub recorded_at: Timestamp,
    pub subject: String,
    /// The message, Base64: a protobuf `rollcall.v1.Envelope`.
    pub stored: String,
    /// RFC 9162 §2.1.1, Base64; what it is over is in docs/audit.md.
    pub leaf_hash: String,
    /// The checkpoint that holds it.
    pub note: String,
    #[schema(value_type = u64)]
    pub size: Sequence,
    /// RFC 9162 §2.1.3, Base64.
    pub hashes: Vec<String>,
}

/// The paths.
pub fn router() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(latest))
        .routes(routes!(all))
        .routes(routes!(consistency))
        .routes(routes!(event))
}

/// Hashes as they are answered.
pub fn shown(hashes: &[Hash]) -> Vec<String> {
    hashes.iter().map(|hash| STANDARD.encode(hash.0)).collect()
}

/// The newest checkpoint.
#[utoipa::path(get, path = "/v1/checkpoints/latest", tag = "proof", params(params::Nothing), responses(
    (status = 200, body = LatestCheckpoint), Problem
))]
async fn latest(State(api): Shared, pairs: Pairs) -> Result<Json<LatestCheckpoint>, ApiError> {
    api.query::<params::Nothing>(pairs)?;
    let checkpoint = checkpoints::latest(&api.fresh().await?)?;
    let checkpoint = checkpoint.ok_or_else(|| ApiError::NotFound("checkpoint yet".to_owned()))?;
    let public_keys = api.keys.iter().map(|key| key.public().to_owned()).collect();
    Ok(Json(LatestCheckpoint { checkpoint, public_keys }))
}

/// Every checkpoint, by size.
#[utoipa::path(get, path = "/v1/checkpoints", tag = "proof", params(params::Paging), responses(
    (status = 200, body = List<CheckpointView>), Problem
))]
async fn all(State(api): Shared, pairs: Pairs) -> Result<Json<List<CheckpointView>>, ApiError> {
    let query = api.query::<params::Paging>(pairs)?;
    let (items, next_cursor) = page(&api.fresh().await?, checkpoints::PREFIX, &query, |_| true)?;
    Ok(Json(List { items, next_cursor, as_of: None }))
}

/// That the log of one checkpoint is a beginning of the log of another: nothing was rewritten in between.
#[utoipa::path(get, path = "/v1/checkpoints/consistency", tag = "proof", params(params::Consistency), responses(
    (status = 200, body = Consistency), Problem
))]
async fn consistency(State(api): Shared, pairs: Pairs) -> Result<Json<Consistency>, ApiError> {
    let query = api.query::<params::Consistency>(pairs)?;
    let size = |name| query.parsed::<u64>(name, "the size of a checkpoint").map(|size| size.map(Sequence));
    let view = api.fresh().await?;
    let from = size("from")?.ok_or_else(|| ApiError::BadRequest("query parameter 'from' is missing".into()))?;
    let to = match size("to")? {
        Some(to) => checkpoints::of_size(&view, to)?.ok_or_else(|| unknown("checkpoint of size", &to.to_string()))?,
        None => checkpoints::latest(&view)?.ok_or_else(|| ApiError::NotFound("checkpoint yet".to_owned()))?,
    };
    if from.0 == 0 || from > to.size {
        let message = format!("query parameter 'from': {from} is not a size from 1 to {}", to.size);
        return Err(ApiError::BadRequest(message));
    }
    let hashes = shown(&Tree(&view).consistency(from, to.size)?);
    Ok(Json(Consistency { from, to: to.size, note: to.note, hashes }))
}

/// One event, and that the newest checkpoint holds it.
#[utoipa::path(get, path = "/v1/events/{sequence}/proof", tag = "proof",
    params(("sequence" = u64, Path, description = "The event."), params::Nothing), responses(
    (status = 200, body = EventProof),
    (status = 409, description = "No checkpoint holds it yet.", content_type = "application/problem+json", body = crate::error::ProblemBody),
    Problem
))]
async fn event(
    State(api): Shared,
    Extension(person): Who,
    Path(sequence): Path<String>,
    pairs: Pairs,
) -> Result<Json<EventProof>, ApiError> {
    api.query::<params::Nothing>(pairs)?;
    // It is the event itself, with all that is personal in it.
    person.needs(Role::Auditor)?;
    let wanted = Sequence(sequence.parse().map_err(|_| unknown("event", &sequence))?);
    let view = api.fresh().await?;
    if wanted.0 == 0 || wanted > Tree(&view).size()? {
        return Err(unknown("event", &sequence));
    }
    let checkpoint = checkpoints::latest(&view)?.filter(|checkpoint| wanted <= checkpoint.size);
    let Some(CheckpointView { size, note, .. }) = checkpoint else {
        return Err(ApiError::Conflict(format!("no checkpoint holds event {wanted} yet: ask again in a moment")));
    };
    let found = api.log.event(wanted).await?.ok_or_else(|| unknown("event", &sequence))?;
    let leaf = leaf_hash(found.sequence, found.recorded_at, &found.subject, &found.stored);
    Ok(Json(EventProof {
        sequence: wanted,
        recorded_at: found.recorded_at,
        subject: found.subject,
        stored: STANDARD.encode(found.stored),
        leaf_hash: STANDARD.encode(leaf.0),
        note,
        size,
        hashes: shown(&Tree(&view).inclusion(wanted, size)?),
    }))
}
