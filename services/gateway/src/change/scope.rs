//! What a source may see and change; what it wanted beyond that is an event.

use rollcall_config::{Sight, SourceConfig};
use rollcall_domain::identity::authority::{ChangeRefused, Denied};
use rollcall_domain::kv::{KvError, Read, Write, load, store, suffixes};
use rollcall_domain::{Event, EventMeta, NewEvent, Recorded, SourceName, directory};
use rollcall_event_log::{Expect, Unit};
use rollcall_scim::{ResourceType, ScimError};
use uuid::Uuid;

use crate::auth::caller::Caller;
use crate::change::operation::{Family, Operation};
use crate::error::Refusal;
use crate::state::GatewayState;

/// Refuses a resource type that is not among the source's.
pub fn may_use(source: &SourceConfig, kind: &ResourceType) -> Result<(), ScimError> {
    if source.may_use(kind.name) {
        return Ok(());
    }
    let detail = format!("source '{}' has no access to {}: its 'resources' name others", source.name, kind.name);
    Err(ScimError::status(403, detail))
}

/// Whether a source sees a resource that `created_by` has created.
pub fn sees(caller: &Caller, created_by: Option<&SourceName>) -> bool {
    caller.source.sight == Sight::Everything || created_by == Some(&caller.source.name)
}

fn created_by(state: &impl Read, kind: &ResourceType, id: &str) -> Result<Option<SourceName>, KvError> {
    let Ok(id) = id.parse::<Uuid>() else { return Ok(None) };
    Ok(match Family::of(kind) {
        Family::Identity(_) => directory::identity(state, id.into())?.and_then(|i| i.created_by),
        Family::Group => directory::group(state, id.into())?.and_then(|g| g.created_by),
        Family::Plain => directory::resource(state, kind.name, id.into())?.and_then(|r| r.created_by),
    })
}

/// The most that is said of a refusal: it may hold what was asked for.
const MAX_DETAIL: usize = 500;

impl GatewayState {
    /// Lets an operation through that is the source's to ask for; any other is refused, and that is recorded.
    ///
    /// # Errors
    /// 403 for a resource type that the source has no access to, 404 for a resource that it does not see.
    pub async fn admit(&self, caller: &Caller, kind: &ResourceType, operation: &Operation) -> Result<(), Refusal> {
        let refusal = match may_use(&caller.source, kind) {
            Err(refusal) => refusal,
            Ok(()) if caller.source.sight == Sight::Everything => return Ok(()),
            Ok(()) => {
                let Some(id) = operation.id() else { return Ok(()) };
                // Who created something never changes, so any state that holds it is new enough.
                if sees(caller, created_by(&self.fresh().await?, kind, id)?.as_ref()) {
                    return Ok(());
                }
                ScimError::status(404, format!("there is no {} '{id}'", kind.name))
            }
        };
        self.refuse(caller, kind, operation.name(), operation.id(), &refusal.detail, Vec::new()).await?;
        Err(refusal.into())
    }

    /// Records that a whole operation was refused; once for each kind and minute.
    pub async fn refuse(
        &self,
        caller: &Caller,
        kind: &ResourceType,
        operation: &str,
        id: Option<&str>,
        detail: &str,
        denied: Vec<Denied>,
    ) -> Result<(), Refusal> {
        let Some(unsaid) = self.refusals.count(&caller.source.name, kind.name, operation) else { return Ok(()) };
        let mut detail: String = detail.chars().take(MAX_DETAIL).collect();
        if unsaid > 0 {
            detail.push_str(&format!(" (and {unsaid} more like it before)"));
        }
        let refused = ChangeRefused {
            target: id.and_then(|id| id.parse().ok()),
            resource_type: kind.name.to_owned(),
            operation: operation.to_owned(),
            detail,
            denied,
        };
        let meta = caller.meta(&format!("{operation} {}", kind.name), &caller.reading());
        self.log.append(&Unit::one(event(meta, refused), Expect::Any)).await?;
        Ok(())
    }
}

fn event(meta: EventMeta, refused: ChangeRefused) -> NewEvent {
    NewEvent { meta, event: Event::ChangeRefused(refused) }
}

fn key(source: &SourceName, id: Uuid) -> String {
    format!("refused/{id}/{source}")
}

/// Keeps what was last refused to each source, so that one which repeats itself does not fill the log.
///
/// # Errors
/// When the state can't be read.
pub fn evolve(state: &mut impl Write, recorded: &Recorded) -> Result<(), KvError> {
    if let Event::IdentityErased(erased) = &recorded.event {
        let prefix = format!("refused/{}/", erased.id);
        for source in suffixes(state, &prefix)? {
            state.delete(&format!("{prefix}{source}"));
        }
    }
    if let (Event::ChangeRefused(refused), Some(source)) = (&recorded.event, &recorded.meta.source)
        && let Some(id) = refused.target
    {
        store(state, key(source, id), &refused.denied);
    }
    Ok(())
}

/// The event for parts of a change that were not the source's to make; `None` when there are none, or when the same
/// was refused to it before.
pub fn partly_refused(
    state: &impl Read,
    caller: &Caller,
    meta: EventMeta,
    kind: &ResourceType,
    operation: &str,
    id: Uuid,
    denied: Vec<Denied>,
) -> Result<Option<NewEvent>, KvError> {
    let before: Option<Vec<Denied>> = load(state, &key(&caller.source.name, id))?;
    if denied.is_empty() || before.as_ref() == Some(&denied) {
        return Ok(None);
    }
    let detail = explain(&denied);
    let (resource_type, operation) = (kind.name.to_owned(), operation.to_owned());
    Ok(Some(event(meta, ChangeRefused { target: Some(id), resource_type, operation, detail, denied })))
}

/// Why, for people.
pub fn explain(denied: &[Denied]) -> String {
    let one = |d: &Denied| match &d.held_by {
        Some(source) => format!("{} is as '{source}' says, which has precedence", d.change.path),
        None => format!("{} is for other sources to say", d.change.path),
    };
    denied.iter().map(one).collect::<Vec<_>>().join("; ")
}
