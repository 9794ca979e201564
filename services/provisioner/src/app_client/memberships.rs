//! Which of the managed groups of an app an account is in, and getting it in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::StatusCode;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_scim::GROUP;
use serde_json::{Value, json};

use crate::app_client::client::{Answer, Endpoint, Failure, ScimClient, shorten};
use crate::app_client::late_lists::{Before, LateLists};
use crate::app_client::named_groups::{Look, NamedGroups};
use crate::app_client::patch;
use crate::app_client::patch_form::Operation;
use crate::app_client::remote_group::{MANY, Member, RemoteGroup, as_member, has, named, read, same_name, shown_as};

/// The managed groups of one app, and who is in them.
#[derive(Debug, Default)]
pub struct Memberships {
    groups: NamedGroups,
    late: LateLists,
    /// A group must not be made twice, nor replaced as a whole by two at once.
    alone: tokio::sync::RwLock<()>,
}

impl Memberships {
    /// Those of the managed groups that an account is in, and those of which that can't be told.
    ///
    /// # Errors
    /// When the app does not answer, or can't be asked now.
    pub async fn of(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        managed: &BTreeSet<String>,
        account: Member<'_>,
    ) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        for name in managed {
            match self.look(client, can, (name, managed), account, &mut seen).await {
                Ok(()) => {}
                // One group keeps nobody from leaving another.
                Err(failure) if is_of_one_group(&failure) => {
                    drop(seen.unread.insert(name.clone(), of_one_group(failure)))
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(seen)
    }

    /// Looks whether an account is in the groups of a name, and in those that had it.
    async fn look(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        (name, managed): (&str, &BTreeSet<String>),
        account: Member<'_>,
        seen: &mut Seen,
    ) -> Result<(), Failure> {
        let found = self.groups.find(client, can, name, Look::IfNeeded).await?.without_managed(managed);
        for group in &found.groups {
            if has(client, can, group, account).await? {
                seen.groups.insert(name.to_owned());
                break;
            }
        }
        for renamed in &found.renamed {
            let is_in = has(client, can, &renamed.group, account).await?;
            match (found.groups.is_empty(), is_in) {
                (true, true) => drop(seen.unread.insert(name.to_owned(), renamed.refusal(name))),
                (true, false) => drop(seen.nameless.insert(name.to_owned(), renamed.refusal(name))),
                (false, true) => drop(seen.left_over.insert(name.to_owned(), renamed.left_over(name))),
                (false, false) => {}
            }
        }
        Ok(())
    }

    /// Whether one of these groups was not found when it was looked for last: that an account is not in it is only believed of an
    /// app that still has the account.
    pub fn lacks_any(&self, managed: &BTreeSet<String>) -> bool {
        managed.iter().any(|name| self.groups.is_missing(name))
    }

    /// The managed groups of each account, by what the app calls it in them; members that are not shown are not among them. And the groups
    /// that can't be read.
    ///
    /// # Errors
    /// When the app does not answer, or can't be asked now.
    pub async fn all(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        managed: &BTreeSet<String>,
    ) -> Result<All, Failure> {
        let mut all = All::default();
        for name in managed {
            let found = match self.groups.find(client, can, name, Look::Afresh).await {
                Err(failure) if is_of_one_group(&failure) => {
                    all.unread.insert(name.clone(), of_one_group(failure));
                    continue;
                }
                found => found?.without_managed(managed),
            };
            let renamed = found.renamed.first().filter(|_| found.groups.is_empty());
            all.unread.extend(renamed.map(|renamed| (name.clone(), renamed.refusal(name))));
            for member in found.groups.iter().flat_map(RemoteGroup::members) {
                all.groups.entry(member.to_owned()).or_default().insert(name.clone());
            }
            for member in found.renamed.iter().flat_map(|renamed| renamed.group.members()) {
                all.left_over.entry(member.to_owned()).or_default().insert(name.clone());
            }
        }
        Ok(all)
    }

    /// For how long an account that is in none of these groups may still be let into one: by a list of members that was not answered.
    pub fn wait<'a>(
        &self,
        can: &Capabilities,
        groups: impl Iterator<Item = (&'a String, Before)>,
        account: Member<'_>,
        within: Duration,
    ) -> Option<Duration> {
        groups.filter_map(|(name, before)| self.late.wait(can, name, (account, before), within)).max()
    }

    /// Puts an account into a group, which is made when the app has none of that name.
    ///
    /// # Errors
    /// When the app does not do it.
    pub async fn enter(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: Member<'_>,
    ) -> Result<(), Failure> {
        let mut found = self.groups.find(client, can, name, Look::IfNeeded).await?.first(name)?;
        if found.is_none() {
            let _alone = self.alone.write().await;
            // Someone else may have needed it, too, and made it meanwhile.
            found = self.groups.find(client, can, name, Look::Afresh).await?.first(name)?;
            if found.is_none() {
                found = Some(self.make(client, can, name, account).await?);
                // Some apps make a group without the members that it was sent with.
                if let Some(made) = &found
                    && has(client, can, made, account).await?
                {
                    return Ok(());
                }
            }
        }
        let Some(group) = found else { return Ok(()) };
        let member = as_member(client, can, account);
        let add = Operation::add("members", json!([member]));
        let with = |members: &mut Vec<Value>| members.push(member.clone());
        self.change(client, can, name, &group, add, with).await
    }

    /// Makes a group with one member.
    async fn make(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: Member<'_>,
    ) -> Result<RemoteGroup, Failure> {
        let members = [as_member(client, can, account)];
        let new = json!({ "schemas": [GROUP.id], "displayName": name, "members": members });
        self.groups.is_asked_for(name);
        let answer = client.create(Endpoint::Groups, &new).await?;
        if !matches!(answer.status, StatusCode::CREATED | StatusCode::OK) {
            return Err(answer.failure());
        }
        match answer.body.as_ref().and_then(|body| RemoteGroup::read(body, name)) {
            Some(made) => {
                self.groups.was_made(name, &made.id);
                Ok(made)
            }
            None => {
                let shown = answer.body.as_ref().and_then(|body| body.get("displayName")?.as_str());
                // Nobody would find it again: it goes, and a person says what to call it.
                if let Some(shown) = shown.filter(|shown| !same_name(shown, name)) {
                    let made = answer.body.as_ref().and_then(|body| body.get("id")?.as_str());
                    if let Some(made) = made.filter(|_| answer.status == StatusCode::CREATED)
                        && is_new(client, made, shown, account).await?
                    {
                        client.delete(Endpoint::Groups, made).await?;
                    }
                    return Err(called_otherwise(name, shown));
                }
                let made = self.groups.find(client, can, name, Look::Afresh).await?.first(name)?;
                made.ok_or_else(|| answer.not_scim("the app says that it has made a group, and has none of that name"))
            }
        }
    }

    /// Those of the groups of one name that an account is in. Where there is only one, the app is not asked first: whoever is
    /// not shown may be in it.
    async fn to_leave(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: Member<'_>,
    ) -> Result<Vec<RemoteGroup>, Failure> {
        let all = self.groups.find(client, can, name, Look::IfNeeded).await?.groups;
        if all.len() < 2 {
            return Ok(all);
        }
        let mut of = Vec::new();
        for group in all {
            if has(client, can, &group, account).await? {
                of.push(group);
            }
        }
        Ok(of)
    }

    /// Takes an account out of a group in the usual form alone, whatever comes of it: nobody else's membership is written.
    ///
    /// # Errors
    /// When the app does not do it.
    pub async fn leave_alone(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: Member<'_>,
    ) -> Result<(), Failure> {
        for group in self.to_leave(client, can, name, account).await? {
            let remove = removal(client, can, &shown_as(&group, account));
            let _beside_others = self.alone.read().await;
            patch::send(client, can, Endpoint::Groups, &group.id, &[remove]).await?.done()?;
        }
        Ok(())
    }

    /// Asks that an account that no group of a name shows is taken out of each of them: they may hide it.
    ///
    /// # Errors
    /// When one of them that shows nobody does not do it, for another reason than that the account is not in it.
    pub async fn leave_unseen(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: Member<'_>,
        hiding: Hiding,
    ) -> Result<Unseen, Failure> {
        let mut unseen = Unseen::NotAsked;
        for group in self.groups.find(client, can, name, Look::IfNeeded).await?.groups {
            let remove = removal(client, can, account.id);
            let _beside_others = self.alone.read().await;
            let answer = patch::send(client, can, Endpoint::Groups, &group.id, &[remove]).await?;
            // Without PATCH a list that was not shown would have to be written.
            if patch_is_missing(&answer) {
                continue;
            }
            match answer.done() {
                Ok(()) => unseen = Unseen::Left,
                Err(_) if says_no_member(&answer) => {}
                // Where members are shown, whoever is not is taken for none; what fails for another reason is asked again.
                Err(_)
                    if matches!(answer.status.as_u16(), 400 | 422)
                        && (hiding == Hiding::Others
                            || can.members_shown == Support::Yes
                            || group.members().next().is_some()) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(unseen)
    }

    /// Takes an account out of a group: by a path as RFC 7644 §3.5.2.2 has it, else by the list of those who stay. An app that
    /// confirms the one without effect, and refuses the other, is asked by value in the end.
    ///
    /// # Errors
    /// When the app does not do it.
    pub async fn leave(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: Member<'_>,
    ) -> Result<(), Failure> {
        for group in self.to_leave(client, can, name, account).await? {
            self.leave_one(client, can, name, &group, account).await?;
        }
        Ok(())
    }

    async fn leave_one(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        group: &RemoteGroup,
        account: Member<'_>,
    ) -> Result<(), Failure> {
        let shown = shown_as(group, account);
        let others = |members: &mut Vec<Value>| {
            members.retain(|member| named(member).is_none_or(|value| value != shown));
        };
        let asked = self.change(client, can, name, group, removal(client, can, &shown), others).await;
        if client.experience.removes_by_value(can) {
            return asked;
        }
        // One that is known to show changes late is judged when it has had its time, and one that can't be reached not at all.
        let refused = |status| matches!(status, 400 | 404 | 405 | 422 | 500 | 501);
        let is_answer = asked.as_ref().err().is_none_or(|failure| failure.rejection.status.is_some_and(refused));
        if can.consistency_delay.is_some() || !is_answer || client.experience.hides_members(can) {
            return asked;
        }
        let Some(now) = read(client, &group.id, name).await? else { return Ok(()) };
        // What the account says of itself was read before.
        let account = Member { remote: None, ..account };
        if !has(client, can, &now, account).await? {
            return Ok(());
        }
        // Once may be chance, and whoever the app does not show would be lost with the list.
        if !client.experience.failed_removal() {
            return asked;
        }
        // Two lists at once would each bring back whom the other takes out.
        let _alone = self.alone.write().await;
        let Some(now) = read(client, &group.id, name).await? else { return Ok(()) };
        let mut rest = now.resource.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        others(&mut rest);
        // Of a group that may show only some of its members the list is not known.
        if rest.len() >= MANY {
            return asked;
        }
        if can.patch != Support::No && rest.len() <= at_once(can) {
            let replace = [Operation::replace("members", rest.clone().into())];
            let sending = self.late.sending(name, &rest);
            let replaced =
                patch::send(client, can, Endpoint::Groups, &now.id, &replace).await.and_then(|answer| answer.done());
            sending.answered(replaced.as_ref().err());
            match replaced {
                Err(failure) if failure.rejection.status.is_none() => return Err(failure),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
        if asked.is_ok() && can.removal_by_value != Support::No {
            return self.leave_by_value(client, can, &now, name, (&shown, &rest)).await;
        }
        asked
    }

    async fn change(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        group: &RemoteGroup,
        operation: Operation,
        members: impl Fn(&mut Vec<Value>),
    ) -> Result<(), Failure> {
        if can.patch != Support::No {
            // A list of all members that is written meanwhile would bring back whom this takes out.
            let beside_others = self.alone.read().await;
            let answer = patch::send(client, can, Endpoint::Groups, &group.id, &[operation]).await?;
            drop(beside_others);
            if !patch_is_missing(&answer) {
                return answer.done();
            }
        }
        if client.experience.hides_members(can) {
            let detail =
                format!("group '{name}' does not show its members: to replace it as a whole would remove them");
            return Err(Failure::new(RejectionCause::Refused, detail));
        }
        let _alone = self.alone.write().await;
        // As it is now: someone else may have been let in meanwhile.
        let Some(mut group) = read(client, &group.id, name).await? else { return Ok(()) };
        let asked = unshown_members(client, &group).await?;
        group.resource.extend(asked.map(|members| ("members".to_owned(), members.into())));
        let mut resource = group.resource;
        resource.remove("meta");
        let mut list = resource.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        if list.len() >= MANY && can.members_shown != Support::Yes {
            let detail = format!(
                "group '{name}' shows {} members, and may have more: to replace it as a whole would remove those. Where it shows all of \
                 them, set capabilities.members_shown = true",
                list.len()
            );
            return Err(Failure::new(RejectionCause::Refused, detail));
        }
        members(&mut list);
        let sending = self.late.sending(name, &list);
        resource.insert("members".into(), list.into());
        let replaced = client.replace(Endpoint::Groups, &group.id, &Value::Object(resource)).await;
        let replaced = replaced.and_then(|answer| answer.done());
        sending.answered(replaced.as_ref().err());
        replaced
    }

    /// The last try. An app that takes it as RFC 7644 has it removes everybody: who must stay is put back then.
    async fn leave_by_value(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        group: &RemoteGroup,
        name: &str,
        (account, rest): (&str, &[Value]),
    ) -> Result<(), Failure> {
        let remove = [Operation::remove_values("members", json!([{ "value": account }]))];
        patch::send(client, can, Endpoint::Groups, &group.id, &remove).await?.done()?;
        // What is shown before the account is out of it says nothing of the others.
        for pause in [250, 500, 1000] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let Some(now) = read(client, &group.id, name).await? else { return Ok(()) };
            let shown: BTreeSet<&str> = now.members().collect();
            if shown.contains(account) {
                continue;
            }
            let is_there = |member: &Value| named(member).is_some_and(|value| shown.contains(value));
            if rest.iter().all(is_there) {
                // Of a group in which nobody else was it is not known.
                if !rest.is_empty() {
                    client.experience.removes_by_value_indeed();
                }
                return Ok(());
            }
            break;
        }
        // Who is there already is not there twice.
        for some in rest.chunks(at_once(can)) {
            let back = [Operation::add("members", some.to_vec().into())];
            let sending = self.late.sending(name, some);
            let added =
                patch::send(client, can, Endpoint::Groups, &group.id, &back).await.and_then(|answer| answer.done());
            sending.answered(added.as_ref().err());
            added?;
        }
        Ok(())
    }
}

/// The managed groups of an app, as far as it shows them.
#[derive(Debug, Default)]
pub struct All {
    /// Those that each account is in, by what the app calls it in them.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// The same of groups that had the name: whoever was put into them is in them still.
    pub left_over: BTreeMap<String, BTreeSet<String>>,
    /// Those of which it can't be told who is in them.
    pub unread: BTreeMap<String, Failure>,
}

/// Which managed groups an account is in, as far as the app shows that.
#[derive(Debug, Default)]
pub struct Seen {
    pub groups: BTreeSet<String>,
    /// Those of which it can't be told, or that have another name by now and still have the account.
    pub unread: BTreeMap<String, Failure>,
    /// Those that have another name by now, and do not show the account: nobody can be let into them, and they may hide it.
    pub nameless: BTreeMap<String, Failure>,
    /// Those whose name another group has by now, and that still have the account.
    pub left_over: BTreeMap<String, Failure>,
}

impl Seen {
    /// The groups that it is in, where that can be told of each of these.
    ///
    /// # Errors
    /// The first of them that can't be read, or has another name.
    pub fn all(self) -> Result<BTreeSet<String>, Failure> {
        let Self { groups, unread, nameless, left_over } = self;
        unread.into_values().chain(nameless.into_values()).chain(left_over.into_values()).next().map_or(Ok(groups), Err)
    }

    /// What keeps it from being told whether an account is in the groups that it is to be in, or may be in, and out of the others.
    pub fn unread_of(&mut self, concerned: impl Fn(&str) -> bool) -> BTreeMap<String, Failure> {
        let mut unread = std::mem::take(&mut self.unread);
        unread.extend(std::mem::take(&mut self.nameless).into_iter().filter(|(name, _)| concerned(name)));
        unread
    }
}

/// Whether a failure says something of a group, and not of the app: another one may be read all the same.
fn is_of_one_group(failure: &Failure) -> bool {
    match failure.rejection.status {
        Some(status) => (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 425 | 429) || status == 500,
        None => failure.rejection.cause == RejectionCause::Unmappable,
    }
}

/// What the app answers of one group says nothing of the others, nor of itself.
fn of_one_group(failure: Failure) -> Failure {
    if failure.rejection.status.is_some() { failure.of_a_group_read() } else { failure }
}

/// How many members a request may name.
fn at_once(can: &Capabilities) -> usize {
    can.members_per_request.map_or(usize::MAX, |most| most.try_into().unwrap_or(usize::MAX).max(1))
}

/// Whether a group that the app says it has made has nobody in it than whom it was made with: it may have found one that was there.
async fn is_new(client: &ScimClient, id: &str, shown: &str, account: Member<'_>) -> Result<bool, Failure> {
    let Some(made) = read(client, id, shown).await? else { return Ok(false) };
    let hidden = unshown_members(client, &made).await?;
    let others = |member: &str| !account.is(member);
    Ok(!made.members().any(others) && !hidden.iter().flatten().filter_map(named).any(others))
}

/// The members of a group that is shown without: some show them only to whoever asks for them (RFC 7643 §7, "returned": "request").
async fn unshown_members(client: &ScimClient, group: &RemoteGroup) -> Result<Option<Vec<Value>>, Failure> {
    if group.resource.contains_key("members") { Ok(None) } else { client.members_of(&group.id).await }
}

fn called_otherwise(name: &str, shown: &str) -> Failure {
    let shown = shorten(shown);
    let detail = format!(
        "the app calls a group that is made as '{name}' '{shown}': write to = \"{shown}\" in [[apps.groups]], so that it is found again"
    );
    Failure::new(RejectionCause::Unmappable, detail)
}

/// Takes a member out of a group, in the form that the app is known to take.
fn removal(client: &ScimClient, can: &Capabilities, shown: &str) -> Operation {
    match client.experience.removes_by_value(can) {
        true => Operation::remove_values("members", json!([{ "value": shown }])),
        false => Operation::remove(&format!("members[value eq {}]", Value::from(shown))),
    }
}

/// Whom a group may hide that does not show an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hiding {
    /// Everybody: it has never shown the account.
    Perhaps,
    /// It has shown the account before: it may show only some of its members.
    Others,
}

/// What came of asking for a removal from where nobody is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unseen {
    /// The app has confirmed it.
    Left,
    /// There was nothing that could be asked, or the app says that it is not a member.
    NotAsked,
}

/// Whether the answer to a removal says that there was nothing to remove (RFC 7644 §3.5.2.2).
fn says_no_member(answer: &Answer) -> bool {
    let says = answer.body.as_ref().and_then(|body| body.get("scimType")?.as_str());
    answer.status == StatusCode::NOT_FOUND || says == Some("noTarget")
}

/// Whether the app has no PATCH, whatever is in it.
pub fn patch_is_missing(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}
