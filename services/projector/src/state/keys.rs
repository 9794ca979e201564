//! Which keys have sealed what is personal about someone, besides the one that their identity has. Keys: `keys-of/<person>/<number>`; and
//! `destroyed/<person>`: those of who was erased.

use rollcall_domain::drift::orphan_id;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read, Write, load_all, store, suffixes};
use rollcall_domain::{Event, KeyRef, Recorded, directory, ledger};

const DESTROYED: &str = "destroyed/";

fn prefix(person: IdentityId) -> String {
    format!("keys-of/{person}/")
}

/// Keeps the keys of whoever an event is about.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    if let Event::IdentityErased(erased) = &event.event {
        for number in suffixes(state, &prefix(erased.id))? {
            state.delete(&format!("{}{number}", prefix(erased.id)));
        }
        store(state, format!("{DESTROYED}{}", erased.id), &erased.keys);
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

/// Every key that has sealed anything about someone, or about an account while it was not known to be theirs.
///
/// # Errors
/// When the state can't be read.
pub fn of(state: &impl Read, id: IdentityId) -> Result<Vec<KeyRef>, KvError> {
    let mut all: Vec<KeyRef> = directory::identity(state, id)?.and_then(|identity| identity.key).into_iter().collect();
    all.extend(besides(state, id)?);
    for account in ledger::accounts_of(state, id)? {
        for remote_id in account.remote_id.iter().chain(account.former_ids.keys()) {
            all.extend(besides(state, orphan_id(&account.app, remote_id))?);
        }
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The keys of everybody who was erased.
///
/// # Errors
/// When the state can't be read.
pub fn destroyed(state: &impl Read) -> Result<Vec<(String, Vec<KeyRef>)>, KvError> {
    load_all(state, DESTROYED, None, usize::MAX)
}
