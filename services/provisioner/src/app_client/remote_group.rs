//! A group of an app as it is read: who is in it.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::access::remote::Remote;
use rollcall_domain::app::capability::{Capabilities, Support};
use rollcall_domain::app::quirk::AppQuirk;
use serde_json::{Map, Value, json};

use crate::app_client::client::{Endpoint, Failure, Filtered, ScimClient, shorten};

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
    pub fn is(&self, value: &str) -> bool {
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
pub fn named(reference: &Value) -> Option<&str> {
    let by_address = || reference.get("$ref")?.as_str()?.trim_end_matches('/').rsplit('/').next();
    reference.get("value").and_then(Value::as_str).or_else(by_address)
}

/// From so many members on an app may show only some of them.
pub const MANY: usize = 1000;

/// A group as an app answered it.
pub struct RemoteGroup {
    pub id: String,
    pub resource: Map<String, Value>,
}

pub fn same_name(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

impl RemoteGroup {
    pub fn read(value: &Value, name: &str) -> Option<Self> {
        let resource = value.as_object()?.clone();
        let same = same_name(resource.get("displayName")?.as_str()?, name);
        let id = resource.get("id")?.as_str()?.to_owned();
        same.then_some(Self { id, resource })
    }

    pub fn members(&self) -> impl Iterator<Item = &str> {
        let members = self.resource.get("members").and_then(Value::as_array);
        members.into_iter().flatten().filter_map(named)
    }
}

/// What became of a group that had a name.
pub enum KnownGroup {
    /// It is there, and has it still.
    Named(RemoteGroup),
    /// It is there under another name.
    Renamed(RenamedGroup),
    /// It is not there.
    Gone,
}

/// A group that is called otherwise than when it was looked up by its name.
pub struct RenamedGroup {
    pub group: RemoteGroup,
    pub now: String,
}

impl RenamedGroup {
    /// The same where another group has the name by now.
    pub fn left_over(&self, name: &str) -> Failure {
        let (id, now) = (&self.group.id, shorten(&self.now));
        let detail = format!(
            "the app's group that was called '{name}' (id {id}) is called '{now}' now, and who was put into it is still there: take them out of \
             it in the app"
        );
        Failure::new(RejectionCause::Unmappable, detail).of_a_group_read()
    }

    /// Who is in it is there by its old name, and has what it gives: nobody has left it by that.
    pub fn refusal(&self, name: &str) -> Failure {
        let now = shorten(&self.now);
        let id = &self.group.id;
        let detail = format!(
            "the app's group '{name}' (id {id}) is called '{now}' now, and who was put into it is still there: give it its name back, or \
             write to = \"{now}\" in [[apps.groups]]"
        );
        Failure::new(RejectionCause::Unmappable, detail).of_a_group_read()
    }
}

/// A group by its id, whatever it is called by now.
pub async fn read_known(client: &ScimClient, id: &str, name: &str) -> Result<KnownGroup, Failure> {
    let answer = client.get(Endpoint::Groups, id).await?;
    match answer.status {
        StatusCode::OK => {
            let body = answer.body.as_ref();
            let now = body.and_then(|body| body.get("displayName")?.as_str()).unwrap_or(name);
            Ok(match body.and_then(|body| RemoteGroup::read(body, now)) {
                Some(group) if same_name(now, name) => KnownGroup::Named(group),
                Some(group) => KnownGroup::Renamed(RenamedGroup { group, now: now.to_owned() }),
                None => KnownGroup::Gone,
            })
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(KnownGroup::Gone),
        _ => Err(answer.failure()),
    }
}

/// A group by its id, with its members; `None`: it is there no more, or has another name.
pub async fn read(client: &ScimClient, id: &str, name: &str) -> Result<Option<RemoteGroup>, Failure> {
    Ok(match read_known(client, id, name).await? {
        KnownGroup::Named(group) => Some(group),
        KnownGroup::Renamed(_) | KnownGroup::Gone => None,
    })
}

/// A member as the app itself names it.
pub fn shown_as(group: &RemoteGroup, account: Member<'_>) -> String {
    group.members().find(|member| account.is(member)).unwrap_or(account.id).to_owned()
}

/// An account as a group is told of it.
pub fn as_member(client: &ScimClient, can: &Capabilities, account: Member<'_>) -> Value {
    let mut member = json!({ "value": account.id });
    if can.required.iter().any(|name| name == "members.$ref") {
        member["$ref"] = client.location(Endpoint::Users, account.id).into();
    }
    member
}

/// Whether an account is in a group. One that shows no members at all is asked by filter, where the app answers that.
pub async fn has(
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
    // The group may show some of its members only.
    if account.says_in(&group.id) {
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
