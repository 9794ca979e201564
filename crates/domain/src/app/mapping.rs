//! What an app's accounts show: target attributes from source attributes, constants and templates.

use std::borrow::Cow;

use rollcall_scim::USER_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::identity::user_name;
use crate::ids::IdentityId;

/// Attributes by path, such as `name.givenName` or `urn:…:User:department`; null: must not be set.
pub type Attributes = Map<String, Value>;

/// Where the value of a target comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The identity's value at a path.
    Attribute(String),
    /// Always the same.
    Constant(Value),
    /// Text in which `{path}` stands for the identity's value at the path.
    Template(String),
}

/// What happens to a target for which there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenEmpty {
    /// It is cleared in the app.
    Clear,
    /// The app may have what it likes: many derive such values themselves.
    Leave,
}

/// One target attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rule {
    pub target: String,
    pub origin: Origin,
    pub when_empty: WhenEmpty,
}

/// The rules of one app; none stands for [`defaults`].
pub type Mapping = Vec<Rule>;

/// Targets that Rollcall sets itself.
pub const RESERVED: [&str; 6] = ["externalId", "active", "password", "id", "meta", "groups"];

/// What is managed in an app that has no mapping of its own.
#[must_use]
pub fn defaults() -> Mapping {
    let same = |path: &str, when_empty| Rule {
        target: path.to_owned(),
        origin: Origin::Attribute(path.to_owned()),
        when_empty,
    };
    vec![
        same("userName", WhenEmpty::Leave),
        same("displayName", WhenEmpty::Leave),
        same("title", WhenEmpty::Clear),
        same("name.givenName", WhenEmpty::Clear),
        same("name.familyName", WhenEmpty::Clear),
        same("emails", WhenEmpty::Leave),
    ]
}

/// The rules that hold in an app with this mapping.
#[must_use]
pub fn effective(mapping: &Mapping) -> Cow<'_, [Rule]> {
    if mapping.is_empty() { defaults().into() } else { mapping.into() }
}

/// Whether a path is an attribute, or something in it.
#[must_use]
pub fn is_within(path: &str, attribute: &str) -> bool {
    path.strip_prefix(attribute).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Whether one of two paths is in the other.
#[must_use]
pub fn overlap(a: &str, b: &str) -> bool {
    is_within(a, b) || is_within(b, a)
}

/// Whether an attribute, or something in it, is sent to an app with this mapping.
#[must_use]
pub fn is_sent(mapping: &Mapping, path: &str) -> bool {
    ["userName", "externalId", "active"].contains(&path)
        || effective(mapping).iter().any(|rule| overlap(&rule.target, path))
}

/// Whether accounts have the user names of their identities, which no two have at once.
#[must_use]
pub fn names_by_user_name(mapping: &Mapping) -> bool {
    let rule = mapping.iter().find(|rule| rule.target == "userName");
    rule.is_none_or(|rule| rule.origin == Origin::Attribute("userName".into()))
}

/// What an identity's account must show. The app's `externalId` is the identity's id, so that an account is found again
/// whatever it is renamed to.
#[must_use]
pub fn managed_attributes(mapping: &Mapping, identity: IdentityId, resource: &Map<String, Value>) -> Attributes {
    let rules = effective(mapping);
    let mut out = Attributes::new();
    for rule in rules.iter() {
        let value = evaluate(&rule.origin, resource);
        match (value, rule.when_empty) {
            (Value::Null, WhenEmpty::Leave) => {}
            (value, _) => drop(out.insert(rule.target.clone(), value)),
        }
    }
    if !rules.iter().any(|rule| rule.target == "userName") {
        out.insert("userName".into(), user_name(resource).into());
    }
    out.insert("externalId".into(), identity.to_string().into());
    out.insert("active".into(), true.into());
    out
}

fn evaluate(origin: &Origin, resource: &Map<String, Value>) -> Value {
    match origin {
        // An agent signs in with its `name`.
        Origin::Attribute(path) if path == "userName" => text(user_name(resource)),
        Origin::Attribute(path) => value_at(resource, path).unwrap_or_default(),
        Origin::Constant(value) => value.clone(),
        Origin::Template(template) => text(expand(template, resource).trim()),
    }
}

fn text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { text.into() }
}

fn expand(template: &str, resource: &Map<String, Value>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((path, behind)) = after.split_once('}') else { return out };
        match value_at(resource, path.trim()) {
            Some(Value::String(value)) => out.push_str(&value),
            Some(value) if !value.is_null() => out.push_str(&value.to_string()),
            _ => {}
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// The paths that a template names; `None` when its braces don't match.
#[must_use]
pub fn template_paths(template: &str) -> Option<Vec<&str>> {
    let mut paths = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (path, behind) = after.split_once('}')?;
        if before.contains('}') || path.contains('{') {
            return None;
        }
        paths.push(path.trim());
        rest = behind;
    }
    (!rest.contains('}')).then_some(paths)
}

/// Extension, attribute and sub-attribute of a path.
fn parts(path: &str) -> (Option<&str>, &str, Option<&str>) {
    let (urn, rest) = match path.rsplit_once(':') {
        Some((urn, rest)) => (Some(urn), rest),
        None => (None, path),
    };
    match rest.split_once('.') {
        Some((attribute, sub)) => (urn, attribute, Some(sub)),
        None => (urn, rest, None),
    }
}

/// The value at a path of a resource; of several values, the primary one, else the first.
#[must_use]
pub fn value_at(resource: &Map<String, Value>, path: &str) -> Option<Value> {
    let (urn, attribute, sub) = parts(path);
    let fields = match urn {
        Some(urn) => resource.get(urn)?.as_object()?,
        None => resource,
    };
    let value = fields.get(attribute)?;
    let one = match value {
        Value::Array(all) => {
            let primary = all.iter().find(|v| v.get("primary") == Some(&Value::Bool(true)));
            primary.or_else(|| all.first())?
        }
        other => other,
    };
    match (sub, one) {
        (Some(sub), Value::Object(fields)) => fields.get(sub).cloned(),
        (Some(_), _) => None,
        (None, Value::Object(fields)) if value.is_array() || fields.contains_key("value") => {
            fields.get("value").cloned()
        }
        (None, one) => Some(one.clone()),
    }
}

/// Every value at a path, where an attribute has several.
fn values_at(resource: &Map<String, Value>, path: &str) -> Vec<Value> {
    let (urn, attribute, sub) = parts(path);
    let fields = match urn {
        Some(urn) => resource.get(urn).and_then(Value::as_object),
        None => Some(resource),
    };
    let Some(Value::Array(all)) = fields.and_then(|f| f.get(attribute)) else {
        return value_at(resource, path).into_iter().collect();
    };
    all.iter()
        .filter_map(|v| v.get(sub.unwrap_or("value")).cloned().or_else(|| v.is_string().then(|| v.clone())))
        .collect()
}

/// Whether an attribute of a User has several values.
#[must_use]
pub fn has_several_values(attribute: &str) -> bool {
    USER_TYPE.core.attribute(attribute).is_some_and(rollcall_scim::Attribute::is_multi)
}

/// Attributes by path as a resource; those that must not be set are left out.
#[must_use]
pub fn to_resource(attributes: &Attributes) -> Map<String, Value> {
    let mut out = Map::new();
    for (path, value) in attributes.iter().filter(|(_, value)| !value.is_null()) {
        put(&mut out, path, value);
    }
    let extensions: Vec<Value> =
        out.keys().filter(|key| key.starts_with("urn:")).map(|key| key.clone().into()).collect();
    if !extensions.is_empty() {
        out.insert("schemas".into(), extensions.into());
    }
    out
}

/// A value at a path as an object of attributes: `name.givenName` is `{"name": {"givenName": …}}`.
#[must_use]
pub fn nested(path: &str, value: Value) -> Value {
    let (urn, attribute, sub) = parts(path);
    let names = [urn, Some(attribute), sub];
    names.into_iter().flatten().rev().fold(value, |inner, name| json!({ name: inner }))
}

fn put(resource: &mut Map<String, Value>, path: &str, value: &Value) {
    let (urn, attribute, sub) = parts(path);
    let mut fields = resource;
    for name in urn.into_iter().chain(sub.map(|_| attribute)) {
        let inner = fields.entry(name.to_owned()).or_insert_with(|| json!({}));
        if !inner.is_object() {
            *inner = json!({});
        }
        let Some(inner) = inner.as_object_mut() else { return };
        fields = inner;
    }
    let name = sub.unwrap_or(attribute);
    fields.insert(name.to_owned(), to_send(path, value));
}

/// A value as an app takes it: an attribute with several values gets the one as its primary one.
#[must_use]
pub fn to_send(path: &str, value: &Value) -> Value {
    let (urn, attribute, sub) = parts(path);
    if urn.is_none() && sub.is_none() && has_several_values(attribute) && !value.is_array() {
        json!([{ "value": value, "type": "work", "primary": true }])
    } else {
        value.clone()
    }
}

/// A managed attribute as an app shows it.
#[must_use]
pub fn observed(resource: &Map<String, Value>, path: &str) -> Option<Value> {
    value_at(resource, path).filter(|value| !value.is_null())
}

/// Whether an app shows what an attribute must be.
#[must_use]
pub fn shows(resource: &Map<String, Value>, path: &str, want: &Value) -> bool {
    let (_, attribute, sub) = parts(path);
    if want.is_null() {
        return observed(resource, path).is_none_or(|v| v == "" || v == json!([]));
    }
    if sub.is_none() && has_several_values(attribute) {
        let same = |have: &Value| match (have.as_str(), want.as_str()) {
            (Some(have), Some(want)) => have.eq_ignore_ascii_case(want),
            _ => have == want,
        };
        return values_at(resource, path).iter().any(same);
    }
    match (path, observed(resource, path)) {
        // RFC 7643 §4.1.1: user names are the same in any case, and some apps lower them.
        ("userName", Some(Value::String(have))) => {
            want.as_str().is_some_and(|w| w.to_lowercase() == have.to_lowercase())
        }
        (_, Some(have)) => have == *want,
        (_, None) => false,
    }
}
