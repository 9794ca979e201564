//! A vault of keys: people make them, its administrators revoke those that are owed, sooner or later, and its lists lag. Nobody's departure
//! is called complete while a key of theirs that was ever listed works.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rollcall_domain::access::credential::{
    Compromised, CredentialKind, Extent, InventoryRead, Listed, Unlisted, Usability,
};
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::{CredentialId, IdentityId, InventoryName};
use rollcall_domain::kv::{KvError, Read, suffixes};
use rollcall_domain::{Event, directory, ledger};

use crate::chance::Chance;

/// The most keys that there are.
const MOST: usize = 30;

/// Whether the vault's people are about their business, or only finish what is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Busy,
    Finishing,
}

/// What the vault really has, and the list that was taken of it last and is not sent yet.
#[derive(Debug, Clone, Default)]
pub struct Vault {
    keys: BTreeMap<CredentialId, IdentityId>,
    list: Option<(Timestamp, BTreeMap<CredentialId, IdentityId>)>,
}

impl Vault {
    /// What happens in the vault, and what the list says that was taken before it.
    pub fn step(
        &mut self,
        state: &impl Read,
        chance: &Chance,
        mood: Mood,
        now: Timestamp,
    ) -> Result<Vec<Event>, KvError> {
        let Ok(inventory) = "vault".parse::<InventoryName>() else { return Ok(Vec::new()) };
        let mut events = Vec::new();
        if let Some((taken_at, list)) = self.list.take() {
            events = said(state, &inventory, &list, taken_at)?;
        }
        if mood == Mood::Busy && chance.percent(40) && self.keys.len() < MOST {
            let mut all = Vec::new();
            for id in suffixes(state, directory::IDENTITIES)?.iter().filter_map(|id| id.parse().ok()) {
                if directory::identity(state, id)?.is_some_and(|who| who.content == Content::Open) {
                    all.push(id);
                }
            }
            if let Some(holder) = chance.pick(&all) {
                self.keys.insert(CredentialId(chance.uuid()), *holder);
            }
        }
        let mut revoked = Vec::new();
        for id in self.keys.keys() {
            let owed = !ledger::revocations_of_credential(state, *id)?.is_empty();
            if owed && (mood == Mood::Finishing || chance.percent(30)) {
                revoked.push(*id);
            }
        }
        self.keys.retain(|id, _| !revoked.contains(id));
        let listed = directory::credentials_in(state, &inventory, None, usize::MAX)?;
        if mood == Mood::Busy
            && chance.percent(8)
            && let Some(id) = chance.pick(&listed)
            && let Some(known) = directory::credential(state, *id)?
        {
            let (id, holder) = (*id, known.listed.holder);
            events.push(Event::CredentialCompromised(Compromised { id, holder, reason: "it was seen".into() }));
        }
        if mood == Mood::Finishing || chance.percent(60) {
            self.list = Some((now, self.keys.clone()));
        }
        Ok(events)
    }

    /// The keys of somebody that work, and that a list has shown.
    pub fn working(&self, state: &impl Read, holder: IdentityId) -> Result<Vec<CredentialId>, KvError> {
        let theirs = self.keys.iter().filter(|(_, of)| **of == holder).map(|(id, _)| *id);
        let mut shown = Vec::new();
        for id in theirs {
            if directory::credential(state, id)?.is_some() {
                shown.push(id);
            }
        }
        Ok(shown)
    }
}

/// What a list says that was not known.
fn said(
    state: &impl Read,
    inventory: &InventoryName,
    list: &BTreeMap<CredentialId, IdentityId>,
    taken_at: Timestamp,
) -> Result<Vec<Event>, KvError> {
    let known = directory::credentials_in(state, inventory, None, usize::MAX)?;
    let mut events = Vec::new();
    for (id, holder) in list.iter().filter(|(id, _)| !known.contains(id)) {
        events.push(Event::CredentialListed(Box::new(Listed {
            id: *id,
            inventory: inventory.clone(),
            holder: Some(*holder),
            app: None,
            kind: CredentialKind::Token,
            usability: Usability::Usable,
            name: format!("accessor {id}"),
            holder_named: format!("whoever {holder} is"),
            issued_at: None,
            expires_at: None,
            rotated_at: None,
            used_at: None,
            taken_at,
        })));
    }
    let added = events.len() as u64;
    for id in known.into_iter().filter(|id| !list.contains_key(id)) {
        let holder = directory::credential(state, id)?.and_then(|known| known.listed.holder);
        events.push(Event::CredentialUnlisted(Unlisted { id, inventory: inventory.clone(), holder, taken_at }));
    }
    let gone = events.len() as u64 - added;
    let (inventory, listed, of_nobody, changed) = (inventory.clone(), list.len() as u64, 0, 0);
    let read = InventoryRead { inventory, taken_at, extent: Extent::Whole, listed, of_nobody, added, changed, gone };
    events.push(Event::InventoryRead(read));
    Ok(events)
}

/// The credentials that are to be revoked.
pub fn unfinished(state: &impl Read) -> Result<Vec<String>, KvError> {
    let all = ledger::revocations_after(state, None, usize::MAX)?.pairs;
    let open = all.iter().flat_map(|(_, revocation)| revocation.obligations());
    Ok(open.map(|open| format!("{} is not revoked", open.id)).collect())
}
