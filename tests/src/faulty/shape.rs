//! What a faulty app makes of what it is sent, and of what it shows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// How it keeps attributes, writes its answers, and takes a PATCH; nothing unusual by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Shape {
    /// Keeps none of these.
    pub drops: BTreeSet<String>,
    /// Keeps so many characters of these.
    pub cuts: BTreeMap<String, usize>,
    /// Keeps these in capital letters.
    pub capitals: BTreeSet<String>,
    /// Its `displayName` is the user name turned around.
    pub composes_display_name: bool,
    /// Refuses a change of these with 400.
    pub refuses: BTreeSet<String>,
    /// Invites people: a new user is inactive until `accepted` is set by hand.
    pub invites: bool,
    /// Makes no user without these.
    pub required: Vec<String>,
    /// Can be asked by these attributes alone; none: by all.
    pub filters: BTreeSet<String>,
    /// Shows a value of its own for these.
    pub own_values: BTreeSet<String>,
    /// Shows so many resources at most.
    pub page_size: Option<usize>,
    /// Takes what is on a page for the total.
    pub total_of_page: bool,
    /// Answers a list from another place than the first with this status; from beyond the last where it knows its total.
    pub further_pages: Option<u16>,
    /// Users show the groups that they are in.
    pub shows_groups: bool,
    /// Gives as many as it likes, whatever `count` says.
    pub ignores_count: bool,
    /// Makes no user with these.
    pub refuses_to_make: BTreeSet<String>,
    /// Answers a creation with the id alone.
    pub answers_id_alone: bool,
    /// Calls the groups that it makes by another name.
    pub renames_groups: bool,
    /// Says who is in a group by their address alone.
    pub members_by_address: bool,
    /// Pages by cursor alone, and says no total.
    pub cursor: bool,
    /// The most changes of members in a request; refuses to replace or to remove all of them.
    pub members_at_most: Option<usize>,
    /// Has these attributes in its schema of Users; none: no schema.
    pub schema: BTreeSet<String>,
    pub numeric_ids: bool,
    pub text_active: bool,
    pub text_total: bool,
    /// Leaves `Resources` out where there are none.
    pub no_resources: bool,
    /// Leaves `schemas` out of a list.
    pub no_list_schema: bool,
    pub byte_order_mark: bool,
    /// Answers a filter that finds nothing with this status.
    pub no_hit: Option<u16>,
    /// Takes operations that are named `Replace` alone.
    pub patch_capitalized: bool,
    /// Takes operations that are named `replace` alone.
    pub patch_small: bool,
    /// Takes no operation without a path.
    pub patch_with_paths: bool,
    /// Takes no operation with a path that is no filter.
    pub patch_without_paths: bool,
    /// Takes one operation a request.
    pub patch_one: bool,
    /// Groups show no members; who is in one is asked by `id eq "…" and members eq "…"`.
    pub hides_members: bool,
    /// Groups show an empty list in the place of their members, where they hide them.
    pub empty_members: bool,
    /// Groups show their members to whoever asks for them by name (RFC 7643 §7).
    pub members_on_request: bool,
    /// A group shows so many of its members.
    pub members_shown_at_most: Option<usize>,
    /// Answers a creation of a user with 201 and nothing else.
    pub silent_creation: bool,
    /// Answers a creation with 200.
    pub creation_is_ok: bool,
    /// Members are removed by a list of values, and not by a path.
    pub removal_by_value: bool,
    /// Makes a group without the members that it was sent with, and keeps those of a PUT as they were.
    pub members_by_patch_alone: bool,
    /// Fails when a list is asked for with `count`.
    pub no_count: bool,
}

impl Shape {
    /// A user as it is kept.
    pub fn keep(&self, user: &mut Map<String, Value>) {
        for path in &self.drops {
            match path.split_once('.') {
                Some((outer, inner)) => {
                    if let Some(fields) = user.get_mut(outer).and_then(Value::as_object_mut) {
                        fields.remove(inner);
                    }
                }
                None => drop(user.remove(path)),
            }
        }
        if self.invites && user.get("accepted") != Some(&true.into()) {
            user.insert("active".into(), false.into());
        }
        for path in &self.own_values {
            match path.split_once('.') {
                Some((outer, inner)) => user.entry(outer).or_insert_with(|| json!({}))[inner] = "its own".into(),
                // No two users have the same name.
                None if path == "userName" => {
                    let name = user.get(path).and_then(Value::as_str).unwrap_or_default();
                    if !name.starts_with("own-") {
                        let created = jiff::Timestamp::now().to_string();
                        user.insert("meta".into(), json!({ "resourceType": "User", "created": created }));
                        let name = user.get(path).and_then(Value::as_str).unwrap_or_default();
                        let own = name.chars().filter(|c| c.is_alphanumeric()).rev().collect::<String>();
                        user.insert(path.clone(), format!("own-{own}").into());
                    }
                }
                None => drop(user.insert(path.clone(), "its own".into())),
            }
        }
        for (name, most) in &self.cuts {
            if let Some(text) = user.get(name).and_then(Value::as_str) {
                let cut: String = text.chars().take(*most).collect();
                user.insert(name.clone(), cut.into());
            }
        }
        for name in &self.capitals {
            if let Some(text) = user.get(name).and_then(Value::as_str) {
                user.insert(name.clone(), text.to_uppercase().into());
            }
        }
        if self.composes_display_name {
            let name: String = user.get("userName").and_then(Value::as_str).unwrap_or_default().chars().rev().collect();
            user.insert("displayName".into(), name.into());
        }
    }

    /// What a new user lacks.
    pub fn lacks(&self, user: &Map<String, Value>) -> Option<String> {
        let user = Value::Object(user.clone());
        let pointer = |path: &str| format!("/{}", path.replace('.', "/"));
        let there = |path: &&String| user.pointer(&pointer(path)).is_some();
        let missing = self.required.iter().find(|path| !there(path)).map(|path| format!("{path} is missing"));
        missing.or_else(|| self.refuses_to_make.iter().find(there).map(|path| format!("{path} is refused")))
    }

    /// Whether it can be asked by a filter.
    pub fn knows(&self, filter: &str) -> bool {
        self.filters.is_empty() || filter.split(' ').next().is_some_and(|name| self.filters.contains(name))
    }

    /// Why a PATCH is refused, when it is.
    pub fn refusal(&self, patch: &Value) -> Option<String> {
        let operations = patch["Operations"].as_array().map(Vec::as_slice).unwrap_or_default();
        let starts_small = |o: &Value| o["op"].as_str().is_some_and(|op| op.starts_with(char::is_lowercase));
        if self.patch_capitalized && operations.iter().any(starts_small) {
            return Some("op is unknown".into());
        }
        if self.patch_small && !operations.iter().all(starts_small) {
            return Some("op is unknown".into());
        }
        if self.patch_with_paths && operations.iter().any(|o| !o["path"].is_string()) {
            return Some("a path, please".into());
        }
        let has_path = |o: &Value| o["path"].as_str().is_some_and(|path| !path.contains('['));
        if self.patch_without_paths && operations.iter().any(has_path) {
            return Some("path is unknown".into());
        }
        if self.patch_one && operations.len() > 1 {
            return Some("one operation, please".into());
        }
        let by_path = |o: &Value| o["path"].as_str().is_some_and(|path| path.starts_with("members["));
        if self.removal_by_value && operations.iter().any(by_path) {
            return Some("a path with a filter is unknown".into());
        }
        if let Some(most) = self.members_at_most {
            let of_members = |o: &&Value| o["path"].as_str().is_some_and(|path| path.starts_with("members"));
            let all = |o: &Value| {
                o["op"].as_str().is_some_and(|op| op.eq_ignore_ascii_case("replace")) || o["value"].is_null()
            };
            let count = |o: &Value| o["value"].as_array().map_or(1, Vec::len);
            let mut changes = operations.iter().filter(of_members);
            if changes.clone().any(|o| o["path"] == "members" && all(o))
                || changes.by_ref().map(count).sum::<usize>() > most
            {
                return Some("not all members, and not so many".into());
            }
        }
        let said = patch.to_string();
        self.refuses.iter().find(|name| said.contains(&format!("\"{name}\""))).map(|name| format!("{name} is refused"))
    }

    /// The operations of a PATCH with a path each, named in small letters.
    pub fn operations(patch: &Value) -> Vec<Value> {
        let mut out = Vec::new();
        for operation in patch["Operations"].as_array().into_iter().flatten() {
            let op = operation["op"].as_str().unwrap_or_default().to_lowercase();
            match (operation["path"].as_str(), operation["value"].as_object()) {
                (None, Some(fields)) => {
                    for (name, value) in fields {
                        let op = if value.is_null() { "remove" } else { &op };
                        out.push(json!({ "op": op, "path": name, "value": value }));
                    }
                }
                _ => out.push(json!({ "op": op, "path": operation["path"], "value": operation["value"] })),
            }
        }
        out
    }

    /// A group as it is made or replaced: what it had of members, where it takes none in this way.
    pub fn keep_group(&self, new: &mut Map<String, Value>, old: Option<&Map<String, Value>>) {
        if let (true, Some(Value::String(name))) = (self.renames_groups, new.get_mut("displayName"))
            && !name.starts_with("PRIMARY/")
        {
            name.insert_str(0, "PRIMARY/");
        }
        if self.members_by_patch_alone {
            new.remove("members");
            new.extend(old.and_then(|old| old.get("members")).map(|members| ("members".to_owned(), members.clone())));
        }
    }

    /// The group and the account of a filter that asks whether the one is in the other.
    pub fn membership(filter: &str) -> Option<(String, String)> {
        let (group, account) = filter.strip_prefix("id eq ")?.split_once(" and members eq ")?;
        let text = |json: &str| serde_json::from_str::<String>(json).ok();
        Some((text(group)?, text(account)?))
    }

    /// Its Schemas; none: it has none.
    pub fn schemas(&self) -> Option<Value> {
        let attributes: Vec<Value> = self.schema.iter().map(|name| json!({ "name": name })).collect();
        let user = json!({ "id": "urn:ietf:params:scim:schemas:core:2.0:User", "attributes": attributes });
        (!self.schema.is_empty()).then(|| json!({ "totalResults": 1, "Resources": [user] }))
    }

    /// An answer as it is written.
    pub fn write(&self, mut answer: Value) -> String {
        self.shape(&mut answer);
        if let Some(list) = answer.as_object_mut().filter(|object| object.contains_key("totalResults")) {
            if self.text_total {
                let text = list["totalResults"].to_string();
                list.insert("totalResults".into(), text.into());
            }
            if self.no_resources && list.get("Resources") == Some(&json!([])) {
                list.remove("Resources");
            } else if self.no_list_schema {
                list.remove("schemas");
            }
        }
        let mark = if self.byte_order_mark { "\u{feff}" } else { "" };
        format!("{mark}{answer}")
    }

    fn shape(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                if self.hides_members && fields.remove("members").is_some() && self.empty_members {
                    fields.insert("members".into(), json!([]));
                }
                let members = fields.get_mut("members").and_then(Value::as_array_mut);
                if let (Some(most), Some(members)) = (self.members_shown_at_most, members) {
                    members.truncate(most);
                }
                if self.members_by_address {
                    for member in fields.get_mut("members").and_then(Value::as_array_mut).into_iter().flatten() {
                        let id = member["value"].as_str().unwrap_or_default();
                        *member = json!({ "$ref": format!("https://app.example.com/scim/Users/{id}") });
                    }
                }
                let number = |v: &Value| v.as_str().and_then(|id| id.parse::<u64>().ok()).map(Value::from);
                if self.numeric_ids {
                    for name in ["id", "value"] {
                        if let Some(id) = fields.get(name).and_then(number) {
                            fields.insert(name.into(), id);
                        }
                    }
                }
                if self.text_active
                    && let Some(active) = fields.get("active").and_then(Value::as_bool)
                {
                    fields.insert("active".into(), if active { "True" } else { "False" }.into());
                }
                fields.values_mut().for_each(|field| self.shape(field));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.shape(item)),
            _ => {}
        }
    }
}
