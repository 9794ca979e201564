//! What apps answered, and what they showed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::lists::{Kept, List};
use super::obligations::{self, end_those};
use super::read::{account, account_key, accounts_of, accounts_where, identities_at, parked, parked_key, pending_key};
use super::{Fact, apps, drifts, links, ways};
use crate::access::account::{Account, MayExist, Proof};
use crate::access::case::Case;
use crate::access::desired::{Desired, Queue, Target};
use crate::access::obligation::{End, Obligation, ObligationId};
use crate::access::operation::Operation;
use crate::access::outcome::{Adopted, Applied, Attempted, Left, Rejected, Verified};
use crate::access::subject::Subject;
use crate::access::task::{Attested, StandsOnWord, TaskDone, TaskUndone, Weight};
use crate::access::to_do::known_before;
use crate::app::conformance::Confirmed;
use crate::app::deprovision::Deprovision;
use crate::app::health::Recovered;
use crate::app::kind::AppKind;
use crate::app::{App, AppSpec};
use crate::directory;
use crate::drift::reconciliation::SyncRequested;
use crate::event::Recorded;
use crate::identity::content::Content;
use crate::identity::lifecycle::{ChangeKind, Urgency};
use crate::identity::name::name_key;
use crate::ids::{AppId, Sequence};
use crate::kv::{KvError, Read, Write, store};

/// The app says that it has done something.
pub fn applied(
    state: &mut impl Write,
    applied: &Applied,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(mut account) = account(state, applied.identity, &applied.app)? else { return Ok(()) };
    account.applied_version = Some(applied.version);
    known_as(&mut account, applied.remote_id.as_ref());
    match applied.operation {
        // A new account is a new invitation; only a live one is switched off.
        Operation::Create => {
            account.accepted = false;
            account.may_exist = account.may_exist.take().and_then(MayExist::but_for_the_last);
        }
        Operation::Deactivate => account.accepted = true,
        Operation::Leave => account.entered.retain(|group| applied.group.as_ref() != Some(group)),
        Operation::Delete => account.entered.clear(),
        Operation::Update | Operation::Enter => {}
    }
    links::keep(state, &account)?;
    if applied.version == account.desired_version {
        account.rejection = None;
        park(state, &mut account, None);
    }
    let confirmed = Confirmed { operation: applied.operation, version: applied.version, at: event.recorded_at };
    account.confirmed.retain(|c| c.operation != confirmed.operation);
    account.confirmed.push(confirmed);
    facts.extend(obligations::applied(state, &mut account, applied.version, event)?.into_iter().map(Fact::Applied));
    store(state, account_key(applied.identity, &applied.app), &account);
    apps::confirmed(state, &applied.app, applied.operation)
}

/// The app's id of the account, where it is told; that another one was accepted says nothing of this one.
fn known_as(account: &mut Account, remote_id: Option<&String>) {
    let Some(remote_id) = remote_id else { return };
    if account.remote_id.as_ref() == Some(remote_id) {
        return;
    }
    if let Some(other) = account.remote_id.replace(remote_id.clone()) {
        account.former_ids.insert(other, account.accepted);
    }
    account.accepted = account.former_ids.remove(remote_id).unwrap_or_default();
}

/// A creation is about to be sent: until the app was looked through an account may exist.
pub fn attempted(state: &mut impl Write, attempted: &Attempted, event: &Recorded) -> Result<(), KvError> {
    let Some(mut account) = account(state, attempted.identity, &attempted.app)? else { return Ok(()) };
    // One that was sent earlier may have been carried out earlier.
    let before = account.may_exist.take();
    let since = before.as_ref().map_or(event.recorded_at, |may| may.since);
    let is_another_known = before.is_some_and(|may| may.is_another_known);
    let (sent, creations) = (attempted.sent.clone(), attempted.creations.max(1));
    let may_exist = MayExist { sent, since, creations, is_another_known };
    account.may_exist = Some(may_exist).filter(|may| !may.sent.is_empty());
    store(state, account_key(attempted.identity, &attempted.app), &account);
    Ok(())
}

/// The app was read back, and shows what was desired.
pub fn verified(
    state: &mut Kept<'_, impl Write>,
    verified: &Verified,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(mut account) = account(state, verified.identity, &verified.app)? else { return Ok(()) };
    // What was read back must be what is desired: an event that contradicts it proves nothing.
    if verified.version == account.desired_version && verified.target != account.desired.target() {
        return Ok(());
    }
    // Whose it was is not forgotten when it is gone: it may come back.
    known_as(&mut account, verified.remote_id.as_ref());
    account.may_exist = match verified.target {
        Target::Present => account.may_exist.take().and_then(MayExist::but_for_what_was_read),
        Target::Absent => None,
    };
    if verified.target == Target::Present {
        if !event.seal.is_closed() {
            links::shown(state, verified)?;
        }
        account.accepted |= verified.differences.iter().all(|change| change.path != "active");
    } else if verified.remote_id.is_none() {
        // Another account would be another invitation.
        account.accepted = false;
        account.former_ids.values_mut().for_each(|used| *used = false);
    }
    links::keep(state, &account)?;
    // Of what can't be read nothing is learned.
    if !event.seal.is_closed() {
        ways::verified(state, &account, verified)?;
    }
    give_up_former_names(state, &mut account, verified)?;
    let profile = drifts::profile(state, verified, account.rejection.as_ref(), event)?;
    let shown_before: BTreeSet<String> = account.shown_groups().into_iter().map(str::to_owned).collect();
    account.observed = (!verified.observed.is_empty()).then(|| verified.observed.clone());
    let shown: BTreeSet<String> = account.shown_groups().into_iter().map(str::to_owned).collect();
    // Its groups were not read, or something is left: that one does not show it now says nothing.
    if account.desired == Desired::Off || verified.left == Left::Something {
        account.entered.extend(shown_before);
    }
    account.entered.retain(|group| !shown.contains(group));
    account.verified_at = Some(event.recorded_at);
    account.attested.take_if(|attested| attested.version <= verified.version);
    account.rejection = None;
    park(state, &mut account, None);
    let (honoured, waiting) =
        std::mem::take(&mut account.confirmed).into_iter().partition(|c: &Confirmed| c.version <= verified.version);
    account.confirmed = waiting;
    apps::read_back(state, &account.app, honoured, &verified.differences, event.recorded_at)?;
    // What is left is owed on; that nobody can sign in any more is proved.
    let is_owed_on = |o: &Obligation| verified.left == Left::Something && o.change == ChangeKind::Residue;
    if !account.owes.iter().any(is_owed_on) {
        account.verified_version = account.verified_version.max(Some(verified.version));
    }
    let met = |o: &Obligation| o.id.opened_by <= verified.version && o.target == verified.target && !is_owed_on(o);
    let end = End::Verified { at: event.recorded_at, by: event.sequence };
    for obligation in end_those(state, &mut account, met, &end, facts)? {
        if obligation.applied_at.is_none() {
            facts.push(Fact::Applied(obligation.clone()));
        }
        facts.push(Fact::Verified(obligation));
    }
    store(state, account_key(verified.identity, &verified.app), &account);
    if !account.is_pending() {
        settled(state, &account)?;
    }
    profile.iter().for_each(|item| drifts::keep(state, item));
    Ok(())
}

/// An account was read by the app's id of it, and is called as it is shown: one that is called as theirs was before is not theirs
/// because of that. Where the names are the ids, or a creation may have made another one, any of them may be.
fn give_up_former_names(state: &impl Read, account: &mut Account, verified: &Verified) -> Result<(), KvError> {
    let shown = verified.observed.get("userName").and_then(Value::as_str).map(name_key);
    let is_sure = verified.target == Target::Present && verified.remote_id.is_some() && account.may_exist.is_none();
    let (Some(shown), true, false) = (shown, is_sure, account.former_names.is_empty()) else { return Ok(()) };
    if directory::app(state, &account.app)?.is_some_and(|app| app.spec.kind == AppKind::Scim) {
        account.former_names.retain(|name| name_key(name) == shown);
    }
    Ok(())
}

/// Somebody says that an account is as desired, in an app that people change. What is desired otherwise by now is not met by it.
pub fn attested(
    state: &mut Kept<'_, impl Write>,
    done: &TaskDone,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(mut account) = account(state, done.identity, &done.app)? else { return Ok(()) };
    let is_asked = done.version == account.desired_version && done.target == account.desired.target();
    let Some(app) = directory::app(state, &done.app)?.filter(|_| is_asked && account.is_pending()) else {
        return Ok(());
    };
    // Said twice it is said once, unless it was shown to be otherwise meanwhile.
    if account.standing_word().is_some() {
        return Ok(());
    }
    let weight = match app.spec.kind {
        AppKind::Scim => return Ok(()),
        AppKind::Manual => Weight::Final,
        AppKind::List => Weight::UntilRead,
    };
    let is_kept = match account.desired {
        Desired::Present(_) | Desired::Deleted => false,
        Desired::Off => true,
        Desired::Absent => app.spec.effective_deprovision() == Deprovision::Deactivate,
    };
    account.attested = Some(Attested {
        version: done.version,
        at: event.recorded_at,
        by: event.sequence,
        who: event.meta.actor.clone(),
        said: account.desired.clone(),
        weight,
        left: if is_kept { Left::Something } else { Left::Nothing },
        refuted: false,
        taken_back: false,
        before: known_before(&account),
        ended: Vec::new(),
        unseen: account.remote_id.is_none() && account.attested.as_ref().is_some_and(Attested::says_there_was_one),
    });
    account.rejection = None;
    park(state, &mut account, None);
    facts.extend(obligations::applied(state, &mut account, done.version, event)?.into_iter().map(Fact::Applied));
    if weight == Weight::Final {
        end_by_word(state, &mut account, event, facts)?;
    }
    store(state, account_key(done.identity, &done.app), &account);
    if !account.is_pending() {
        settled(state, &account)?;
    }
    Ok(())
}

/// What an app shows contradicts nothing that somebody says of an account, and is no proof: what is owed ends by their word.
pub fn stands_on_word(
    state: &mut Kept<'_, impl Write>,
    stands: &StandsOnWord,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(mut account) = account(state, stands.identity, &stands.app)? else { return Ok(()) };
    let is_now = stands.version == account.desired_version;
    let Some(said) = account.word_mut().filter(|said| is_now && !said.refuted) else { return Ok(()) };
    said.weight = Weight::Final;
    end_by_word(state, &mut account, event, facts)?;
    store(state, account_key(stands.identity, &stands.app), &account);
    if account.is_pending() { Ok(()) } else { settled(state, &account) }
}

/// What somebody has said of an account is taken back: what it has ended is owed again, with the time that it had. Returns the departure
/// that was over, and is not any more.
pub fn taken_back(
    state: &mut Kept<'_, impl Write>,
    undone: &TaskUndone,
    event: &Recorded,
) -> Result<Option<Case>, KvError> {
    let Some(mut account) = account(state, undone.identity, &undone.app)? else { return Ok(None) };
    let is_now = undone.version == account.desired_version && account.proof() != Proof::Read;
    let Some(word) = account.word_mut().filter(|word| is_now && !word.refuted) else { return Ok(None) };
    (word.refuted, word.taken_back) = (true, true);
    let (by, at, who) = (word.by, word.at, word.who.clone());
    let ended = std::mem::take(&mut word.ended);
    let mut departure = None;
    if std::mem::replace(&mut word.weight, Weight::UntilRead) == Weight::Final {
        let end = End::Attested { at: event.recorded_at, by, who };
        for before in ended {
            let subject = Subject::Account { app: account.app.clone(), identity: account.identity };
            let before = before.known_as(|opened_by| ObligationId { opened_by, subject });
            let ended = Obligation { end: Some(end.clone()), waived: None, ..before.clone() };
            // That it was applied was that word, too.
            let open = Obligation { applied_at: before.applied_at.filter(|applied| *applied != at), ..before };
            departure = obligations::reopen(state, &ended, &open)?.or(departure);
            account.owes.push(open);
        }
        let key = pending_key(&account.app, account.queue(), account.identity);
        store(state, key, &account.desired_version);
    }
    store(state, account_key(undone.identity, &undone.app), &account);
    Ok(departure)
}

/// What an account owes for what is desired of it now ends by what somebody says of it.
fn end_by_word(
    state: &mut Kept<'_, impl Write>,
    account: &mut Account,
    event: &Recorded,
    facts: &mut Vec<Fact>,
) -> Result<(), KvError> {
    let Some(word) = account.word() else { return Ok(()) };
    let end = End::Attested { at: event.recorded_at, by: word.by, who: word.who.clone() };
    let (version, target) = (account.desired_version, account.desired.target());
    let met = |o: &Obligation| o.id.opened_by <= version && o.target == target;
    let before = account.owes.iter().filter(|o| met(o)).map(|o| o.clone().known_as(|id| id.opened_by)).collect();
    let ended = end_those(state, account, met, &end, facts)?;
    facts.extend(ended.into_iter().map(Fact::Attested));
    if let Some(word) = account.word_mut() {
        word.ended = before;
    }
    Ok(())
}

/// An app is reached in another way. What was said of one that can be read now is to be seen; what is known of one that can't be read any
/// more is no finding, and keeps nobody awake. Ids of one kind are none of the other.
pub fn reached_otherwise(
    state: &mut Kept<'_, impl Write>,
    before: Option<&App>,
    now: &AppSpec,
    event: &Recorded,
) -> Result<(), KvError> {
    let Some(was) = before.map(|before| before.spec.kind).filter(|was| *was != now.kind) else { return Ok(()) };
    apps::recovered(state, &Recovered { app: now.id.clone(), recognized_at: None })?;
    if now.kind == AppKind::Manual {
        return drifts::end_all(state, &now.id);
    }
    for mut account in everybody_at(state, &now.id)? {
        let is_known = directory::identity(state, account.identity)?.is_none_or(|who| who.content != Content::Erased);
        // What was said of it is still that.
        let is_said = account.attested.as_mut().map(|said| said.weight = Weight::UntilRead).is_some();
        if is_known && (is_said || was != AppKind::Manual) {
            account.remote_id = None;
            reopen(state, &mut account, event);
        }
    }
    Ok(())
}

/// Nothing is left to do for an account.
pub fn settled(state: &mut impl Write, account: &Account) -> Result<(), KvError> {
    state.delete(&pending_key(&account.app, account.queue(), account.identity));
    state.delete(&parked_key(&account.app, account.identity));
    drifts::end_for(state, &account.app, account.identity)
}

/// The app refused, or could not be used.
pub fn rejected(state: &mut impl Write, rejected: &Rejected) -> Result<(), KvError> {
    let Some(mut account) = account(state, rejected.identity, &rejected.app)? else { return Ok(()) };
    if rejected.version == account.desired_version {
        account.rejection = Some(rejected.rejection.clone());
        // What was refused by older settings is tried by the newer ones.
        let version = directory::app(state, &rejected.app)?.map_or(Sequence(0), |app| app.version);
        park(state, &mut account, rejected.parked_at.filter(|at| *at >= version));
        store(state, account_key(rejected.identity, &rejected.app), &account);
    }
    Ok(())
}

/// Puts an account aside whose app has refused it for good, or takes it back. Whoever must be gone is never put aside.
fn park(state: &mut impl Write, account: &mut Account, parked_at: Option<Sequence>) {
    let (was, is) = (account.parked_at.is_some(), parked_at.is_some());
    account.parked_at = parked_at;
    if was == is || !account.is_pending() || account.desired.target() == Target::Absent {
        return;
    }
    let pending = pending_key(&account.app, Queue::Present, account.identity);
    let parked = parked_key(&account.app, account.identity);
    let (from, to) = if is { (pending, parked) } else { (parked, pending) };
    state.delete(&from);
    store(state, to, &account.desired_version);
}

/// The app is another one now: what it refused before it may take.
pub fn unpark(state: &mut impl Write, app: &AppId) -> Result<(), KvError> {
    for (identity, _) in parked(state, app, usize::MAX)? {
        if let Some(mut account) = account(state, identity, app)? {
            park(state, &mut account, None);
            store(state, account_key(identity, app), &account);
        }
    }
    Ok(())
}

/// Makes an account pending again, by an event.
pub fn reopen(state: &mut impl Write, account: &mut Account, event: &Recorded) {
    reopen_since(state, account, event.sequence, event.recorded_at);
}

fn reopen_since(state: &mut impl Write, account: &mut Account, version: Sequence, since: Timestamp) {
    // What was said of it was said of the same.
    if let Some(said) = account.word_mut() {
        said.version = version;
    }
    account.desired_version = version;
    account.desired_at = since;
    account.parked_at = None;
    account.rejection = None;
    state.delete(&parked_key(&account.app, account.identity));
    // What stands on somebody's word, and can't be read, is not to be read.
    if account.is_pending() {
        let key = pending_key(&account.app, account.queue(), account.identity);
        store(state, key, &version);
    }
    store(state, account_key(account.identity, &account.app), account);
}

/// A person has switched somebody off, or on again: what is pending waits in another queue. It is for the caller to store the account.
pub fn requeue(state: &mut impl Write, account: &mut Account, urgency: Urgency) {
    let from = pending_key(&account.app, account.queue(), account.identity);
    account.urgency = urgency;
    let to = pending_key(&account.app, account.queue(), account.identity);
    if account.is_pending() && account.parked_at.is_none() && from != to {
        state.delete(&from);
        store(state, to, &account.desired_version);
    }
}

/// An account that belonged to nobody is taken as that of an identity.
pub fn adopted(state: &mut impl Write, adopted: &Adopted, event: &Recorded) -> Result<(), KvError> {
    let Some(mut account) = account(state, adopted.identity, &adopted.app)? else { return Ok(()) };
    known_as(&mut account, Some(&adopted.remote_id));
    links::given(state, &account)?;
    let is_wanted = account.desired.target() == Target::Present;
    if is_wanted && account.is_pending() && account.parked_at.is_none() {
        // What is being done for it goes on, and is proved by the version that it was begun with. That someone has none is
        // proved by no look that was before.
        store(state, account_key(adopted.identity, &adopted.app), &account);
    } else {
        reopen(state, &mut account, event);
    }
    Ok(())
}

/// A person wants accounts brought in line, and read, now.
pub fn sync(state: &mut Kept<'_, impl Write>, wanted: &SyncRequested, event: &Recorded) -> Result<(), KvError> {
    let (accounts, known) = match wanted {
        SyncRequested::Identity(id) => (accounts_of(state, *id)?, Known::Still),
        SyncRequested::App(app) => (everybody_at(state, app)?, Known::Still),
        SyncRequested::Same { app, told } => {
            if !apps::said_to_be_the_same(state, app, *told)? {
                return Ok(());
            }
            // What people say of its ids counts for each account until it was read again: so each is read.
            (everybody_at(state, app)?, Known::Still)
        }
        SyncRequested::Gone { app, told } => {
            if !apps::said_to_be_gone(state, app, *told, event)? {
                return Ok(());
            }
            // A list is compared as a whole: its ids say whose those are that it still has.
            let is_asked = directory::app(state, app)?.is_some_and(|app| app.spec.kind == AppKind::Scim);
            let known = if is_asked { Known::NoMore } else { Known::Still };
            if known == Known::NoMore {
                // What was found there was found under ids that are somebody else's now.
                for item in super::drift(state, Some(app))? {
                    drifts::cleared(state, &item.id, event)?;
                }
            }
            (everybody_at(state, app)?, known)
        }
    };
    for mut account in accounts {
        let desired_at = account.desired_at;
        if known == Known::NoMore {
            // What has one of these ids now is somebody else's.
            links::forget(state, &account)?;
            account.remote_id = None;
            account.former_ids.clear();
        }
        // Where nothing can be read there is nothing to look at once more.
        let by_word = directory::app(state, &account.app)?.is_some_and(|app| app.spec.kind == AppKind::Manual);
        if !by_word {
            // What is desired is no younger for that.
            reopen_since(state, &mut account, event.sequence, desired_at);
        }
    }
    Ok(())
}

/// Whether the app's ids of accounts still say whose they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Still,
    NoMore,
}

/// Every account in an app, also those that have ended.
fn everybody_at(state: &Kept<'_, impl Write>, app: &AppId) -> Result<Vec<Account>, KvError> {
    // Where it is not known who has one every account is looked at: people seldom ask for this.
    if !state.keeps(List::Holders) {
        return accounts_where(state, |a| a.app == *app);
    }
    let found = identities_at(state, app)?.into_iter().map(|id| account(state, id, app));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}
