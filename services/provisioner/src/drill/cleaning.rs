//! Removing what a drill has made, and nothing else: an app may give an id again, and a name may be somebody's.

use std::collections::BTreeSet;

use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::Support;
use rollcall_domain::app::drill::{Canary, LeftBehind};

use crate::app_client::client::{Endpoint, Failure};
use crate::app_client::pages::Pages;
use crate::app_client::requests::{deactivate, delete};
use crate::drill::answers::{gone, is_about_the_step, lacks_deletion};
use crate::drill::canary::renamed_of;
use crate::drill::course::Journal;
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

/// Whether a creation was sent whose answer does not say what was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    No,
    /// It may have been carried out.
    Perhaps,
}

/// What is known of what a drill has made.
#[derive(Debug, Clone)]
pub struct Traces {
    /// How the canary is known.
    pub canary: Canary,
    /// The app's ids of what was made.
    pub made: Vec<String>,
    /// The one of these that was not deleted since.
    pub standing: Option<String>,
    /// Whether there may be one whose id is not known.
    pub unanswered: Unanswered,
}

impl Traces {
    /// Those of a canary of which nothing was made yet.
    pub const fn of(canary: Canary) -> Self {
        Self { canary, made: Vec::new(), standing: None, unanswered: Unanswered::No }
    }
}

/// What is there of a drill after it was cleaned up after.
#[derive(Debug, Clone, Default)]
pub struct Cleaned {
    /// The app's ids of accounts that are there all the same, and how.
    kept: Vec<(String, Removal)>,
    /// The user names under which there may be another.
    may_be: Option<String>,
}

impl Cleaned {
    fn note(&mut self, id: &str, removal: Removal, trust: Trust) {
        match (removal, trust) {
            // The id is somebody's by now: it was deleted, and the app has given it again.
            (Removal::Gone, _) | (Removal::NotRecognised, Trust::Shown) => {}
            (removal, _) => self.kept.push((id.to_owned(), removal)),
        }
    }

    /// The app's ids of accounts that are there all the same.
    pub fn left(&self) -> Vec<String> {
        self.kept.iter().map(|(id, _)| id.clone()).collect()
    }

    /// Whether all that is there can't be used.
    pub fn is_switched_off(&self) -> bool {
        self.may_be.is_none() && self.kept.iter().all(|(_, removal)| *removal == Removal::KeptInactive)
    }

    /// What is wrong, for people; none: nothing is left.
    pub fn words(&self) -> Vec<String> {
        let may_be = self.may_be.iter().map(|names| format!("there may be an account {names}: look for it by hand"));
        let kept = self.kept.iter().map(|(id, removal)| match removal {
            Removal::KeptInactive => format!("{id} is still there, switched off"),
            Removal::NotRecognised => format!("{id} does not look like what was made"),
            Removal::KeptActive | Removal::Gone => format!("{id} is still there, and may be used"),
        });
        may_be.chain(kept).collect()
    }

    /// The same after what else is wrong.
    pub fn after(&self, why: &str) -> String {
        std::iter::once(why.to_owned()).chain(self.words()).collect::<Vec<_>>().join("; ")
    }
}

/// Removes canaries from an app.
pub struct Cleaning<'a, J> {
    pub spec: &'a AppSpec,
    pub pattern: &'a str,
    pub sight: &'a Sight<'a>,
    pub journal: &'a J,
}

impl<J: Journal> Cleaning<'_, J> {
    /// The user names that a canary has, one after the other.
    pub fn names_of(&self, canary: &Canary) -> Vec<String> {
        let renamed = renamed_of(self.spec, self.pattern, canary);
        std::iter::once(canary.user_name.clone()).chain(renamed).collect()
    }

    /// Removes whatever is there of a drill.
    ///
    /// # Errors
    /// When the app can't be used, or our own state.
    pub async fn all_of(&self, traces: &Traces) -> Result<Cleaned, WorkError> {
        let mut ids: BTreeSet<String> = traces.made.iter().cloned().collect();
        let mut cleaned = Cleaned::default();
        if traces.unanswered == Unanswered::Perhaps {
            let names = self.names_of(&traces.canary);
            let look = || async {
                let (found, looked) = self.named_or_marked(&names, &traces.canary).await?;
                // One that can't be looked through is not waited for either.
                Ok(if found.is_empty() && looked == Looked::Whole { Err("not yet".to_owned()) } else { Ok(()) })
            };
            let _ = self.sight.until_carried_out(look).await?;
            let (found, looked) = self.named_or_marked(&names, &traces.canary).await?;
            if found.is_empty() && looked == Looked::InPart {
                cleaned.may_be = Some(names.join(" or "));
            }
            ids.extend(found);
        }
        for id in ids {
            let trust = if traces.standing.as_ref() == Some(&id) { Trust::Made } else { Trust::Shown };
            let removal = self.remove(&id, &traces.canary, trust).await?;
            let removal = if traces.made.contains(&id) { self.unless_nobodys(&id, removal)? } else { removal };
            cleaned.note(&id, removal, trust);
        }
        Ok(cleaned)
    }

    /// What came of an account that a drill has made. It may be the canary under a name of the app's own: only a person can tell.
    fn unless_nobodys(&self, id: &str, removal: Removal) -> Result<Removal, WorkError> {
        let is_lost = removal == Removal::NotRecognised && !self.journal.is_somebodys(id)?;
        Ok(if is_lost { Removal::KeptActive } else { removal })
    }

    /// Removes what earlier drills have left.
    ///
    /// # Errors
    /// As above.
    pub async fn earlier(&self, earlier: &[LeftBehind]) -> Result<Cleaned, WorkError> {
        let mut cleaned = Cleaned::default();
        for LeftBehind { id, canary } in earlier {
            let removal = self.remove(id, canary, Trust::Shown).await?;
            let removal = self.unless_nobodys(id, removal)?;
            cleaned.note(id, removal, Trust::Shown);
        }
        Ok(cleaned)
    }

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
        let is_named = self.names_of(canary).iter().any(|known| same(name, known));
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
                match self.sight.patiently(|| delete(client, id)).await {
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
        match self.sight.patiently(|| delete(client, id)).await {
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

    /// The accounts that have one of these user names or, where there is none, the canary's `externalId`: an app may make names of its own.
    async fn named_or_marked(&self, names: &[String], canary: &Canary) -> Result<(BTreeSet<String>, Looked), Failure> {
        let (mut found, looked) = self.named(names).await?;
        if found.is_empty()
            && self.sight.search.can.filter != Support::No
            && let Answered::Complete(matches) = search(&self.sight.search, "externalId", &canary.external_id).await?
        {
            found.extend(matches.into_iter().map(|remote| remote.id));
        }
        Ok((found, looked))
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
