//! What people are to each other and to what is granted: whose manager, whose owner, in which group. By that, besides their role,
//! they may ask, approve and end.

use rollcall_domain::access::entitlement::{Approver, EntitlementId, Grantable};
use rollcall_domain::access::grant::Grant;
use rollcall_domain::identity::Identity;
use rollcall_domain::identity::name::name_key;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use rollcall_scim::ENTERPRISE_USER;
use serde_json::Value;

use crate::api::person::{Person, Vouched};
use crate::error::ApiError;
use crate::state::api_tokens;

/// What somebody has to do with a grant, what decides first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// They have asked for it.
    Asked,
    /// They get it.
    Gets,
    /// They may approve it.
    Approver,
    /// Nothing.
    None,
}

/// The manager of an identity, by the enterprise extension (RFC 7643 §4.3).
pub fn manager_of(identity: &Identity) -> Option<IdentityId> {
    identity.resource.get(ENTERPRISE_USER.id)?.get("manager")?.get("value")?.as_str()?.parse().ok()
}

/// What somebody has to do with a grant.
///
/// # Errors
/// When the state can't be read.
pub fn relation(state: &impl Read, person: &Person, grant: &Grant) -> Result<Relation, KvError> {
    if has_asked(state, person, grant)? {
        return Ok(Relation::Asked);
    }
    if gets(state, person, grant)? {
        return Ok(Relation::Gets);
    }
    for approver in &grant.approvers {
        if is(state, person, approver, grant)? {
            return Ok(Relation::Approver);
        }
    }
    Ok(Relation::None)
}

/// Whether somebody has asked for it, by whatever token that they have made.
fn has_asked(state: &impl Read, person: &Person, grant: &Grant) -> Result<bool, KvError> {
    let root = |name: &str| api_tokens::root(state, name).map(|root| name_key(&root));
    Ok(grant.requested_by == person.actor(state)? || root(&grant.requested_by)? == root(&person.name)?)
}

/// Whether somebody gets it, by any name that they have.
fn gets(state: &impl Read, person: &Person, grant: &Grant) -> Result<bool, KvError> {
    if person.identity(state)? == Some(grant.identity) {
        return Ok(true);
    }
    let identity = directory::identity(state, grant.identity)?;
    Ok(identity.is_some_and(|identity| names(&identity).any(|name| name == name_key(&person.name))))
}

/// Refuses who may not approve a grant: who asked, who gets it, and who is none of its approvers.
///
/// # Errors
/// 403, with who may.
pub fn may_approve(state: &impl Read, person: &Person, grant: &Grant) -> Result<(), ApiError> {
    match relation(state, person, grant)? {
        Relation::Approver => Ok(()),
        Relation::Asked => Err(ApiError::Forbidden(
            "who asks for something does not decide about it, with none of the tokens that they have made".into(),
        )),
        Relation::Gets => Err(ApiError::Forbidden("who would get something does not decide about it".into())),
        Relation::None => {
            let all = grant.approvers.iter().map(|approver| in_words(state, approver, grant));
            let all = all.collect::<Result<Vec<_>, _>>()?.join(", or ");
            Err(ApiError::Forbidden(format!("'{}' is none of those who decide about it: {all}", person.name)))
        }
    }
}

fn in_words(state: &impl Read, approver: &Approver, grant: &Grant) -> Result<String, KvError> {
    Ok(match approver {
        Approver::Manager => "their manager".to_owned(),
        Approver::Owner => format!("its owner, {}", owner_of(state, &grant.what)?.unwrap_or_default()),
        Approver::Group(name) => format!("somebody in group {name}"),
    })
}

/// Whether somebody is this approver of a grant.
fn is(state: &impl Read, person: &Person, approver: &Approver, grant: &Grant) -> Result<bool, KvError> {
    let Some(them) = person.identity(state)?.map(|id| directory::identity(state, id)).transpose()?.flatten() else {
        // An owner may be a team, whose token has its name.
        return match approver {
            Approver::Owner if person.vouched == Vouched::Yes => {
                let owner = owner_of(state, &grant.what)?;
                Ok(owner.is_some_and(|owner| name_key(&owner) == name_key(&person.name)))
            }
            Approver::Owner | Approver::Manager | Approver::Group(_) => Ok(false),
        };
    };
    // Whoever has left, or is switched off, decides about nothing.
    if !them.lifecycle.has_access() || them.deleted || ledger::switched_off(state, them.id)?.is_some() {
        return Ok(false);
    }
    Ok(match approver {
        Approver::Manager => {
            directory::identity(state, grant.identity)?.is_some_and(|who| manager_of(&who) == Some(them.id))
        }
        Approver::Owner => {
            let owner = owner_of(state, &grant.what)?.map(|owner| name_key(&owner));
            owner.is_some_and(|owner| addresses(&them).any(|name| name == owner))
        }
        Approver::Group(name) => {
            let groups = directory::groups_of(state, them.id)?;
            groups.iter().any(|(group, _)| name_key(group.display_name()) == name_key(name))
        }
    })
}

/// Who answers for what is granted.
fn owner_of(state: &impl Read, what: &Grantable) -> Result<Option<String>, KvError> {
    Ok(match what {
        Grantable::Role(id) => directory::role(state, id)?.map(|role| role.spec.terms.owner),
        Grantable::Entitlement(EntitlementId { app, part }) => directory::app(state, app)?.map(|app| {
            let described = app.spec.entitlement(part);
            described.map_or(app.spec.owner.clone(), |known| known.terms.owner.clone())
        }),
    })
}

/// The names by which somebody can be an owner: their user name and addresses, which their source vouches for.
fn addresses(identity: &Identity) -> impl Iterator<Item = String> + '_ {
    let emails = identity.resource.get("emails").and_then(Value::as_array).into_iter().flatten();
    let emails = emails.filter_map(|email| email.get("value")?.as_str());
    std::iter::once(identity.user_name()).chain(emails).filter(|name| !name.is_empty()).map(name_key)
}

/// Every name that somebody has.
fn names(identity: &Identity) -> impl Iterator<Item = String> + '_ {
    let others = ["externalId", "displayName"].into_iter();
    let others = others.filter_map(|key| identity.resource.get(key)?.as_str()).map(name_key);
    addresses(identity).chain(others)
}
