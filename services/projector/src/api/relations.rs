//! What people are to each other and to what is granted: whose manager, whose owner, in which group. By that, besides their role,
//! they may ask, approve and end.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rollcall_config::{ApiToken, PersonAttribute, Role};
use rollcall_domain::access::entitlement::{Approver, EntitlementId, Grantable};
use rollcall_domain::access::grant::Grant;
use rollcall_domain::decision::rule::counting;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::identity::name::name_key;
use rollcall_domain::identity::{Identity, IdentityKind, actor, identity_of_actor};
use rollcall_domain::ids::{IdentityId, SourceName};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};
use serde_json::Value;

use crate::api::candidates::manager_of;
use crate::api::context::Api;
use crate::api::person::{Credential, KnownBy, Person, Vouched};
use crate::error::ApiError;
use crate::state::api_tokens::Tokens;

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

/// Every name by which somebody may act: that of their token, of whoever has made it, and those of the identities behind these.
///
/// # Errors
/// When the state can't be read.
pub fn aliases(api: &Api, state: &impl Read, person: &Person) -> Result<BTreeSet<String>, KvError> {
    let mut all = aliases_of_name(api, state, &person.name)?;
    for id in known_as(state, person)? {
        all.extend(aliases_of_identity(state, id)?);
    }
    Ok(all)
}

/// The same of whoever an event names as its actor.
///
/// # Errors
/// When the state can't be read.
pub fn aliases_of_actor(api: &Api, state: &impl Read, by: &str) -> Result<BTreeSet<String>, KvError> {
    let mut all = aliases_of_name(api, state, by)?;
    if let Some(id) = identity_of_actor(by) {
        all.extend(aliases_of_identity(state, id)?);
    }
    Ok(all)
}

/// By what somebody is told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    /// They are an identity.
    AsIdentity,
    /// Their token has a name that is nobody else's.
    ByToken,
    /// The provider knows them, and no identity is found for it.
    AtProvider,
}

fn known_by_what(api: &Api, state: &impl Read, name: &str, aliases: &BTreeSet<String>) -> Result<Known, KvError> {
    Ok(if aliases.iter().any(|alias| identity_of_actor(alias).is_some()) {
        Known::AsIdentity
    } else if api.tokens.iter().any(|token| token.name == name) || Tokens::read(state)?.has(name) {
        Known::ByToken
    } else {
        Known::AtProvider
    })
}

/// Refuses whoever may be the one who asks: by one of their names, or because nothing tells one who signs in from one who has a token.
///
/// # Errors
/// 403, and when the state can't be read.
pub fn are_two(api: &Api, state: &impl Read, asked_by: &str, person: &Person) -> Result<(), ApiError> {
    let (asker, approver) = (aliases_of_actor(api, state, asked_by)?, aliases(api, state, person)?);
    if !asker.is_disjoint(&approver) {
        return Err(ApiError::Forbidden(
            "who asks for something does not approve it, with none of the tokens that they have made: it needs a second person"
                .into(),
        ));
    }
    let asker = known_by_what(api, state, asked_by, &asker)?;
    if api.provider.is_some() && asker != known_by_what(api, state, &person.name, &approver)? {
        return Err(ApiError::Forbidden(
            "people sign in at a provider here, and nothing says that these are two: give the token an 'identity' in [[api_tokens]], and \
             see that whoever signs in is found as an identity (oidc.name_claim)"
                .into(),
        ));
    }
    Ok(())
}

/// Who somebody is, or was when their name was last that of somebody: whoever has left, or is called otherwise by now, is still who they
/// were. It is for refusing, and gives nobody a right.
fn known_as(state: &impl Read, person: &Person) -> Result<Vec<IdentityId>, KvError> {
    person.known_by.as_ref().map_or(Ok(Vec::new()), |known| known_by(state, known))
}

fn known_by(state: &impl Read, KnownBy { attribute, value }: &KnownBy) -> Result<Vec<IdentityId>, KvError> {
    match attribute {
        PersonAttribute::UserName => Ok(named(state, value)?.into_iter().collect()),
        PersonAttribute::ExternalId => {
            let ids = directory::ids_by_external_id(state, value)?;
            let last = if ids.is_empty() { directory::id_by_last_external_id(state, value)? } else { None };
            Ok(ids.into_iter().chain(last).collect())
        }
        PersonAttribute::Id => Ok(value.parse().into_iter().collect()),
    }
}

/// Whether a user name by which a token of the configuration says whose it is was that of somebody else than has it now: the secret may
/// still be theirs, wherever they are by now.
fn was_anothers(state: &impl Read, name: &str) -> Result<bool, KvError> {
    let Some(now) = directory::id_by_name(state, IdentityKind::User, name)? else { return Ok(false) };
    let former = directory::ids_by_former_name(state, IdentityKind::User, name)?;
    Ok(former.into_iter().any(|former| former != now))
}

/// A token of the configuration that says by a user name whose it is, and is somebody's by that, or was. Once they are erased nothing
/// would tell any more that they have left.
///
/// # Errors
/// When the state can't be read.
pub fn token_by_name_of<'a>(
    tokens: &'a [ApiToken],
    state: &impl Read,
    id: IdentityId,
) -> Result<Option<&'a str>, KvError> {
    for token in tokens {
        let known = token.identity.as_deref().map(KnownBy::of_token);
        let Some(KnownBy { value, .. }) = known.filter(|known| known.attribute == PersonAttribute::UserName) else {
            continue;
        };
        let now = directory::id_by_name(state, IdentityKind::User, &value)?;
        if now == Some(id) || directory::ids_by_former_name(state, IdentityKind::User, &value)?.contains(&id) {
            return Ok(Some(&token.name));
        }
    }
    Ok(None)
}

/// Who has a user name, or had it last.
fn named(state: &impl Read, name: &str) -> Result<Option<IdentityId>, KvError> {
    match directory::id_by_name(state, IdentityKind::User, name)? {
        Some(id) => Ok(Some(id)),
        None => directory::id_by_last_name(state, IdentityKind::User, name),
    }
}

fn aliases_of_name(api: &Api, state: &impl Read, name: &str) -> Result<BTreeSet<String>, KvError> {
    let tokens = Tokens::read(state)?;
    let behind = tokens.behind(name);
    let mut all: BTreeSet<String> = behind.iter().map(|name| name_key(name)).collect();
    let mut ids = identities_behind(api, state, &behind, &tokens)?;
    // Whoever signs in may be known by what their source calls them.
    ids.extend(directory::ids_by_external_id(state, name)?);
    for id in ids {
        all.extend(aliases_of_identity(state, id)?);
    }
    Ok(all)
}

/// The identities behind names: those whose tokens of the configuration have them, and whom the provider knows by them. Who has made a token
/// while signed in by the provider is named by that in it.
fn identities_behind(
    api: &Api,
    state: &impl Read,
    names: &BTreeSet<String>,
    tokens: &Tokens,
) -> Result<Vec<IdentityId>, KvError> {
    let mut all: Vec<IdentityId> = names.iter().filter_map(|name| identity_of_actor(name)).collect();
    let people = api.provider.as_ref().and_then(|provider| provider.people());
    for name in names {
        match (api.tokens.iter().find(|token| token.name == *name), people) {
            (Some(token), _) => {
                if let Some(identity) = &token.identity {
                    all.extend(known_by(state, &KnownBy::of_token(identity))?);
                }
            }
            // What was made here may be called as it likes.
            (None, Some(attribute)) if !tokens.has(name) => {
                all.extend(known_by(state, &KnownBy { attribute, value: name.clone() })?);
            }
            (None, _) => {}
        }
    }
    Ok(all)
}

fn aliases_of_identity(state: &impl Read, id: IdentityId) -> Result<BTreeSet<String>, KvError> {
    let identity = directory::identity(state, id)?;
    let mut all: BTreeSet<String> =
        identity.iter().flat_map(|identity| addresses(identity).collect::<Vec<_>>()).collect();
    all.insert(actor(id));
    Ok(all)
}

/// Refuses whoever is switched off, or has left: they act in nothing, with none of the tokens that they have made.
///
/// # Errors
/// 403, and when the state can't be read.
pub fn may_act(api: &Api, state: &impl Read, person: &Person) -> Result<(), ApiError> {
    // Where nobody is known as an identity there is nobody to refuse.
    let is_provided = api.provider.as_ref().and_then(|provider| provider.people()).is_some();
    if person.known_by.is_none() && !is_provided && api.tokens.iter().all(|token| token.identity.is_none()) {
        return Ok(());
    }
    let tokens = Tokens::read(state)?;
    let behind = tokens.behind_now(&person.name, Timestamp::now());
    for token in api.tokens.iter().filter(|token| behind.contains(&token.name)) {
        let known = token.identity.as_deref().map(KnownBy::of_token);
        let by_name = known.filter(|known| known.attribute == PersonAttribute::UserName);
        if by_name.map_or(Ok(false), |known| was_anothers(state, &known.value))? {
            return Err(ApiError::Forbidden(format!(
                "the user name of the token '{}' was that of somebody else: set its 'identity' to the id of whoever has it now, and give them \
                 a secret of their own",
                token.name
            )));
        }
    }
    let mut ids = identities_behind(api, state, &behind, &tokens)?;
    ids.extend(known_as(state, person)?);
    let (mut known, mut gone) = (0, 0);
    for id in ids {
        if ledger::switched_off(state, id)?.is_some() {
            return Err(ApiError::Forbidden(format!("'{}' is switched off", person.name)));
        }
        let has_left = |identity: Identity| identity.deleted || identity.lifecycle == Lifecycle::Left;
        known += 1;
        gone += u32::from(directory::identity(state, id)?.is_some_and(has_left));
    }
    // Who has an `externalId` of somebody who left before, perhaps their own from then, is still here.
    if known > 0 && gone == known {
        return Err(ApiError::Forbidden(format!("'{}' has left", person.name)));
    }
    Ok(())
}

/// Whether a token still opens what it has opened, which takes a role: it does for nobody who has left meanwhile, or is switched off.
pub async fn still_opens(api: &Api, credential: &Credential, role: Role) -> bool {
    let Ok(Some(person)) = api.holder_of(credential.expose()).await else { return false };
    person.needs(role).is_ok() && may_act(api, &api.store.view(), &person).is_ok()
}

/// Whether somebody is an identity, by any name that they act by.
///
/// # Errors
/// When the state can't be read.
pub fn is_them(api: &Api, state: &impl Read, person: &Person, id: IdentityId) -> Result<bool, KvError> {
    are_theirs(state, &aliases(api, state, person)?, id)
}

/// Refuses whom a decision is about that keeps something, or leaves it as it is: with none of their names they decide it.
///
/// # Errors
/// 403, and when the state can't be read.
pub fn is_about_others(
    api: &Api,
    state: &impl Read,
    person: &Person,
    about: impl IntoIterator<Item = IdentityId>,
) -> Result<(), ApiError> {
    let theirs = aliases(api, state, person)?;
    for id in about {
        if are_theirs(state, &theirs, id)? {
            return Err(ApiError::Forbidden("whom it is about does not decide about it: another person does".into()));
        }
    }
    Ok(())
}

/// The same of whoever is known by a name.
///
/// # Errors
/// When the state can't be read.
pub fn is_them_by_name(api: &Api, state: &impl Read, name: &str, id: IdentityId) -> Result<bool, KvError> {
    let mut theirs = aliases_of_name(api, state, name)?;
    theirs.insert(name_key(name));
    are_theirs(state, &theirs, id)
}

/// Whether one of these names is somebody's.
fn are_theirs(state: &impl Read, theirs: &BTreeSet<String>, id: IdentityId) -> Result<bool, KvError> {
    let identity = directory::identity(state, id)?;
    let by_name = identity.is_some_and(|identity| names(&identity).any(|name| theirs.contains(&name)));
    Ok(by_name || theirs.contains(&actor(id)))
}

/// What somebody has to do with a grant.
///
/// # Errors
/// When the state can't be read.
pub fn relation(api: &Api, state: &impl Read, person: &Person, grant: &Grant) -> Result<Relation, KvError> {
    let theirs = aliases(api, state, person)?;
    if !aliases_of_actor(api, state, &grant.requested_by)?.is_disjoint(&theirs) {
        return Ok(Relation::Asked);
    }
    if is_them(api, state, person, grant.identity)? {
        return Ok(Relation::Gets);
    }
    for approver in &grant.approvers {
        if is(state, person, approver, grant)? {
            return Ok(Relation::Approver);
        }
    }
    Ok(Relation::None)
}

/// Refuses who may not approve a grant: who asked, who gets it, and who is none of its approvers.
///
/// # Errors
/// 403, with who may.
pub fn may_approve(api: &Api, state: &impl Read, person: &Person, grant: &Grant) -> Result<(), ApiError> {
    match relation(api, state, person, grant)? {
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

/// Whether somebody answers for something, by the owner that is named for it: a person, or a team whose token has its name.
///
/// # Errors
/// When the state can't be read.
pub fn is_owner(state: &impl Read, person: &Person, owner: &str) -> Result<bool, KvError> {
    let Some(them) = person.identity(state)?.map(|id| directory::identity(state, id)).transpose()?.flatten() else {
        // Whoever is to be known as an identity, and is none, is nobody here any more.
        let is_known_by_name = person.vouched == Vouched::Yes && person.known_by.is_none();
        return Ok(is_known_by_name && name_key(owner) == name_key(&person.name));
    };
    if !them.is_active() || ledger::switched_off(state, them.id)?.is_some() {
        return Ok(false);
    }
    Ok(addresses(&them).any(|name| name == name_key(owner)))
}

/// Whether somebody is this approver of a grant.
fn is(state: &impl Read, person: &Person, approver: &Approver, grant: &Grant) -> Result<bool, KvError> {
    if *approver == Approver::Owner {
        let owner = owner_of(state, &grant.what)?;
        return owner.map_or(Ok(false), |owner| is_owner(state, person, &owner));
    }
    let Some(them) = person.identity(state)?.map(|id| directory::identity(state, id)).transpose()?.flatten() else {
        return Ok(false);
    };
    // Whoever has left, or is switched off, decides about nothing.
    if !them.is_active() || ledger::switched_off(state, them.id)?.is_some() {
        return Ok(false);
    }
    Ok(match approver {
        Approver::Manager => {
            directory::identity(state, grant.identity)?.is_some_and(|who| manager_of(&who) == Some(them.id))
        }
        Approver::Owner => false,
        Approver::Group(name) => {
            let groups = counting(&directory::groups_of(state, them.id)?, &groups_from(state, &grant.what)?);
            groups.iter().any(|(group, _)| name_key(group.display_name()) == name_key(name))
        }
    })
}

/// The sources whose groups count for what is granted; none: those of each.
fn groups_from(state: &impl Read, what: &Grantable) -> Result<BTreeSet<SourceName>, KvError> {
    Ok(match what {
        Grantable::Role(id) => directory::role(state, id)?.map(|role| role.spec.groups_from).unwrap_or_default(),
        Grantable::Entitlement(id) => {
            directory::app(state, &id.app)?.map(|app| app.spec.groups_from).unwrap_or_default()
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
