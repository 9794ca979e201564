//! Whose account is it? Decided from the app's answer and the directory.

use rollcall_domain::account::{Remote, Target};
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::lifecycle::Lifecycle;
use rollcall_domain::{directory, ledger};

/// What an account is to an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It says so itself, by its `externalId`.
    Ours,
    /// It has the identity's user name, and nobody else's claim stands against it.
    Adoptable,
    /// It is someone else's.
    Foreign,
    /// It says that it is theirs, and someone who has the name by now is taking it over.
    Contested,
}

/// Decides whose account `remote` is, from the point of view of `identity`, whose account must become `target`.
///
/// `linked` is the app's id of the account that is known as theirs. A left identity never touches an account whose user name
/// someone else has claimed since; but what the app says of the linked account does not make it someone else's.
pub fn ownership(
    directory: &impl Read,
    app: &AppId,
    identity: IdentityId,
    target: Target,
    linked: Option<&String>,
    remote: &Remote,
) -> Result<Ownership, KvError> {
    let ownership = as_it_says(directory, app, identity, target, remote)?;
    if target == Target::Absent && ownership == Ownership::Foreign && linked == Some(&remote.id) {
        return linked_elsewhere(directory, app, identity, remote);
    }
    Ok(ownership)
}

/// What an account is to an identity, by the app's answer alone.
fn as_it_says(
    directory: &impl Read,
    app: &AppId,
    identity: IdentityId,
    target: Target,
    remote: &Remote,
) -> Result<Ownership, KvError> {
    let external_id = remote.text("externalId");
    if external_id == identity.to_string() {
        return if target == Target::Absent {
            taken_over(directory, app, identity, remote)
        } else {
            Ok(Ownership::Ours)
        };
    }
    let other = match external_id.parse::<IdentityId>() {
        Ok(id) => directory::identity(directory, id)?,
        Err(_) => None,
    };
    if let Some(other) = other {
        let gone = other.deleted || other.lifecycle == Lifecycle::Left;
        let adoptable = gone && target == Target::Present;
        return Ok(if adoptable { Ownership::Adoptable } else { Ownership::Foreign });
    }
    let claimed_by = directory::identity_by_user_name(directory, remote.text("userName"))?;
    Ok(match claimed_by {
        Some(owner) if owner.id != identity => Ownership::Foreign,
        _ => Ownership::Adoptable,
    })
}

/// What an account is to someone who must have none, and whose account it says it is. An app that shows changes late says
/// so for a while after another has got it.
fn taken_over(directory: &impl Read, app: &AppId, identity: IdentityId, remote: &Remote) -> Result<Ownership, KvError> {
    let named = directory::identity_by_user_name(directory, remote.text("userName"))?.filter(|i| i.id != identity);
    let theirs = named.map(|other| ledger::account(directory, other.id, app)).transpose()?.flatten();
    let theirs = theirs.filter(|a| a.desired.target() == Target::Present && a.remote_id.as_ref() == Some(&remote.id));
    Ok(match theirs {
        Some(other) if other.is_pending() => Ownership::Contested,
        Some(_) => Ownership::Foreign,
        None => Ownership::Ours,
    })
}

/// What the account that is linked to someone who must have none is to them, when the app says that it is someone else's:
/// only when we have linked it to the other ourselves is that so. Anyone who can write in the app can say it there.
fn linked_elsewhere(
    directory: &impl Read,
    app: &AppId,
    identity: IdentityId,
    remote: &Remote,
) -> Result<Ownership, KvError> {
    let said = remote.text("externalId").parse::<IdentityId>().ok();
    let named = directory::identity_by_user_name(directory, remote.text("userName"))?.map(|i| i.id);
    let mut ownership = Ownership::Ours;
    for other in said.into_iter().chain(named).filter(|other| *other != identity) {
        let Some(theirs) = ledger::account(directory, other, app)? else { continue };
        if theirs.desired.target() != Target::Present {
            continue;
        }
        if theirs.remote_id.as_ref() == Some(&remote.id) {
            return Ok(Ownership::Foreign);
        }
        // They may be about to be given it: which of the two it is shows once that is done.
        if theirs.is_pending() {
            ownership = Ownership::Contested;
        }
    }
    Ok(ownership)
}

/// Whether an account that says it is someone else's is being removed as theirs.
pub fn is_being_removed(
    directory: &impl Read,
    app: &AppId,
    identity: IdentityId,
    remote: &Remote,
) -> Result<bool, KvError> {
    let Ok(other) = remote.text("externalId").parse() else { return Ok(false) };
    let theirs = if other == identity { None } else { ledger::account(directory, other, app)? };
    Ok(theirs.is_some_and(|a| a.desired.target() == Target::Absent && a.is_pending()))
}
