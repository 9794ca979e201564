//! The account that goes through an app: what it is made of, and what it is changed to.

use rollcall_domain::app::AppSpec;
use rollcall_domain::app::drill::Canary;
use rollcall_domain::app::mapping::{Attributes, Origin, effective, managed_attributes};
use rollcall_domain::ids::IdentityId;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::search::wanted::same;

/// The id that stands for it: of no identity.
fn external_id(spec: &AppSpec, word: &str) -> IdentityId {
    IdentityId(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("drill of {}: {word}", spec.id).as_bytes()))
}

/// The user name of the canary that this word tells from others.
fn name(pattern: &str, word: &str) -> String {
    pattern.replace("{id}", word)
}

/// What a person of that name would be in our directory.
fn resource(name: &str) -> Map<String, Value> {
    let email = if name.contains('@') { name.to_owned() } else { format!("{name}@example.com") };
    let resource = json!({
        "userName": name,
        "name": { "givenName": "Rollcall", "familyName": "Drill", "formatted": "Rollcall Drill" },
        "displayName": "Rollcall Drill",
        "nickName": "Drill",
        "title": "Drill",
        "userType": "Employee",
        "preferredLanguage": "en-US",
        "locale": "en-US",
        "timezone": "Europe/London",
        "emails": [{ "value": email, "type": "work", "primary": true }],
        "active": true,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {
            "employeeNumber": "0", "costCenter": "Drill", "organization": "Drill", "division": "Drill", "department": "Drill",
        },
    });
    match resource {
        Value::Object(resource) => resource,
        _ => Map::new(),
    }
}

/// The canary as it is now: what a person of its kind would be in our directory, and what follows for the app.
#[derive(Debug, Clone)]
pub struct Person {
    id: IdentityId,
    resource: Map<String, Value>,
}

impl Person {
    /// The canary of an app that `word` tells from those of other drills.
    pub fn new(spec: &AppSpec, pattern: &str, word: &str) -> Self {
        Self { id: external_id(spec, word), resource: resource(&name(pattern, word)) }
    }

    /// What it shows in an app.
    pub fn attributes(&self, spec: &AppSpec) -> Attributes {
        managed_attributes(&spec.attributes, self.id, &self.resource)
    }

    /// The same one, under another user name.
    pub fn renamed(spec: &AppSpec, pattern: &str, word: &str) -> Self {
        Self { id: external_id(spec, word), resource: resource(&name(pattern, &format!("{word}-renamed"))) }
    }

    /// As it is, under the name and the addresses of another.
    pub fn with_name_of(&self, other: &Self) -> Self {
        let mut named = self.clone();
        for path in ["userName", "emails"] {
            other.resource.get(path).map(|value| named.resource.insert(path.to_owned(), value.clone()));
        }
        named
    }

    /// The same one with another value at the attribute that a target of the mapping stands for, such as somebody who moves gets;
    /// `None`: the target is the same for everybody, made of others, or nothing else is known for it.
    pub fn changed(&self, spec: &AppSpec, target: &str) -> Option<Self> {
        let rules = effective(&spec.attributes);
        let Origin::Attribute(path) = &rules.iter().find(|rule| rule.target == target)?.origin else { return None };
        let mut changed = self.clone();
        let place = place_of(&mut changed.resource, path)?;
        *place = other(path, place)?;
        Some(changed)
    }
}

/// Where the value of a path stands in a resource: of several values in the first.
fn place_of<'a>(resource: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Value> {
    let (fields, rest) = match path.rsplit_once(':') {
        Some((urn, rest)) => (resource.get_mut(urn)?.as_object_mut()?, rest),
        None => (resource, path),
    };
    let (attribute, sub) = rest.split_once('.').map_or((rest, None), |(attribute, sub)| (attribute, Some(sub)));
    let place = match fields.get_mut(attribute)? {
        Value::Array(all) => all.first_mut()?.get_mut(sub.unwrap_or("value"))?,
        Value::Object(fields) => fields.get_mut(sub?)?,
        value if sub.is_none() => value,
        _ => return None,
    };
    Some(place)
}

/// How it is known, when it has a user name.
pub fn known_as(attributes: &Attributes) -> Option<Canary> {
    let text = |path: &str| attributes.get(path)?.as_str().map(str::to_owned);
    let user_name = text("userName").filter(|name| !name.is_empty())?;
    Some(Canary { user_name, external_id: text("externalId")? })
}

/// How many hexadecimal digits the word of a canary has.
const WORD: usize = 10;

/// A word that no other canary has. From the generator of this thread, which a run of the simulation seeds.
pub fn new_word() -> String {
    let digit = |_| char::from_digit(fastrand::u32(0..16), 16).unwrap_or('0');
    (0..WORD).map(digit).collect()
}

/// The word by which a user name is that of a canary of an app; `None`: it is none's.
fn word_of(spec: &AppSpec, pattern: &str, user_name: &str) -> Option<String> {
    const MARK: &str = "0d0d0d0d0d";
    let made = known_as(&Person::new(spec, pattern, MARK).attributes(spec))?.user_name;
    let (before, after) = made.split_once(MARK)?;
    let start = user_name.get(..before.len())?;
    let word = user_name.get(before.len()..user_name.len().checked_sub(after.len())?)?;
    let end = user_name.get(user_name.len() - after.len()..)?;
    let is_word = word.len() == WORD && word.chars().all(|c| c.is_ascii_hexdigit());
    (is_word && same(start, before) && same(end, after)).then(|| word.to_owned())
}

/// The user name that a canary of an app has once it was renamed; `None`: it would not be told from others by it.
pub fn renamed_of(spec: &AppSpec, pattern: &str, canary: &Canary) -> Option<String> {
    let word = word_of(spec, pattern, &canary.user_name)?;
    let renamed = known_as(&Person::renamed(spec, pattern, &word).attributes(spec))?.user_name;
    (renamed.contains(&word) && renamed != canary.user_name).then_some(renamed)
}

/// The canary of an app that this word tells from others.
///
/// # Errors
/// Why there can be none, for people.
pub fn canary(spec: &AppSpec, pattern: &str, word: &str) -> Result<Canary, String> {
    let known = known_as(&Person::new(spec, pattern, word).attributes(spec))
        .ok_or("the mapping gives the canary no userName: mend [apps.attributes]")?;
    match word_of(spec, pattern, &known.user_name) {
        Some(_) => Ok(known),
        None => Err(format!(
            "the mapping makes '{}' of the canary's name, which tells it from nobody: the app can't be drilled unless userName is made \
             of userName or emails",
            known.user_name
        )),
    }
}

/// Another value for an attribute.
fn other(path: &str, value: &Value) -> Option<Value> {
    match (path.rsplit(['.', ':']).next().unwrap_or(path), value) {
        ("preferredLanguage" | "locale", Value::String(_)) => Some("de-DE".into()),
        ("timezone", Value::String(_)) => Some("Europe/Berlin".into()),
        (_, Value::String(text)) if text.contains('@') => Some(format!("changed-{text}").into()),
        (_, Value::String(text)) => Some(format!("{text} 2").into()),
        (_, Value::Bool(value)) => Some((!value).into()),
        _ => None,
    }
}
