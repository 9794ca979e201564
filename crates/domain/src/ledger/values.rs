//! Accounts and obligations as they are stored: without the app and the identity, which their keys say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::read::{ACCOUNTS, ENDED, placed};
use crate::access::account::{Account, MayExist};
use crate::access::desired::Desired;
use crate::access::holding::Holdings;
use crate::access::obligation::{Obligation, ObligationId};
use crate::access::rejection::Rejection;
use crate::access::subject::Subject;
use crate::access::task::Attested;
use crate::app::conformance::Confirmed;
use crate::identity::lifecycle::Urgency;
use crate::ids::{AppId, IdentityId, Sequence, SourceName};
use crate::kv::{KvError, Typed, decode};

/// The fields of an [`Account`] that are stored, in their order.
#[derive(Deserialize)]
struct StoredAccount {
    desired: Desired,
    desired_version: Sequence,
    #[serde(with = "crate::stored::time")]
    desired_at: Timestamp,
    story: Sequence,
    source: Option<SourceName>,
    remote_id: Option<String>,
    applied_version: Option<Sequence>,
    verified_version: Option<Sequence>,
    observed: Option<Map<String, Value>>,
    #[serde(with = "crate::stored::time_or_none")]
    verified_at: Option<Timestamp>,
    attested: Option<Attested>,
    rejection: Option<Rejection>,
    parked_at: Option<Sequence>,
    confirmed: Vec<Confirmed>,
    former_names: BTreeSet<String>,
    may_exist: Option<MayExist>,
    accepted: bool,
    former_ids: BTreeMap<String, bool>,
    entered: BTreeSet<String>,
    urgency: Urgency,
    holds: Holdings,
    owes: Vec<Obligation<Sequence>>,
}

impl Typed for Account {
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, KvError> {
        let (identity, app) = whose(key, ACCOUNTS)?;
        let stored: StoredAccount = decode(key, bytes)?;
        Ok(Self {
            desired: stored.desired,
            desired_version: stored.desired_version,
            desired_at: stored.desired_at,
            story: stored.story,
            source: stored.source,
            remote_id: stored.remote_id,
            applied_version: stored.applied_version,
            verified_version: stored.verified_version,
            observed: stored.observed,
            verified_at: stored.verified_at,
            attested: stored.attested,
            rejection: stored.rejection,
            parked_at: stored.parked_at,
            confirmed: stored.confirmed,
            former_names: stored.former_names,
            may_exist: stored.may_exist,
            accepted: stored.accepted,
            former_ids: stored.former_ids,
            entered: stored.entered,
            urgency: stored.urgency,
            holds: stored.holds,
            owes: stored.owes.into_iter().map(|open| of(open, &app, identity)).collect(),
            app,
            identity,
        })
    }
}

impl Typed for Obligation {
    fn decode(key: &str, bytes: &[u8]) -> Result<Self, KvError> {
        let stored: Obligation<Sequence> = decode(key, bytes)?;
        let damaged = || KvError::Damaged { key: key.into(), reason: "it names nothing that is owed".into() };
        let (subject, _) = key.strip_prefix(ENDED).and_then(placed).ok_or_else(damaged)?;
        Ok(stored.known_as(|opened_by| ObligationId { opened_by, subject }))
    }
}

fn of(stored: Obligation<Sequence>, app: &AppId, identity: IdentityId) -> Obligation {
    stored.known_as(|opened_by| ObligationId { opened_by, subject: Subject::Account { app: app.clone(), identity } })
}

/// The identity and the app that a key says.
fn whose(key: &str, prefix: &str) -> Result<(IdentityId, AppId), KvError> {
    let parts = || {
        let (identity, rest) = key.strip_prefix(prefix)?.split_once('/')?;
        Some((identity.parse().ok()?, rest.split_once('/')?.0.parse().ok()?))
    };
    parts().ok_or_else(|| KvError::Damaged { key: key.into(), reason: "it names no identity and app".into() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_key_that_names_no_identity_and_app_is_damaged() {
        let id = "00000000-0000-0000-0000-000000000001";
        assert_eq!(whose(&format!("account/{id}/crm/"), ACCOUNTS).unwrap().1.as_str(), "crm");
        for bad in ["account/", "account/x/crm/", &format!("account/{id}/"), &format!("account/{id}/C/"), "other"] {
            assert!(matches!(whose(bad, ACCOUNTS), Err(KvError::Damaged { .. })), "{bad}");
        }
    }
}
