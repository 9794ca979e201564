//! Whether somebody can be erased, and the event that follows when that is decided.

use rollcall_config::ApiToken;
use rollcall_domain::governance::erasure::{Erased, ErasureOrdered};
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::Read;
use rollcall_domain::ledger::{self, Obstacle};
use rollcall_domain::{Event, EventMeta, NewEvent, directory};
use rollcall_event_log::{EventLog, Subject, Unit};

use crate::api::context::unknown;
use crate::api::relations;
use crate::error::ApiError;
use crate::state::keys;

/// Someone who can be erased, now or once the accounts are deleted that apps keep of them.
#[derive(Debug)]
pub struct Erasable {
    pub identity: Identity,
    /// What has to go first.
    pub kept: Vec<Obstacle>,
}

impl Erasable {
    /// What has to go first, for people.
    pub fn waits_for(&self) -> Vec<String> {
        self.kept.iter().map(ToString::to_string).collect()
    }
}

/// Whether someone can be erased, where these are the tokens of the configuration.
///
/// # Errors
/// With everything that stands in the way.
pub fn erasable(tokens: &[ApiToken], state: &impl Read, id: IdentityId) -> Result<Erasable, ApiError> {
    let identity = directory::identity(state, id)?.ok_or_else(|| unknown("identity", &id.to_string()))?;
    match identity.content {
        Content::Erased => return Err(ApiError::Conflict(format!("identity {id} is erased already"))),
        Content::Sealed => {
            return Err(ApiError::Conflict(format!("identity {id} can't be read here: its key is missing")));
        }
        Content::Open => {}
    }
    if identity.key.is_none() {
        return Err(ApiError::Conflict(format!(
            "identity {id} was added before anything was sealed: what the log says of them stays readable, and can't be erased"
        )));
    }
    let (kept, others): (Vec<_>, Vec<_>) =
        ledger::obstacles(state, id)?.into_iter().partition(|obstacle| matches!(obstacle, Obstacle::Kept(_)));
    if !others.is_empty() {
        let others: Vec<String> = others.iter().map(ToString::to_string).collect();
        return Err(ApiError::Conflict(format!("identity {id} can't be erased yet: {}", others.join("; "))));
    }
    if let Some(token) = relations::token_by_name_of(tokens, state, id)? {
        return Err(ApiError::Conflict(format!(
            "identity {id} can't be erased yet: the token '{token}' in [[api_tokens]] names them by a user name, and would open again what \
             it opened once nobody knows that they have left: take it out, or name an id in it"
        )));
    }
    Ok(Erasable { identity, kept })
}

/// Whether someone is to be erased already.
///
/// # Errors
/// 409 when they are.
pub fn not_ordered(state: &impl Read, id: IdentityId) -> Result<(), ApiError> {
    match ledger::ordered(state, id)? {
        Some(order) => Err(ApiError::Conflict(format!(
            "identity {id} is to be erased already, by event {}, as soon as no app keeps an account of theirs",
            order.sequence
        ))),
        None => Ok(()),
    }
}

/// Adds to a unit that someone is erased, with their keys and all that was ever owed for them; or, while apps keep accounts of theirs,
/// that they are to be. Only while nobody says anything else of them. `state` must be read after this was decided.
///
/// # Errors
/// When they can't be erased, or the log can't be reached.
pub async fn push(
    log: &EventLog,
    (tokens, state): (&[ApiToken], &impl Read),
    unit: &mut Unit,
    meta: EventMeta,
    order: ErasureOrdered,
) -> Result<(), ApiError> {
    let subject = Subject::identity(order.id);
    let last = log.last_sequence(&subject).await?;
    let Erasable { identity, kept } = erasable(tokens, state, order.id)?;
    if last > identity.version {
        return Err(changed_meanwhile());
    }
    let event = if kept.is_empty() {
        let record = ledger::record(state, order)?;
        let keys = keys::of(state, record.everybody())?;
        Event::IdentityErased(Erased { keys, ..record })
    } else {
        not_ordered(state, order.id)?;
        Event::ErasureOrdered(order)
    };
    unit.push_while(NewEvent { meta, event }, subject, last);
    Ok(())
}

/// They are not as they were when it was decided.
pub fn changed_meanwhile() -> ApiError {
    ApiError::Conflict("somebody has just changed them: look again".into())
}
