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
use crate::search::look::{Answered, Search, search};
use crate::search::recognition::{Sampled, is_recognized};
use crate::search::wanted::{Known, Wanted};
use crate::work::error::WorkError;

/// How many known accounts are looked for before all of them count as missing.
const SAMPLES: usize = 8;

/// How many are looked for where one has vanished that we have not removed.
const MANY: usize = 32;

/// The ways in which an account was looked for, and not found.
#[derive(Debug, Default)]
pub struct Looked {
    /// The attributes whose filter found nothing.
    pub filtered: BTreeSet<&'static str>,
    /// Those of them that were answered with 404: nothing was found, if the app knows the filter at all.
    pub not_found: BTreeSet<&'static str>,
    /// The ids of all accounts, where the app was read whole.
    pub scanned: Option<BTreeSet<String>>,
    /// Why an id that we know could not be asked for, where the app takes it for none of its own.
    pub refused: Option<Failure>,
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
    if seen && looked.not_found.is_empty() && must_be_there(state, wanted, 1)?.is_empty() {
        return Ok(Control::NotNeeded);
    }
    let is_new = wanted.target == Target::Present && wanted.known == Known::Never && wanted.remote_id.is_none();
    if is_new && looked.scanned.is_none() && app.controls.recent(&looked.filtered) {
        return Ok(Control::NotNeeded);
    }
    let Some(sample) = sample(app, state, wanted).await? else {
        // Nobody else's id shows that the app answers to ids at all.
        if let Some(failure) = &looked.refused {
            return Err(failure.clone().into());
        }
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
    let sampled = Sampled::read(app, state, &must_be_there(state, wanted, SAMPLES)?, 1).await?;
    let Some(sample) = sampled.known.into_iter().chain(sampled.others).next() else {
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
    // One that was there is gone, and we have not removed it: has it been removed by hand, or can we see less than before? One that is
    // still there says nothing of that.
    let is_lost = wanted.target == Target::Absent && wanted.known == Known::Seen && wanted.seen_at.is_none();
    let (most, enough) = if is_lost { (MANY, usize::MAX) } else { (SAMPLES, 1) };
    let all = must_be_there(state, wanted, most)?;
    let mut sampled = Sampled::read(app, state, &all, enough).await?;
    if let Some(known) = sampled.known.pop() {
        let (missing, all) = (sampled.missing, sampled.looked() + 1);
        if is_lost && missing >= FEW_MISSING && missing * 2 >= all {
            return Err(partly_vanished(missing, all).into());
        }
        if is_lost && missing > 0 && missing * MISSING_SHARE >= all {
            return Err(not_alone(missing, all).into());
        }
        return Ok(Some(known));
    }
    // One that was renamed by hand is there; several of which nobody is known are in another tenant, where ids are counted as here.
    if let (false, [other], 0) = (is_lost, sampled.others.as_slice(), sampled.missing) {
        return Ok(Some(other.clone()));
    }
    let shown = first_page(app).await?;
    if let Some(known) = known_on(state, &wanted.spec.id, &shown)? {
        return Ok(Some(known.clone()));
    }
    let own = usize::from(wanted.known == Known::Seen);
    if sampled.looked() + own > 0 {
        return Err(vanished(sampled.missing + own, sampled.others.len(), shown.len()).into());
    }
    Ok(shown.into_iter().next())
}

/// That the app is the one that we know, although what was found under somebody's id is not recognized as theirs: somebody else is. Where
/// nobody else is known nothing can be told, and an account may be renamed.
///
/// # Errors
/// When nobody is: in another tenant the id is somebody else's.
pub async fn is_the_app(app: &Search<'_>, state: &impl Read, wanted: &Wanted) -> Result<(), WorkError> {
    let seen = |account: &Account| account.observed.is_some();
    let mut all = must_be_there(state, wanted, SAMPLES)?;
    all.extend(ledger::some_accounts(state, &wanted.spec.id, Some(wanted.identity), SAMPLES, seen)?);
    let sampled = Sampled::read(app, state, &all, 1).await?;
    if sampled.looked() == 0 || !sampled.known.is_empty() {
        return Ok(());
    }
    let shown = first_page(app).await?;
    match known_on(state, &wanted.spec.id, &shown)? {
        Some(_) => Ok(()),
        None => Err(vanished(sampled.missing, sampled.others.len() + 1, shown.len()).into()),
    }
}

/// Some accounts that must be there, besides the one that is looked for: they were read, whatever is to be changed about them since.
fn must_be_there(state: &impl Read, wanted: &Wanted, most: usize) -> Result<Vec<Account>, KvError> {
    let said = ledger::synced(state, &wanted.spec.id)?.map(|said| said.at);
    // What people have said to be gone is not expected until it was read again.
    let is_gone =
        |account: &Account| said.is_some_and(|at| account.verified_version.is_none_or(|version| version < at));
    let such = |account: &Account| {
        account.desired.target() == Target::Present && account.observed.is_some() && !is_gone(account)
    };
    ledger::some_accounts(state, &wanted.spec.id, Some(wanted.identity), most, such)
}

async fn first_page(app: &Search<'_>) -> Result<Vec<Remote>, Failure> {
    match Pages::new(Endpoint::Users, app.can).next(app.client).await? {
        Some(page) => page.users(),
        None => Ok(Vec::new()),
    }
}

/// So few accounts that are missing are no sign that less can be seen: people remove some by hand.
const FEW_MISSING: usize = 2;

/// Where one in as many of those that were looked for is missing, less may be seen than before.
const MISSING_SHARE: usize = 20;

fn not_alone(missing: usize, all: usize) -> Failure {
    let detail = format!(
        "it was there, and is not found any more; nor are {missing} of {all} others that must be there: can the token see less than before? \
         They are not gone before the others are found, or are made again, or somebody switches the account off where it can be seen"
    );
    Failure::new(RejectionCause::Conflict, detail)
}

fn partly_vanished(missing: usize, all: usize) -> Failure {
    let detail = format!(
        "{missing} of {all} accounts that were looked for and must be there are missing: can the token see less than before? Nothing is \
         believed or made anew until they are found, or people say that they are gone"
    );
    Failure::new(RejectionCause::PartlyVanished, detail)
}

fn vanished(missing: usize, strangers: usize, others: usize) -> Failure {
    let shows = if others == 0 { "shows no account at all".to_owned() } else { format!("shows {others} others") };
    let what = match strangers {
        0 => format!(
            "all {missing} accounts that were looked for and must be there are missing at once, and the app {shows}"
        ),
        _ => format!(
            "of the accounts that were looked for and must be there {missing} are missing at once, and what is found under the ids of \
             {strangers} has nothing of theirs"
        ),
    };
    let detail = format!(
        "{what}: is the token that of another tenant, or can it see less than before? Nothing is believed or made anew until one of them is \
         found, or people say that they are gone, or that the app is the one that we know"
    );
    Failure::new(RejectionCause::Vanished, detail)
}

/// What was missing in an app when nothing of it was believed any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Everything, or it is not known whether it is the app that we know: one account that is recognized tells.
    All,
    /// Most accounts, while others were there.
    Most,
}

/// Whether an app shows an account that we know: then it is the one that we know.
///
/// # Errors
/// When it shows none, or too few where most were missing while others were there; and when it does not answer.
pub async fn shows_what_is_known(
    app: &Search<'_>,
    state: &impl Read,
    id: &AppId,
    missing: Missing,
) -> Result<(), WorkError> {
    // Those that must be there first: of a large app the others may be leavers, gone for years.
    let present = |account: &Account| account.desired.target() == Target::Present && account.observed.is_some();
    let (most, enough) = match missing {
        Missing::All => (SAMPLES, 1),
        Missing::Most => (MANY, usize::MAX),
    };
    let mut known = ledger::some_accounts(state, id, None, most, present)?;
    if missing == Missing::All {
        known.extend(ledger::some_accounts(state, id, None, most, |account| account.observed.is_some())?);
    }
    if known.is_empty() {
        return Ok(());
    }
    let sampled = Sampled::read(app, state, &known, enough).await?;
    let (missing, all) = (sampled.missing, sampled.looked());
    if !sampled.known.is_empty() {
        let are_most = missing >= FEW_MISSING && missing * 2 >= all && enough > 1;
        return if are_most { Err(partly_vanished(missing, all).into()) } else { Ok(()) };
    }
    // One alone that has other names now may have been renamed: where the address is the same it is the one that we know.
    let is_same_address = ledger::moved_from(state, id)?.is_none();
    if is_same_address && missing == 0 && sampled.others.len() == 1 {
        return Ok(());
    }
    let shown = first_page(app).await?;
    match known_on(state, id, &shown)? {
        Some(_) => Ok(()),
        None => Err(vanished(missing, sampled.others.len(), shown.len()).into()),
    }
}

/// An account that is linked to someone: the tenant is the one that we know.
fn known_on<'a>(state: &impl Read, app: &AppId, shown: &'a [Remote]) -> Result<Option<&'a Remote>, KvError> {
    for remote in shown {
        let Some(holder) = ledger::linked(state, app, &remote.id)? else { continue };
        if let Some(account) = ledger::account(state, holder, app)?
            && is_recognized(state, &account, remote)?
        {
            return Ok(Some(remote));
        }
    }
    Ok(None)
}
