//! Whose account is it? Decided from the app's answer and the directory.

use rollcall_domain::account::{Remote, Target};
use rollcall_domain::directory;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::lifecycle::Lifecycle;

/// What an account is to an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// It says so itself, by its `externalId`.
    Ours,
    /// It has the identity's user name, and nobody else's claim stands against it.
    Adoptable,
    /// It is someone else's.
    Foreign,
}

/// Decides whose account `remote` is, from the point of view of `identity`, whose account must become `target`.
///
/// A left identity never touches an account whose user name someone else has claimed since.
pub fn ownership(
    directory: &impl Read,
    identity: IdentityId,
    target: Target,
    remote: &Remote,
) -> Result<Ownership, KvError> {
    let external_id = remote.text("externalId");
    if external_id == identity.to_string() {
        return Ok(Ownership::Ours);
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
