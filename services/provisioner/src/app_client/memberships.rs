//! Which of the managed groups of an app an account is in, and getting it in and out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::quirk::AppQuirk;
use rollcall_scim::GROUP;
use serde_json::{Map, Value, json};

use crate::app_client::client::{Answer, Endpoint, Failure, Filtered, ScimClient, shorten};
use crate::app_client::pages::Pages;
use crate::app_client::patch;
use crate::app_client::patch_form::Operation;

/// The managed groups of one app, as far as their ids are known.
#[derive(Debug, Default)]
pub struct Memberships {
    ids: Mutex<BTreeMap<String, String>>,
    /// A group must not be made twice, nor replaced as a whole by two at once.
    alone: tokio::sync::RwLock<()>,
}

/// An account as a group may name it.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    pub id: &'a str,
    pub user_name: &'a str,
    /// As the app shows it, where it was read.
    pub remote: Option<&'a Remote>,
}

impl<'a> From<&'a Remote> for Member<'a> {
    fn from(remote: &'a Remote) -> Self {
        Self { id: &remote.id, user_name: remote.text("userName"), remote: Some(remote) }
    }
}

impl Member<'_> {
    /// Whether a member of a group is this one: by its id, or as some apps name members, by its user name.
    fn is(&self, value: &str) -> bool {
        // A name that could be an id may be somebody else's.
        let may_be_id =
            self.user_name.chars().all(|c| c.is_ascii_digit()) || self.user_name.parse::<uuid::Uuid>().is_ok();
        value == self.id || (!may_be_id && value.eq_ignore_ascii_case(self.user_name))
    }
}

impl Member<'_> {
    /// Whether the account itself says that it is in a group (RFC 7643 §4.1.2).
    fn says_in(&self, group: &str) -> bool {
        let groups = self.remote.and_then(|remote| remote.resource.get("groups")?.as_array());
        let is_direct = |of: &&Value| of.get("type").and_then(Value::as_str) != Some("indirect");
        groups.into_iter().flatten().filter(is_direct).any(|of| named(of) == Some(group))
    }
}

/// The id that a reference names: its `value`, else what its `$ref` ends with.
fn named(reference: &Value) -> Option<&str> {
    let by_address = || reference.get("$ref")?.as_str()?.trim_end_matches('/').rsplit('/').next();
    reference.get("value").and_then(Value::as_str).or_else(by_address)
}

/// From so many members on an app may show only some of them.
const MANY: usize = 1000;

/// A group as an app answered it.
struct RemoteGroup {
    id: String,
    resource: Map<String, Value>,
}

fn same_name(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

impl RemoteGroup {
    fn read(value: &Value, name: &str) -> Option<Self> {
        let resource = value.as_object()?.clone();
        let same = same_name(resource.get("displayName")?.as_str()?, name);
        let id = resource.get("id")?.as_str()?.to_owned();
        same.then_some(Self { id, resource })
    }

    fn members(&self) -> impl Iterator<Item = &str> {
        let members = self.resource.get("members").and_then(Value::as_array);
        members.into_iter().flatten().filter_map(named)
    }
}

impl Memberships {
    fn known(&self, name: &str) -> Option<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn remember(&self, name: &str, id: Option<&str>) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        match id {
            Some(id) => drop(ids.insert(name.to_owned(), id.to_owned())),
            None => drop(ids.remove(name)),
        }
    }

    /// The group with this name, with its members; `None`: the app has none.
    async fn find(&self, client: &ScimClient, can: &Capabilities, name: &str) -> Result<Option<RemoteGroup>, Failure> {
        if can.groups == Support::No {
            let detail = format!("the app has no groups, and the mapping names its group '{name}'");
            return Err(Failure::new(RejectionCause::Unmappable, detail));
        }
        if let Some(id) = self.known(name) {
            let answer = client.get(Endpoint::Groups, &id).await?;
            match answer.status {
                StatusCode::OK => {
                    // One that was renamed is another group.
                    if let Some(group) = answer.body.as_ref().and_then(|b| RemoteGroup::read(b, name)) {
                        return Ok(Some(group));
                    }
                }
                StatusCode::NOT_FOUND | StatusCode::GONE => {}
                _ => return Err(answer.failure()),
            }
            self.remember(name, None);
        }
        let Some(id) = self.look_up(client, can, name).await? else { return Ok(None) };
        // A list may leave members out; the group itself does not.
        let answer = client.get(Endpoint::Groups, &id).await?;
        if answer.status != StatusCode::OK {
            return Err(answer.failure());
        }
        let group = answer.body.as_ref().and_then(|b| RemoteGroup::read(b, name));
        let group = group.ok_or_else(|| answer.not_scim("the answer to a read is not the Group that was asked for"))?;
        self.remember(name, Some(&group.id));
        Ok(Some(group))
    }

    async fn look_up(&self, client: &ScimClient, can: &Capabilities, name: &str) -> Result<Option<String>, Failure> {
        if can.filter != Support::No
            && let Filtered::List(answer) = client.search(Endpoint::Groups, "displayName", name).await?
        {
            let page = answer.found(can)?;
            let found: Vec<_> = page.resources.iter().filter_map(|g| RemoteGroup::read(g, name)).collect();
            if page.is_complete() && found.len() == page.resources.len() {
                return Ok(found.into_iter().next().map(|group| group.id));
            }
        }
        let mut pages = Pages::new(Endpoint::Groups, can);
        while let Some(page) = pages.next(client).await? {
            if let Some(group) = page.resources.iter().find_map(|g| RemoteGroup::read(g, name)) {
                return Ok(Some(group.id));
            }
        }
        Ok(None)
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
            if let Some(group) = self.find(client, can, name).await?
                && has(client, can, &group, account).await?
            {
                found.insert(name.clone());
            }
        }
        Ok(found)
    }

    /// Whether one of these groups was not found when it was looked for last: that an account is not in it is only believed of an
    /// app that still has the account.
    pub fn lacks_any(&self, managed: &BTreeSet<String>) -> bool {
        managed.iter().any(|name| self.known(name).is_none())
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
            if let Some(group) = self.find(client, can, name).await? {
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
        let mut found = self.find(client, can, name).await?;
        if found.is_none() {
            let _alone = self.alone.write().await;
            // Someone else may have needed it, too, and made it meanwhile.
            found = self.find(client, can, name).await?;
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
        let answer = client.create(Endpoint::Groups, &new).await?;
        if !matches!(answer.status, StatusCode::CREATED | StatusCode::OK) {
            return Err(answer.failure());
        }
        match answer.body.as_ref().and_then(|body| RemoteGroup::read(body, name)) {
            Some(made) => Ok(made),
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
                let made = self.find(client, can, name).await?;
                made.ok_or_else(|| answer.not_scim("the app says that it has made a group, and has none of that name"))
            }
        }
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
        let Some(group) = self.find(client, can, name).await? else { return Ok(()) };
        let remove = removal(client, can, &shown_as(&group, account));
        let _beside_others = self.alone.read().await;
        patch::send(client, can, Endpoint::Groups, &group.id, &[remove]).await?.done()
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
        let Some(group) = self.find(client, can, name).await? else { return Ok(()) };
        let shown = shown_as(&group, account);
        let others = |members: &mut Vec<Value>| {
            members.retain(|member| named(member).is_none_or(|value| value != shown));
        };
        let asked = self.change(client, can, name, &group, removal(client, can, &shown), others).await;
        if client.experience.removes_by_value(can) {
            return asked;
        }
        // One that is known to show changes late is judged when it has had its time, and one that can't be reached not at all.
        let refused = |status| matches!(status, 400 | 404 | 405 | 422 | 500 | 501);
        let is_answer = asked.as_ref().err().is_none_or(|failure| failure.rejection.status.is_some_and(refused));
        if can.consistency_delay.is_some() || !is_answer || client.experience.hides_members(can) {
            return asked;
        }
        let Some(now) = self.find(client, can, name).await? else { return Ok(()) };
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
        let Some(now) = self.find(client, can, name).await? else { return Ok(()) };
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
            return self.leave_by_value(client, can, name, &shown, &rest).await;
        }
        asked
    }

    /// The last try. An app that takes it as RFC 7644 has it removes everybody: who must stay is put back then.
    async fn leave_by_value(
        &self,
        client: &ScimClient,
        can: &Capabilities,
        name: &str,
        account: &str,
        rest: &[Value],
    ) -> Result<(), Failure> {
        let Some(group) = self.find(client, can, name).await? else { return Ok(()) };
        let remove = [Operation::remove_values("members", json!([{ "value": account }]))];
        let answer = patch::send(client, can, Endpoint::Groups, &group.id, &remove).await?;
        answer.done()?;
        // What is shown before the account is out of it says nothing of the others.
        for pause in [250, 500, 1000] {
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let Some(now) = self.find(client, can, name).await? else { return Ok(()) };
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
            patch::send(client, can, Endpoint::Groups, &group.id, &back).await?.done()?;
        }
        Ok(())
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
        let Some(group) = self.find(client, can, name).await? else { return Ok(()) };
        let mut resource = group.resource;
        resource.remove("meta");
        let mut list = resource.get("members").and_then(Value::as_array).cloned().unwrap_or_default();
        members(&mut list);
        resource.insert("members".into(), list.into());
        client.replace(Endpoint::Groups, &group.id, &Value::Object(resource)).await?.done()
    }
}

fn called_otherwise(name: &str, shown: &str) -> Failure {
    let shown = shorten(shown);
    let detail = format!(
        "the app calls a group that is made as '{name}' '{shown}': write to = \"{shown}\" in [[apps.groups]], so that it is found again"
    );
    Failure::new(RejectionCause::Unmappable, detail)
}

/// A member as the app itself names it.
fn shown_as(group: &RemoteGroup, account: Member<'_>) -> String {
    group.members().find(|member| account.is(member)).unwrap_or(account.id).to_owned()
}

/// Takes a member out of a group, in the form that the app is known to take.
fn removal(client: &ScimClient, can: &Capabilities, shown: &str) -> Operation {
    match client.experience.removes_by_value(can) {
        true => Operation::remove_values("members", json!([{ "value": shown }])),
        false => Operation::remove(&format!("members[value eq {}]", Value::from(shown))),
    }
}

/// An account as a group is told of it.
fn as_member(client: &ScimClient, can: &Capabilities, account: Member<'_>) -> Value {
    let mut member = json!({ "value": account.id });
    if can.required.iter().any(|name| name == "members.$ref") {
        member["$ref"] = client.location(Endpoint::Users, account.id).into();
    }
    member
}

/// Whether an account is in a group. One that shows no members at all is asked by filter, where the app answers that.
async fn has(
    client: &ScimClient,
    can: &Capabilities,
    group: &RemoteGroup,
    account: Member<'_>,
) -> Result<bool, Failure> {
    if let Some(shown) = group.members().find(|member| account.is(member)) {
        if shown != account.id {
            client.experience.saw(BTreeSet::from([AppQuirk::MembersByName]));
        }
        return Ok(true);
    }
    let count = group.members().count();
    if (count == 0 || count >= MANY) && account.says_in(&group.id) {
        return Ok(true);
    }
    let hidden = client.experience.hides_members(can);
    let may_be_hidden = hidden || (can.members_shown == Support::Unknown && group.members().next().is_none());
    if !may_be_hidden || (can.filter == Support::No && !hidden) {
        return Ok(false);
    }
    match is_member(client, can, &group.id, account.id).await? {
        Some(is_in) if hidden => Ok(is_in),
        // An app that does not understand the filter answers the same for anyone.
        Some(true) if is_member(client, can, &group.id, NOBODY).await? == Some(false) => {
            client.experience.members_are_hidden();
            Ok(true)
        }
        Some(_) => Ok(false),
        None if hidden => {
            let detail = "the app shows no members of its groups, and does not say by filter who is in them";
            Err(Failure::new(RejectionCause::NotScim, detail))
        }
        None => Ok(false),
    }
}

/// The id of no account.
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";

/// What the app answers when it is asked by filter; none: nothing that can be believed.
async fn is_member(
    client: &ScimClient,
    can: &Capabilities,
    group: &str,
    account: &str,
) -> Result<Option<bool>, Failure> {
    let filter = format!("id eq {} and members eq {}", Value::from(group), Value::from(account));
    let Filtered::List(answer) = client.filter(Endpoint::Groups, &filter).await? else { return Ok(None) };
    let page = answer.found(can)?;
    let is_it = |found: &Value| found.get("id").and_then(Value::as_str) == Some(group);
    let told = page.is_complete() && page.resources.iter().all(is_it);
    Ok(told.then_some(!page.resources.is_empty()))
}

/// Whether the app has no PATCH, whatever is in it.
pub fn patch_is_missing(answer: &Answer) -> bool {
    matches!(answer.status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)
}
