//! Resources as a client sends them, made canonical: names in the schema's case, nothing read-only, nothing empty.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::error::{ScimError, ScimType};
use crate::path::core_attribute;
use crate::reading::{Quirk, Reading};
use crate::schema::{Attribute, Case, Kind, Mutability, Presence, ResourceType, Schema};

fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::bad_request(ScimType::InvalidValue, detail)
}

/// Checks a resource that a client sent for POST or PUT, and makes it canonical.
///
/// Read-only attributes are ignored (RFC 7644 §3.5.1), those that are never answered are dropped, null and empty values
/// are absent (RFC 7643 §2.5), and `schemas` is what the resource really uses.
///
/// # Errors
/// `invalidSyntax` for what is not a resource of this kind, `invalidValue` for a value that the schema does not allow.
pub fn normalize(body: &Value, kind: &ResourceType, reading: &mut Reading) -> Result<Map<String, Value>, ScimError> {
    let body = body
        .as_object()
        .ok_or_else(|| ScimError::bad_request(ScimType::InvalidSyntax, "the body must be a JSON object"))?;
    check_schemas(body, kind, reading)?;
    let mut out = Map::new();
    for (name, value) in body {
        if is_schemas(name) {
            continue;
        }
        if let Some(extension) = kind.extension(name) {
            let clean = normalize_extension(extension, value, reading)?;
            if clean.is_some_and(|clean| out.insert(extension.id.to_owned(), Value::Object(clean)).is_some()) {
                return Err(invalid(format!("'{}' is there twice", extension.id)));
            }
            continue;
        }
        match core_attribute(kind, name) {
            Some(attribute) => insert(&mut out, attribute, value, reading)?,
            None => reading.leave_out(name, ScimType::InvalidValue, || {
                format!("{} resources have no attribute '{name}'", kind.name)
            })?,
        }
    }
    finish(out, kind)
}

/// Whether a name is that of the list of schemas.
pub(crate) fn is_schemas(name: &str) -> bool {
    name.eq_ignore_ascii_case("schemas")
}

fn normalize_extension(
    extension: &'static Schema,
    value: &Value,
    reading: &mut Reading,
) -> Result<Option<Map<String, Value>>, ScimError> {
    let Some(fields) = value.as_object() else {
        if value.is_null() {
            return Ok(None);
        }
        return Err(invalid(format!("'{}' must be an object", extension.id)));
    };
    let mut clean = Map::new();
    for (name, value) in fields.iter().filter(|(name, _)| !is_schemas(name)) {
        match extension.attribute(name) {
            Some(attribute) => insert(&mut clean, attribute, value, reading)?,
            None => reading.leave_out(&format!("{}:{name}", extension.id), ScimType::InvalidValue, || {
                format!("schema {} has no attribute '{name}'", extension.id)
            })?,
        }
    }
    Ok(if clean.is_empty() { None } else { Some(clean) })
}

/// What POST, PUT and PATCH end with: sets `schemas`, and checks that what must be there is there.
pub(crate) fn finish(mut resource: Map<String, Value>, kind: &ResourceType) -> Result<Map<String, Value>, ScimError> {
    resource.retain(|_, value| !value.as_object().is_some_and(Map::is_empty));
    required(&resource, kind.core.attributes, "")?;
    for extension in kind.extensions {
        let id = extension.schema.id;
        match resource.get(id).and_then(Value::as_object) {
            Some(fields) => required(fields, extension.schema.attributes, &format!("{id}:"))?,
            None if extension.presence == Presence::Required => {
                return Err(invalid(format!("{} resources must have '{id}'", kind.name)));
            }
            None => {}
        }
    }
    let extensions = kind.extensions.iter().map(|e| e.schema.id).filter(|id| resource.contains_key(*id));
    let schemas = std::iter::once(kind.core.id).chain(extensions).map(Value::from).collect();
    resource.insert("schemas".into(), Value::Array(schemas));
    Ok(resource)
}

fn required(fields: &Map<String, Value>, attributes: &[Attribute], prefix: &str) -> Result<(), ScimError> {
    let demanded =
        |a: &&Attribute| a.presence == Presence::Required && a.mutability != Mutability::ReadOnly && a.is_kept();
    for attribute in attributes.iter().filter(demanded) {
        let missing = match fields.get(attribute.name) {
            None | Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(_) => false,
        };
        if missing {
            return Err(invalid(format!("'{prefix}{}' is required", attribute.name)));
        }
    }
    Ok(())
}

/// Checks that nothing immutable that had a value has another one (RFC 7643 §2.2).
///
/// # Errors
/// `mutability`, with the attribute's name.
pub fn check_immutable(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    kind: &ResourceType,
) -> Result<(), ScimError> {
    unchanged(before, after, kind.core.attributes)?;
    let empty = Map::new();
    for extension in kind.extensions {
        let fields = |r: &Map<String, Value>| r.get(extension.schema.id).and_then(Value::as_object).cloned();
        if let Some(before) = fields(before) {
            unchanged(&before, &fields(after).unwrap_or_else(|| empty.clone()), extension.schema.attributes)?;
        }
    }
    Ok(())
}

fn unchanged(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    attributes: &[Attribute],
) -> Result<(), ScimError> {
    for attribute in attributes {
        let Some(old) = before.get(attribute.name) else { continue };
        let new = after.get(attribute.name);
        if attribute.mutability == Mutability::Immutable && new != Some(old) {
            let detail = format!("'{}' can't be changed once it is set", attribute.name);
            return Err(ScimError::bad_request(ScimType::Mutability, detail));
        }
        // The values of a multi-valued attribute come and go whole.
        if let (Some(old), Some(new), false) = (old.as_object(), new.and_then(Value::as_object), attribute.is_multi()) {
            unchanged(old, new, attribute.sub_attributes)?;
        }
    }
    Ok(())
}

fn check_schemas(body: &Map<String, Value>, kind: &ResourceType, reading: &mut Reading) -> Result<(), ScimError> {
    let syntax = |detail: String| ScimError::bad_request(ScimType::InvalidSyntax, detail);
    let declared = body.iter().find(|(name, _)| is_schemas(name)).map(|(_, value)| value);
    let missing = || format!("'schemas' must be an array that holds '{}'", kind.core.id);
    let Some(declared) = declared.filter(|declared| !declared.is_null()) else {
        // The address says what it is.
        return reading.accept(Quirk::NoSchemas, ScimType::InvalidSyntax, missing);
    };
    let declared = declared.as_array().ok_or_else(|| syntax(missing()))?;
    let mut core = false;
    for urn in declared {
        let urn = urn.as_str().ok_or_else(|| syntax("each of 'schemas' must be a string".into()))?;
        if urn.eq_ignore_ascii_case(kind.core.id) {
            core = true;
        } else if kind.extension(urn).is_none() {
            reading.leave_out(urn, ScimType::InvalidSyntax, || {
                format!("{} resources have no schema '{urn}'", kind.name)
            })?;
        }
    }
    if core { Ok(()) } else { Err(syntax(format!("'schemas' must hold '{}'", kind.core.id))) }
}

fn insert(
    out: &mut Map<String, Value>,
    attribute: &Attribute,
    value: &Value,
    reading: &mut Reading,
) -> Result<(), ScimError> {
    if attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    let clean = normalize_value(attribute, value, attribute.name, reading)?;
    if !attribute.is_kept() {
        return Ok(());
    }
    if clean.is_some_and(|clean| out.insert(attribute.name.to_owned(), clean).is_some()) {
        return Err(invalid(format!("'{}' is there twice", attribute.name)));
    }
    Ok(())
}

/// The canonical value of an attribute, `None` when it is unassigned.
pub(crate) fn normalize_value(
    attribute: &Attribute,
    value: &Value,
    path: &str,
    reading: &mut Reading,
) -> Result<Option<Value>, ScimError> {
    if value.is_null() {
        return Ok(None);
    }
    if !attribute.is_multi() {
        return match value.as_array().map(Vec::as_slice) {
            Some([one]) => {
                reading.accept(Quirk::PlainValue, ScimType::InvalidValue, || {
                    format!("'{path}' has one value: it must be no array")
                })?;
                normalize_single(attribute, one, path, reading)
            }
            _ => normalize_single(attribute, value, path, reading),
        };
    }
    let items = match value {
        Value::Array(items) => items.as_slice(),
        one => {
            reading.accept(Quirk::PlainValue, ScimType::InvalidValue, || {
                format!("'{path}' has many values: it must be an array")
            })?;
            std::slice::from_ref(one)
        }
    };
    // A group may have very many members. Two values are the same in whatever order their sub-attributes stand.
    let mut seen = HashSet::with_capacity(items.len());
    let mut clean: Vec<Value> = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let item = normalize_single(attribute, item, &format!("{path}[{index}]"), reading)?;
        clean.extend(item.filter(|item| seen.insert(item.clone())));
    }
    let primaries = clean.iter().filter(|v| v.get("primary") == Some(&Value::Bool(true))).count();
    if primaries > 1 {
        return Err(invalid(format!("'{path}' has {primaries} primary values: at most one may be")));
    }
    Ok(if clean.is_empty() { None } else { Some(Value::Array(clean)) })
}

/// The canonical form of one value.
pub(crate) fn normalize_single(
    attribute: &Attribute,
    value: &Value,
    path: &str,
    reading: &mut Reading,
) -> Result<Option<Value>, ScimError> {
    let wrong = |wanted: &str| invalid(format!("'{path}' must be {wanted}, not {}", describe(value)));
    match (attribute.kind, value) {
        (_, Value::Null) => Ok(None),
        (Kind::Boolean, Value::Bool(_)) => Ok(Some(value.clone())),
        (Kind::Boolean, Value::String(text)) => {
            let flag = match text.to_ascii_lowercase().as_str() {
                "true" => true,
                "false" => false,
                _ => return Err(wrong("true or false")),
            };
            reading.accept(Quirk::BooleanText, ScimType::InvalidValue, || {
                format!("'{path}' must be true or false, not a string")
            })?;
            Ok(Some(Value::Bool(flag)))
        }
        (Kind::Boolean, _) => Err(wrong("true or false")),
        (Kind::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(Some(value.clone())),
        (Kind::Integer, _) => Err(wrong("a whole number")),
        (Kind::Decimal, Value::Number(_)) => Ok(Some(value.clone())),
        (Kind::Decimal, _) => Err(wrong("a number")),
        (Kind::DateTime, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(Some(value.clone())),
            Err(_) => Err(wrong("an RFC 3339 time")),
        },
        (Kind::String, Value::String(text)) => canonical(attribute, text, path, reading),
        (Kind::String, Value::Number(number)) => {
            reading.accept(Quirk::NumberAsText, ScimType::InvalidValue, || {
                format!("'{path}' must be a string, not {number}")
            })?;
            canonical(attribute, &number.to_string(), path, reading)
        }
        (Kind::Reference | Kind::Binary, Value::String(text)) => {
            Ok(if text.is_empty() { None } else { Some(value.clone()) })
        }
        (Kind::Complex, Value::Object(fields)) => normalize_complex(attribute, fields, path, reading),
        (Kind::Complex, Value::String(text)) if attribute.sub("value").is_some_and(|sub| sub.kind == Kind::String) => {
            reading.accept(Quirk::PlainValue, ScimType::InvalidValue, || {
                format!("'{path}' must be an object with a 'value', not a string")
            })?;
            let fields = Map::from_iter([("value".to_owned(), Value::from(text.as_str()))]);
            if text.is_empty() { Ok(None) } else { normalize_complex(attribute, &fields, path, reading) }
        }
        (Kind::Complex, _) => Err(wrong("an object")),
        (Kind::DateTime | Kind::String | Kind::Reference | Kind::Binary, _) => Err(wrong("a string")),
    }
}

/// RFC 7643 §7: canonical values are the usual ones; others may be used, and their case is the canonical one.
fn canonical(attribute: &Attribute, text: &str, path: &str, reading: &mut Reading) -> Result<Option<Value>, ScimError> {
    if text.is_empty() {
        return Ok(None);
    }
    let usual =
        attribute.canonical.iter().find(|c| attribute.case == Case::Insensitive && c.eq_ignore_ascii_case(text));
    if let Some(usual) = usual.filter(|usual| **usual != text) {
        reading.accept(Quirk::CanonicalCase, ScimType::InvalidValue, || {
            format!("'{path}' must be '{usual}', not '{text}'")
        })?;
        return Ok(Some(Value::from(*usual)));
    }
    Ok(Some(text.into()))
}

fn normalize_complex(
    attribute: &Attribute,
    fields: &Map<String, Value>,
    path: &str,
    reading: &mut Reading,
) -> Result<Option<Value>, ScimError> {
    let mut clean = Map::new();
    for (name, value) in fields {
        let Some(sub) = attribute.sub(name) else {
            reading.leave_out(&format!("{}.{name}", attribute.name), ScimType::InvalidValue, || {
                format!("'{}' has no sub-attribute '{name}'", attribute.name)
            })?;
            continue;
        };
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        let value = normalize_value(sub, value, &format!("{path}.{}", sub.name), reading)?;
        if value.is_some_and(|value| sub.is_kept() && clean.insert(sub.name.to_owned(), value).is_some()) {
            return Err(invalid(format!("'{path}.{}' is there twice", sub.name)));
        }
    }
    if clean.is_empty() {
        return Ok(None);
    }
    required(&clean, attribute.sub_attributes, &format!("{path}."))?;
    Ok(Some(Value::Object(clean)))
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
