//! Finding an account before anything is done to it, and again afterwards. "Not found" is believed only where every
//! way of looking agrees: a false "gone" is the worst answer there is.

use std::collections::BTreeSet;

use rollcall_domain::access::desired::Target;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::Support;
use rollcall_domain::app::kind::AppKind;
use rollcall_domain::kv::{KvError, Read};

use crate::app_client::client::{Failure, ScimClient};
use crate::search::control::{Control, Looked, blind_filters, control, is_the_app};
use crate::search::look::{Answered, Search, read_by_id, scan, search};
use crate::search::ownership::{Ownership, is_being_removed, ownership};
use crate::search::sampled::is_no_id;
use crate::search::wanted::{NameIs, Reach, Wanted};
use crate::work::error::WorkError;

/// An account that was found.
#[derive(Debug, Clone)]
pub struct Located {
    pub remote: Remote,
    pub ownership: Ownership,
}

/// The account of an identity, live ones first; `None` when the app has none, and shows what it has.
pub async fn locate(app: &Search<'_>, directory: &impl Read, wanted: &Wanted) -> Result<Option<Located>, WorkError> {
    let located = find(app, directory, wanted).await?;
    // Of an account that we know by its id alone it is to be known, too, that the app is the one in which it has that id.
    if let Some(found) = located.as_ref().filter(|found| !found.ownership.is_out_of_reach())
        && wanted.spec.kind != AppKind::List
        && !wanted.is_theirs(directory, &found.remote)?
    {
        is_the_app(app, directory, wanted).await?;
    }
    Ok(located)
}

async fn find(app: &Search<'_>, directory: &impl Read, wanted: &Wanted) -> Result<Option<Located>, WorkError> {
    let mut every_way = wanted.clone();
    // What is not there is looked for twice, with the control between: an app that was not itself for a moment may be itself
    // again when the control is made.
    for look_no in 1..=2 {
        let (found, looked) = look(app, &every_way).await?;
        if let Some(located) = choose(directory, wanted, found)? {
            // Theirs is switched off: whether there is another is for the filters to say.
            let is_off = wanted.target == Target::Absent && !wanted.can_be_used(&located.remote);
            let may_be_unseen = wanted.is_unseen() || wanted.may_have_another_name();
            let is_missed = |blind: BTreeSet<_>| !blind.is_empty() && (may_be_unseen || blind.contains("userName"));
            if is_off && is_missed(blind_filters(app, directory, wanted, &looked).await?) {
                every_way.reach = Reach::Whole;
                let (found, _) = look(app, &every_way).await?;
                return Ok(choose(directory, wanted, found)?);
            }
            return Ok(Some(located));
        }
        if look_no == 2 {
            break;
        }
        match control(app, directory, wanted, &looked).await? {
            Control::NotNeeded => break,
            Control::Holds => {}
            // The user name is enough for an app that keeps no externalId, unless the account was never seen under its name.
            Control::Misses(attributes)
                if attributes.contains("userName") || wanted.is_unseen() || wanted.may_have_another_name() =>
            {
                every_way.reach = Reach::Whole;
                let (found, looked) = look(app, &every_way).await?;
                if let Some(located) = choose(directory, wanted, found)? {
                    return Ok(Some(located));
                }
                control(app, directory, wanted, &looked).await?;
            }
            Control::Misses(_) => {}
        }
    }
    Ok(None)
}

/// What is found of an identity, and the ways in which it was looked for.
async fn look(app: &Search<'_>, wanted: &Wanted) -> Result<(Vec<Remote>, Looked), WorkError> {
    let client = app.client;
    let (mut found, mut looked) = (Vec::new(), Looked::default());
    // Our own account settles it: for one who must have it that is the one, and for one who must not, a live one is
    // enough to know. Only "gone" needs every way of looking.
    let external_id = wanted.identity.to_string();
    let settled = |found: &[Remote]| {
        let decides = |r: &Remote| match wanted.target {
            // Which other account has their name is still to be seen.
            Target::Present => wanted.name == NameIs::Free || wanted.has_the_name(r),
            Target::Absent => r.is_active(),
        };
        found.iter().any(|r| r.text("externalId") == external_id && decides(r))
    };
    if let Some(id) = &wanted.remote_id {
        found.extend(by_id(client, id, &mut looked).await?);
        if settled(&found) {
            return Ok((found, looked));
        }
    }
    for id in wanted.others.iter().filter(|id| wanted.remote_id.as_ref() != Some(*id)) {
        found.extend(by_id(client, id, &mut looked).await?);
    }
    // An id of theirs that the app refuses to read may be an account that lives, whatever it is called: all of them show that.
    let is_refused = looked.refused.is_some() && wanted.target == Target::Absent;
    if wanted.reach == Reach::ById && wanted.remote_id.is_some() && !is_refused {
        if found.is_empty() && wanted.target == Target::Absent {
            found = listed(app, wanted, &mut looked).await?;
        }
        return Ok((found, looked));
    }
    // Of one that stands for itself nothing is known but its id.
    let filters = app.can.filter != Support::No && wanted.reach != Reach::ById;
    let mut untrusted = !filters || wanted.reach == Reach::Whole || is_refused;
    if filters {
        match search(app, "externalId", &external_id).await? {
            Answered::Complete(matches) => found.extend(matches),
            Answered::NotFound => drop(looked.not_found.insert("externalId")),
            Answered::Failed => untrusted = true,
            // Apps without externalId are common: the user name decides then. But of one who must be gone, and whose account
            // was never seen, or may have been made once more, the name alone proves nothing: the app may have given it another.
            Answered::Untrusted => {
                untrusted |= wanted.user_names.is_empty() || wanted.is_unseen() || wanted.may_have_another_name();
            }
        }
        if !untrusted {
            looked.filtered.insert("externalId");
        }
    }
    if settled(&found) {
        return Ok((found, looked));
    }
    if filters {
        untrusted |= !by_names(app, wanted, &mut found, &mut looked).await?;
    }
    if untrusted {
        let (matches, all) = scan(app, wanted).await?;
        found.extend(matches);
        looked = Looked { scanned: Some(all), refused: looked.refused, ..Looked::default() };
    }
    Ok((found, looked))
}

/// Looks for each of their user names; whether every answer can be believed.
async fn by_names(
    app: &Search<'_>,
    wanted: &Wanted,
    found: &mut Vec<Remote>,
    looked: &mut Looked,
) -> Result<bool, Failure> {
    let mut believed = true;
    for name in &wanted.user_names {
        match search(app, "userName", name).await? {
            Answered::Complete(matches) => found.extend(matches),
            Answered::NotFound => drop(looked.not_found.insert("userName")),
            Answered::Untrusted | Answered::Failed => believed = false,
        }
        looked.filtered.insert("userName");
    }
    Ok(believed)
}

/// An account that stands for itself, and that its id does not show: lists may show it all the same, under the name that it was found with
/// or, where they can't be asked for that, on a page. Of one without a name its id is all that there is.
async fn listed(app: &Search<'_>, wanted: &Wanted, looked: &mut Looked) -> Result<Vec<Remote>, Failure> {
    let mut found = Vec::new();
    if app.can.filter == Support::No || !by_names(app, wanted, &mut found, looked).await? {
        let (matches, all) = scan(app, wanted).await?;
        found = matches;
        *looked = Looked { scanned: Some(all), ..Looked::default() };
    }
    found.retain(|remote| wanted.is_known_as(&remote.id));
    Ok(found)
}

/// The account with an id that we know. One that the app takes for none of its own, such as after it has got other ids, keeps nobody from
/// being found in other ways.
async fn by_id(client: &ScimClient, id: &str, looked: &mut Looked) -> Result<Option<Remote>, Failure> {
    match read_by_id(client, id).await {
        Err(failure) if is_no_id(&failure) => {
            looked.refused = Some(failure);
            Ok(None)
        }
        outcome => outcome,
    }
}

fn choose(directory: &impl Read, wanted: &Wanted, found: Vec<Remote>) -> Result<Option<Located>, KvError> {
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for remote in found {
        if seen.insert(remote.id.clone()) {
            let mut ownership = ownership(directory, wanted, &remote)?;
            // Whoever had it can sign in until it was removed for them: nobody else gets it before.
            if ownership == Ownership::Adoptable
                && wanted.target == Target::Present
                && is_being_removed(directory, wanted, &remote)?
            {
                ownership = Ownership::Contested;
            }
            candidates.push(Located { remote, ownership });
        }
    }
    // An account that they can't be given matters to one who must have one where it has their name: it is in the way. To
    // one who must be gone it is not there, unless it may be theirs all the same: a person has to say.
    candidates.retain(|c| match (wanted.target, c.ownership) {
        (Target::Present, whose) if whose.is_out_of_reach() => wanted.has_the_name(&c.remote),
        (Target::Absent, Ownership::Foreign) => false,
        // What is never touched and was theirs is not gone because of that: a person has to say.
        (Target::Absent, Ownership::Protected) => wanted.can_be_used(&c.remote) && wanted.had(&c.remote),
        (Target::Absent, Ownership::Unlinked) => wanted.can_be_used(&c.remote),
        _ => true,
    });
    // Theirs was refused the name. With one that lives they have access, and no other is given to them; where it is dead the
    // one that has the name is theirs, or is in the way.
    let lives = |c: &Located| c.ownership == Ownership::Ours && c.remote.is_active();
    let name_decides = wanted.name == NameIs::Taken && !candidates.iter().any(lives);
    let rank = |c: &Located| {
        let whose = match c.ownership {
            Ownership::Ours | Ownership::Contested => 0,
            Ownership::Adoptable => 1,
            Ownership::Unlinked | Ownership::Foreign | Ownership::Protected => 2,
        };
        let dead = u8::from(!c.remote.is_active());
        let other = u8::from(wanted.linked.as_ref() != Some(&c.remote.id));
        match wanted.target {
            // Of several of theirs the one that has the name: no other can get it.
            Target::Present => {
                let unnamed = u8::from(!wanted.has_the_name(&c.remote));
                [if name_decides { unnamed } else { 0 }, whose, unnamed, dead, other]
            }
            // Every live account has to go before "gone" is true, whichever way it was found; then those to which there is an
            // invitation.
            Target::Absent => [dead, u8::from(!wanted.can_be_used(&c.remote)), other, whose, 0],
        }
    };
    Ok(candidates.into_iter().min_by_key(rank))
}
