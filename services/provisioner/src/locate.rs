//! Finding an account before anything is done to it, and again afterwards. "Not found" is believed only where every
//! way of looking agrees: a false "gone" is the worst answer there is.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rollcall_domain::account::{RejectionCause, Remote, Target};
use rollcall_domain::capability::{Capabilities, Support};
use rollcall_domain::ids::{AppId, IdentityId};
use rollcall_domain::kv::{KvError, Read};
use serde_json::Value;

use crate::client::{Endpoint, Failure, ScimClient};
use crate::ownership::{Ownership, is_being_removed, ownership};
use crate::pages::Pages;
use crate::trouble::Trouble;

/// Whom to look for.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub app: AppId,
    pub identity: IdentityId,
    pub target: Target,
    /// The app's id of the account, when it is known: where to look first.
    pub remote_id: Option<String>,
    /// The app's id of the account that was known before anyone looked: of several that are alike it is that one.
    pub linked: Option<String>,
    /// The user name that the account must have.
    pub user_name: Option<String>,
    /// Every user name the account may have.
    pub user_names: BTreeSet<String>,
    /// How far to look.
    pub reach: Reach,
}

/// How far an account is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By every way there is.
    Everywhere,
    /// By its id alone: it belongs to nobody, and nothing else is known of it.
    ById,
}

/// How an app can be looked through.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    pub client: &'a ScimClient,
    pub can: &'a Capabilities,
    /// The most accounts that are read one by one.
    pub max_scan: usize,
}

/// An account that was found.
#[derive(Debug, Clone)]
pub struct Located {
    pub remote: Remote,
    pub ownership: Ownership,
}

/// What a search proves.
enum Answered {
    /// The accounts that match; there are no others.
    Complete(Vec<Remote>),
    /// The app does not filter, or not truthfully.
    Untrusted,
}

/// The account of an identity, live ones first; `None` when the app has none.
pub async fn locate(app: &Search<'_>, directory: &impl Read, wanted: &Wanted) -> Result<Option<Located>, Trouble> {
    let client = app.client;
    let mut found: Vec<Remote> = Vec::new();
    let external_id = wanted.identity.to_string();
    // Our own account settles it: for one who must have it that is the one, and for one who must not, a live one is
    // enough to know. Only "gone" needs every way of looking.
    let settled = |found: &[Remote]| {
        found.iter().any(|r| r.text("externalId") == external_id && (wanted.target == Target::Present || r.is_active()))
    };
    if let Some(id) = &wanted.remote_id {
        found.extend(read_by_id(client, id).await?);
        if settled(&found) || wanted.reach == Reach::ById {
            return Ok(choose(app, directory, wanted, found)?);
        }
    }
    let filters = app.can.filter != Support::No;
    let mut untrusted = !filters;
    if filters {
        match search(client, "externalId", &external_id).await? {
            Answered::Complete(matches) => found.extend(matches),
            // Apps without externalId are common: the user name decides then. But of one who must be gone, and whose account
            // was never seen, the name alone proves nothing: a creation whose answer was lost may have made it under another.
            Answered::Untrusted => {
                let unseen = wanted.target == Target::Absent && wanted.remote_id.is_none();
                untrusted = wanted.user_names.is_empty() || unseen;
            }
        }
    }
    if settled(&found) {
        return Ok(choose(app, directory, wanted, found)?);
    }
    for name in wanted.user_names.iter().filter(|_| filters) {
        match search(client, "userName", name).await? {
            Answered::Complete(matches) => found.extend(matches),
            Answered::Untrusted => untrusted = true,
        }
    }
    if untrusted {
        found.extend(scan(app, wanted, &external_id).await?);
    }
    Ok(choose(app, directory, wanted, found)?)
}

fn choose(
    app: &Search<'_>,
    directory: &impl Read,
    wanted: &Wanted,
    found: Vec<Remote>,
) -> Result<Option<Located>, KvError> {
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for remote in found {
        if seen.insert(remote.id.clone()) {
            let mut ownership =
                ownership(directory, &wanted.app, wanted.identity, wanted.target, wanted.linked.as_ref(), &remote)?;
            // Where changes show late, what is still being removed for another would be taken for theirs again.
            if ownership == Ownership::Adoptable
                && app.can.consistency_delay.is_some()
                && is_being_removed(directory, &wanted.app, wanted.identity, &remote)?
            {
                ownership = Ownership::Contested;
            }
            candidates.push(Located { remote, ownership });
        }
    }
    // Someone else's account matters to one who must have one: it is in the way. To one who must be gone it is not there.
    if wanted.target == Target::Absent {
        candidates.retain(|c| c.ownership != Ownership::Foreign);
    }
    let rank = |c: &Located| {
        let whose = match c.ownership {
            Ownership::Ours | Ownership::Contested => 0,
            Ownership::Adoptable => 1,
            Ownership::Foreign => 2,
        };
        let dead = u8::from(!c.remote.is_active());
        let other = u8::from(wanted.linked.as_ref() != Some(&c.remote.id));
        match wanted.target {
            // Of several of theirs the one that has the name: no other can get it.
            Target::Present => {
                let named = wanted.user_name.as_ref().is_none_or(|name| same(c.remote.text("userName"), name));
                [whose, u8::from(!named), dead, other]
            }
            // Every live account has to go before "gone" is true, whichever way it was found.
            Target::Absent => [dead, other, whose, 0],
        }
    };
    Ok(candidates.into_iter().min_by_key(rank))
}

/// The account with this id; `None`: the app says that there is none. Any other answer says nothing.
///
/// # Errors
/// When the app does not say.
pub async fn read_by_id(client: &ScimClient, id: &str) -> Result<Option<Remote>, Failure> {
    let answer = client.get(Endpoint::Users, id).await?;
    match answer.status {
        StatusCode::OK => {
            let remote = answer.body.as_ref().and_then(to_remote);
            remote.map(Some).ok_or_else(|| answer.not_scim("the answer to a read is not a User"))
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
        _ => Err(answer.failure()),
    }
}

async fn search(client: &ScimClient, attribute: &str, value: &str) -> Result<Answered, Failure> {
    let Some(answer) = client.search(Endpoint::Users, attribute, value).await? else { return Ok(Answered::Untrusted) };
    let page = answer.list()?;
    let resources: Option<Vec<Remote>> = page.resources.iter().map(to_remote).collect();
    let Some(resources) = resources else {
        return Err(answer.not_scim("a search found something that is not a User"));
    };
    // Also when there are more than it shows: one of those could be the one.
    if !page.is_complete() || !resources.iter().all(|r| same(r.text(attribute), value)) {
        return Ok(Answered::Untrusted);
    }
    Ok(Answered::Complete(resources))
}

/// Every account of the app, page by page, for those that match.
async fn scan(app: &Search<'_>, wanted: &Wanted, external_id: &str) -> Result<Vec<Remote>, Failure> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut pages = Pages::new(Endpoint::Users, app.can);
    while let Some(page) = pages.next(app.client).await? {
        let resources = page.users()?;
        if page.total.max(seen.len() + resources.len()) > app.max_scan {
            let (total, max_scan) = (page.total, app.max_scan);
            let detail = format!(
                "the app does not filter by externalId or userName, and its {total} accounts can't all be read \
                 (max_scan is {max_scan}): who has an account can't be told"
            );
            return Err(Failure::new(RejectionCause::NotScim, detail));
        }
        for remote in resources {
            // The same account on two pages: others were passed over.
            if !seen.insert(remote.id.clone()) {
                return Err(page.answer.not_scim("the pages of the app overlap: who has an account can't be told"));
            }
            let named = wanted.user_names.iter().any(|name| same(remote.text("userName"), name));
            if named || same(remote.text("externalId"), external_id) {
                found.push(remote);
            }
        }
    }
    Ok(found)
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// A User in an app's answer; `None` when it is none.
pub fn to_remote(value: &Value) -> Option<Remote> {
    let resource = value.as_object()?.clone();
    let id = resource.get("id")?.as_str()?.to_owned();
    resource.get("userName")?.as_str()?;
    Some(Remote { id, resource, groups: BTreeSet::new() })
}
