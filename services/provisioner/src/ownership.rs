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
/// A left identity never touches an account whose user name someone else has claimed since.
pub fn ownership(
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
