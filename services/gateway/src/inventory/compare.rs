//! A list is compared with what its inventory said before: what is new, what has changed, and what is gone. It is read twice, whole:
//! nothing is said of it before all of it is known to be well-formed, and not half of what it should be.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rollcall_config::{HolderBy, InventoryConfig};
use rollcall_domain::access::credential::{Credential, Extent, InventoryRead, Listed, Presence, Unlisted, Usability};
use rollcall_domain::identity::IdentityKind;
use rollcall_domain::identity::content::Content;
use rollcall_domain::ids::{CredentialId, IdentityId, Sequence};
use rollcall_domain::kv::KvError;
use rollcall_domain::{Event, EventMeta, NewEvent, directory};
use rollcall_event_log::{EventLog, Expect, LogError, NameHash, Unit};
use rollcall_projection::View;
use rollcall_scim::ScimError;
use serde::Serialize;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::read::{Entry, Reader};
use crate::error::Refusal;

/// So many events are one unit; the log takes a thousand.
const UNIT: usize = 900;

/// So many known credentials are looked at at a time.
const PAGE: usize = 10_000;

/// So many that are missing are no surprise, where as many stay.
const FEW: u64 = 5;

/// How many of those of nobody an answer names.
const SHOWN: usize = 20;

/// A use is said again when it is so much later than the one that is known: most keys are used all day.
const USED_AGAIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// A list as it was sent.
#[derive(Debug, Clone)]
pub struct List {
    pub inventory: Arc<InventoryConfig>,
    pub content_type: String,
    pub body: bytes::Bytes,
    pub taken_at: Timestamp,
    /// How many missing ones whoever sends it has confirmed.
    pub confirmed: Option<u64>,
}

/// What a list has led to.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    pub inventory: String,
    pub taken_at: Timestamp,
    pub listed: u64,
    pub added: u64,
    pub changed: u64,
    pub gone: u64,
    pub of_nobody: u64,
    /// Some of those of nobody, as the list calls them.
    pub nobodys: Vec<String>,
}

/// What is known of a list once all of it was read.
#[derive(Default)]
struct Survey {
    listed: u64,
    of_nobody: u64,
    nobodys: Vec<String>,
    known: u64,
    missing: Vec<CredentialId>,
    /// Those of the missing that have not run out by themselves.
    surprising: u64,
    /// Those that were somebody's, and are nobody's by this list.
    without_holder: u64,
    /// Those that worked, and are switched off by this list.
    switched_off: u64,
}

enum Why {
    Malformed(String),
    State(KvError),
    Stopped,
}

impl From<String> for Why {
    fn from(what: String) -> Self {
        Self::Malformed(what)
    }
}

impl From<KvError> for Why {
    fn from(e: KvError) -> Self {
        Self::State(e)
    }
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        match why {
            Why::Malformed(what) => Self::Scim(ScimError::status(400, what)),
            Why::State(e) => Self::State(e),
            Why::Stopped => Self::Scim(ScimError::status(503, "the list was not compared to its end: send it again")),
        }
    }
}

/// How a list is compared: with what is known, and by which names.
#[derive(Clone)]
struct Comparison {
    list: List,
    view: View,
    names: NameHash,
}

/// Compares a list with what is known, and says what has changed.
///
/// # Errors
/// 400 when it is malformed, 409 when it is older than the last, or lacks more than is usual and nobody has confirmed that; nothing is said of
/// it then. 503 when the log can't be used: what was said stays true, and the list can be sent again.
pub async fn compare(log: &EventLog, view: View, list: List, meta: &EventMeta) -> Result<Outcome, Refusal> {
    let known = directory::inventory(&view, &list.inventory.name)?;
    in_order(&list, known.as_ref().map(|known| known.newest))?;
    let version = known.as_ref().map_or(Sequence(0), |known| known.version);
    let comparison = Comparison { list, view, names: log.names().clone() };
    let surveyed = comparison.clone();
    let mut survey = tokio::task::spawn_blocking(move || surveyed.survey()).await.map_err(|_| Why::Stopped)??;
    usual(&comparison.list, &survey)?;
    let list = comparison.list.clone();
    let (send, mut chunks) = mpsc::channel::<(Vec<Event>, Counted)>(2);
    let missing = std::mem::take(&mut survey.missing);
    let work = tokio::task::spawn_blocking(move || comparison.changes(&missing, &send));
    let said = |counted: Counted, extent| {
        Event::InventoryRead(InventoryRead {
            inventory: list.inventory.name.clone(),
            taken_at: list.taken_at,
            extent,
            listed: survey.listed,
            of_nobody: survey.of_nobody,
            added: counted.added,
            changed: counted.changed,
            gone: counted.gone,
        })
    };
    let (mut version, mut counted) = (version, Counted::default());
    // The last part is held back until it is known to be the last.
    let mut held: Option<(Vec<Event>, Counted)> = None;
    while let Some(next) = chunks.recv().await {
        if let Some((events, so_far)) = held.replace(next) {
            version = append(log, events, said(so_far, Extent::Part), version, meta).await?;
        }
    }
    work.await.map_err(|_| Why::Stopped)??;
    let mut rest = Vec::new();
    if let Some((events, all)) = held {
        (rest, counted) = (events, all);
    }
    let is_news = !rest.is_empty() || last_differs(known.as_ref().and_then(|known| known.read.as_ref()), &list);
    if is_news {
        append(log, rest, said(counted, Extent::Whole), version, meta).await?;
    }
    Ok(Outcome {
        inventory: list.inventory.name.to_string(),
        taken_at: list.taken_at,
        listed: survey.listed,
        added: counted.added,
        changed: counted.changed,
        gone: counted.gone,
        of_nobody: survey.of_nobody,
        nobodys: survey.nobodys,
    })
}

fn last_differs(last: Option<&InventoryRead>, list: &List) -> bool {
    last.is_none_or(|last| last.taken_at != list.taken_at)
}

/// How far apart clocks may be.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Refuses a list that is older than what is known, also by one that broke off.
fn in_order(list: &List, newest: Option<Timestamp>) -> Result<(), Refusal> {
    let at = list.taken_at;
    if at.duration_since(Timestamp::now()) > SKEW {
        return Err(ScimError::status(400, format!("taken_at is {at}, which lies ahead")).into());
    }
    match newest.filter(|newest| *newest > at) {
        Some(newer) => {
            let detail =
                format!("this list was taken at {at}, and one that was taken at {newer} is known: send a newer one");
            Err(ScimError::status(409, detail).into())
        }
        None => Ok(()),
    }
}

/// Refuses a list that lacks much of what was there, or of whose it was, until somebody has confirmed how much.
fn usual(list: &List, survey: &Survey) -> Result<(), Refusal> {
    let lost = survey.surprising + survey.without_holder + survey.switched_off;
    let most = survey.known.saturating_mul(u64::from(list.inventory.max_missing_percent)) / 100;
    // Of a few not all are lost as a rule.
    let few = FEW.min((survey.known / 2).max(1));
    let is_usual = lost <= most.max(few) && (survey.listed > 0 || survey.known == 0);
    if is_usual || list.confirmed == Some(lost) {
        return Ok(());
    }
    let Survey { surprising, without_holder, switched_off, known, .. } = survey;
    let name = &list.inventory.name;
    let detail = format!(
        "this list lacks {surprising} of the {known} credentials that '{name}' had, and says of {without_holder} no longer whose they \
         are, and shows {switched_off} switched off that were not, which is more than max_missing_percent = {} allows: nothing was \
         changed; if that is so, send it again with confirm_missing={lost}",
        list.inventory.max_missing_percent
    );
    Err(ScimError::status(409, detail).into())
}

/// Appends a part of what a list says, while nobody else has said anything of the inventory.
async fn append(
    log: &EventLog,
    events: Vec<Event>,
    read: Event,
    version: Sequence,
    meta: &EventMeta,
) -> Result<Sequence, Refusal> {
    let new = |event| NewEvent { meta: EventMeta { event_id: Uuid::now_v7(), ..meta.clone() }, event };
    let mut unit = Unit::default();
    events.into_iter().for_each(|event| unit.push(new(event), Expect::Any));
    unit.push(new(read), Expect::Last(version));
    match log.append(&unit).await {
        Ok(appended) => Ok(appended.last),
        Err(LogError::Conflict { .. }) => {
            Err(ScimError::status(409, "another list of this inventory came in meanwhile: send the newer one again")
                .into())
        }
        Err(e) => Err(e.into()),
    }
}

/// How many are what.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    added: u64,
    changed: u64,
    gone: u64,
}

impl Comparison {
    fn entries(&self, each: impl FnMut(Entry) -> Result<(), Why>) -> Result<(), Why> {
        let reader = Reader::new(&self.list.inventory, &self.list.content_type)?;
        reader.entries(&self.list.body, each)
    }

    /// The id of a credential. One that was known before names were hashed with a key keeps its id: another one would be taken for gone.
    fn id(&self, name: &str) -> Result<CredentialId, KvError> {
        let inventory = &self.list.inventory.name;
        let id = self.names.credential(inventory, name);
        if self.names.since() > Sequence(0) && directory::credential(&self.view, id)?.is_none() {
            let former = NameHash::default().credential(inventory, name);
            if directory::credential(&self.view, former)?.is_some() {
                return Ok(former);
            }
        }
        Ok(id)
    }

    /// Whose a credential is, where whom the list names is known.
    fn holder(&self, named: &str) -> Result<Option<IdentityId>, KvError> {
        if named.is_empty() {
            return Ok(None);
        }
        let view = &self.view;
        let found = match self.list.inventory.holder {
            HolderBy::Id => named.parse().ok(),
            HolderBy::UserName => {
                let kinds = [IdentityKind::User, IdentityKind::ServiceAccount, IdentityKind::Agent];
                let now = kinds.iter().map(|kind| directory::id_by_name(view, *kind, named));
                // Whoever was deleted is found by no name, and is the one whose tokens matter most.
                let last = kinds.iter().map(|kind| directory::id_by_last_name(view, *kind, named));
                now.chain(last).find_map(Result::transpose).transpose()?
            }
            HolderBy::ExternalId => match directory::ids_by_external_id(view, named)?.as_slice() {
                [only] => Some(*only),
                [] => directory::id_by_last_external_id(view, named)?,
                _ => None,
            },
        };
        let who = found.map(|id| directory::identity(view, id)).transpose()?.flatten();
        Ok(who.filter(|who| who.content != Content::Erased).map(|who| who.id))
    }

    fn survey(&self) -> Result<Survey, Why> {
        let mut lines: HashMap<CredentialId, u64> = HashMap::new();
        let mut survey = Survey::default();
        let now = Timestamp::now();
        self.entries(|entry| {
            in_the_past(&entry, now)?;
            let line = entry.number;
            let (before, listed) = self.compared(entry)?;
            if let Some(first) = lines.insert(listed.id, line) {
                return Err(format!("line {line}: '{}' is at line {first} already", listed.name).into());
            }
            survey.listed += 1;
            let had = before.as_ref().is_some_and(|b| b.presence == Presence::Listed && b.listed.holder.is_some());
            let worked = before.as_ref().is_some_and(Credential::is_usable);
            let has_run_out = listed.expires_at.is_some_and(|end| end <= self.list.taken_at);
            survey.switched_off += u64::from(worked && listed.usability == Usability::Disabled && !has_run_out);
            if listed.holder.is_none() {
                survey.without_holder += u64::from(had);
                survey.of_nobody += 1;
                if survey.nobodys.len() < SHOWN {
                    let named = if listed.holder_named.is_empty() { "nobody" } else { &listed.holder_named };
                    survey.nobodys.push(format!("{} ({named})", listed.name));
                }
            }
            Ok(())
        })?;
        let mut after = None;
        loop {
            let page = directory::credentials_in(&self.view, &self.list.inventory.name, after, PAGE)?;
            survey.known += page.len() as u64;
            for id in page.iter().filter(|id| !lines.contains_key(id)) {
                survey.missing.push(*id);
                let end = directory::credential(&self.view, *id)?.and_then(|known| known.listed.expires_at);
                survey.surprising += u64::from(end.is_none_or(|end| end > self.list.taken_at));
            }
            after = page.last().copied();
            if page.len() < PAGE {
                return Ok(survey);
            }
        }
    }

    /// What has changed, in parts, to be said in this order: what is new before what is gone, so that who leaves is not gone in between.
    fn changes(&self, missing: &[CredentialId], send: &mpsc::Sender<(Vec<Event>, Counted)>) -> Result<(), Why> {
        let (mut part, mut counted) = (Vec::new(), Counted::default());
        let mut say = |event: Event, counted: Counted| -> Result<(), Why> {
            part.push(event);
            if part.len() < UNIT {
                return Ok(());
            }
            send.blocking_send((std::mem::take(&mut part), counted)).map_err(|_| Why::Stopped)
        };
        self.entries(|entry| {
            let (known, listed) = self.compared(entry)?;
            let Some(listed) = news(known.as_ref(), listed) else { return Ok(()) };
            match known {
                Some(_) => counted.changed += 1,
                None => counted.added += 1,
            }
            say(Event::CredentialListed(Box::new(listed)), counted)
        })?;
        for id in missing {
            let Some(known) = directory::credential(&self.view, *id)? else { continue };
            counted.gone += 1;
            let Listed { inventory, holder, .. } = known.listed;
            let gone = Unlisted { id: *id, inventory, holder, taken_at: self.list.taken_at };
            say(Event::CredentialUnlisted(gone), counted)?;
        }
        if part.is_empty() {
            return Ok(());
        }
        send.blocking_send((part, counted)).map_err(|_| Why::Stopped)
    }

    /// What was known of a credential, and what is said of it now.
    fn compared(&self, entry: Entry) -> Result<(Option<Credential>, Listed), Why> {
        let listed = self.listed(entry)?;
        let known = directory::credential(&self.view, listed.id)?;
        let holder = self.holder_of(known.as_ref(), &listed)?;
        Ok((known, Listed { holder, ..listed }))
    }

    /// Whose a credential is by a list: whoever it named before it still names, whoever has that name by now.
    fn holder_of(&self, known: Option<&Credential>, now: &Listed) -> Result<Option<IdentityId>, KvError> {
        // One that is made anew under a name that was free may be anybody's.
        let is_new = |known: &Credential| known.presence != Presence::Listed || known.listed.issued_at != now.issued_at;
        let Some(known) = known.filter(|known| !is_new(known)) else { return Ok(now.holder) };
        let before = &known.listed;
        if before.name.is_empty() {
            // What whoever was erased is called is not known any more.
            return Ok(now.holder.or(before.holder));
        }
        let Some(former) = before.holder.filter(|_| before.holder_named == now.holder_named) else {
            return Ok(now.holder);
        };
        // Whoever was not there any more when it was first listed never had it: somebody of that name has come since.
        let was_gone = directory::identity(&self.view, former)?
            .is_some_and(|who| who.deleted && who.changed_at < known.first_listed_at);
        let successor = now.holder.filter(|holder| was_gone && *holder != former);
        Ok(Some(successor.unwrap_or(former)))
    }

    fn listed(&self, entry: Entry) -> Result<Listed, Why> {
        let List { inventory, taken_at, .. } = &self.list;
        Ok(Listed {
            id: self.id(&entry.name)?,
            inventory: inventory.name.clone(),
            holder: self.holder(&entry.holder)?,
            app: inventory.app.clone(),
            kind: entry.kind,
            usability: entry.usability,
            name: entry.name,
            holder_named: entry.holder,
            issued_at: entry.issued_at,
            expires_at: entry.expires_at,
            rotated_at: entry.rotated_at,
            used_at: entry.used_at,
            taken_at: *taken_at,
        })
    }
}

/// Refuses what is said to have happened, and lies ahead.
fn in_the_past(entry: &Entry, now: Timestamp) -> Result<(), Why> {
    let times = [("issued", entry.issued_at), ("rotated", entry.rotated_at), ("used", entry.used_at)];
    for (what, at) in times {
        if let Some(at) = at.filter(|at| at.duration_since(now) > SKEW) {
            let line = entry.number;
            return Err(format!("line {line}: it was {what} at {at}, which lies ahead").into());
        }
    }
    Ok(())
}

/// What is to be said of a credential; none: it is as it was.
fn news(known: Option<&Credential>, now: Listed) -> Option<Listed> {
    let Some(Credential { listed: before, presence, .. }) = known else { return Some(now) };
    // What whoever was erased was called is not said again.
    let is_erased = before.name.is_empty() && now.holder == before.holder;
    let name = if is_erased { String::new() } else { now.name };
    let holder_named = if is_erased { String::new() } else { now.holder_named };
    let used_again = match (before.used_at, now.used_at) {
        (Some(before), Some(now)) => now.duration_since(before) >= USED_AGAIN,
        (before, now) => before.is_none() && now.is_some(),
    };
    let used_at = if used_again { now.used_at } else { before.used_at };
    // What is not said any more is not taken back.
    let rotated_at = now.rotated_at.or(before.rotated_at);
    let issued_at = now.issued_at.or(before.issued_at.filter(|_| *presence == Presence::Listed));
    let now = Listed { name, holder_named, used_at, rotated_at, issued_at, ..now };
    let same = *before == Listed { taken_at: before.taken_at, ..now.clone() };
    (!same || *presence != Presence::Listed).then_some(now)
}
