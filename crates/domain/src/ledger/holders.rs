//! What a decision is made from: identities as rules are asked about them; and what follows from it for an account.

use std::collections::BTreeSet;

use super::grants;
use crate::access::account::Account;
use crate::access::desired::{Desired, Presence};
use crate::access::entitlement::Part;
use crate::access::holding::{Decision, Holding, Holdings, Reason, decision_of};
use crate::app::App;
use crate::app::mapping::managed_attributes;
use crate::decision::Holder;
use crate::directory;
use crate::identity::Identity;
use crate::identity::switch::SwitchedOff;
use crate::kv::{KvError, Read};

/// About whom access is decided: an identity, as rules are asked about it.
pub fn holder_of(state: &impl Read, identity: Identity) -> Result<Holder, KvError> {
    let groups = directory::groups_of(state, identity.id)?;
    let grants = grants::active_grants_of(state, identity.id)?;
    Ok(Holder::new(identity, groups, grants))
}

/// What an account must be for what is held with it, and for whom a person has switched off.
pub fn desired_for(decision: &Decision, identity: &Identity, app: &App, off: Option<&SwitchedOff>) -> Desired {
    if decision.is_empty() {
        return Desired::Absent;
    }
    if off.is_some() {
        return Desired::Off;
    }
    let group = |part: &Part| match part {
        Part::Group(name) => Some(name.clone()),
        Part::Account => None,
    };
    Desired::Present(Presence {
        attributes: managed_attributes(&app.spec.attributes, identity.id, &identity.resource),
        groups: decision.keys().filter_map(group).collect(),
    })
}

/// What an account must be, and what is held with it, where nothing can be decided: what was decided last, but for grants that have
/// ended since.
pub fn kept(before: &Account, holder: &Holder, app: &App, off: Option<&SwitchedOff>) -> (Desired, Holdings) {
    let stands = |reason: &Reason| match reason {
        Reason::Grant(id) | Reason::GrantedRole(_, id) => holder.grants.iter().any(|grant| grant.id == *id),
        Reason::Rule | Reason::Group(_) | Reason::Role(_) | Reason::Policy(_) => true,
    };
    let kept = |(part, holding): (&Part, &Holding)| {
        let reasons: BTreeSet<Reason> = holding.reasons.iter().filter(|reason| stands(reason)).cloned().collect();
        (!reasons.is_empty()).then(|| (part.clone(), Holding { since: holding.since, reasons }))
    };
    let mut holds: Holdings = before.holds.iter().filter_map(kept).collect();
    if !holds.contains_key(&Part::Account) {
        holds.clear();
    }
    let has_ended = |part: &Part| before.holds.contains_key(part) && !holds.contains_key(part);
    let desired = match &before.desired {
        Desired::Absent | Desired::Deleted => before.desired.clone(),
        Desired::Present(_) | Desired::Off if has_ended(&Part::Account) => Desired::Absent,
        Desired::Present(_) | Desired::Off if off.is_some() => Desired::Off,
        Desired::Present(presence) => {
            let groups = presence.groups.iter().filter(|name| !has_ended(&Part::Group((*name).clone()))).cloned();
            Desired::Present(Presence { attributes: presence.attributes.clone(), groups: groups.collect() })
        }
        Desired::Off => desired_for(&decision_of(&holds), &holder.identity, app, None),
    };
    (desired, holds)
}
