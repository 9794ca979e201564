//! PATCH (RFC 7644 §3.5.2): a list of operations that all apply or none does.

use scim_v2::filter::{AttrPath, PatchPath};
use serde_json::{Map, Value};

use crate::error::{ScimError, ScimType};
use crate::filter::{ValueFilter, one_line, value_filter};
use crate::message::PATCH_OP;
use crate::path::{Target, core_attribute, resolve, whole_extension};
use crate::resource::{finish, normalize_single, normalize_value};
use crate::schema::{Attribute, Kind, Mutability, ResourceType, Returned, Schema};

/// A PATCH request that was checked against the schema.
#[derive(Debug, Clone)]
pub struct PatchRequest {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    op: Op,
    place: Place,
    value: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Remove,
    Replace,
}

#[derive(Debug, Clone)]
enum Place {
    Extension(&'static Schema),
    Attribute(Target),
    Values(Target, ValueFilter),
}

/// The most operations in one request.
const MAX_OPERATIONS: usize = 1000;

fn syntax(detail: impl Into<String>) -> ScimError {
    ScimError::bad_request(ScimType::InvalidSyntax, detail)
}

fn invalid_value(detail: impl Into<String>) -> ScimError {
    ScimError::bad_request(ScimType::InvalidValue, detail)
}

fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v)
}

impl PatchRequest {
    /// Reads the body of a PATCH on a resource of this kind. Names of operations are taken in any case, as Microsoft
    /// Entra sends `Add`; a value without a path may name its attributes by paths, as it also does.
    ///
    /// # Errors
    /// `invalidSyntax` for a malformed request, `invalidPath`, `noTarget`, `mutability` or `invalidValue` as the RFC says.
    pub fn parse(body: &Value, kind: &ResourceType) -> Result<Self, ScimError> {
        let object = body.as_object().ok_or_else(|| syntax("the body must be a JSON object"))?;
        let declared = field(object, "schemas").and_then(Value::as_array);
        if !declared.is_some_and(|all| all.iter().any(|u| u.as_str().is_some_and(|u| u.eq_ignore_ascii_case(PATCH_OP))))
        {
            return Err(syntax(format!("'schemas' must hold '{PATCH_OP}'")));
        }
        let list = field(object, "Operations")
            .and_then(Value::as_array)
            .ok_or_else(|| syntax("'Operations' must be an array"))?;
        if list.is_empty() || list.len() > MAX_OPERATIONS {
            return Err(syntax(format!("'Operations' holds {}: 1 to {MAX_OPERATIONS} are allowed", list.len())));
        }
        let mut operations = Vec::new();
        for (index, item) in list.iter().enumerate() {
            read_operation(item, kind, &mut operations).map_err(|mut e| {
                e.detail = format!("operation {}: {}", index + 1, e.detail);
                e
            })?;
        }
        Ok(Self { operations })
    }

    /// The resource after all operations.
    ///
    /// # Errors
    /// When an operation does not fit the resource, or leaves it without what is required; nothing has changed then.
    pub fn apply(&self, resource: &Map<String, Value>, kind: &ResourceType) -> Result<Map<String, Value>, ScimError> {
        let mut after = resource.clone();
        for operation in &self.operations {
            operation.apply(&mut after)?;
        }
        finish(after, kind)
    }
}

fn read_operation(item: &Value, kind: &ResourceType, out: &mut Vec<Operation>) -> Result<(), ScimError> {
    let object = item.as_object().ok_or_else(|| syntax("an operation must be an object"))?;
    let op = match field(object, "op").and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
        Some("add") => Op::Add,
        Some("remove") => Op::Remove,
        Some("replace") => Op::Replace,
        _ => return Err(syntax("'op' must be add, remove or replace")),
    };
    let value = field(object, "value").cloned();
    match field(object, "path") {
        Some(Value::String(path)) if !path.trim().is_empty() => {
            let place = read_place(path.trim(), kind)?;
            if value.is_none() && op != Op::Remove {
                return Err(invalid_value(format!("'value' is missing for '{path}'")));
            }
            push(out, op, place, value.unwrap_or(Value::Null))
        }
        None | Some(Value::Null | Value::String(_)) => {
            if op == Op::Remove {
                return Err(ScimError::bad_request(ScimType::NoTarget, "remove needs a 'path'"));
            }
            let Some(Value::Object(fields)) = value else {
                return Err(invalid_value("without a 'path', 'value' must be an object"));
            };
            for (name, value) in fields {
                if name.eq_ignore_ascii_case("schemas") {
                    continue;
                }
                // Read-only attributes that come along with others are ignored, as in PUT.
                if core_attribute(kind, &name).is_some_and(|a| a.mutability == Mutability::ReadOnly) {
                    continue;
                }
                push(out, op, read_place(&name, kind)?, value)?;
            }
            Ok(())
        }
        Some(_) => Err(ScimError::bad_request(ScimType::InvalidPath, "'path' must be a string")),
    }
}

fn push(out: &mut Vec<Operation>, op: Op, place: Place, value: Value) -> Result<(), ScimError> {
    if let Place::Attribute(target) | Place::Values(target, _) = &place {
        let read_only = |a: &Attribute| a.mutability == Mutability::ReadOnly;
        if read_only(target.attribute) || target.sub.is_some_and(read_only) {
            let detail = format!("'{}' is read-only", target.name());
            return Err(ScimError::bad_request(ScimType::Mutability, detail));
        }
    }
    out.push(Operation { op, place, value });
    Ok(())
}

fn read_place(path: &str, kind: &ResourceType) -> Result<Place, ScimError> {
    let invalid = |why: String| ScimError::bad_request(ScimType::InvalidPath, why);
    let parsed: PatchPath =
        path.parse().map_err(|e| invalid(format!("path '{path}' is not valid: {}", one_line(&e))))?;
    match parsed {
        PatchPath::Attr(attr) => match whole_extension(&attr, kind) {
            Some(schema) => Ok(Place::Extension(schema)),
            None => Ok(Place::Attribute(resolve(&attr, kind).map_err(invalid)?)),
        },
        PatchPath::Value(value_path) => {
            let attr = AttrPath { sub_attr: value_path.sub_attr.clone(), ..value_path.attr.clone() };
            let target = resolve(&attr, kind).map_err(invalid)?;
            if !target.attribute.is_multi() || target.attribute.kind != Kind::Complex {
                return Err(invalid(format!("'{}' has no values to choose from", target.attribute.name)));
            }
            let filter = value_filter(&value_path.filter, target.attribute)
                .map_err(|e| ScimError { scim_type: Some(ScimType::InvalidFilter), ..e })?;
            Ok(Place::Values(target, filter))
        }
    }
}

impl Operation {
    fn apply(&self, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        match &self.place {
            Place::Extension(schema) => self.apply_extension(schema, resource),
            Place::Attribute(target) => match target.sub {
                None => self.apply_attribute(target, resource),
                Some(sub) => self.apply_sub(target, sub, resource),
            },
            Place::Values(target, filter) => self.apply_values(target, filter, resource),
        }
    }

    fn apply_extension(&self, schema: &'static Schema, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        if self.op == Op::Remove {
            resource.remove(schema.id);
            return Ok(());
        }
        let fields =
            self.value.as_object().ok_or_else(|| invalid_value(format!("'{}' must be an object", schema.id)))?;
        for (name, value) in fields {
            let attribute = schema
                .attribute(name)
                .ok_or_else(|| invalid_value(format!("schema {} has no attribute '{name}'", schema.id)))?;
            let target = Target { extension: Some(schema), attribute, sub: None };
            let inner = Self { op: self.op, place: Place::Attribute(target), value: value.clone() };
            inner.apply(resource)?;
        }
        Ok(())
    }

    fn apply_attribute(&self, target: &Target, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        let attribute = target.attribute;
        let path = target.name();
        let Some(container) = target.container(resource) else {
            return Err(invalid_value(format!("'{path}' has no place in this resource")));
        };
        if self.op == Op::Remove {
            // Some providers name the values to remove in 'value' instead of a filter.
            match (&self.value, container.get_mut(attribute.name)) {
                (Value::Array(gone), Some(Value::Array(items))) if !gone.is_empty() => {
                    items.retain(|item| !gone.iter().any(|g| same_value(g, item)));
                    if items.is_empty() {
                        container.remove(attribute.name);
                    }
                }
                _ => {
                    container.remove(attribute.name);
                }
            }
            return Ok(());
        }
        let value = if attribute.is_multi() {
            as_many(attribute, &self.value)
        } else if attribute.kind == Kind::Complex && self.value.is_string() && attribute.sub("value").is_some() {
            // Microsoft Entra sends "manager" as a plain id.
            serde_json::json!({ "value": self.value })
        } else {
            self.value.clone()
        };
        let clean = normalize_value(attribute, &value, &path)?;
        if attribute.returned == Returned::Never {
            return Ok(());
        }
        match (clean, container.get_mut(attribute.name)) {
            (None, _) => {
                if self.op == Op::Replace {
                    container.remove(attribute.name);
                }
            }
            (Some(Value::Array(new)), Some(Value::Array(items))) if self.op == Op::Add => {
                for value in new {
                    if !items.iter().any(|i| *i == value || same_value(&value, i) && attribute.name == "members") {
                        give_way_to_primary(items, &value);
                        items.push(value);
                    }
                }
            }
            // RFC 7644 §3.5.2.3: sub-attributes that are not named stay.
            (Some(Value::Object(new)), Some(Value::Object(fields))) => fields.extend(new),
            (Some(new), _) => {
                container.insert(attribute.name.into(), new);
            }
        }
        Ok(())
    }

    fn apply_sub(&self, target: &Target, sub: &Attribute, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        let path = target.name();
        let clean = if self.op == Op::Remove { None } else { normalize_value(sub, &self.value, &path)? };
        let Some(container) = target.container(resource) else {
            return Err(invalid_value(format!("'{path}' has no place in this resource")));
        };
        let name = target.attribute.name;
        if target.attribute.is_multi() {
            let Some(Value::Array(items)) = container.get_mut(name) else {
                return Err(ScimError::bad_request(ScimType::NoTarget, format!("'{name}' has no values")));
            };
            items.iter_mut().filter_map(Value::as_object_mut).for_each(|o| set(o, sub.name, clean.as_ref()));
            items.retain(|v| v.as_object().is_none_or(|o| !o.is_empty()));
            return Ok(());
        }
        if clean.is_none() && !container.contains_key(name) {
            return Ok(());
        }
        let whole = container.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(object) = whole.as_object_mut() {
            set(object, sub.name, clean.as_ref());
            if object.is_empty() {
                container.remove(name);
            }
        }
        Ok(())
    }

    fn apply_values(
        &self,
        target: &Target,
        filter: &ValueFilter,
        resource: &mut Map<String, Value>,
    ) -> Result<(), ScimError> {
        let attribute = target.attribute;
        let Some(container) = target.container(resource) else {
            return Err(invalid_value(format!("'{}' has no place in this resource", target.name())));
        };
        let mut items = match container.remove(attribute.name) {
            Some(Value::Array(items)) => items,
            _ => Vec::new(),
        };
        let mut matched = items.iter().any(|i| filter.matches(i));
        if !matched && self.op != Op::Remove {
            // RFC 7644 §3.5.2.3 asks for noTarget; providers rely on the value being made when the filter says how.
            match filter.as_template() {
                Some(template) if target.sub.is_some() || self.value.is_object() => {
                    items.push(Value::Object(template.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()));
                    matched = true;
                }
                _ => {}
            }
        }
        if !matched && self.op != Op::Remove {
            let detail = format!("no value of '{}' matches the filter", attribute.name);
            return Err(ScimError::bad_request(ScimType::NoTarget, detail));
        }
        match (self.op, target.sub) {
            (Op::Remove, None) => items.retain(|i| !filter.matches(i)),
            (_, sub) => {
                let new = match (self.op, sub) {
                    (Op::Remove, _) => None,
                    (_, Some(sub)) => normalize_value(sub, &self.value, &target.name())?,
                    (_, None) => normalize_single(attribute, &self.value, attribute.name)?,
                };
                for object in items.iter_mut().filter(|i| filter.matches(i)).filter_map(Value::as_object_mut) {
                    match (sub, &new) {
                        (Some(sub), value) => set(object, sub.name, value.as_ref()),
                        (None, Some(Value::Object(fields))) => object.extend(fields.clone()),
                        (None, _) => object.clear(),
                    }
                }
                items.retain(|v| v.as_object().is_none_or(|o| !o.is_empty()));
            }
        }
        if !items.is_empty() {
            let clean = normalize_value(attribute, &Value::Array(items), attribute.name)?;
            container.extend(clean.map(|c| (attribute.name.to_owned(), c)));
        }
        Ok(())
    }
}

fn set(object: &mut Map<String, Value>, name: &str, value: Option<&Value>) {
    match value {
        Some(value) => {
            object.insert(name.into(), value.clone());
        }
        None => {
            object.remove(name);
        }
    }
}

/// One value or a plain string where many values are meant.
fn as_many(attribute: &Attribute, value: &Value) -> Value {
    let wrap = |v: &Value| match v {
        Value::String(_) if attribute.kind == Kind::Complex => serde_json::json!({ "value": v }),
        other => other.clone(),
    };
    match value {
        Value::Array(items) => Value::Array(items.iter().map(wrap).collect()),
        Value::Null => Value::Null,
        single => Value::Array(vec![wrap(single)]),
    }
}

/// Whether two values of a multi-valued attribute are the same one: by `value` where both have it.
fn same_value(a: &Value, b: &Value) -> bool {
    let key = |v: &Value| v.get("value").cloned().unwrap_or_else(|| v.clone());
    key(a) == key(b)
}

/// RFC 7644 §3.5.2: a new primary value takes the mark from the one that had it.
fn give_way_to_primary(items: &mut [Value], new: &Value) {
    if new.get("primary") == Some(&Value::Bool(true)) {
        items.iter_mut().filter_map(Value::as_object_mut).for_each(|o| {
            o.remove("primary");
        });
    }
}
