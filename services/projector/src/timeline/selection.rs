//! The audit timeline: every event, and where to find it again. Lists of positions: `entry-of/<identity>`,
//! `entry-at/<app>`, `entry-in/<correlation id>` and `entry-from/<causation id>`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_domain::access::subject::Subject;
use rollcall_domain::drift::may_be_orphan_id;
use rollcall_domain::identity::lifecycle::ChangeKind;
use rollcall_domain::ids::{AppId, IdentityId, Sequence};
use rollcall_domain::kv::{KvError, Read, Write};
use rollcall_domain::{Event, Recorded};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::timeline::entry::Entry;
use crate::timeline::{entries, time_index, word_index};

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
#[derive(Debug)]
#[allow(missing_docs)]
pub struct Page<E = Entry> {
    pub entries: Vec<E>,
    pub next: Option<Sequence>,
}

/// An entry, as whoever asks for a page needs it.
pub trait Shown: Sized {
    /// From its JSON; `None`: it is not chosen.
    ///
    /// # Errors
    /// When it is no entry.
    fn chosen(stored: &[u8], choice: &Choice) -> Result<Option<Self>, serde_json::Error>;
}

impl Shown for Entry {
    fn chosen(stored: &[u8], choice: &Choice) -> Result<Option<Self>, serde_json::Error> {
        let entry: Self = serde_json::from_slice(stored)?;
        Ok(choice.wants(&entry).then_some(entry))
    }
}

/// As it is kept, for those who only pass it on.
impl Shown for Box<RawValue> {
    fn chosen(stored: &[u8], choice: &Choice) -> Result<Option<Self>, serde_json::Error> {
        if !choice.is_its_list() && Entry::chosen(stored, choice)?.is_none() {
            return Ok(None);
        }
        serde_json::from_slice(stored).map(Some)
    }
}

/// A client may name its correlation; a slash in it is not one of ours.
fn plain(text: &str) -> String {
    text.replace('%', "%25").replace('/', "%2F")
}

/// Takes what is personal out of every entry about someone.
fn erase(state: &mut impl Write, id: IdentityId) -> Result<(), KvError> {
    let positions = word_index::after(state, &format!("entry-of/{id}"), Sequence(0), usize::MAX)?;
    entries::rewrite(state, &positions, Entry::erased)
}

/// The machine that an event about a hand-over is about, beside its owner.
fn owed_for(event: &Event) -> Option<IdentityId> {
    let subject = match event {
        Event::ObligationAtRisk(e) => &e.id.subject,
        Event::ObligationOverdue(e) => &e.id.subject,
        Event::ObligationWaived(e) => &e.id.subject,
        _ => return None,
    };
    match subject {
        Subject::Handover { machine, .. } => Some(*machine),
        Subject::Account { .. } | Subject::Credential { .. } => None,
    }
}

/// Adds an event.
pub fn add(state: &mut impl Write, event: &Recorded) -> Result<(), KvError> {
    if let Event::IdentityErased(erased) = &event.event {
        erased.everybody().try_for_each(|id| erase(state, id))?;
    }
    let (entry, identities) = Entry::of(event, state)?;
    // Someone may be named twice, such as a member that is taken out and put in again.
    let mut lists: BTreeSet<String> = identities.iter().map(|identity| format!("entry-of/{identity}")).collect();
    // An account that stands for itself may turn out to be somebody's.
    lists.extend(event.event.person().filter(|id| may_be_orphan_id(*id)).map(|person| format!("entry-of/{person}")));
    // What is owed for a machine names it, too.
    lists.extend(owed_for(&event.event).map(|machine| format!("entry-of/{machine}")));
    lists.extend(entry.app.iter().map(|app| format!("entry-at/{app}")));
    if !entry.correlation_id.is_empty() {
        lists.insert(format!("entry-in/{}", plain(&entry.correlation_id)));
    }
    lists.extend(entry.causation_id.iter().map(|cause| format!("entry-from/{cause}")));
    for list in lists {
        word_index::add(state, &list, event.sequence)?;
    }
    entries::add(state, &entry)
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
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether its list, or its window, holds nothing else than what is chosen.
    fn is_its_list(&self) -> bool {
        *self == Self { from: self.from, to: self.to, identity: self.identity, ..Self::default() }
    }

    /// The narrowest list that holds everything chosen; `None`: all there is.
    fn list(&self) -> Option<String> {
        match (&self.caused_by, &self.correlation_id, &self.identity, &self.app) {
            (_, _, Some(identity), _) => Some(format!("entry-of/{identity}")),
            (Some(cause), ..) => Some(format!("entry-from/{cause}")),
            (_, Some(id), ..) => Some(format!("entry-in/{}", plain(id))),
            (.., Some(app)) => Some(format!("entry-at/{app}")),
            _ => None,
        }
    }

    /// The next positions of its list after `at`, which is not one of them; none: the end.
    fn positions(&self, state: &impl Read, order: Order, at: Sequence) -> Result<Vec<Sequence>, KvError> {
        match (self.list(), order) {
            (Some(list), Order::Newest) => word_index::before(state, &list, at, CHUNK),
            (Some(list), Order::Oldest) => word_index::after(state, &list, at, CHUNK),
            (None, Order::Newest) => {
                let end = at.0.min(entries::last(state)?.0.saturating_add(1));
                Ok((end.saturating_sub(CHUNK as u64).max(1)..end).rev().map(Sequence).collect())
            }
            (None, Order::Oldest) => {
                let last = entries::last(state)?.0.min(at.0.saturating_add(CHUNK as u64));
                Ok((at.0.saturating_add(1)..=last).map(Sequence).collect())
            }
        }
    }

    /// The chosen window as positions: the last event before it, and the last event in it.
    fn window(&self, state: &impl Read) -> Result<(Sequence, Sequence), KvError> {
        let before = self.from.map(|from| time_index::last_earlier(state, from)).transpose()?;
        let last = self.to.map(|to| time_index::last_earlier(state, to)).transpose()?;
        Ok((before.unwrap_or_default(), last.unwrap_or(Sequence(u64::MAX))))
    }
}

/// The chosen entries that follow `after`, in one order. A page can be short, or empty, and still have a next one: a
/// choice that fits few entries is answered in steps. What is appended meanwhile changes no page that is under way:
/// sequences only grow.
pub fn page<E: Shown>(
    state: &impl Read,
    choice: &Choice,
    order: Order,
    after: Option<Sequence>,
    limit: usize,
) -> Result<Page<E>, KvError> {
    let (before_window, last) = choice.window(state)?;
    let end = Sequence(last.0.saturating_add(1));
    let mut at = match order {
        Order::Newest => after.map_or(end, |after| after.min(end)),
        Order::Oldest => after.map_or(before_window, |after| after.max(before_window)),
    };
    let mut page = Page { entries: Vec::new(), next: None };
    let (mut looked, mut shown) = (0, None);
    loop {
        let positions = choice.positions(state, order, at)?;
        let Some(furthest) = positions.last() else { return Ok(page) };
        at = *furthest;
        // A new one: what was read before may have grown since.
        let mut reader = entries::Reader::default();
        for sequence in positions {
            if sequence <= before_window || sequence > last {
                return Ok(page);
            }
            let found = reader.entry(state, sequence, |stored| E::chosen(stored, choice))?;
            let Some(entry) = found else { continue };
            if let Some(entry) = entry {
                if page.entries.len() == limit {
                    page.next = shown;
                    return Ok(page);
                }
                page.entries.push(entry);
                shown = Some(sequence);
            }
            looked += 1;
            if looked >= LOOK {
                page.next = Some(sequence);
                return Ok(page);
            }
        }
    }
}
