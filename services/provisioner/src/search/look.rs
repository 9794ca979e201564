//! The ways in which an app can be looked through: by id, by filter, or account by account.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rollcall_domain::access::account::findable;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::Capabilities;

use crate::app_client::client::{Endpoint, Failure, Filtered, ScimClient};
use crate::app_client::pages::Pages;
use crate::app_client::resource::to_remote;
use crate::search::controls::Controls;
use crate::search::wanted::{Made, Wanted, same};

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

/// What a search proves.
pub enum Answered {
    /// The accounts that match; there are no others.
    Complete(Vec<Remote>),
    /// 404: there is none, or the app knows no such filter.
    NotFound,
    /// The app does not filter, or not truthfully.
    Untrusted,
    /// The app fails for this filter: nothing is known by it, and another one is not enough.
    Failed,
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
pub async fn search(app: &Search<'_>, attribute: &str, value: &str) -> Result<Answered, Failure> {
    let answer = match app.client.search(Endpoint::Users, attribute, value).await? {
        Filtered::List(answer) => answer,
        Filtered::NotFound => return Ok(Answered::NotFound),
        Filtered::Unknown => return Ok(Answered::Untrusted),
        Filtered::Failed => return Ok(Answered::Failed),
    };
    let page = answer.found(app.can)?;
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
pub(crate) async fn scan(app: &Search<'_>, wanted: &Wanted) -> Result<(Vec<Remote>, BTreeSet<String>), Failure> {
    let external_id = wanted.identity.to_string();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut shows_whose = false;
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
            let shown = findable(&remote.resource);
            shows_whose |= !remote.text("externalId").is_empty() || shown.iter().any(|v| v != remote.text("userName"));
            if wanted.is_known_as(&remote.id)
                || wanted.is_named(&remote)
                || wanted.may_have_made(&remote) != Made::No
                || same(remote.text("externalId"), &external_id)
            {
                found.push(remote);
            }
        }
    }
    if found.is_empty() && !seen.is_empty() && !shows_whose && wanted.is_unseen() && wanted.may_have_another_name() {
        let detail = "a creation was not answered, and the app gives accounts user names of its own and shows neither whose they are nor \
                      an address: whether it has made one can't be told";
        return Err(Failure::new(RejectionCause::NotScim, detail));
    }
    Ok((found, seen))
}
