//! The audit timeline: every event, and where to find it again. Keys: `entry/<sequence>`, and under each of
//! `entry-of/<identity>`, `entry-at/<app>`, `entry-in/<correlation id>` and `entry-from/<causation id>` its sequence;
//! `entry-id/<event id>` is its sequence.

use jiff::Timestamp;
use rollcall_domain::Recorded;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read, Write, load, store};
use rollcall_domain::lifecycle::ChangeKind;
use uuid::Uuid;

use crate::entry::Entry;
use crate::instant;

/// The most entries that are looked at for one page.
const LOOK: usize = 20_000;

const CHUNK: usize = 256;

/// Which end comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    #[default]
    Newest,
    Oldest,
}

/// Which entries to show.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Choice {
    pub identity: Option<IdentityId>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub type_name: Option<String>,
    pub app: Option<AppId>,
    pub actor: Option<String>,
    pub source: Option<String>,
    pub change: Option<ChangeKind>,
    pub correlation_id: Option<String>,
    pub caused_by: Option<Uuid>,
    /// Part of the summary, in any case.
    pub text: Option<String>,
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

/// A client may name its correlation; a slash in it is not one of ours.
fn plain(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

/// Adds an event.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    let (entry, identities) = Entry::of(event, state)?;
    let sequence = format!("{:020}", event.sequence.0);
    let mut places: Vec<String> = identities.iter().map(|identity| format!("entry-of/{identity}/")).collect();
    places.extend(entry.app.iter().map(|app| format!("entry-at/{app}/")));
    if !entry.correlation_id.is_empty() {
        places.push(format!("entry-in/{}/", plain(&entry.correlation_id)));
    }
    places.extend(entry.causation_id.iter().map(|cause| format!("entry-from/{cause}/")));
    for place in places {
        store(state, place + &sequence, &());
    }
    store(state, format!("entry-id/{}", entry.event_id), &event.sequence);
    store(state, entry_key(event.sequence), &entry);
    Ok(())
}

/// The position of an event by its id.
pub fn sequence_of(state: &impl Read, event_id: Uuid) -> Result<Option<Sequence>, KvError> {
    load(state, &format!("entry-id/{event_id}"))
}

/// One entry.
pub fn entry(state: &impl Read, sequence: Sequence) -> Result<Option<Entry>, KvError> {
    load(state, &entry_key(sequence))
}

/// Entries as they are stored, in JSON, each with its position: the oldest after `after`, at most `limit`.
pub fn stored(state: &impl Read, after: Sequence, limit: usize) -> Result<Vec<(Sequence, Vec<u8>)>, KvError> {
    let pairs = state.scan("entry/", Some(&entry_key(after)), limit)?;
    let place = |key: &str| key.strip_prefix("entry/")?.parse().ok().map(Sequence);
    Ok(pairs.into_iter().filter_map(|(key, entry)| Some((place(&key)?, entry))).collect())
}

impl Choice {
    fn wants(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
        same(&self.type_name, &entry.type_name)
            && same(&self.actor, &entry.actor)
            && same(&self.source, entry.source.as_ref().map(|s| s.as_str()).unwrap_or_default())
            && same(&self.correlation_id, &entry.correlation_id)
            && self.app.as_ref().is_none_or(|app| entry.app.as_ref() == Some(app))
            && self.change.is_none_or(|change| entry.change == Some(change))
            && self.caused_by.is_none_or(|cause| entry.causation_id == Some(cause))
            && self.text.as_ref().is_none_or(|t| entry.summary.to_lowercase().contains(&t.to_lowercase()))
    }

    /// Whether nothing is left out.
    pub const fn is_everything(&self) -> bool {
        let Self { identity, from, to, type_name, app, actor, source, change, correlation_id, caused_by, text } = self;
        identity.is_none()
            && from.is_none()
            && to.is_none()
            && type_name.is_none()
            && app.is_none()
            && actor.is_none()
            && source.is_none()
            && change.is_none()
            && correlation_id.is_none()
            && caused_by.is_none()
            && text.is_none()
    }

    /// The narrowest list that holds everything chosen.
    fn prefix(&self) -> String {
        match (&self.caused_by, &self.correlation_id, &self.identity, &self.app) {
            (_, _, Some(identity), _) => format!("entry-of/{identity}/"),
            (Some(cause), ..) => format!("entry-from/{cause}/"),
            (_, Some(id), ..) => format!("entry-in/{}/", plain(id)),
            (.., Some(app)) => format!("entry-at/{app}/"),
            _ => "entry/".to_owned(),
        }
    }

    /// The chosen window as positions: the last event before it, and the last event in it.
    fn window(&self, state: &impl Read) -> Result<(Sequence, Sequence), KvError> {
        let before = self.from.map(|from| instant::last_earlier(state, from)).transpose()?;
        let last = self.to.map(|to| instant::last_earlier(state, to)).transpose()?;
        Ok((before.unwrap_or_default(), last.unwrap_or(Sequence(u64::MAX))))
    }
}

/// The chosen entries that follow `after`, in one order. A page can be short, or empty, and still have a next one: a
/// choice that fits few entries is answered in steps. What is appended meanwhile changes no page that is under way:
/// sequences only grow.
pub fn page(
    state: &impl Read,
    choice: &Choice,
    order: Order,
    after: Option<Sequence>,
    limit: usize,
) -> Result<Page, KvError> {
    let prefix = choice.prefix();
    let (before_window, last) = choice.window(state)?;
    let place = |sequence: u64| format!("{prefix}{sequence:020}");
    let mut at = match order {
        Order::Newest => place(after.map_or(last.0.saturating_add(1), |a| a.0.min(last.0.saturating_add(1)))),
        Order::Oldest => place(after.map_or(before_window.0, |a| a.0.max(before_window.0))),
    };
    let mut page = Page::default();
    let mut looked = 0;
    loop {
        let keys = match order {
            Order::Newest => state.scan_back(&prefix, Some(&at), CHUNK)?,
            Order::Oldest => state.scan(&prefix, Some(&at), CHUNK)?,
        };
        let Some((end, _)) = keys.last() else { return Ok(page) };
        at.clone_from(end);
        for (key, _) in keys {
            let Some(sequence) = key.strip_prefix(&prefix).and_then(|s| s.parse().ok()).map(Sequence) else { continue };
            if sequence <= before_window || sequence > last {
                return Ok(page);
            }
            let Some(entry) = entry(state, sequence)? else { continue };
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
        }
    }
}
