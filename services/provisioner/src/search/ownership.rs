//! Whose account is it? Decided by our own links first, then by what the app says of it.

use rollcall_domain::access::account::Account;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::identity::{Identity, IdentityKind};
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use rollcall_domain::{directory, ledger};

use crate::search::wanted::{Made, Wanted};

/// What an account is to an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// We have linked it to them, or it says so itself, or it is what we may have made for them.
    Ours,
    /// It has the identity's user name, and nobody else's claim stands against it.
    Adoptable,
    /// The same, and the app's settings let nobody have it.
    Unlinked,
    /// It is someone else's.
    Foreign,
    /// The app's settings say that it is never touched.
    Protected,
    /// It is theirs, and someone who has the name by now is taking it over.
    Contested,
}

impl Ownership {
    /// Whether nothing may be done to it for the identity.
    pub const fn is_out_of_reach(self) -> bool {
        matches!(self, Self::Unlinked | Self::Foreign | Self::Protected)
    }
}

/// Decides whose account `remote` is, from the point of view of the identity that is looked for.
///
/// Whom we have linked it to has it: anyone who can write in the app can change what it says of the account.
pub fn ownership(state: &impl Read, wanted: &Wanted, remote: &Remote) -> Result<Ownership, KvError> {
    if wanted.spec.protects(remote) {
        return Ok(Ownership::Protected);
    }
    let (app, identity) = (&wanted.spec.id, wanted.identity);
    let linked = match ledger::linked(state, app, &remote.id)? {
        Some(holder) if is_passed_on(state, wanted, remote, holder)? => None,
        linked => linked,
    };
    match linked {
        Some(holder) if holder == identity => Ok(Ownership::Ours),
        Some(holder) => match must_have(state, holder, app)? {
            // What the app has confirmed may not have been done: it is theirs once that was read back.
            Some(theirs)
                if wanted.target == Target::Absent
                    && theirs.is_pending()
                    && wanted.had(remote)
                    && !says(remote, holder) =>
            {
                // One who can't get it is not waited for in silence.
                Ok(if theirs.parked_at.is_some() { Ownership::Unlinked } else { Ownership::Contested })
            }
            Some(_) => Ok(Ownership::Foreign),
            // Anyone who can write in the app can say it; who has also got the name was given it by us.
            None if says(remote, identity) && !wanted.is_named(remote) => Ok(Ownership::Foreign),
            None if wanted.target == Target::Present && !says(remote, identity) => {
                left_behind(state, wanted, remote, holder)
            }
            None => as_it_says(state, wanted, remote),
        },
        // Of whoever must have none it may be the one that they had, also where no list has shown it before.
        None if wanted.names_are_ids
            && wanted.target == Target::Absent
            && !wanted.is_said
            && wanted.is_named(remote) =>
        {
            Ok(Ownership::Ours)
        }
        None => match as_it_says(state, wanted, remote)? {
            Ownership::Foreign if has_their_name_alone(state, wanted, remote)? => Ok(Ownership::Unlinked),
            whose => Ok(whose),
        },
    }
}

/// Whether an account of which the name is the id is somebody else's by now, who has got the name of whom we have linked it to. Of whoever
/// must have none that is believed only if somebody says that theirs is gone: it may still be the one that they had.
fn is_passed_on(state: &impl Read, wanted: &Wanted, remote: &Remote, holder: IdentityId) -> Result<bool, KvError> {
    if !wanted.names_are_ids || (wanted.target == Target::Absent && !wanted.is_said) {
        return Ok(false);
    }
    let owner = directory::identity_by_user_name(state, remote.text("userName"))?.filter(|owner| owner.id != holder);
    match owner {
        Some(owner) => Ok(must_have(state, owner.id, &wanted.spec.id)?.is_some()),
        None => Ok(false),
    }
}

/// Whether an account that is linked to nobody has the name of somebody who must have none, and nobody who must have one has that name now. We may have
/// made it for them, and died before we could say so: whatever anyone has written into it since, nobody is gone while it lives.
fn has_their_name_alone(state: &impl Read, wanted: &Wanted, remote: &Remote) -> Result<bool, KvError> {
    if wanted.target == Target::Present || !wanted.is_named(remote) {
        return Ok(false);
    }
    let is_wanted = match claimed_by(state, wanted, remote)? {
        Some(owner) if owner.id != wanted.identity => must_have(state, owner.id, &wanted.spec.id)?.is_some(),
        Some(_) | None => false,
    };
    Ok(!is_wanted)
}

/// Whose a user name is: theirs, where it is, else that of whoever has it. A person and a service account may have the same.
fn claimed_by(state: &impl Read, wanted: &Wanted, remote: &Remote) -> Result<Option<Identity>, KvError> {
    let name = remote.text("userName");
    if let Some(theirs) = directory::identity(state, wanted.identity)?
        && directory::id_by_name(state, theirs.kind, name)? == Some(theirs.id)
    {
        return Ok(Some(theirs));
    }
    directory::identity_by_user_name(state, name)
}

/// What an account is to an identity that nobody who must have it is linked to, by the app's answer.
fn as_it_says(state: &impl Read, wanted: &Wanted, remote: &Remote) -> Result<Ownership, KvError> {
    let identity = wanted.identity;
    let external_id = remote.text("externalId");
    if says(remote, identity) {
        return Ok(Ownership::Ours);
    }
    let claimed_by = claimed_by(state, wanted, remote)?;
    let made = wanted.may_have_made(remote);
    // We may have made it ourselves, before anyone could write into it.
    if made == Made::Yes && claimed_by.as_ref().is_none_or(|owner| owner.id == identity) {
        return Ok(Ownership::Ours);
    }
    let other = match external_id.parse::<IdentityId>() {
        Ok(id) => directory::identity(state, id)?,
        Err(_) => None,
    };
    if let Some(other) = other {
        return match wanted.target {
            Target::Present => left_behind(state, wanted, remote, other.id),
            // We may have made it, and nobody who must have one is who it says, or has its name.
            Target::Absent if made == Made::Yes => {
                let app = &wanted.spec.id;
                // Whoever has another one, or for whom none was ever sent, has not got this one.
                let has_none = |theirs: &Account| theirs.remote_id.as_ref().is_none_or(|id| *id == remote.id);
                let mut is_wanted = must_have(state, other.id, app)?.is_some_and(|theirs| has_none(&theirs));
                if let Some(owner) = claimed_by {
                    let theirs = must_have(state, owner.id, app)?;
                    is_wanted |= theirs.is_some_and(|theirs| has_none(&theirs) && theirs.may_exist.is_some());
                }
                Ok(if is_wanted { Ownership::Foreign } else { Ownership::Ours })
            }
            Target::Absent => Ok(Ownership::Foreign),
        };
    }
    Ok(match claimed_by {
        Some(owner) if owner.id != identity => Ownership::Foreign,
        // All that it has of them is an address. Nobody gets it by that, and nobody is gone while it may be theirs.
        _ if made == Made::Perhaps && !wanted.is_named(remote) => match wanted.target {
            Target::Present => Ownership::Foreign,
            Target::Absent => Ownership::Unlinked,
        },
        _ if wanted.is_named(remote) || made != Made::No => by_name(wanted),
        // It is looked at for its id alone, and nothing says that it is theirs: a person has to.
        _ => match wanted.target {
            Target::Present => Ownership::Foreign,
            Target::Absent => Ownership::Unlinked,
        },
    })
}

/// Whether an account says that it is someone's.
fn says(remote: &Remote, identity: IdentityId) -> bool {
    remote.text("externalId") == identity.to_string()
}

/// What the account of someone else, who must have none, is to one who must: theirs to take over by name when its owner has
/// left the company.
fn left_behind(state: &impl Read, wanted: &Wanted, remote: &Remote, holder: IdentityId) -> Result<Ownership, KvError> {
    let claimed_by = claimed_by(state, wanted, remote)?;
    let is_free = claimed_by.is_none_or(|owner| owner.id == wanted.identity);
    let stays = directory::identity(state, holder)?.is_some_and(|i| !i.deleted && i.lifecycle != Lifecycle::Left);
    Ok(if is_free && !stays { by_name(wanted) } else { Ownership::Foreign })
}

fn by_name(wanted: &Wanted) -> Ownership {
    if wanted.spec.adopts_by_name() { Ownership::Adoptable } else { Ownership::Unlinked }
}

/// The account of someone in an app, when they must have one.
fn must_have(state: &impl Read, identity: IdentityId, app: &AppId) -> Result<Option<Account>, KvError> {
    Ok(ledger::account(state, identity, app)?.filter(|account| account.desired.target() == Target::Present))
}

/// Whether an account that is linked to someone else, or says that it is theirs, is being removed as theirs.
pub fn is_being_removed(state: &impl Read, wanted: &Wanted, remote: &Remote) -> Result<bool, KvError> {
    if wanted.names_are_ids && was_anothers(state, wanted, remote)? {
        return Ok(true);
    }
    let said = remote.text("externalId").parse().ok();
    let holder = ledger::linked(state, &wanted.spec.id, &remote.id)?.or(said).filter(|of| *of != wanted.identity);
    let Some(holder) = holder else { return Ok(false) };
    let theirs = ledger::account(state, holder, &wanted.spec.id)?;
    Ok(theirs.is_some_and(|account| account.is_being_removed()))
}

/// Whether somebody else had the name of an account, and theirs is still to be removed: it may be that one.
fn was_anothers(state: &impl Read, wanted: &Wanted, remote: &Remote) -> Result<bool, KvError> {
    for kind in IdentityKind::ALL {
        for id in directory::ids_by_former_name(state, kind, remote.text("userName"))? {
            let theirs = ledger::account(state, id, &wanted.spec.id)?.filter(|_| id != wanted.identity);
            if theirs.is_some_and(|account| account.is_being_removed()) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
