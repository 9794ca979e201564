//! Resources as a client sends them, made canonical: names in the schema's case, nothing read-only, nothing empty.

use serde_json::{Map, Value};

use crate::error::{ScimError, ScimType};
use crate::path::core_attribute;
use crate::schema::{Attribute, Kind, Mutability, Presence, ResourceType, Returned};

fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::bad_request(ScimType::InvalidValue, detail)
}

/// Checks a resource that a client sent for POST or PUT, and makes it canonical.
///
/// Read-only attributes are ignored (RFC 7644 §3.5.1), write-only ones are dropped, null and empty values are absent
/// (RFC 7643 §2.5), and `schemas` is what the resource really uses.
///
/// # Errors
/// `invalidSyntax` for what is not a resource of this kind, `invalidValue` for a value that the schema does not allow.
pub fn normalize(body: &Value, kind: &ResourceType) -> Result<Map<String, Value>, ScimError> {
    let body = body
        .as_object()
        .ok_or_else(|| ScimError::bad_request(ScimType::InvalidSyntax, "the body must be a JSON object"))?;
    check_schemas(body, kind)?;
    let mut out = Map::new();
    for (name, value) in body {
        if name.eq_ignore_ascii_case("schemas") {
            continue;
        }
        if let Some(extension) = kind.extension(name) {
            let Some(fields) = value.as_object() else {
                if value.is_null() {
                    continue;
                }
                return Err(invalid(format!("'{}' must be an object", extension.id)));
            };
            let mut clean = Map::new();
            for (name, value) in fields {
                let attribute = extension
                    .attribute(name)
                    .ok_or_else(|| invalid(format!("schema {} has no attribute '{name}'", extension.id)))?;
                insert(&mut clean, attribute, value)?;
            }
            if !clean.is_empty() {
                out.insert(extension.id.to_owned(), Value::Object(clean));
            }
            continue;
        }
        let attribute = core_attribute(kind, name)
            .ok_or_else(|| invalid(format!("{} resources have no attribute '{name}'", kind.name)))?;
        insert(&mut out, attribute, value)?;
    }
    finish(out, kind)
}

/// What PATCH ends with: sets `schemas`, and checks that what must be there is there.
pub(crate) fn finish(mut resource: Map<String, Value>, kind: &ResourceType) -> Result<Map<String, Value>, ScimError> {
    for attribute in kind.core.attributes {
        if attribute.presence == Presence::Required
            && resource.get(attribute.name).and_then(Value::as_str).is_none_or(|s| s.trim().is_empty())
        {
            return Err(invalid(format!("'{}' is required", attribute.name)));
        }
    }
    resource.retain(|_, value| !value.as_object().is_some_and(Map::is_empty));
    let extensions = kind.extensions.iter().filter(|s| resource.contains_key(s.id)).map(|s| s.id);
    let schemas = std::iter::once(kind.core.id).chain(extensions).map(Value::from).collect();
    resource.insert("schemas".into(), Value::Array(schemas));
    Ok(resource)
}

fn check_schemas(body: &Map<String, Value>, kind: &ResourceType) -> Result<(), ScimError> {
    let syntax = |detail: String| ScimError::bad_request(ScimType::InvalidSyntax, detail);
    let declared = body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).map(|(_, value)| value);
    let Some(declared) = declared.and_then(Value::as_array) else {
        return Err(syntax(format!("'schemas' must be an array that holds '{}'", kind.core.id)));
    };
    let mut core = false;
    for urn in declared {
        let urn = urn.as_str().ok_or_else(|| syntax("each of 'schemas' must be a string".into()))?;
        if urn.eq_ignore_ascii_case(kind.core.id) {
            core = true;
        } else if kind.extension(urn).is_none() {
            return Err(syntax(format!("{} resources have no schema '{urn}'", kind.name)));
        }
    }
    if core { Ok(()) } else { Err(syntax(format!("'schemas' must hold '{}'", kind.core.id))) }
}

fn insert(out: &mut Map<String, Value>, attribute: &Attribute, value: &Value) -> Result<(), ScimError> {
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    let clean = normalize_value(attribute, value, attribute.name)?;
    if attribute.returned == Returned::Never {
        return Ok(());
    }
    if clean.is_some_and(|clean| out.insert(attribute.name.to_owned(), clean).is_some()) {
        return Err(invalid(format!("'{}' is there twice", attribute.name)));
    }
    Ok(())
}

/// The canonical value of an attribute, `None` when it is unassigned.
pub(crate) fn normalize_value(attribute: &Attribute, value: &Value, path: &str) -> Result<Option<Value>, ScimError> {
    if value.is_null() {
        return Ok(None);
    }
    if !attribute.is_multi() {
        return normalize_single(attribute, value, path);
    }
    let Some(items) = value.as_array() else {
        return Err(invalid(format!("'{path}' has many values: it must be an array")));
    };
    let mut clean: Vec<Value> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let item = normalize_single(attribute, item, &format!("{path}[{index}]"))?;
        clean.extend(item.filter(|item| !clean.contains(item)));
    }
    let primaries = clean.iter().filter(|v| v.get("primary") == Some(&Value::Bool(true))).count();
    if primaries > 1 {
        return Err(invalid(format!("'{path}' has {primaries} primary values: at most one may be")));
    }
    Ok(if clean.is_empty() { None } else { Some(Value::Array(clean)) })
}

/// The canonical form of one value.
pub(crate) fn normalize_single(attribute: &Attribute, value: &Value, path: &str) -> Result<Option<Value>, ScimError> {
    let wrong = |wanted: &str| invalid(format!("'{path}' must be {wanted}, not {}", describe(value)));
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (Kind::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
        // Microsoft Entra sends booleans in PATCH as "True" and "False".
        (Kind::Boolean, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(Value::Bool(true))),
            "false" => Ok(Some(Value::Bool(false))),
            _ => Err(wrong("true or false")),
        },
        (Kind::Boolean, _) => Err(wrong("true or false")),
        (Kind::DateTime, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Some(value.clone())),
            Err(_) => Err(wrong("an RFC 3339 time")),
        },
        (Kind::String | Kind::Reference | Kind::Binary, Value::String(text)) => {
            Ok(if text.is_empty() { None } else { Some(value.clone()) })
        }
        (Kind::Complex, Value::Object(fields)) => {
            let mut clean = Map::new();
            for (name, value) in fields {
                let sub = attribute
                    .sub(name)
                    .ok_or_else(|| invalid(format!("'{}' has no sub-attribute '{name}'", attribute.name)))?;
                if sub.mutability == Mutability::ReadOnly {
                    continue;
                }
                if let Some(value) = normalize_value(sub, value, &format!("{path}.{}", sub.name))? {
                    clean.insert(sub.name.to_owned(), value);
                }
            }
            Ok(if clean.is_empty() { None } else { Some(Value::Object(clean)) })
        }
        (Kind::Complex, _) => Err(wrong("an object")),
        (Kind::DateTime | Kind::String | Kind::Reference | Kind::Binary, _) => Err(wrong("a string")),
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a string of another form".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}

/// One difference between two versions of a resource.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Changed {
    /// The attribute, with a dot before a sub-attribute and the URN of an extension before its attribute.
    pub path: String,
    /// The value before; `None`: it was not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after; `None`: it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What differs between two versions of a resource, in path order; `schemas` and `meta` are left out.
#[must_use]
pub fn changed_paths(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Changed> {
    let mut out = Vec::new();
    collect("", '.', before, after, &mut out);
    out.retain(|c| c.path != "schemas" && !c.path.starts_with("meta"));
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

fn collect(
    prefix: &str,
    separator: char,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    out: &mut Vec<Changed>,
) {
    let names = before.keys().chain(after.keys().filter(|k| !before.contains_key(*k)));
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}{separator}{name}") };
        let empty = Map::new();
        let object = |v: Option<&Value>| v.is_none_or(Value::is_object);
        if object(old) && object(new) {
            let fields = |v: Option<&Value>| v.and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone());
            let next = if name.starts_with("urn:") { ':' } else { '.' };
            collect(&path, next, &fields(old), &fields(new), out);
        } else {
            out.push(Changed { path, before: old.cloned(), after: new.cloned() });
        }
    }
}
