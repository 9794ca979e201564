//! API tokens that are made and revoked while Rollcall runs: the log has a digest of each, and the token itself nobody but who
//! was given it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::AppId;

/// What a token may do, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedToken {
    /// Whose it is, for people: what they do is done by this name.
    pub name: String,
    /// The word for their role.
    pub role: String,
    /// The apps that it is for; none: all.
    pub apps: BTreeSet<AppId>,
    /// SHA-256 of the token, which is random: nobody finds it by trying.
    pub digest: Vec<u8>,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What happens to a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiTokenStep {
    /// Someone was given it.
    Issued(IssuedToken),
    /// It was used again after a while.
    Used,
    /// It opens nothing any more.
    Revoked,
}

/// One step of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenChanged {
    /// Which; it is a part of the token, and no secret.
    pub id: String,
    /// What happened.
    pub step: ApiTokenStep,
}
