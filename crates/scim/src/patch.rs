//! PATCH (RFC 7644 §3.5.2): a list of operations that all apply or none does. Everything that the schema decides is
//! checked when the request is read; what depends on the resource, when it is applied.

mod apply;
mod members;

use scim_v2::filter::{AttrPath, PatchPath};
use serde_json::{Map, Value};

use crate::error::{ScimError, ScimType};
use crate::filter::{ValueFilter, one_line, quoted, value_filter};
use crate::message::PATCH_OP;
use crate::path::{Target, core_attribute, resolve, whole_extension};
use crate::reading::{Quirk, Reading, Strictness};
use crate::resource::{finish, is_schemas, normalize_single, normalize_value};
use crate::schema::{Attribute, Kind, Mutability, ResourceType, Schema};

pub use members::MemberChange;

/// A PATCH request that was checked against the schema.
#[derive(Debug, Clone)]
pub struct PatchRequest {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    op: Op,
    place: Place,
    /// Canonical; of a removal, the values to remove where it names them.
    value: Option<Value>,
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
    /// Reads the body of a PATCH on a resource of this kind.
    ///
    /// # Errors
    /// `invalidSyntax` for a malformed request, `invalidPath`, `noTarget`, `mutability` or `invalidValue` as the RFC says.
    pub fn parse(body: &Value, kind: &ResourceType, reading: &mut Reading) -> Result<Self, ScimError> {
        let object = body.as_object().ok_or_else(|| syntax("the body must be a JSON object"))?;
        let without = || format!("'schemas' must hold '{PATCH_OP}'");
        let is_patch = |u: &Value| u.as_str().is_some_and(|u| u.eq_ignore_ascii_case(PATCH_OP));
        match field(object, "schemas") {
            None => reading.accept(Quirk::NoSchemas, ScimType::InvalidSyntax, without)?,
            Some(declared) if declared.as_array().is_some_and(|all| all.iter().any(is_patch)) => {}
            Some(_) => return Err(syntax(without())),
        }
        let list = field(object, "Operations")
            .and_then(Value::as_array)
            .ok_or_else(|| syntax("'Operations' must be an array"))?;
        if list.is_empty() || list.len() > MAX_OPERATIONS {
            return Err(syntax(format!("'Operations' holds {}: 1 to {MAX_OPERATIONS} are allowed", list.len())));
        }
        let mut reader = Reader { kind, reading, out: Vec::new(), unknown: None };
        for (index, item) in list.iter().enumerate() {
            reader.operation(item).map_err(|mut e| {
                e.detail = format!("operation {}: {}", index + 1, e.detail);
                e
            })?;
        }
        match reader.unknown {
            // Nothing would be done: a mistake in a name must not look like a change.
            Some(unknown) if reader.out.is_empty() => Err(unknown),
            _ => Ok(Self { operations: reader.out }),
        }
    }

    /// The resource after all operations.
    ///
    /// # Errors
    /// When an operation does not fit the resource, or leaves it without what is required; nothing has changed then.
    pub fn apply(
        &self,
        resource: &Map<String, Value>,
        kind: &ResourceType,
        reading: &mut Reading,
    ) -> Result<Map<String, Value>, ScimError> {
        let mut after = resource.clone();
        for operation in &self.operations {
            operation.apply(&mut after, reading)?;
        }
        finish(after, kind)
    }
}

struct Reader<'a> {
    kind: &'a ResourceType,
    reading: &'a mut Reading,
    out: Vec<Operation>,
    /// What is wrong with an operation that was left out: it names an attribute that no schema here has.
    unknown: Option<ScimError>,
}

impl Reader<'_> {
    fn operation(&mut self, item: &Value) -> Result<(), ScimError> {
        let object = item.as_object().ok_or_else(|| syntax("an operation must be an object"))?;
        let op = self.op(field(object, "op"))?;
        let value = field(object, "value");
        match field(object, "path") {
            // The core schema as a path stands for the resource itself.
            Some(Value::String(path)) if path.trim().eq_ignore_ascii_case(self.kind.core.id) && op != Op::Remove => {
                let value = value.ok_or_else(|| invalid_value(format!("'value' is missing for '{path}'")))?;
                self.pathless(op, path.trim(), value)
            }
            Some(Value::String(path)) if !path.trim().is_empty() => {
                let Some(place) = self.place(path.trim())? else { return Ok(()) };
                if op == Op::Remove {
                    return self.removal(place, value);
                }
                let value = value.ok_or_else(|| invalid_value(format!("'value' is missing for '{path}'")))?;
                self.push(op, place, value)
            }
            None | Some(Value::Null | Value::String(_)) => {
                if op == Op::Remove {
                    return Err(ScimError::bad_request(ScimType::NoTarget, "remove needs a 'path'"));
                }
                let Some(Value::Object(fields)) = value else {
                    return Err(invalid_value("without a 'path', 'value' must be an object"));
                };
                fields.iter().try_for_each(|(name, value)| self.pathless(op, name, value))
            }
            Some(_) => Err(ScimError::bad_request(ScimType::InvalidPath, "'path' must be a string")),
        }
    }

    /// What a path names; none: something that no schema here has, which is left out.
    fn place(&mut self, path: &str) -> Result<Option<Place>, ScimError> {
        match read_place(path, self.kind, self.reading)? {
            Found::Place(place) => Ok(Some(place)),
            Found::Unknown { why, extension } => {
                self.reading.leave_out(path, ScimType::InvalidPath, || why.clone())?;
                // Of a whole extension that is not ours nothing is expected here.
                if extension == Extension::Ours {
                    self.unknown.get_or_insert_with(|| ScimError::bad_request(ScimType::InvalidPath, why));
                }
                Ok(None)
            }
        }
    }

    fn op(&mut self, op: Option<&Value>) -> Result<Op, ScimError> {
        let wrong = || syntax("'op' must be add, remove or replace");
        let text = op.and_then(Value::as_str).ok_or_else(wrong)?;
        let lower = text.to_ascii_lowercase();
        if lower != text {
            self.reading.accept(Quirk::OperationCase, ScimType::InvalidSyntax, || {
                format!("'op' must be '{lower}', not '{text}'")
            })?;
        }
        match lower.as_str() {
            "add" => Ok(Op::Add),
            "remove" => Ok(Op::Remove),
            "replace" => Ok(Op::Replace),
            _ => Err(wrong()),
        }
    }

    /// One field of a value without a path.
    fn pathless(&mut self, op: Op, name: &str, value: &Value) -> Result<(), ScimError> {
        if is_schemas(name) {
            return Ok(());
        }
        // The core schema named as extensions are: what is in it stands for itself.
        if name.eq_ignore_ascii_case(self.kind.core.id) {
            self.reading.accept(Quirk::PathAsKey, ScimType::InvalidPath, || {
                format!("'{name}' is the schema of the resource itself: give its attributes without it")
            })?;
            let fields = value.as_object().ok_or_else(|| invalid_value(format!("'{name}' must be an object")))?;
            return fields.iter().try_for_each(|(name, value)| self.attribute(op, name, value));
        }
        self.attribute(op, name, value)
    }

    fn attribute(&mut self, op: Op, name: &str, value: &Value) -> Result<(), ScimError> {
        let plain = core_attribute(self.kind, name);
        // Read-only attributes that come along with others are ignored, as in PUT.
        if plain.is_some_and(|a| a.mutability == Mutability::ReadOnly) {
            return Ok(());
        }
        let Some(place) = self.place(name)? else { return Ok(()) };
        if plain.is_none() && !matches!(place, Place::Extension(_)) {
            self.reading
                .accept(Quirk::PathAsKey, ScimType::InvalidPath, || format!("'{name}' is a path: give it as 'path'"))?;
        }
        self.push(op, place, value)
    }

    fn removal(&mut self, place: Place, value: Option<&Value>) -> Result<(), ScimError> {
        refuse_read_only(&place)?;
        let value = match (&place, value) {
            (Place::Attribute(target), Some(named))
                if target.sub.is_none() && target.attribute.is_multi() && !named.is_null() =>
            {
                self.reading.accept(Quirk::RemovalByValue, ScimType::InvalidValue, || {
                    format!("remove takes no 'value': name what to remove as {}[value eq \"…\"]", target.attribute.name)
                })?;
                // One that is named is not all of them, and an empty list is none.
                let gone = match named {
                    Value::Array(gone) => gone.clone(),
                    one => vec![one.clone()],
                };
                Some(Value::Array(gone))
            }
            _ => None,
        };
        self.out.push(Operation { op: Op::Remove, place, value });
        Ok(())
    }

    fn push(&mut self, op: Op, place: Place, value: &Value) -> Result<(), ScimError> {
        refuse_read_only(&place)?;
        let (attribute, clean) = match &place {
            Place::Extension(schema) => return self.push_extension(op, schema, value),
            Place::Attribute(target) => match target.sub {
                Some(sub) => (sub, normalize_value(sub, value, &target.name(), self.reading)?),
                None => {
                    let value = self.shaped(target.attribute, value)?;
                    (target.attribute, normalize_value(target.attribute, &value, &target.name(), self.reading)?)
                }
            },
            Place::Values(target, _) => match target.sub {
                Some(sub) => (sub, normalize_value(sub, value, &target.name(), self.reading)?),
                None => {
                    let attribute = target.attribute;
                    (attribute, normalize_single(attribute, value, attribute.name, self.reading)?)
                }
            },
        };
        if attribute.is_kept() {
            self.out.push(Operation { op, place, value: clean });
        }
        Ok(())
    }

    fn push_extension(&mut self, op: Op, schema: &'static Schema, value: &Value) -> Result<(), ScimError> {
        let fields = value.as_object().ok_or_else(|| invalid_value(format!("'{}' must be an object", schema.id)))?;
        for (name, value) in fields.iter().filter(|(name, _)| !is_schemas(name)) {
            let Some(attribute) = schema.attribute(name) else {
                let why = || format!("schema {} has no attribute '{name}'", schema.id);
                self.reading.leave_out(&format!("{}:{name}", schema.id), ScimType::InvalidValue, why)?;
                self.unknown.get_or_insert_with(|| ScimError::bad_request(ScimType::InvalidPath, why()));
                continue;
            };
            if attribute.mutability != Mutability::ReadOnly {
                let target = Target { extension: Some(schema), attribute, sub: None };
                self.push(op, Place::Attribute(target), value)?;
            }
        }
        Ok(())
    }

    /// The value in the shape that the attribute has: one value for many, a plain string for its `value`.
    fn shaped(&mut self, attribute: &Attribute, value: &Value) -> Result<Value, ScimError> {
        let wraps = attribute.kind == Kind::Complex && attribute.sub("value").is_some();
        let mut plain = false;
        let mut wrap = |v: &Value| match v {
            Value::String(_) if wraps => {
                plain = true;
                serde_json::json!({ "value": v })
            }
            other => other.clone(),
        };
        let shaped = match (attribute.is_multi(), value) {
            (true, Value::Array(items)) => Value::Array(items.iter().map(wrap).collect()),
            (true, Value::Null) => Value::Null,
            (true, single) => Value::Array(vec![wrap(single)]),
            (false, single) => wrap(single),
        };
        if plain {
            self.reading.accept(Quirk::PlainValue, ScimType::InvalidValue, || {
                format!("'{}' must be an object, not a string", attribute.name)
            })?;
        }
        Ok(shaped)
    }
}

fn refuse_read_only(place: &Place) -> Result<(), ScimError> {
    if let Place::Attribute(target) | Place::Values(target, _) = place {
        let read_only = |a: &Attribute| a.mutability == Mutability::ReadOnly;
        if read_only(target.attribute) || target.sub.is_some_and(read_only) {
            let detail = format!("'{}' is read-only", target.name());
            return Err(ScimError::bad_request(ScimType::Mutability, detail));
        }
    }
    Ok(())
}

/// What a path names.
enum Found {
    Place(Place),
    Unknown { why: String, extension: Extension },
}

/// Whose schema a path is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extension {
    Ours,
    Theirs,
}

fn read_place(path: &str, kind: &ResourceType, reading: &mut Reading) -> Result<Found, ScimError> {
    let invalid = |why: String| ScimError::bad_request(ScimType::InvalidPath, why);
    let known = std::iter::once(kind.core.id).chain(kind.extensions.iter().map(|extension| extension.schema.id));
    // A schema with a dot behind it, as some send it, and not with a colon.
    let dotted = known.into_iter().find_map(|urn| {
        let (schema, rest) = path.split_at_checked(urn.len())?;
        schema.eq_ignore_ascii_case(urn).then(|| rest.strip_prefix('.')).flatten().map(|rest| format!("{urn}:{rest}"))
    });
    if dotted.is_some() {
        reading.accept(Quirk::PathForm, ScimType::InvalidPath, || {
            format!("'{path}' must have a colon behind the schema")
        })?;
    }
    let path = dotted.as_deref().unwrap_or(path);
    let wrong = |e: &dyn ToString| invalid(format!("path '{path}' is not valid: {}", one_line(&e.to_string())));
    let parsed: PatchPath = match (path.parse(), reading.strictness()) {
        // As in filters, a value may be without its quotes.
        (Err(e), Strictness::Tolerant) => quoted(path).parse().map_err(|_| wrong(&e))?,
        (parsed, _) => parsed.map_err(|e| wrong(&e))?,
    };
    let unknown = |why: String, attr: &AttrPath| {
        let ours = |urn: &str| urn.eq_ignore_ascii_case(kind.core.id) || kind.extension(urn).is_some();
        let whole = |urn: String| ours(&urn) || ours(&format!("{urn}:{}", attr.name));
        let is_ours = attr.uri.as_ref().is_none_or(|urn| whole(urn.to_string()));
        Found::Unknown { why, extension: if is_ours { Extension::Ours } else { Extension::Theirs } }
    };
    match parsed {
        PatchPath::Attr(attr) => Ok(match whole_extension(&attr, kind) {
            Some(schema) => Found::Place(Place::Extension(schema)),
            None => match resolve(&attr, kind) {
                Ok(target) => Found::Place(Place::Attribute(target)),
                Err(why) => unknown(why, &attr),
            },
        }),
        PatchPath::Value(value_path) => {
            let attr = AttrPath { sub_attr: value_path.sub_attr.clone(), ..value_path.attr.clone() };
            let target = match resolve(&attr, kind) {
                Ok(target) => target,
                Err(why) => return Ok(unknown(why, &attr)),
            };
            if !target.attribute.is_multi() || target.attribute.kind != Kind::Complex {
                return Err(invalid(format!("'{}' has no values to choose from", target.attribute.name)));
            }
            let filter = value_filter(&value_path.filter, target.attribute, reading)
                .map_err(|e| ScimError { scim_type: Some(ScimType::InvalidFilter), ..e })?;
            Ok(Found::Place(Place::Values(target, filter)))
        }
    }
}
