//! The positive control: "not found" is believed only of an app in which something that must be there is found in the same
//! way. An app that answers as an empty tenant, or that takes a filter and finds nothing by it, would prove everybody gone.

use std::collections::BTreeSet;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::ids::AppId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger;

use crate::app_client::client::{Endpoint, Failure};
use crate::app_client::pages::Pages;
use crate::search::controls::HOLDS_FOR;
use crate::search::look::{Answered, Search, read_by_id, search};
use crate::search::wanted::{Known, Wanted};
use crate::work::error::WorkError;

/// How many known accounts are looked for before all of them count as missing.
const SAMPLES: usize = 8;

/// The ways in which an account was looked for, and not found.
#[derive(Debug, Default)]
pub struct Looked {
    /// The attributes whose filter found nothing.
    pub filtered: BTreeSet<&'static str>,
    /// Those of them that were answered with 404: nothing was found, if the app knows the filter at all.
    pub not_found: BTreeSet<&'static str>,
    /// The ids of all accounts, where the app was read whole.
    pub scanned: Option<BTreeSet<String>>,
}

/// What a control says of the ways in which an account was looked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Control {
    /// It was made a moment ago, or the account itself was seen.
    NotNeeded,
    /// What must be there is found by each.
    Holds,
    /// The filters by these attributes don't find what is there.
    Misses(BTreeSet<&'static str>),
}

/// Looks for something that must be there, in the ways in which the account was looked for.
///
/// # Errors
/// When everything that is known to be there is missing, or the app does not answer.
pub async fn control(
    app: &Search<'_>,
    state: &impl Read,
    wanted: &Wanted,
    looked: &Looked,
) -> Result<Control, WorkError> {
    // It was seen a moment ago, and may have been removed for us. Where nobody else must be there that is all there is.
    let seen = wanted.target == Target::Absent && wanted.seen_at.is_some_and(|at| at.elapsed() < HOLDS_FOR);
    if seen && looked.not_found.is_empty() && must_be_there(state, wanted)?.is_empty() {
        return Ok(Control::NotNeeded);
    }
    let is_new = wanted.target == Target::Present && wanted.known == Known::Never && wanted.remote_id.is_none();
    if is_new && looked.scanned.is_none() && app.controls.recent(&looked.filtered) {
        return Ok(Control::NotNeeded);
    }
    let Some(sample) = sample(app, state, wanted).await? else {
        let unproved = looked.not_found.clone();
        return Ok(if unproved.is_empty() { Control::Holds } else { Control::Misses(unproved) });
    };
    if looked.scanned.as_ref().is_some_and(|all| !all.contains(&sample.id)) {
        let detail = format!("account {} is there, and not on the pages: who has an account can't be told", sample.id);
        return Err(Failure::new(RejectionCause::NotScim, detail).into());
    }
    let misses = misses(app, &sample, looked).await?;
    if !misses.is_empty() {
        return Ok(Control::Misses(misses));
    }
    app.controls.held(&looked.filtered);
    Ok(if is_new { Control::NotNeeded } else { Control::Holds })
}

/// The filters that found nothing else than an account that was found by its id, and do not find what is there: another
/// account of the same person may be hidden by them.
///
/// # Errors
/// When the app does not answer.
pub async fn blind_filters(
    app: &Search<'_>,
    state: &impl Read,
    wanted: &Wanted,
    looked: &Looked,
) -> Result<BTreeSet<&'static str>, WorkError> {
    if looked.filtered.is_empty() || app.controls.recent(&looked.filtered) {
        return Ok(BTreeSet::new());
    }
    let Found::Account(sample) = any_of(app, &must_be_there(state, wanted)?).await? else {
        return Ok(BTreeSet::new());
    };
    let misses = misses(app, &sample, looked).await?;
    if misses.is_empty() {
        app.controls.held(&looked.filtered);
    }
    Ok(misses)
}

/// The attributes by which an account that is there is not found.
async fn misses(app: &Search<'_>, sample: &Remote, looked: &Looked) -> Result<BTreeSet<&'static str>, Failure> {
    let mut misses = BTreeSet::new();
    for attribute in looked.filtered.iter().copied() {
        let finds = match sample.text(attribute) {
            "" => false,
            value => match search(app, attribute, value).await? {
                Answered::Complete(found) => found.iter().any(|remote| remote.id == sample.id),
                Answered::NotFound | Answered::Untrusted | Answered::Failed => false,
            },
        };
        if !finds {
            misses.insert(attribute);
        }
    }
    Ok(misses)
}

/// An account that is there: one that must be, else any. `None`: nothing is known to be there, and nothing is.
async fn sample(app: &Search<'_>, state: &impl Read, wanted: &Wanted) -> Result<Option<Remote>, WorkError> {
    let looked = match any_of(app, &must_be_there(state, wanted)?).await? {
        Found::Account(found) => return Ok(Some(*found)),
        Found::Nothing { looked } => looked,
    };
    let shown = first_page(app).await?;
    if let Some(known) = known_on(state, &wanted.spec.id, &shown)? {
        return Ok(Some(known.clone()));
    }
    if looked > 0 || wanted.known == Known::Seen {
        return Err(vanished(looked + usize::from(wanted.known == Known::Seen), shown.len()).into());
    }
    Ok(shown.into_iter().next())
}

/// The ids of some accounts that must be there, besides the one that is looked for.
fn must_be_there(state: &impl Read, wanted: &Wanted) -> Result<Vec<String>, KvError> {
    let such = |account: &Account| account.desired.target() == Target::Present && !account.is_pending();
    ledger::some_accounts(state, &wanted.spec.id, Some(wanted.identity), SAMPLES, such)
}

enum Found {
    Account(Box<Remote>),
    Nothing { looked: usize },
}

/// The first of some accounts that is there.
async fn any_of(app: &Search<'_>, ids: &[String]) -> Result<Found, Failure> {
    for id in ids {
        if let Some(found) = read_by_id(app.client, id).await? {
            return Ok(Found::Account(Box::new(found)));
        }
    }
    Ok(Found::Nothing { looked: ids.len() })
}

async fn first_page(app: &Search<'_>) -> Result<Vec<Remote>, Failure> {
    match Pages::new(Endpoint::Users, app.can).next(app.client).await? {
        Some(page) => page.users(),
        None => Ok(Vec::new()),
    }
}

fn vanished(missing: usize, others: usize) -> Failure {
    let shows = if others == 0 { "shows no account at all".to_owned() } else { format!("shows {others} others") };
    let detail = format!(
        "all {missing} accounts that were looked for and must be there are missing at once, and the app {shows}: is the token \
         that of another tenant, or can it see less than before? Nothing is believed or made anew until one of them is found, \
         or a person syncs the app to say that they are gone"
    );
    Failure::new(RejectionCause::Vanished, detail)
}

/// Whether an app shows an account that we know: then it is the one that we know.
///
/// # Errors
/// When it shows none, or does not answer.
pub async fn shows_what_is_known(app: &Search<'_>, state: &impl Read, id: &AppId) -> Result<(), WorkError> {
    // Those that must be there first: of a large app the others may be leavers, gone for years.
    let present = |account: &Account| account.desired.target() == Target::Present;
    let mut ids = ledger::some_accounts(state, id, None, SAMPLES, present)?;
    ids.extend(ledger::some_accounts(state, id, None, SAMPLES, |account| account.observed.is_some())?);
    if let Found::Account(_) = any_of(app, &ids).await? {
        return Ok(());
    }
    let shown = first_page(app).await?;
    match known_on(state, id, &shown)? {
        Some(_) => Ok(()),
        None => Err(vanished(ids.len(), shown.len()).into()),
    }
}

/// An account that is linked to someone: the tenant is the one that we know.
fn known_on<'a>(state: &impl Read, app: &AppId, shown: &'a [Remote]) -> Result<Option<&'a Remote>, KvError> {
    for remote in shown {
        if ledger::linked(state, app, &remote.id)?.is_some() {
            return Ok(Some(remote));
        }
    }
    Ok(None)
}
