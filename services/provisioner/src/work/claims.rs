//! Whoever gets the name of someone who leaves also gets their account, or makes one in its place: the two must not be
//! worked on at once, or one undoes what the other does.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The accounts that are being worked on, by their user names and by the app's ids of them.
#[derive(Debug, Default)]
pub struct Claims(Mutex<BTreeSet<Claimed>>);

/// How an account is known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Claimed {
    Name(String),
    Id(String),
}

/// Accounts that nobody else works on until this is dropped.
#[derive(Debug)]
pub struct Claim<'a> {
    claims: &'a Claims,
    mine: BTreeSet<Claimed>,
}

impl Claims {
    fn taken(&self) -> MutexGuard<'_, BTreeSet<Claimed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes whatever has one of these names or this id; `None`: someone else has one of them.
    pub fn take(&self, names: &BTreeSet<String>, id: Option<&String>) -> Option<Claim<'_>> {
        let names = names.iter().map(|name| Claimed::Name(name.to_lowercase()));
        let mine: BTreeSet<Claimed> = names.chain(id.cloned().map(Claimed::Id)).collect();
        let mut taken = self.taken();
        if !taken.is_disjoint(&mine) {
            return None;
        }
        taken.extend(mine.iter().cloned());
        Some(Claim { claims: self, mine })
    }
}

impl Claim<'_> {
    /// Takes an account, too, that was found; whether nobody else has it.
    pub fn add(&mut self, id: &str) -> bool {
        let id = Claimed::Id(id.to_owned());
        let free = self.mine.contains(&id) || self.claims.taken().insert(id.clone());
        if free {
            self.mine.insert(id);
        }
        free
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut taken = self.claims.taken();
        taken.retain(|claimed| !self.mine.contains(claimed));
    }
}
