//! The positive control: "not found" is believed only of an app in which something that must be there is found in the same
//! way. An app that answers as an empty tenant, or that takes a filter and finds nothing by it, would prove everybody gone.

use std::collections::BTreeSet;

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::ledger;

use crate::app_client::client::{Endpoint, Failure};
use crate::app_client::pages::Pages;
use crate::search::controls::HOLDS_FOR;
use crate::search::look::{Answered, Search, search};
use crate::search::recognition::is_recognized;
use crate::search::sampled::Sampled;
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
        if let (Some(failure), None) = (&looked.refused, &looked.scanned) {
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
    let Some(sample) = sampled.known.into_iter().next() else {
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
    // still there says nothing of that. A list is judged as a whole before it is believed.
    let is_lost = wanted.target == Target::Absent
        && wanted.known == Known::Seen
        && wanted.seen_at.is_none()
        && wanted.spec.kind != AppKind::List;
    let (most, enough) = if is_lost { (MANY, usize::MAX) } else { (SAMPLES, 1) };
    let mut sampled = Sampled::read(app, state, &must_be_there(state, wanted, most)?, enough).await?;
    let (missing, strangers, looked) = (sampled.missing, sampled.others.len(), sampled.looked());
    let is_elsewhere = sampled.is_elsewhere();
    if let Some(known) = sampled.known.pop().filter(|_| !is_elsewhere) {
        let unseen = missing + strangers;
        if is_lost && unseen > 0 && unseen * MISSING_SHARE >= looked {
            return Err(not_alone(unseen, looked).into());
        }
        return Ok(Some(known));
    }
    if let Some(failure) = sampled.failed.filter(|_| !is_elsewhere) {
        return Err(failure.into());
    }
    let own = usize::from(wanted.known == Known::Seen);
    if looked < SEVERAL {
        let unseen = || not_alone(missing + strangers, looked);
        // One that was renamed by hand is there.
        if let (Some(other), 0) = (sampled.others.pop(), missing) {
            return if is_lost { Err(unseen().into()) } else { Ok(Some(other)) };
        }
        let shown = first_page(app).await?;
        if let Some(known) = known_on(state, &wanted.spec.id, &shown)? {
            return if is_lost && looked > 0 { Err(unseen().into()) } else { Ok(Some(known.clone())) };
        }
        if looked + own == 0 {
            return Ok(shown.into_iter().next());
        }
    }
    // Where several that must be there are not, whoever else is there proves nothing: we see another part of it, or another app.
    let others = known_accounts(state, &wanted.spec.id, Some(wanted.identity), Target::Absent)?;
    let others = Sampled::read(app, state, &others, usize::MAX).await?;
    let shown = first_page(app).await?;
    let is_ours =
        (!others.known.is_empty() && !others.is_elsewhere()) || known_on(state, &wanted.spec.id, &shown)?.is_some();
    if is_ours && !is_elsewhere && looked > 0 {
        return Err(not_alone(missing + strangers, looked).into());
    }
    Err(vanished(missing + own, strangers, shown.len()).into())
}

/// That the app is the one that we know, although what was found under somebody's id is not recognized as theirs: others are.
///
/// # Errors
/// When they are not: in another tenant the id is somebody else's. Where nobody else is known, and they must have none, people have to say.
pub async fn is_the_app(app: &Search<'_>, state: &impl Read, wanted: &Wanted) -> Result<(), WorkError> {
    let known = all_known_accounts(state, &wanted.spec.id, Some(wanted.identity))?;
    let sampled = Sampled::read(app, state, &known, usize::MAX).await?;
    if !sampled.known.is_empty() && !sampled.is_elsewhere() {
        return Ok(());
    }
    if sampled.looked() == 0 && wanted.target == Target::Present {
        return Ok(());
    }
    if let Some(failure) = sampled.failed {
        return Err(failure.into());
    }
    let shown = first_page(app).await?;
    Err(vanished(sampled.missing, sampled.others.len() + 1, shown.len()).into())
}

/// Some accounts that we know: those that must be there first, of a large app the others may be leavers, gone for years.
fn all_known_accounts(state: &impl Read, app: &AppId, besides: Option<IdentityId>) -> Result<Vec<Account>, KvError> {
    let mut all = known_accounts(state, app, besides, Target::Present)?;
    all.extend(known_accounts(state, app, besides, Target::Absent)?);
    Ok(all)
}

/// Some accounts that were read, of those who must have one, or none.
fn known_accounts(
    state: &impl Read,
    app: &AppId,
    besides: Option<IdentityId>,
    target: Target,
) -> Result<Vec<Account>, KvError> {
    let such = |account: &Account| account.desired.target() == target && account.observed.is_some();
    ledger::some_accounts(state, app, besides, SAMPLES, such)
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
    let mut all = Vec::new();
    for account in ledger::some_accounts(state, &wanted.spec.id, Some(wanted.identity), most, such)? {
        // That one is missing may be known, and left so by somebody.
        let items = ledger::drift_of(state, &account.app, account.identity)?;
        if !items.iter().any(|item| item.id.kind == DriftKind::Missing && item.accepted.is_some()) {
            all.push(account);
        }
    }
    Ok(all)
}

async fn first_page(app: &Search<'_>) -> Result<Vec<Remote>, Failure> {
    match Pages::new(Endpoint::Users, app.can).next(app.client).await? {
        Some(page) => page.users(),
        None => Ok(Vec::new()),
    }
}

/// As many that are missing together are no accident.
const SEVERAL: usize = 2;

/// Where one in as many of those that were looked for is missing, less may be seen than before.
const MISSING_SHARE: usize = 20;

fn not_alone(missing: usize, all: usize) -> Failure {
    let detail = format!(
        "it was there, and is not found any more; nor are {missing} of {all} others that must be there: can the token see less than before? \
         They are not gone before the others are found, or made again, or before people accept the findings that these are missing"
    );
    Failure::new(RejectionCause::Conflict, detail)
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

/// What an account counts as that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// A failure: it is tried again.
    Failed,
    /// Missing: whoever has tried again and again lets people decide.
    Missing,
}

/// Whether an app shows accounts that we know: then it is the one that we know.
///
/// # Errors
/// When it shows none, or more strangers than these under their ids; and when it does not answer.
pub async fn shows_what_is_known(
    app: &Search<'_>,
    state: &impl Read,
    id: &AppId,
    unread: Unread,
) -> Result<(), WorkError> {
    let known = all_known_accounts(state, id, None)?;
    if known.is_empty() {
        return Ok(());
    }
    let sampled = Sampled::read(app, state, &known, usize::MAX).await?;
    if !sampled.known.is_empty() && !sampled.is_elsewhere() {
        return Ok(());
    }
    if let Some(failure) = sampled.failed.as_ref().filter(|_| unread == Unread::Failed) {
        return Err(failure.clone().into());
    }
    let (missing, strangers) = (sampled.missing, sampled.others.len());
    let shown = first_page(app).await?;
    let is_same_address = ledger::moved_from(state, id)?.is_none();
    // One alone that has other names now may have been renamed, where the address is the same.
    let is_renamed = is_same_address && (missing, strangers) == (0, 1) && known.len() == 1;
    if is_renamed || (!sampled.is_elsewhere() && known_on(state, id, &shown)?.is_some()) {
        return Ok(());
    }
    Err(vanished(missing.max(known.len() - strangers), strangers, shown.len()).into())
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
