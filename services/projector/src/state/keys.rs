//! Which keys have sealed what is personal about someone, besides the one that their identity has. Keys: `keys-of/<person>/<number>`; and
//! `destroyed/<person>`: those of who was erased.

use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read, Write, load, load_all, store, suffixes};
use rollcall_domain::{Event, KeyRef, Recorded, directory};

const DESTROYED: &str = "destroyed/";

fn prefix(person: IdentityId) -> String {
    format!("keys-of/{person}/")
}

/// Keeps the keys of whoever an event is about.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    if let Event::IdentityErased(erased) = &event.event {
        // What was sealed since the erasure was prepared may have a key of its own, which it does not name.
        let mut keys = of(state, erased.everybody())?;
        keys.extend(&erased.keys);
        for id in erased.everybody() {
            for number in suffixes(state, &prefix(id))? {
                state.delete(&format!("{}{number}", prefix(id)));
            }
        }
        destroy(state, erased.id, keys);
        return Ok(());
    }
    // The key of a creation is that of the identity.
    if matches!(&event.event, Event::Identity(changed) if changed.before.is_none()) {
        return Ok(());
    }
    let (Some(key), Some(person)) = (event.seal.key(), event.event.person()) else { return Ok(()) };
    // Of whoever was erased nothing is kept that was said since.
    if let Some(mut keys) = load::<Vec<KeyRef>>(state, &format!("{DESTROYED}{person}"))? {
        keys.push(key);
        destroy(state, person, keys);
        return Ok(());
    }
    if directory::identity(state, person)?.and_then(|identity| identity.key) != Some(key) {
        store(state, format!("{}{}", prefix(person), key.number()), &());
    }
    Ok(())
}

fn destroy(state: &mut impl Write, person: IdentityId, mut keys: Vec<KeyRef>) {
    keys.sort_unstable();
    keys.dedup();
    store(state, format!("{DESTROYED}{person}"), &keys);
}

fn besides(state: &impl Read, person: IdentityId) -> Result<Vec<KeyRef>, KvError> {
    let numbers = suffixes(state, &prefix(person))?;
    Ok(numbers.iter().filter_map(|number| KeyRef::from_number(number.parse().ok()?)).collect())
}

/// Every key that has sealed anything about someone: as a person, or as an account that stood for itself.
///
/// # Errors
/// When the state can't be read.
pub fn of(state: &impl Read, everybody: impl Iterator<Item = IdentityId>) -> Result<Vec<KeyRef>, KvError> {
    let mut all = Vec::new();
    for id in everybody {
        all.extend(directory::identity(state, id)?.and_then(|identity| identity.key));
        all.extend(besides(state, id)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The keys of everybody who was erased.
///
/// # Errors
/// When the state can't be read.
pub fn destroyed(state: &impl Read) -> Result<Vec<(IdentityId, Vec<KeyRef>)>, KvError> {
    let all: Vec<(String, Vec<KeyRef>)> = load_all(state, DESTROYED, None, usize::MAX)?;
    Ok(all.into_iter().filter_map(|(key, keys)| Some((key.strip_prefix(DESTROYED)?.parse().ok()?, keys))).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use rollcall_domain::drift::reconciliation::SyncRequested;
    use rollcall_domain::governance::erasure::Erased;
    use rollcall_domain::kv::Memory;
    use rollcall_domain::{Seal, Sequence};

    use super::*;

    fn recorded(sequence: u64, event: Event, key: Option<KeyRef>) -> Recorded {
        Recorded {
            sequence: Sequence(sequence),
            recorded_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            type_name: String::new(),
            schema_version: 1,
            meta: rollcall_event_log::by_service("test", "", None),
            event,
            payload: Vec::new(),
            subject: String::new(),
            stored: Vec::new(),
            seal: key.map_or(Seal::None, Seal::Opened),
            erased: None,
        }
    }

    #[test]
    fn what_was_sealed_while_somebody_was_being_erased_and_since_is_destroyed_with_them() {
        let (mut state, id) = (Memory::default(), IdentityId(uuid::Uuid::from_u128(7)));
        let [named, beside, later] = [1, 2, 3].map(|number| KeyRef::from_number(number).unwrap());
        let about = || Event::SyncRequested(SyncRequested::Identity(id));
        add(&mut state, &recorded(1, about(), Some(beside))).unwrap();
        let (owed, others) = (Vec::new(), Vec::new());
        let (reason, legal_basis) = (String::new(), String::new());
        let erased = Erased { id, reason, legal_basis, approved_by: None, keys: vec![named], owed, others };
        add(&mut state, &recorded(2, Event::IdentityErased(erased), None)).unwrap();
        assert_eq!(destroyed(&state).unwrap(), [(id, vec![named, beside])]);
        add(&mut state, &recorded(3, about(), Some(later))).unwrap();
        assert_eq!(destroyed(&state).unwrap(), [(id, vec![named, beside, later])]);
        assert!(besides(&state, id).unwrap().is_empty());
    }
}
