//! Removing what a drill has made, and nothing else: an app may give an id again, and a name may be somebody's.

use std::collections::BTreeSet;

use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::Support;
use rollcall_domain::app::drill::Canary;
use serde_json::Map;

use crate::app_client::client::{Endpoint, Failure};
use crate::app_client::pages::Pages;
use crate::app_client::requests::{deactivate, delete};
use crate::drill::canary::renamed_of;
use crate::drill::course::{Journal, gone, is_about_the_step, lacks_deletion};
use crate::drill::sight::{MAX_LISTED, Names, Sight};
use crate::search::look::{Answered, read_by_id, search};
use crate::search::wanted::same;
use crate::work::error::WorkError;

/// Why an account of this id is taken for a canary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// This drill has made it a moment ago, and has not deleted it yet: no other can have its id.
    Made,
    /// By what it shows alone.
    Shown,
}

/// What became of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    Gone,
    /// It is there, and nobody can sign in with it.
    KeptInactive,
    /// It is there, and can be used.
    KeptActive,
    /// It does not look like a canary by now, and is not touched.
    NotRecognised,
}

/// Whether all that an app has was looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    Whole,
    InPart,
}

/// Removes canaries from an app.
pub struct Cleaning<'a, J> {
    pub spec: &'a AppSpec,
    pub pattern: &'a str,
    pub sight: &'a Sight<'a>,
    pub journal: &'a J,
}

impl<J: Journal> Cleaning<'_, J> {
    /// Whether an account is a canary: never one that is protected, or linked to somebody, or says that it is another's.
    fn is_canary(&self, remote: &Remote, canary: &Canary, trust: Trust) -> Result<bool, WorkError> {
        if self.spec.protects(remote) || self.journal.is_somebodys(&remote.id)? {
            return Ok(false);
        }
        let said = remote.text("externalId");
        if !said.is_empty() {
            return Ok(said == canary.external_id);
        }
        let name = remote.text("userName");
        let renamed = renamed_of(self.spec, self.pattern, canary);
        let is_named = same(name, &canary.user_name) || renamed.is_some_and(|renamed| same(name, &renamed));
        Ok(trust == Trust::Made || is_named)
    }

    /// Removes one account; one that can't be deleted is switched off.
    ///
    /// # Errors
    /// When the app can't be used, or our own state.
    pub async fn remove(&self, id: &str, canary: &Canary, trust: Trust) -> Result<Removal, WorkError> {
        let (client, can) = (self.sight.search.client, self.sight.search.can);
        let Some(remote) = self.sight.patiently(|| read_by_id(client, id)).await? else {
            if trust == Trust::Made {
                // Some hide whoever is inactive: what was made is deleted whatever they show.
                let hidden = Remote { id: id.to_owned(), resource: Map::new(), groups: BTreeSet::new() };
                match self.sight.patiently(|| delete(client, &hidden)).await {
                    Err(failure) if lacks_deletion(&failure) => return Ok(Removal::KeptInactive),
                    Err(failure) if !is_about_the_step(&failure) => return Err(failure.into()),
                    _ => {}
                }
            }
            return Ok(Removal::Gone);
        };
        if !self.is_canary(&remote, canary, trust)? {
            return Ok(Removal::NotRecognised);
        }
        match self.sight.patiently(|| delete(client, &remote)).await {
            Ok(()) => {
                let names = Names { user_name: canary.user_name.clone(), external_id: canary.external_id.clone() };
                if self.sight.until_shown(id, &names, &gone).await?.is_ok() {
                    return Ok(Removal::Gone);
                }
            }
            Err(failure) if is_about_the_step(&failure) => {}
            Err(failure) => return Err(failure.into()),
        }
        if remote.is_active() {
            let _ = self.sight.patiently(|| deactivate(client, can, &remote)).await;
        }
        Ok(match self.sight.patiently(|| read_by_id(client, id)).await? {
            None => Removal::Gone,
            Some(now) if now.is_active() => Removal::KeptActive,
            Some(_) => Removal::KeptInactive,
        })
    }

    /// The accounts that have one of these user names, and whether all were looked through.
    ///
    /// # Errors
    /// When the app can't be used.
    pub async fn named(&self, names: &[String]) -> Result<(BTreeSet<String>, Looked), Failure> {
        let (client, can) = (self.sight.search.client, self.sight.search.can);
        let (mut found, mut all) = (BTreeSet::new(), can.filter != Support::No);
        for name in names.iter().filter(|_| can.filter != Support::No) {
            match self.sight.patiently(|| search(&self.sight.search, "userName", name)).await? {
                Answered::Complete(matches) => found.extend(matches.into_iter().map(|remote| remote.id)),
                Answered::NotFound | Answered::Untrusted | Answered::Failed => all = false,
            }
        }
        if all {
            return Ok((found, Looked::Whole));
        }
        let (mut pages, mut read) = (Pages::new(Endpoint::Users, can), 0);
        while let Some(page) = pages.next(client).await? {
            let users = page.users()?;
            read += users.len();
            if page.total.max(read) > MAX_LISTED {
                return Ok((found, Looked::InPart));
            }
            let theirs = users.into_iter().filter(|user| names.iter().any(|name| same(user.text("userName"), name)));
            found.extend(theirs.map(|remote| remote.id));
        }
        Ok((found, Looked::Whole))
    }
}
