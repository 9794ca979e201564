//! Which keys have sealed what is personal about someone, besides the one that their identity has. Keys: `keys-of/<person>/<number>`; and
//! `destroyed/<person>`: those of who was erased.

use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read, Write, load_all, store, suffixes};
use rollcall_domain::{Event, KeyRef, Recorded, directory};

const DESTROYED: &str = "destroyed/";

fn prefix(person: IdentityId) -> String {
    format!("keys-of/{person}/")
}

/// Keeps the keys of whoever an event is about.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    if let Event::IdentityErased(erased) = &event.event {
        for id in erased.everybody() {
            for number in suffixes(state, &prefix(id))? {
                state.delete(&format!("{}{number}", prefix(id)));
            }
        }
        store(state, format!("{DESTROYED}{}", erased.id), &erased.keys);
        return Ok(());
    }
    // The key of a creation is that of the identity.
    if matches!(&event.event, Event::Identity(changed) if changed.before.is_none()) {
        return Ok(());
    }
    let (Some(key), Some(person)) = (event.seal.key(), event.event.person()) else { return Ok(()) };
    if directory::identity(state, person)?.and_then(|identity| identity.key) != Some(key) {
        store(state, format!("{}{}", prefix(person), key.number()), &());
    }
    Ok(())
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
