//! The course of a drill, step by step; and what is done afterwards so that nothing is left of it.

use std::collections::BTreeSet;

use rollcall_config::{AppConfig, DrillSettings};
use rollcall_domain::access::desired::{Desired, Presence};
use rollcall_domain::access::entitlement::{Part, Risk};
use rollcall_domain::access::plan::{differences, is_unkept_id};
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::AppSpec;
use rollcall_domain::app::capability::Support;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::app::drill::{Canary, DrillResult, DrillStep, DrillVerdict};
use rollcall_domain::app::mapping::Attributes;
use rollcall_domain::app::standard::{Invitation, Standard};
use rollcall_scim::Changed;

use crate::app_client::client::{Failure, shorten};
use crate::app_client::memberships::Memberships;
use crate::app_client::remote_group::Member;
use crate::app_client::requests::{Created, create, deactivate, delete, update};
use crate::drill::answers::{gone, in_words, is_about_the_step, lacks_deletion};
use crate::drill::canary::{Person, known_as};
use crate::drill::cleaning::{Cleaned, Cleaning, Traces, Unanswered};
use crate::drill::sight::{Names, Seen, Sight, Way};
use crate::error::ProvisionerError;
use crate::search::look::read_by_id;
use crate::search::wanted::same;
use crate::work::error::WorkError;

/// Where it is kept what the app has made, before anything else is asked of it.
pub trait Journal {
    /// The app has made an account of this id.
    async fn made(&self, remote_id: &str) -> Result<(), ProvisionerError>;

    /// Whether we know an account of this id as somebody's.
    fn is_somebodys(&self, remote_id: &str) -> Result<bool, ProvisionerError>;
}

/// What a drill goes by.
pub struct Course<'a, J> {
    pub spec: &'a AppSpec,
    pub settings: &'a DrillSettings,
    pub memberships: &'a Memberships,
    pub journal: &'a J,
    pub sight: Sight<'a>,
    pub standard: Standard,
    /// How the canary is known, and what was made of it.
    pub traces: Traces,
    /// What it is by now.
    pub person: Person,
    /// What it is when it is renamed.
    pub renamed: Person,
    /// The attributes that the app has shown otherwise once: that is said, and keeps no later step from being judged.
    pub given_up: BTreeSet<String>,
    pub results: Vec<DrillResult>,
    /// Whether the app deletes accounts, as far as that was tried.
    pub deletion: Support,
}

const GROUP_STEPS: [DrillStep; 2] = [DrillStep::EnterGroup, DrillStep::LeaveGroup];

/// What is no attribute that only describes somebody.
const TELLS_APART: [&str; 3] = ["userName", "externalId", "active"];

/// How a change went: done; refused in so many words; or not to be tried.
enum Asked {
    Done,
    Refused(String),
    Skipped(String),
}

impl Asked {
    /// What the app's answer means for one step. That the app itself can't be used says nothing of the step.
    fn of(outcome: Result<(), Failure>) -> Result<Self, Failure> {
        match outcome {
            Ok(()) => Ok(Self::Done),
            Err(failure) if is_about_the_step(&failure) => Ok(Self::Refused(in_words(&failure))),
            Err(failure) => Err(failure),
        }
    }
}

impl<'a, J: Journal> Course<'a, J> {
    /// That of a drill of an app that can do what `search` says, by the canary that `word` tells from others.
    pub fn new(
        config: &'a AppConfig,
        memberships: &'a Memberships,
        sight: Sight<'a>,
        journal: &'a J,
        canary: Canary,
        word: &str,
    ) -> Self {
        let (spec, settings) = (&config.spec, &config.drill);
        let mut standard = Standard::of(spec, sight.search.can);
        if sight.search.can.invites == Support::Yes {
            standard.invitation = Invitation::Stands;
        }
        Self {
            spec,
            settings,
            memberships,
            journal,
            sight,
            standard,
            traces: Traces::of(canary),
            person: Person::new(spec, &settings.user_name, word),
            renamed: Person::renamed(spec, &settings.user_name, word),
            given_up: BTreeSet::new(),
            results: Vec::new(),
            deletion: Support::Unknown,
        }
    }

    fn attributes(&self) -> Attributes {
        self.person.attributes(self.spec)
    }

    fn names(&self) -> Names {
        let known = known_as(&self.attributes()).unwrap_or_else(|| self.traces.canary.clone());
        Names { user_name: known.user_name, external_id: known.external_id }
    }

    /// What removes its traces.
    pub fn cleaning(&self) -> Cleaning<'_, J> {
        let (spec, pattern) = (self.spec, self.settings.user_name.as_str());
        Cleaning { spec, pattern, sight: &self.sight, journal: self.journal }
    }

    fn note(&mut self, step: DrillStep, of: &str, verdict: DrillVerdict, detail: impl Into<String>) {
        let (of, detail) = (of.to_owned(), shorten(&detail.into()));
        self.results.push(DrillResult { step, of, verdict, detail, visible_after: None });
    }

    fn skip(&mut self, steps: &[DrillStep], of: &str, why: &str) {
        steps.iter().for_each(|step| self.note(*step, of, DrillVerdict::Skipped, why));
    }

    fn saw(&mut self, step: DrillStep, of: &str, seen: Seen) -> DrillVerdict {
        let (verdict, detail, visible_after) = match seen {
            Ok(took) => (DrillVerdict::Passed, String::new(), Some(took)),
            Err(why) => (DrillVerdict::Failed, shorten(&why), None),
        };
        self.results.push(DrillResult { step, of: of.to_owned(), verdict, detail, visible_after });
        verdict
    }

    /// Takes the canary through the app.
    ///
    /// # Errors
    /// When the app can't be used, or our own log: what was tried by then is in the results.
    pub async fn run(&mut self) -> Result<(), WorkError> {
        self.refuse_what_is_there().await?;
        let Some(id) = self.create(DrillStep::Create).await? else { return Ok(()) };
        self.find(&id).await?;
        self.change(&id).await?;
        self.group(&id).await?;
        self.rename(&id).await?;
        self.switch(&id).await?;
        if self.delete(&id).await? {
            self.create(DrillStep::CreateAgain).await?;
        } else {
            self.note(DrillStep::CreateAgain, "", DrillVerdict::Skipped, "the first account is still there");
        }
        Ok(())
    }

    /// An account that is there already is somebody's, and never touched.
    async fn refuse_what_is_there(&self) -> Result<(), Failure> {
        let (found, _) = self.cleaning().named(&self.cleaning().names_of(&self.traces.canary)).await?;
        match found.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(
                RejectionCause::Conflict,
                format!(
                    "the app has an account '{}' already: choose another [apps.drill] user_name",
                    self.traces.canary.user_name
                ),
            )),
        }
    }

    /// What the canary must show; what an app does not keep of our id is no mistake.
    fn shows_all(&self) -> impl Fn(Option<&Remote>) -> Result<(), String> + Send + Sync + use<J> {
        let (attributes, standard, given_up) = (self.attributes(), self.standard.clone(), self.given_up.clone());
        move |remote| {
            let Some(remote) = remote else { return Err("it is not there".into()) };
            let mut differ = differences(&attributes, remote, &standard);
            differ.retain(|change| !is_unkept_id(change) && !given_up.contains(&change.path));
            let shown = |change: &Changed| {
                let shown = change.after.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string);
                format!("{} shows {shown}", change.path)
            };
            match differ.as_slice() {
                [] => Ok(()),
                all => Err(all.iter().map(shown).collect::<Vec<_>>().join("; ")),
            }
        }
    }

    async fn create(&mut self, step: DrillStep) -> Result<Option<String>, WorkError> {
        let can = self.sight.search.can;
        let attributes = self.attributes();
        let managed = attributes.iter().filter(|(path, _)| self.standard.is_managed(path));
        let sent: Attributes = managed.map(|(path, value)| (path.clone(), value.clone())).collect();
        // What is sent may be carried out, whatever is answered.
        self.traces.unanswered = Unanswered::Perhaps;
        let made = self.sight.patiently(|| create(self.sight.search.client, &sent, can)).await;
        let id = match made {
            Ok(Created::As(id) | Created::Bare(id)) if !id.trim().is_empty() => id,
            Ok(Created::As(_) | Created::Bare(_) | Created::Somewhere) => match self.by_name().await? {
                Some(id) => id,
                None => {
                    let why = "the app says that it has made it, not as what, and does not show it under its name";
                    self.note(step, "", DrillVerdict::Failed, why);
                    return Ok(None);
                }
            },
            Ok(Created::Conflict(failure)) => {
                self.traces.unanswered = Unanswered::No;
                self.note(step, "", DrillVerdict::Failed, format!("its name can't be used: {}", in_words(&failure)));
                return Ok(None);
            }
            Err(failure) if is_about_the_step(&failure) => {
                if !failure.is_unanswered() {
                    self.traces.unanswered = Unanswered::No;
                }
                self.note(step, "", DrillVerdict::Failed, in_words(&failure));
                return Ok(None);
            }
            Err(failure) => return Err(failure.into()),
        };
        self.traces.unanswered = Unanswered::No;
        self.traces.made.push(id.clone());
        self.traces.standing = Some(id.clone());
        self.journal.made(&id).await?;
        let seen = self.sight.until_shown(&id, &self.names(), &self.shows_all()).await?;
        if self.saw(step, "", seen) != DrillVerdict::Passed {
            self.give_up_what_differs(&id).await?;
        }
        Ok(Some(id))
    }

    /// What the app makes of attributes that give nobody access is known now.
    async fn give_up_what_differs(&mut self, id: &str) -> Result<(), Failure> {
        let client = self.sight.search.client;
        let Some(remote) = self.sight.patiently(|| read_by_id(client, id)).await? else { return Ok(()) };
        let differ = differences(&self.attributes(), &remote, &self.standard);
        let describes = |path: &String| !TELLS_APART.contains(&path.as_str());
        self.given_up.extend(differ.into_iter().map(|change| change.path).filter(describes));
        Ok(())
    }

    async fn by_name(&self) -> Result<Option<String>, Failure> {
        // Before it was made there was none of this name.
        let (found, _) = self.cleaning().named(&[self.names().user_name]).await?;
        Ok(found.into_iter().next())
    }

    /// Looks for it in every way that there is; those that show it are relied on from here on.
    async fn find(&mut self, id: &str) -> Result<(), Failure> {
        let filters = self.sight.search.can.filter != Support::No;
        let ways = [
            (Way::UserName, DrillStep::FindByUserName),
            (Way::ExternalId, DrillStep::FindByExternalId),
            (Way::List, DrillStep::List),
        ];
        let there = |remote: Option<&Remote>| remote.map(|_| ()).ok_or_else(|| "it does not show it".to_owned());
        for (way, step) in ways {
            let kept = || async {
                let remote = read_by_id(self.sight.search.client, id).await?;
                Ok(remote.is_some_and(|remote| same(remote.text("externalId"), &self.traces.canary.external_id)))
            };
            if way != Way::List && !filters {
                self.note(step, "", DrillVerdict::Skipped, "the app does not filter");
            } else if way == Way::ExternalId && !self.sight.patiently(kept).await? {
                self.note(step, "", DrillVerdict::Skipped, "the app keeps no externalId");
            } else if way == Way::List
                && let Err(why) = self.sight.by(way, id, &self.names()).await?
            {
                self.note(step, "", DrillVerdict::Skipped, why);
            } else {
                let seen = self.sight.until_by(way, id, &self.names(), &there).await?;
                if self.saw(step, "", seen) == DrillVerdict::Passed {
                    self.sight.ways.insert(way);
                }
            }
        }
        Ok(())
    }

    /// Asks for what the canary is now, where it shows something else.
    async fn update(&self, id: &str) -> Result<Asked, Failure> {
        let attributes = self.attributes();
        let client = self.sight.search.client;
        let Some(remote) = self.sight.patiently(|| read_by_id(client, id)).await? else {
            return Ok(Asked::Refused("it is not there any more".into()));
        };
        let mut changes = differences(&attributes, &remote, &self.standard);
        changes.retain(|change| !self.given_up.contains(&change.path));
        if changes.is_empty() {
            return Ok(Asked::Done);
        }
        let desired = Desired::Present(Presence { attributes, groups: BTreeSet::new() });
        let (can, essential) = (self.sight.search.can, &self.spec.essential);
        let ask = || update(client, can, &changes, &desired, &remote, essential);
        Asked::of(self.sight.patiently(ask).await)
    }

    async fn judge(&mut self, step: DrillStep, of: &str, id: &str, asked: Asked) -> Result<DrillVerdict, Failure> {
        match asked {
            Asked::Skipped(why) => {
                self.note(step, of, DrillVerdict::Skipped, why);
                Ok(DrillVerdict::Skipped)
            }
            Asked::Refused(why) => {
                self.note(step, of, DrillVerdict::Failed, why);
                Ok(DrillVerdict::Failed)
            }
            Asked::Done => {
                let seen = self.sight.until_shown(id, &self.names(), &self.shows_all()).await?;
                let verdict = self.saw(step, of, seen);
                if verdict != DrillVerdict::Passed {
                    self.give_up_what_differs(id).await?;
                }
                Ok(verdict)
            }
        }
    }

    async fn change(&mut self, id: &str) -> Result<(), Failure> {
        let paths: Vec<String> = self.attributes().keys().cloned().collect();
        for path in paths.into_iter().filter(|path| !TELLS_APART.contains(&path.as_str())) {
            if !self.standard.is_managed(&path) || self.given_up.contains(&path) {
                self.note(DrillStep::Change, &path, DrillVerdict::Skipped, "the app does not keep it");
                continue;
            }
            let Some(changed) = self.person.changed(self.spec, &path) else {
                let why = "it is the same for everybody, made of others, or empty";
                self.note(DrillStep::Change, &path, DrillVerdict::Skipped, why);
                continue;
            };
            let before = std::mem::replace(&mut self.person, changed);
            let asked = self.update(id).await?;
            let refused = matches!(asked, Asked::Refused(_));
            self.judge(DrillStep::Change, &path, id, asked).await?;
            if refused {
                self.person = before;
            }
        }
        Ok(())
    }

    /// The managed group that it enters: none that gives much.
    fn chosen_group(&self) -> Result<String, String> {
        let managed = self.spec.managed_groups();
        if let Some(wanted) = &self.settings.group {
            let known = managed.contains(wanted).then(|| wanted.clone());
            return known.ok_or_else(|| format!("'{wanted}' is no group that Rollcall manages here"));
        }
        // What nobody has described may give anything.
        let is_harmless = |name: &&String| {
            let described = self.spec.entitlement(&Part::Group((*name).clone()));
            described.is_some_and(|entitlement| entitlement.terms.risk < Risk::High)
        };
        let chosen = managed.iter().find(is_harmless).cloned();
        chosen.ok_or_else(|| "no group is described as one without high risk, and [apps.drill] names none".into())
    }

    async fn group(&mut self, id: &str) -> Result<(), Failure> {
        let (client, can) = (self.sight.search.client, self.sight.search.can);
        // Without PATCH everybody else in the group would be written anew.
        let chosen = match can.patch {
            Support::No => Err("the app has no PATCH: a group can only be replaced with all that are in it".into()),
            _ => self.chosen_group(),
        };
        let name = match chosen {
            Ok(name) => name,
            Err(why) => {
                self.skip(&GROUP_STEPS, "", &why);
                return Ok(());
            }
        };
        let one = BTreeSet::from([name.clone()]);
        let user_name = self.names().user_name;
        let member = Member { id, user_name: &user_name, remote: None };
        let is_in = || async { Ok(self.memberships.of(client, can, &one, member).await?.all()?.contains(&name)) };
        let was_in = self.sight.patiently(is_in).await;
        let missing = self.memberships.lacks_any(&one);
        match was_in {
            Ok(_) if !missing => {}
            // A group that was made for the canary would stay.
            Ok(_) => {
                self.skip(&GROUP_STEPS, &name, "the app has no such group yet");
                return Ok(());
            }
            Err(failure) if is_about_the_step(&failure) => {
                self.note(DrillStep::EnterGroup, &name, DrillVerdict::Failed, in_words(&failure));
                self.note(DrillStep::LeaveGroup, &name, DrillVerdict::Skipped, "it never entered");
                return Ok(());
            }
            Err(failure) => return Err(failure),
        }
        for step in GROUP_STEPS {
            let must_be_in = step == DrillStep::EnterGroup;
            let ask = || async {
                match step {
                    DrillStep::EnterGroup => self.memberships.enter(client, can, &name, member).await,
                    _ => self.memberships.leave_alone(client, can, &name, member).await,
                }
            };
            let asked = Asked::of(self.sight.patiently(ask).await)?;
            match asked {
                Asked::Done => {
                    let seen = self
                        .sight
                        .until(|| async {
                            let wrong = || if must_be_in { "it is not in it" } else { "it is still in it" };
                            Ok((is_in().await? == must_be_in).then_some(()).ok_or_else(|| wrong().to_owned()))
                        })
                        .await?;
                    self.saw(step, &name, seen);
                }
                Asked::Refused(why) | Asked::Skipped(why) => self.note(step, &name, DrillVerdict::Failed, why),
            }
        }
        Ok(())
    }

    async fn rename(&mut self, id: &str) -> Result<(), Failure> {
        // What was changed before stays so: only the name is another.
        let renamed = self.person.with_name_of(&self.renamed);
        let name = |attributes: Attributes| attributes.get("userName").cloned();
        if name(renamed.attributes(self.spec)) == name(self.attributes()) {
            let why = "the mapping makes its user name of something else than userName and emails";
            self.note(DrillStep::Rename, "", DrillVerdict::Skipped, why);
            return Ok(());
        }
        let before = std::mem::replace(&mut self.person, renamed);
        let asked = self.update(id).await?;
        if self.judge(DrillStep::Rename, "", id, asked).await? != DrillVerdict::Passed {
            let client = self.sight.search.client;
            let remote = self.sight.patiently(|| read_by_id(client, id)).await?;
            // It may have the new name all the same, and something else may be wrong.
            if remote.is_none_or(|remote| !same(remote.text("userName"), &self.names().user_name)) {
                self.person = before;
            }
        }
        Ok(())
    }

    async fn switch(&mut self, id: &str) -> Result<(), Failure> {
        let (client, can) = (self.sight.search.client, self.sight.search.can);
        let why = if self.standard.invitation == Invitation::Stands {
            Some("the app invites people, and nobody accepts for it")
        } else if can.deactivate == Support::No {
            Some("the app's accounts have no 'active'")
        } else {
            None
        };
        if let Some(why) = why {
            self.skip(&[DrillStep::SwitchOff, DrillStep::SwitchOn], "", why);
            return Ok(());
        }
        let asked = match self.sight.patiently(|| read_by_id(client, id)).await? {
            Some(remote) => Asked::of(self.sight.patiently(|| deactivate(client, can, &remote)).await)?,
            None => Asked::Refused("it is not there any more".into()),
        };
        match asked {
            Asked::Done => {
                let off = |remote: Option<&Remote>| match remote {
                    // Some show those who are inactive no more.
                    Some(remote) if remote.is_active() => Err("it is still active".to_owned()),
                    _ => Ok(()),
                };
                let seen = self.sight.until_shown(id, &self.names(), &off).await?;
                if self.saw(DrillStep::SwitchOff, "", seen) != DrillVerdict::Passed {
                    self.note(DrillStep::SwitchOn, "", DrillVerdict::Skipped, "it was never off");
                    return Ok(());
                }
            }
            Asked::Refused(why) | Asked::Skipped(why) => {
                self.note(DrillStep::SwitchOff, "", DrillVerdict::Failed, why);
                self.note(DrillStep::SwitchOn, "", DrillVerdict::Skipped, "it was never off");
                return Ok(());
            }
        }
        let asked = match self.update(id).await? {
            Asked::Refused(_) if self.standard.deprovision == Deprovision::Delete => {
                Asked::Skipped("the app refuses it, and leavers are deleted there".into())
            }
            asked => asked,
        };
        self.judge(DrillStep::SwitchOn, "", id, asked).await?;
        Ok(())
    }

    /// Deletes it; whether it is gone.
    async fn delete(&mut self, id: &str) -> Result<bool, Failure> {
        let client = self.sight.search.client;
        // Some hide whoever is inactive: it is deleted whatever they show.
        match self.sight.patiently(|| delete(client, id)).await {
            Ok(()) => self.traces.standing = None,
            Err(failure) if lacks_deletion(&failure) => {
                self.deletion = Support::No;
                self.note(DrillStep::Delete, "", DrillVerdict::Skipped, "the app deletes no accounts");
                return Ok(false);
            }
            Err(failure) if is_about_the_step(&failure) => {
                self.note(DrillStep::Delete, "", DrillVerdict::Failed, in_words(&failure));
                return Ok(false);
            }
            Err(failure) => return Err(failure),
        }
        let seen = self.sight.until_shown(id, &self.names(), &gone).await?;
        let is_gone = seen.is_ok();
        let kept = match is_gone {
            true => None,
            false => self.sight.patiently(|| read_by_id(client, id)).await?,
        };
        match kept {
            // Nobody can sign in: it is said, and cleaning up says what is left.
            Some(remote) if !remote.is_active() => {
                self.note(DrillStep::Delete, "", DrillVerdict::Passed, "the app keeps it, switched off");
            }
            _ => drop(self.saw(DrillStep::Delete, "", seen)),
        }
        Ok(is_gone)
    }

    /// Removes whatever is there of this drill.
    ///
    /// # Errors
    /// When the app can't be used, or our own state: nothing is said of it then, and it is tried again.
    pub async fn clean_up(&self) -> Result<Cleaned, WorkError> {
        self.cleaning().all_of(&self.traces).await
    }

    /// Says how it was cleaned up.
    pub fn cleaned(&mut self, cleaned: &Cleaned) {
        let words = cleaned.words().join("; ");
        match words.is_empty() {
            true => self.note(DrillStep::CleanUp, "", DrillVerdict::Passed, ""),
            false if self.deletion == Support::No && cleaned.is_switched_off() => {
                let detail = format!("the app deletes no accounts: {words}");
                self.note(DrillStep::CleanUp, "", DrillVerdict::Skipped, detail);
            }
            false => self.note(DrillStep::CleanUp, "", DrillVerdict::Failed, format!("{words}: remove it by hand")),
        }
    }
}
