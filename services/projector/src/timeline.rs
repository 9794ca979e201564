//! The audit timeline: every event, newest first. Keys: `entry/<sequence>`, `entry-of/<identity>/<sequence>`.

use jiff::Timestamp;
use rollcall_domain::Recorded;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read, Write, load, store};

use crate::entry::Entry;

/// The most entries that are looked at for one page.
const LOOK: usize = 20_000;

const CHUNK: usize = 256;

/// Which entries to show.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Choice {
    pub identity: Option<IdentityId>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub type_name: Option<String>,
    pub app: Option<AppId>,
    pub actor: Option<String>,
    pub source: Option<String>,
    pub before: Option<Sequence>,
}

/// Some entries, and where the next ones start.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct Page {
    pub entries: Vec<Entry>,
    pub next: Option<Sequence>,
}

fn entry_key(sequence: Sequence) -> String {
    format!("entry/{:020}", sequence.0)
}

/// Adds an event.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let (entry, identities) = Entry::of(event, state)?;
    for identity in identities {
        store(state, format!("entry-of/{identity}/{:020}", event.sequence.0), &());
    }
    store(state, entry_key(event.sequence), &entry);
    Ok(())
}

impl Choice {
    fn wants(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        same(&self.type_name, &entry.type_name)
            && same(&self.actor, &entry.actor)
            && same(&self.source, entry.source.as_ref().map(|s| s.as_str()).unwrap_or_default())
            && self.app.as_ref().is_none_or(|app| entry.app.as_ref() == Some(app))
            && self.to.is_none_or(|to| entry.recorded_at < to)
    }

    fn prefix(&self) -> String {
        self.identity.map_or_else(|| "entry/".to_owned(), |id| format!("entry-of/{id}/"))
    }
}

/// The chosen entries, newest first. A page can be short, or empty, and still have a next one: a choice that fits few
/// entries is answered in steps.
pub fn page(state: &impl Read, choice: &Choice, limit: usize) -> Result<Page, KvError> {
    let prefix = choice.prefix();
    let mut before = choice.before.map(|s| format!("{prefix}{:020}", s.0));
    let mut page = Page::default();
    let mut looked = 0;
    loop {
        let keys = state.scan_back(&prefix, before.as_deref(), CHUNK)?;
        if keys.is_empty() {
            return Ok(page);
        }
        for (key, _) in keys {
            let Some(sequence) = key.strip_prefix(&prefix).and_then(|s| s.parse().ok()).map(Sequence) else { continue };
            let Some(entry) = load::<Entry>(state, &entry_key(sequence))? else { continue };
            if choice.from.is_some_and(|from| entry.recorded_at < from) {
                return Ok(page);
            }
            if choice.wants(&entry) {
                if page.entries.len() == limit {
                    page.next = page.entries.last().map(|e| e.sequence);
                    return Ok(page);
                }
                page.entries.push(entry);
            }
            looked += 1;
            if looked >= LOOK {
                page.next = Some(sequence);
                return Ok(page);
            }
            before = Some(key);
        }
    }
}
