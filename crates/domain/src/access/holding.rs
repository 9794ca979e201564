//! What someone holds with an account, since when, and why.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::access::entitlement::Part;
use crate::ids::{GrantId, PolicyId, RoleId};

/// Why someone holds an entitlement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reason {
    /// The rule of the app chooses them.
    Rule,
    /// They are in this group of ours, which is that group of the app.
    Group(String),
    /// The rule of this role chooses them.
    Role(RoleId),
    /// It was granted to them.
    Grant(GrantId),
    /// This role was granted to them.
    GrantedRole(RoleId, GrantId),
    /// This policy gives it to them.
    Policy(PolicyId),
}

/// Since when something is held, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Since when.
    #[serde(with = "crate::stored::time")]
    pub since: Timestamp,
    /// Why: never none.
    pub reasons: BTreeSet<Reason>,
}

/// What someone holds in an app.
pub type Holdings = BTreeMap<Part, Holding>;

/// What someone is to hold in an app, each with every reason. Whoever holds anything holds the account.
pub type Decision = BTreeMap<Part, BTreeSet<Reason>>;

/// What is held at a time, of which `before` was held until then: what stays is held since it began.
#[must_use]
pub fn holdings(before: &Holdings, decision: Decision, at: Timestamp) -> Holdings {
    let hold = |(part, reasons)| {
        let since = before.get(&part).map_or(at, |held: &Holding| held.since);
        (part, Holding { since, reasons })
    };
    decision.into_iter().map(hold).collect()
}

/// The decision by which this is held.
#[must_use]
pub fn decision_of(holdings: &Holdings) -> Decision {
    holdings.iter().map(|(part, holding)| (part.clone(), holding.reasons.clone())).collect()
}
