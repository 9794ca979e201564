//! Which of the managed groups of an app an account is in, and getting it in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_scim::GROUP;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::app_client::client::{Answer, Endpoint, Failure, Filtered, ScimClient, shorten};
use crate::app_client::pages::Pages;
use crate::app_client::patch;
use crate::app_client::patch_form::Operation;
use crate::app_client::remote_group::{MANY, Member, RemoteGroup, as_member, has, named, read, same_name, shown_as};

/// The managed groups of one app, as far as their ids are known. An app may have several of one name: a group that was asked for
/// twice, because the first answer was lost, or one that was made by hand. Whoever is in any of them is in the group.
#[derive(Debug, Default)]
pub struct Memberships {
    known: Mutex<BTreeMap<String, Known>>,
    /// When a group was asked for last, by its name.
    made: Mutex<BTreeMap<String, Instant>>,
    /// A group must not be made twice, nor replaced as a whole by two at once.
    alone: tokio::sync::RwLock<()>,
}

/// The ids of the groups of one name, and when they were looked up.
#[derive(Debug, Clone)]
struct Known {
    ids: BTreeSet<String>,
    at: Instant,
    took: Duration,
}

/// How long it is believed that there is no further group of a name.
const LOOKED_UP_FOR: Duration = Duration::from_secs(5);

/// The same, in times of how long it took to look them up: an app with many groups that can't be filtered is not only asked for
/// them.
const LOOKED_UP_FOR_TIMES: u32 = 20;

/// So long after a group was asked for it is believed from one moment to the next only: an answer may have been lost, and the
/// request be carried out late.
const MAY_BE_MADE_FOR: Duration = Duration::from_mins(10);

/// Whether what is known of a group's ids is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    IfNeeded,
    Afresh,
}

impl Memberships {
    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn made(&self) -> MutexGuard<'_, BTreeMap<String, Instant>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ids of a name, where it is not long ago that they were looked up.
    fn fresh(&self, name: &str) -> Option<BTreeSet<String>> {
        let is_fresh = |known: &&Known| known.at.elapsed() < LOOKED_UP_FOR.max(known.took * LOOKED_UP_FOR_TIMES);
        let believed = self.known().get(name).filter(is_fresh)?.ids.clone();
        let may_be_made = self.made().get(name).is_some_and(|at| at.elapsed() < MAY_BE_MADE_FOR);
        (!may_be_made).then_some(believed)
    }

    /// The groups with this name, each with its members.
    async fn find(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        look: Look,
    ) -> Result<Vec<RemoteGroup>, Failure> {
        if can.groups == Support::No {
            let detail = format!("the app has no groups, and the mapping names its group '{name}'");
            return Err(Failure::new(RejectionCause::Unmappable, detail));
        }
        if let Some(ids) = self.fresh(name).filter(|_| look == Look::IfNeeded) {
            let mut found = Vec::new();
            for id in &ids {
                found.extend(read(client, id, name).await?);
            }
            if found.len() == ids.len() {
                return Ok(found);
            }
        }
        let before = self.known().get(name).map(|known| known.ids.clone()).unwrap_or_default();
        let at = Instant::now();
        let ids = self.look_up(client, can, name, &before).await?;
        let took = at.elapsed();
        let mut found = Vec::new();
        // One that no list shows any more is there as long as it is answered: an index may lag, or a page be left out.
        for id in before.difference(&ids) {
            found.extend(read(client, id, name).await?);
        }
        for id in &ids {
            // A list may leave members out; the group itself does not.
            let answer = client.get(Endpoint::Groups, id).await?;
            if answer.status != StatusCode::OK {
                return Err(answer.failure());
            }
            let group = answer.body.as_ref().and_then(|b| RemoteGroup::read(b, name));
            let not_it = || answer.not_scim("the answer to a read is not the Group that was asked for");
            found.push(group.ok_or_else(not_it)?);
        }
        let ids = found.iter().map(|group| group.id.clone()).collect();
        self.known().insert(name.to_owned(), Known { ids, at, took });
        Ok(found)
    }

    /// The ids of all groups with this name that the app lists. A filter that finds none, or not those that were there `before`, is
    /// not believed alone.
    async fn look_up(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        before: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut ids = BTreeSet::new();
        if can.filter != Support::No
            && let Filtered::List(answer) = client.search(Endpoint::Groups, "displayName", name).await?
        {
            let page = answer.found(can)?;
            let found: Vec<_> = page.resources.iter().filter_map(|g| RemoteGroup::read(g, name)).collect();
            if page.is_complete() && found.len() == page.resources.len() {
                ids.extend(found.into_iter().map(|group| group.id));
                if !ids.is_empty() && before.is_subset(&ids) {
                    return Ok(ids);
                }
            }
        }
        let mut pages = Pages::new(Endpoint::Groups, can);
        while let Some(page) = pages.next(client).await? {
            ids.extend(page.resources.iter().filter_map(|g| RemoteGroup::read(g, name)).map(|group| group.id));
        }
        Ok(ids)
    }

    /// Those of the managed groups that an account is in.
    ///
    /// # Errors
    /// When one of them can't be read: what was not seen is not said.
    pub async fn of(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        managed: &BTreeSet<String>,
        account: Member<'_>,
    ) -> Result<BTreeSet<String>, Failure> {
        let mut found = BTreeSet::new();
        for name in managed {
            for group in self.find(client, can, name, Look::IfNeeded).await? {
                if has(client, can, &group, account).await? {
                    found.insert(name.clone());
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Whether one of these groups was not found when it was looked for last: that an account is not in it is only believed of an
    /// app that still has the account.
    pub fn lacks_any(&self, managed: &BTreeSet<String>) -> bool {
        let known = self.known();
        managed.iter().any(|name| known.get(name).is_none_or(|known| known.ids.is_empty()))
    }

    /// Every managed group with its members, by the name that the app gives them; those that it does not show are not among them.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub async fn all(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        managed: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
        let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for name in managed {
            for group in self.find(client, can, name, Look::Afresh).await? {
                for member in group.members() {
                    found.entry(member.to_owned()).or_default().insert(name.clone());
                }
            }
        }
        Ok(found)
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
        let mut found = self.find(client, can, name, Look::IfNeeded).await?.into_iter().next();
        if found.is_none() {
            let _alone = self.alone.write().await;
            // Someone else may have needed it, too, and made it meanwhile.
            found = self.find(client, can, name, Look::Afresh).await?.into_iter().next();
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
        self.made().insert(name.to_owned(), Instant::now());
        let answer = client.create(Endpoint::Groups, &new).await?;
        if !matches!(answer.status, StatusCode::CREATED | StatusCode::OK) {
            return Err(answer.failure());
        }
        match answer.body.as_ref().and_then(|body| RemoteGroup::read(body, name)) {
            Some(made) => {
                let unknown = || Known { ids: BTreeSet::new(), at: Instant::now(), took: Duration::ZERO };
                self.known().entry(name.to_owned()).or_insert_with(unknown).ids.insert(made.id.clone());
                Ok(made)
            }
            None => {
                let shown = answer.body.as_ref().and_then(|body| body.get("displayName")?.as_str());
                // Nobody would find it again: it goes, and a person says what to call it.
                if let Some(shown) = shown.filter(|shown| !same_name(shown, name)) {
                    let made = answer.body.as_ref().and_then(|body| body.get("id")?.as_str());
                    if let Some(made) = made {
                        client.delete(Endpoint::Groups, made).await?;
                    }
                    return Err(called_otherwise(name, shown));
                }
                let made = self.find(client, can, name, Look::Afresh).await?.into_iter().next();
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
        let all = self.find(client, can, name, Look::IfNeeded).await?;
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
        let at_once = can.members_per_request.map_or(usize::MAX, |most| most.try_into().unwrap_or(usize::MAX).max(1));
        if can.patch != Support::No && rest.len() <= at_once {
            let replace = [Operation::replace("members", rest.clone().into())];
            if patch::send(client, can, Endpoint::Groups, &now.id, &replace).await?.status.is_success() {
                return Ok(());
            }
        }
        if asked.is_ok() && can.removal_by_value != Support::No {
            return leave_by_value(client, can, name, &now.id, &shown, &rest).await;
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
        let Some(group) = read(client, &group.id, name).await? else { return Ok(()) };
        let mut resource = group.resource;
        resource.remove("meta");
        let mut list = resource.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members(&mut list);
        resource.insert("members".into(), list.into());
        client.replace(Endpoint::Groups, &group.id, &Value::Object(resource)).await?.done()
    }
}

/// The last try. An app that takes it as RFC 7644 has it removes everybody: who must stay is put back then.
async fn leave_by_value(
    client: &ScimClient,
    can: &Capabilities,
    name: &str,
    group: &str,
    account: &str,
    rest: &[Value],
) -> Result<(), Failure> {
    let remove = [Operation::remove_values("members", json!([{ "value": account }]))];
    let answer = patch::send(client, can, Endpoint::Groups, group, &remove).await?;
    answer.done()?;
    // What is shown before the account is out of it says nothing of the others.
    for pause in [250, 500, 1000] {
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let Some(now) = read(client, group, name).await? else { return Ok(()) };
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
    if rest.is_empty() {
        return Ok(());
    }
    // Who is there already is not there twice.
    let at_once = can.members_per_request.map_or(usize::MAX, |most| most.try_into().unwrap_or(usize::MAX).max(1));
    for some in rest.chunks(at_once) {
        let back = [Operation::add("members", some.to_vec().into())];
        patch::send(client, can, Endpoint::Groups, group, &back).await?.done()?;
    }
    Ok(())
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

/// Whether the app has no PATCH, whatever is in it.
pub fn patch_is_missing(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}
