//! Asking an app for the steps that lead to what is desired.

use std::collections::BTreeSet;
use std::time::Duration;

use rollcall_domain::access::account::{Account, findable};
use rollcall_domain::access::desired::{Desired, Target};
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::{Adopted, Applied, Attempted, Origin};
use rollcall_domain::access::plan::Step;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::app::mapping::{Attributes, is_within, overlap};
use rollcall_domain::app::standard::gives_access;
use rollcall_domain::identity::lifecycle::Lifecycle;
use rollcall_domain::{Event, directory, ledger};
use serde_json::Value;

use crate::app_client::client::Failure;
use crate::app_client::memberships::{Hiding, Unseen};
use crate::app_client::remote_group::Member;
use crate::app_client::requests::{Created, another, create, deactivate, delete, update};
use crate::search::locate::Located;
use crate::search::ownership::Ownership;
use crate::search::wanted::{NameIs, Wanted};
use crate::work::connector::{Connector, Link};
use crate::work::error::WorkError;
use crate::work::unanswered::Effect;

/// What was asked of the app so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Nothing,
    /// A creation, which found that there is an account.
    Conflict,
    Everything,
}

/// A mapping can give what no app takes.
pub fn check_mapping(desired: &Desired) -> Result<(), Failure> {
    let Desired::Present(presence) = desired else { return Ok(()) };
    match presence.attributes.get("userName") {
        Some(Value::String(name)) if !name.is_empty() => Ok(()),
        other => {
            let what = other.map_or_else(|| "nothing".to_owned(), ToString::to_string);
            let detail = format!("the mapping gives {what} as userName: mend [apps.attributes], or the identity");
            Err(Failure::new(RejectionCause::Unmappable, detail))
        }
    }
}

/// Refuses to touch an account that is not theirs, with what a person can do about it.
pub fn refuse_foreign(located: Option<&Located>, target: Target) -> Result<(), Failure> {
    let Some(found) = located.filter(|l| l.ownership.is_out_of_reach()) else { return Ok(()) };
    let (name, id) = (found.remote.text("userName"), &found.remote.id);
    let why = match found.ownership {
        Ownership::Protected => "is one of the app's protected accounts".to_owned(),
        Ownership::Unlinked if target == Target::Absent => {
            "is linked to nobody: they are not gone while it can be used. Switch it off there, or list it under `protected`"
                .to_owned()
        }
        Ownership::Unlinked => {
            "was not made by Rollcall, and the app's `adopt` does not let anyone have it: link it by \
                                `adopt = \"unlinked\"`, list it under `protected`, or remove it"
                .to_owned()
        }
        _ => format!("belongs to identity {}", found.remote.text("externalId")),
    };
    let detail = format!("the app's account '{name}' (id {id}) has this user name and {why}");
    Err(Failure::new(RejectionCause::Conflict, detail))
}

/// How often an app is asked to take an account out of a group that has shown it before and does not now.
const ASKED_TO_LEAVE: u32 = 3;

/// The same where each answer was that the app has failed: that may pass.
const ASKED_AFTER_ERRORS: u32 = 10;

/// After how many answers like this one an app is not asked any more to take an account out of a group; `None`: it is asked on.
fn asked_to_leave(failure: &Failure) -> Option<u32> {
    match failure.rejection.status {
        _ if failure.is_final() => Some(ASKED_TO_LEAVE),
        // It may be done later, or when it is asked again after a while.
        _ if failure.rejection.cause == RejectionCause::Throttled => None,
        Some(403) => Some(ASKED_TO_LEAVE),
        Some(500 | 501) => Some(ASKED_AFTER_ERRORS),
        _ => None,
    }
}

impl Connector {
    /// How long a creation whose outcome is not known may still be carried out: the app was not heard of it.
    pub fn may_still_come(&self, account: &Account, remote: Option<&Remote>, longest: Duration) -> Option<Duration> {
        let unanswered = account.may_exist.as_ref().filter(|_| remote.is_none())?;
        let since = Duration::try_from((self.clock)().duration_since(unanswered.since)).unwrap_or_default();
        longest.checked_sub(since).filter(|left| !left.is_zero())
    }

    /// Asks the app for each step in turn.
    pub async fn carry_out(
        &self,
        account: &Account,
        steps: &[Step],
        located: Option<&Located>,
        wanted: &mut Wanted,
        can: &Capabilities,
        before: Sent,
    ) -> Result<Sent, WorkError> {
        let Some(Link { client, memberships, config, .. }) = &self.link else { return Ok(Sent::Nothing) };
        let essential = &config.spec.essential;
        let origin = match located.map(|l| l.ownership) {
            Some(Ownership::Ours | Ownership::Contested) | None => Origin::Ours,
            Some(_) => Origin::Adopted,
        };
        if let (Origin::Adopted, Some(found)) = (origin, located.filter(|_| !steps.is_empty())) {
            self.say_adopted(account, &found.remote.id).await?;
        }
        let mut bare = false;
        for step in steps {
            let mut group = None;
            let mut operation = step.operation();
            // It may still be carried out when everything has been read back.
            let effect = match step {
                Step::Create(_) | Step::Update(_) | Step::Enter(_) => Effect::Gives,
                Step::Leave(_) | Step::Deactivate | Step::Delete => Effect::Takes,
            };
            let sending = self.unanswered.sending(account.identity, account.desired_version, effect);
            let answered = |failure: Option<&Failure>| sending.answered(failure);
            match (step, located) {
                (Step::Create(attributes), _) => {
                    let outcome = self.create(account, attributes, wanted, can).await;
                    match &outcome {
                        Ok(_) => answered(None),
                        Err(WorkError::App(failure)) => answered(Some(failure)),
                        // Whether it was sent is not known.
                        Err(WorkError::Ours(_)) => {}
                    }
                    match self.unless_anothers(account, outcome?)? {
                        Created::As(id) => wanted.remote_id = Some(id),
                        Created::Bare(id) => {
                            wanted.remote_id = Some(id);
                            bare = true;
                        }
                        // It is found by what was sent.
                        Created::Somewhere => return Ok(Sent::Conflict),
                        // Someone was faster, perhaps ourselves before a restart: look again, once.
                        Created::Conflict(conflict) if before == Sent::Conflict => return Err(conflict.into()),
                        Created::Conflict(_) => return Ok(Sent::Conflict),
                    }
                }
                (Step::Enter(name) | Step::Leave(name), _) => {
                    let Some(id) = wanted.remote_id.as_deref() else {
                        answered(None);
                        continue;
                    };
                    let member = match located {
                        Some(found) => Member { id, ..Member::from(&found.remote) },
                        None => Member { id, user_name: account.desired.user_name().unwrap_or_default(), remote: None },
                    };
                    let outcome = match step {
                        Step::Enter(_) => memberships.enter(client, can, name, member).await,
                        _ => memberships.leave(client, can, name, member).await,
                    };
                    answered(outcome.as_ref().err());
                    // It is left with the account.
                    if outcome.is_err() && matches!(step, Step::Leave(_)) && steps.contains(&Step::Delete) {
                        continue;
                    }
                    outcome?;
                    match step {
                        Step::Leave(_) => self.left_groups.note(account.identity, account.desired_version, name),
                        _ => self.left_groups.entered(account.identity, name),
                    }
                    group = Some(name.clone());
                }
                (Step::Update(changes), Some(found)) => {
                    let outcome = update(client, can, changes, &account.desired, &found.remote, essential).await;
                    answered(outcome.as_ref().err());
                    if let Err(failure) = outcome {
                        // Another account may be in the way, perhaps another one of theirs: look again, everywhere, once.
                        if before == Sent::Conflict || failure.rejection.cause != RejectionCause::Conflict {
                            return Err(failure.into());
                        }
                        (wanted.remote_id, wanted.name) = (None, NameIs::Taken);
                        return Ok(Sent::Conflict);
                    }
                }
                (Step::Deactivate, Some(found)) => {
                    let outcome = deactivate(client, can, &found.remote).await;
                    answered(outcome.as_ref().err());
                    outcome?;
                }
                (Step::Delete, Some(found)) => {
                    let mut outcome = delete(client, &found.remote.id).await;
                    let is_missing = |failure: &Failure| matches!(failure.rejection.status, Some(405 | 501));
                    // An app without deletion: nobody signs in any more, and the account is left.
                    if found.remote.is_active() && outcome.as_ref().is_err_and(is_missing) {
                        outcome = deactivate(client, can, &found.remote).await;
                        operation = Operation::Deactivate;
                    }
                    answered(outcome.as_ref().err());
                    outcome?;
                }
                (Step::Update(_) | Step::Deactivate | Step::Delete, None) => {
                    answered(None);
                    continue;
                }
            }
            let applied = Applied {
                app: account.app.clone(),
                identity: account.identity,
                version: account.desired_version,
                remote_id: wanted.remote_id.clone(),
                operation,
                origin,
                group,
            };
            self.append(account, Event::AccountApplied(applied)).await?;
        }
        // The rest of it is a change of what is there now.
        Ok(if bare { Sent::Conflict } else { Sent::Everything })
    }

    /// What came of a creation; an account that somebody else has is not what was made, unless they have left and theirs is gone.
    fn unless_anothers(&self, account: &Account, created: Created) -> Result<Created, WorkError> {
        let (Created::As(id) | Created::Bare(id)) = &created else { return Ok(created) };
        let view = self.store.view();
        let Some(holder) = ledger::linked(&view, &account.app, id)?.filter(|holder| *holder != account.identity) else {
            return Ok(created);
        };
        let stays =
            directory::identity(&view, holder)?.is_some_and(|who| !who.deleted && who.lifecycle != Lifecycle::Left);
        let theirs = ledger::account(&view, holder, &account.app)?;
        let is_wanted = |theirs: &Account| theirs.desired.target() == Target::Present || theirs.is_being_removed();
        if stays || theirs.as_ref().is_some_and(is_wanted) {
            let name = theirs.as_ref().and_then(|theirs| theirs.desired.user_name());
            return Ok(Created::Conflict(another(id, name.unwrap_or_default())));
        }
        Ok(created)
    }

    /// Takes an account out of the groups that it was to be put into and that never showed it, since they may hide it, and out of those that
    /// have shown it before: they may show others by now.
    pub async fn leave_unseen(
        &self,
        account: &Account,
        found: &Located,
        groups: impl Iterator<Item = &String>,
        can: &Capabilities,
    ) -> Result<(), WorkError> {
        let Some(Link { client, memberships, .. }) = &self.link else { return Ok(()) };
        let shown = account.shown_groups();
        for group in groups.filter(|group| !found.remote.groups.contains(*group)) {
            let hiding = match (account.entered.contains(group), shown.contains(group.as_str())) {
                (true, _) => Hiding::Perhaps,
                (false, true) if !self.left_groups.has(account.identity, account.desired_version, group) => {
                    Hiding::Others
                }
                (false, _) => continue,
            };
            let sending = self.unanswered.sending(account.identity, account.desired_version, Effect::Takes);
            let left = memberships.leave_unseen(client, can, group, Member::from(&found.remote), hiding).await;
            sending.answered(left.as_ref().err());
            let left = match left {
                // It has shown them before, was read, and does not now: what the app refuses again and again keeps nobody waiting.
                Err(failure)
                    if (hiding == Hiding::Others || self.left_groups.is_refused(account.identity, group))
                        && asked_to_leave(&failure)
                            .is_some_and(|most| self.left_groups.note_refused(account.identity, group) >= most) =>
                {
                    Unseen::NotAsked
                }
                left => left?,
            };
            self.left_groups.note(account.identity, account.desired_version, group);
            if left == Unseen::NotAsked {
                continue;
            }
            let applied = Applied {
                app: account.app.clone(),
                identity: account.identity,
                version: account.desired_version,
                remote_id: Some(found.remote.id.clone()),
                operation: Operation::Leave,
                origin: Origin::Ours,
                group: Some(group.clone()),
            };
            self.append(account, Event::AccountApplied(applied)).await?;
        }
        Ok(())
    }

    /// Says whose an account becomes before anything is sent to it: the answer may be lost, and it must be found again whatever it
    /// says of itself by then.
    pub async fn say_adopted(&self, account: &Account, remote_id: &str) -> Result<(), WorkError> {
        let is_present = account.desired.target() == Target::Present;
        let linked = ledger::linked(&self.store.view(), &self.app, remote_id)?;
        if !is_present || linked == Some(account.identity) {
            return Ok(());
        }
        let (app, identity, remote_id) = (account.app.clone(), account.identity, remote_id.to_owned());
        self.append(account, Event::AccountAdopted(Adopted { app, identity, remote_id })).await?;
        Ok(())
    }

    /// Creates an account. What may exist is on the log before it can: where the app does not show whose an account is,
    /// only that tells it from one that was there before.
    pub async fn create(
        &self,
        account: &Account,
        attributes: &Attributes,
        wanted: &mut Wanted,
        can: &Capabilities,
    ) -> Result<Created, WorkError> {
        let Some(Link { client, config, .. }) = &self.link else { return Err(self.not_connected().into()) };
        let (before, earlier) = (wanted.may_exist.clone(), wanted.creations);
        let all: BTreeSet<String> = before.union(&findable(attributes)).cloned().collect();
        let say = async |sent: &BTreeSet<String>, creations: u32| {
            let (app, identity, version) = (account.app.clone(), account.identity, account.desired_version);
            let attempted = Attempted { app, identity, version, sent: sent.clone(), creations };
            self.append(account, Event::AccountAttempted(attempted)).await
        };
        // Of several whose outcome is not known each counts: one that is found says nothing of the others.
        let ahead = !before.is_empty() || !ledger::keeps_external_ids(&self.store.view(), &self.app)?;
        if ahead {
            say(&all, earlier + 1).await?;
        }
        let mut outcome = create(client, attributes, can).await;
        // An app may refuse somebody for their title: that keeps nobody out.
        let of_a_value = |failure: &Failure| matches!(failure.rejection.status, Some(400 | 422));
        if outcome.as_ref().is_err_and(of_a_value)
            && let Some(least) = least(attributes, &config.spec.essential, can)
        {
            match create(client, &least, can).await {
                // What is wrong is something else: it says so itself.
                Err(failure) if !failure.is_unanswered() => {}
                Ok(Created::As(id)) => outcome = Ok(Created::Bare(id)),
                made => outcome = made,
            }
        }
        let is_unanswered = match &outcome {
            Ok(Created::Somewhere) => true,
            Ok(_) => false,
            Err(failure) => failure.is_unanswered(),
        };
        match &outcome {
            _ if is_unanswered => {
                if !ahead {
                    say(&all, earlier + 1).await?;
                }
                wanted.may_exist = all;
                wanted.creations = earlier + 1;
                wanted.may_exist_since.get_or_insert((self.clock)());
            }
            Ok(Created::As(_) | Created::Bare(_) | Created::Somewhere) => {}
            Ok(Created::Conflict(_)) | Err(_) => {
                if ahead {
                    say(&before, earlier).await?;
                }
            }
        }
        Ok(outcome?)
    }
}

/// What only describes somebody (RFC 7643 §4.1.1); what is not among these may give rights.
const DESCRIBES: [&str; 11] = [
    "displayName",
    "nickName",
    "title",
    "name",
    "profileUrl",
    "preferredLanguage",
    "locale",
    "timezone",
    "phoneNumbers",
    "addresses",
    "photos",
];

/// What an account can't be made without: all but what only describes somebody, and is not required. None: that is all of it.
fn least(attributes: &Attributes, essential: &BTreeSet<String>, can: &Capabilities) -> Option<Attributes> {
    let is_required = |path: &str| can.required.iter().any(|required| overlap(required, path));
    let describes = |path: &str| DESCRIBES.iter().any(|whole| is_within(path, whole)) && !gives_access(essential, path);
    let kept = |(path, _): &(&String, &Value)| !describes(path) || is_required(path);
    let least: Attributes = attributes.iter().filter(kept).map(|(path, value)| (path.clone(), value.clone())).collect();
    (least.len() < attributes.len()).then_some(least)
}
