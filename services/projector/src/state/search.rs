//! Finding people by any word of their names. Keys: `search/<word>/<identity>`, and `search-of/<identity>`, the words.

use std::collections::BTreeSet;

use rollcall_domain::identity::Identity;
use rollcall_domain::identity::name::name_key;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::{Event, Recorded, directory};
use serde_json::Value;

/// The most words of one identity.
const WORDS: usize = 20;

/// The most keys that are looked at for one search.
const LOOK: usize = 2000;

/// The attributes that words are taken from; an agent's `name` is its user name.
const NAMES: [&str; 4] = ["userName", "displayName", "name", "emails"];

fn words(identity: &Identity) -> BTreeSet<String> {
    let resource = &identity.resource;
    let mut texts = vec![identity.user_name()];
    texts.extend(resource.get("displayName").and_then(Value::as_str));
    texts.extend(resource.get("name").and_then(Value::as_object).into_iter().flatten().filter_map(|(_, v)| v.as_str()));
    texts.extend(
        resource.get("emails").and_then(Value::as_array).into_iter().flatten().filter_map(|e| e.get("value")?.as_str()),
    );
    // A slash ends a word in the index.
    let split = |text: &str| name_key(text).split([' ', '/', ',']).map(str::to_owned).collect::<Vec<_>>();
    texts.into_iter().flat_map(split).filter(|word| !word.is_empty()).take(WORDS).collect()
}

/// Keeps the words of whoever an event is about.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    if let Event::IdentityErased(erased) = &event.event {
        return forget(state, erased.id);
    }
    let Event::Identity(changed) = &event.event else { return Ok(()) };
    let is_name = |path: &str| NAMES.iter().any(|name| path.starts_with(name));
    if !changed.changed.iter().any(|c| is_name(&c.path)) {
        return Ok(());
    }
    let Some(identity) = directory::identity(state, changed.id)? else { return Ok(()) };
    let place = format!("search-of/{}", identity.id);
    let (old, new): (BTreeSet<String>, _) = (load(state, &place)?.unwrap_or_default(), words(&identity));
    if old == new {
        return Ok(());
    }
    for word in old.difference(&new) {
        state.delete(&format!("search/{word}/{}", identity.id));
    }
    for word in new.difference(&old) {
        store(state, format!("search/{word}/{}", identity.id), &identity.id);
    }
    store(state, place, &new);
    Ok(())
}

/// Drops the words of someone.
fn forget(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    let place = format!("search-of/{id}");
    let words: BTreeSet<String> = load(state, &place)?.unwrap_or_default();
    words.iter().for_each(|word| state.delete(&format!("search/{word}/{id}")));
    state.delete(&place);
    Ok(())
}

/// Who has, for each word of a text, a word that starts with it; at most `limit`.
pub fn find(state: &impl Read, text: &str, limit: usize) -> Result<Vec<Identity>, KvError> {
    let key = name_key(text);
    let wanted = key.split([' ', '/', ',']).filter(|word| !word.is_empty());
    // The longest word fits the fewest.
    let Some(longest) = wanted.clone().max_by_key(|word| word.len()) else { return Ok(Vec::new()) };
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (key, _) in state.scan(&format!("search/{longest}"), None, LOOK)? {
        let Some(id) = load::<IdentityId>(state, &key)?.filter(|id| seen.insert(*id)) else { continue };
        let Some(identity) = directory::identity(state, id)? else { continue };
        let has = words(&identity);
        if wanted.clone().all(|word| has.iter().any(|have| have.starts_with(word))) {
            out.push(identity);
        }
        if out.len() == limit {
            break;
        }
    }
    Ok(out)
}
