//! Where it is kept which credentials are to be revoked, and how that is read.
//!
//! Keys: `revocation/<holder>/<credential>`, `revoking/<credential>/<holder>`: those of which something is open, and
//! `late-revocations/<holder>/<opened_by>`: how many of those that one event asks for are late.

use super::late::{self, Late};
use crate::access::credential::Revocation;
use crate::access::obligation::Obligation;
use crate::ids::{CredentialId, IdentityId, Sequence};
use crate::kv::{KeyPage, KvError, Read, load, load_some, suffixes, values};

/// The key prefix of credentials that are, or were, to be revoked.
pub const REVOCATIONS: &str = "revocation/";

pub(super) const LATE: &str = "late-revocations/";

pub(super) fn revocation_key(holder: IdentityId, credential: CredentialId) -> String {
    format!("{REVOCATIONS}{holder}/{credential}")
}

/// What is owed of a credential of somebody; none: it never had to be revoked.
///
/// # Errors
/// When the state can't be read.
pub fn revocation(
    state: &(impl Read + ?Sized),
    holder: IdentityId,
    credential: CredentialId,
) -> Result<Option<Revocation>, KvError> {
    load(state, &revocation_key(holder, credential))
}

fn revoking_prefix(credential: CredentialId) -> String {
    format!("revoking/{credential}/")
}

pub(super) fn revoking_key(credential: CredentialId, holder: IdentityId) -> String {
    format!("{}{holder}", revoking_prefix(credential))
}

/// What is open of a credential, for whoever had it.
///
/// # Errors
/// When the state can't be read.
pub fn revocations_of_credential(
    state: &(impl Read + ?Sized),
    credential: CredentialId,
) -> Result<Vec<Revocation>, KvError> {
    let holders = suffixes(state, &revoking_prefix(credential))?;
    let found = holders.iter().filter_map(|id| id.parse().ok()).map(|holder| revocation(state, holder, credential));
    Ok(found.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// What is owed of a credential, by whoever had it.
///
/// # Errors
/// When the state can't be read.
pub fn owed_of_credential(state: &(impl Read + ?Sized), credential: CredentialId) -> Result<Vec<Obligation>, KvError> {
    Ok(revocations_of_credential(state, credential)?.iter().flat_map(Revocation::obligations).collect())
}

/// The credentials of somebody that are, or were, to be revoked.
///
/// # Errors
/// When the state can't be read.
pub fn revocations_of(state: &(impl Read + ?Sized), holder: IdentityId) -> Result<Vec<Revocation>, KvError> {
    values(state, &format!("{REVOCATIONS}{holder}/"))
}

/// Those of everybody by holder and credential, after a key without its prefix; those among the next `look`.
///
/// # Errors
/// When the state can't be read.
pub fn revocations_after(
    state: &(impl Read + ?Sized),
    after: Option<&str>,
    look: usize,
) -> Result<KeyPage<Revocation>, KvError> {
    load_some(state, REVOCATIONS, after, look)
}

/// Whose credentials were not revoked in time, departures apart, at most `limit`.
///
/// # Errors
/// When the state can't be read.
pub fn late_revocations(state: &(impl Read + ?Sized), limit: usize) -> Result<Vec<Late>, KvError> {
    late::read(state, LATE, limit)
}

/// Whether revocations of somebody's that one event asks for are late.
///
/// # Errors
/// When the state can't be read.
pub fn has_late_revocations(
    state: &(impl Read + ?Sized),
    holder: IdentityId,
    opened_by: Sequence,
) -> Result<bool, KvError> {
    late::is_any(state, LATE, holder, opened_by)
}
