//! Finding an account before anything is done to it, and again afterwards. "Not found" is believed only where every
//! way of looking agrees: a false "gone" is the worst answer there is.

use std::collections::BTreeSet;

use jiff::Timestamp;
use reqwest::StatusCode;
use rollcall_domain::access::account::{Account, findable};
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::mapping::managed_attributes;
use rollcall_domain::directory;
use rollcall_domain::ids::IdentityId;
use rollcall_domain::kv::{KvError, Read};
use serde_json::{Map, Value};
use tokio::time::Instant;

use crate::client::{Endpoint, Failure, ScimClient};
use crate::control::{Control, Controls, Known, Looked, blind_filters, control};
use crate::ownership::{Ownership, is_being_removed, ownership};
use crate::pages::Pages;
use crate::trouble::Trouble;

/// Whom to look for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where, with what may be done there.
    pub spec: AppSpec,
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
    /// What was sent in creations whose outcome is not known.
    pub may_exist: BTreeSet<String>,
    /// What was seen of the account before.
    pub known: Known,
    /// When it was seen in the attempt that is made.
    pub seen_at: Option<Instant>,
    /// How far to look.
    pub reach: Reach,
}

impl Wanted {
    /// Everything that is known of the account of an identity, under which one of theirs may be found. An account that
    /// is someone's second one is wanted as theirs: `of`.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn of(
        state: &impl Read,
        spec: &AppSpec,
        account: &Account,
        of: IdentityId,
        now: Timestamp,
    ) -> Result<Self, KvError> {
        let identity = directory::identity(state, account.identity)?;
        let name_in = |attributes: &Map<String, Value>| attributes.get("userName")?.as_str().map(str::to_owned);
        let desired = account.desired.user_name().map(str::to_owned);
        let known = identity.as_ref().map(|i| i.user_name().to_owned());
        // What the mapping gives is looked for when nothing is desired any more, too: it may have been sent.
        let mapped = match (&account.desired, &identity) {
            (Desired::Absent, Some(identity)) => {
                name_in(&managed_attributes(&spec.attributes, identity.id, &identity.resource))
            }
            _ => None,
        };
        let names = [known, account.observed.as_ref().and_then(name_in), mapped, desired.clone()];
        let former = account.former_names.iter().cloned();
        let may_exist = account.may_exist.as_ref().map(|may| may.sent.clone()).unwrap_or_default();
        let reach = if identity.is_none() && account.remote_id.is_some() { Reach::ById } else { Reach::Everywhere };
        Ok(Self {
            spec: spec.clone(),
            identity: of,
            target: account.desired.target(),
            remote_id: account.remote_id.clone(),
            linked: account.remote_id.clone(),
            user_name: desired,
            user_names: names.into_iter().flatten().chain(former).filter(|name| !name.is_empty()).collect(),
            may_exist,
            known: Known::of(state, spec, account, now)?,
            seen_at: None,
            reach,
        })
    }

    /// Whether an account is the one that is known as theirs, or says that it is.
    pub fn had(&self, remote: &Remote) -> bool {
        self.linked.as_ref() == Some(&remote.id) || remote.text("externalId") == self.identity.to_string()
    }

    /// Whether an account has a user name of theirs.
    pub fn is_named(&self, remote: &Remote) -> bool {
        self.user_names.iter().any(|name| same(remote.text("userName"), name))
    }

    /// Whether an account of theirs, who must have none, may be there that nobody has seen.
    pub fn is_unseen(&self) -> bool {
        let may_be_unseen = self.remote_id.is_none() || !self.may_exist.is_empty();
        self.target == Target::Absent && may_be_unseen
    }

    /// Whether an account shows what was sent in a creation whose outcome is not known.
    pub fn may_have_made(&self, remote: &Remote) -> bool {
        let shown = findable(&remote.resource);
        self.may_exist.iter().any(|sent| shown.iter().any(|shown| same(sent, shown)))
    }
}

/// How far an account is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// By every way there is.
    Everywhere,
    /// The same, and every account is read: a filter does not find what is there.
    Whole,
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
    /// The last proof that it shows what it has.
    pub controls: &'a Controls,
}

/// An account that was found.
#[derive(Debug, Clone)]
pub struct Located {
    pub remote: Remote,
    pub ownership: Ownership,
}

/// What a search proves.
pub enum Answered {
    /// The accounts that match; there are no others.
    Complete(Vec<Remote>),
    /// The app does not filter, or not truthfully.
    Untrusted,
}

/// The account of an identity, live ones first; `None` when the app has none, and shows what it has.
pub async fn locate(app: &Search<'_>, directory: &impl Read, wanted: &Wanted) -> Result<Option<Located>, Trouble> {
    let mut every_way = wanted.clone();
    // What is not there is looked for twice, with the control between: an app that was not itself for a moment may be itself
    // again when the control is made.
    for look_no in 1..=2 {
        let (found, looked) = look(app, &every_way).await?;
        if let Some(located) = choose(directory, wanted, found)? {
            // Theirs is switched off: whether there is another is for the filters to say.
            let is_off = wanted.target == Target::Absent && !located.remote.is_active();
            if is_off && blind_filters(app, directory, wanted, &looked).await?.contains("userName") {
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
            Control::Misses(attributes) if attributes.contains("userName") || wanted.is_unseen() => {
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
async fn look(app: &Search<'_>, wanted: &Wanted) -> Result<(Vec<Remote>, Looked), Trouble> {
    let client = app.client;
    let (mut found, mut looked) = (Vec::new(), Looked::default());
    // Our own account settles it: for one who must have it that is the one, and for one who must not, a live one is
    // enough to know. Only "gone" needs every way of looking.
    let external_id = wanted.identity.to_string();
    let settled = |found: &[Remote]| {
        let live = |r: &Remote| wanted.target == Target::Present || r.is_active();
        found.iter().any(|r| r.text("externalId") == external_id && live(r))
    };
    if let Some(id) = &wanted.remote_id {
        found.extend(read_by_id(client, id).await?);
        if settled(&found) || wanted.reach == Reach::ById {
            return Ok((found, looked));
        }
    }
    let filters = app.can.filter != Support::No;
    let mut untrusted = !filters || wanted.reach == Reach::Whole;
    if filters {
        match search(client, "externalId", &external_id).await? {
            Answered::Complete(matches) => found.extend(matches),
            // Apps without externalId are common: the user name decides then. But of one who must be gone, and whose account
            // was never seen, or may have been made once more, the name alone proves nothing: the app may have given it another.
            Answered::Untrusted => untrusted |= wanted.user_names.is_empty() || wanted.is_unseen(),
        }
        if !untrusted {
            looked.filtered.insert("externalId");
        }
    }
    if settled(&found) {
        return Ok((found, looked));
    }
    for name in wanted.user_names.iter().filter(|_| filters) {
        match search(client, "userName", name).await? {
            Answered::Complete(matches) => found.extend(matches),
            Answered::Untrusted => untrusted = true,
        }
        looked.filtered.insert("userName");
    }
    if untrusted {
        let (matches, all) = scan(app, wanted).await?;
        found.extend(matches);
        looked = Looked { filtered: BTreeSet::new(), scanned: Some(all) };
    }
    Ok((found, looked))
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
        (Target::Present, whose) if whose.is_out_of_reach() => {
            wanted.user_name.as_ref().is_none_or(|name| same(c.remote.text("userName"), name))
        }
        (Target::Absent, Ownership::Foreign) => false,
        // What is never touched and was theirs is not gone because of that: a person has to say.
        (Target::Absent, Ownership::Protected) => c.remote.is_active() && wanted.had(&c.remote),
        (Target::Absent, Ownership::Unlinked) => c.remote.is_active(),
        _ => true,
    });
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

/// The accounts with a value of an attribute, by the app's filter.
///
/// # Errors
/// When the app does not answer, or not with a list of Users.
pub async fn search(client: &ScimClient, attribute: &str, value: &str) -> Result<Answered, Failure> {
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

/// Every account of the app, page by page: those that match, and the ids of all.
async fn scan(app: &Search<'_>, wanted: &Wanted) -> Result<(Vec<Remote>, BTreeSet<String>), Failure> {
    let external_id = wanted.identity.to_string();
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
            if wanted.is_named(&remote)
                || wanted.may_have_made(&remote)
                || same(remote.text("externalId"), &external_id)
            {
                found.push(remote);
            }
        }
    }
    Ok((found, seen))
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
