//! Which attributes an answer holds: `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use serde_json::{Map, Value};

use crate::error::{ScimError, ScimType};
use crate::path::{Target, resolve};
use crate::schema::ResourceType;

/// What the client asked to see.
#[derive(Debug, Clone, Default)]
pub enum Selection {
    /// Everything that is returned by default.
    #[default]
    Default,
    /// Only these, and what is always returned.
    Only(Paths),
    /// Everything but these, and never without what is always returned.
    Without(Paths),
}

/// Attribute paths that were checked against a schema.
#[derive(Debug, Clone)]
pub struct Paths(Vec<Target>);

const ALWAYS: [&str; 2] = ["schemas", "id"];

impl Selection {
    /// Reads the two query parameters.
    ///
    /// # Errors
    /// `invalidValue` when both are given or one names an attribute that is not there.
    pub fn parse(only: Option<&str>, without: Option<&str>, kind: &ResourceType) -> Result<Self, ScimError> {
        let paths = |list: &str| {
            list.split(',')
                .map(str::trim)
                .filter(|p| !p.is_empty())
                .map(|path| {
                    let invalid = |why: String| ScimError::bad_request(ScimType::InvalidValue, why);
                    let parsed: scim_v2::filter::PatchPath =
                        path.parse().map_err(|_| invalid(format!("'{path}' is not an attribute path")))?;
                    match parsed {
                        scim_v2::filter::PatchPath::Attr(path) => resolve(&path, kind).map_err(invalid),
                        scim_v2::filter::PatchPath::Value(_) => {
                            Err(invalid(format!("'{path}' must be an attribute, without a filter")))
                        }
                    }
                })
                .collect::<Result<Vec<_>, _>>()
                .map(Paths)
        };
        match (only, without) {
            (Some(_), Some(_)) => Err(ScimError::bad_request(
                ScimType::InvalidValue,
                "'attributes' and 'excludedAttributes' can't be used together",
            )),
            (Some(list), None) => Ok(Self::Only(paths(list)?)),
            (None, Some(list)) => Ok(Self::Without(paths(list)?)),
            (None, None) => Ok(Self::Default),
        }
    }

    /// The part of the resource that was asked for.
    #[must_use]
    pub fn apply(&self, resource: Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::Default => resource,
            Self::Only(paths) => {
                let mut out: Map<String, Value> =
                    resource.iter().filter(|(k, _)| ALWAYS.contains(&k.as_str())).map(own).collect();
                let whole = Value::Object(resource);
                for target in &paths.0 {
                    if let Some(value) = target.attribute_value(&whole) {
                        copy(target, value, &mut out);
                    }
                }
                out
            }
            Self::Without(paths) => {
                let mut out = resource;
                for target in paths.0.iter().filter(|t| !ALWAYS.contains(&t.attribute.name)) {
                    remove(target, &mut out);
                }
                out
            }
        }
    }
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

fn copy(target: &Target, value: &Value, out: &mut Map<String, Value>) {
    let Some(container) = target.container(out) else { return };
    let Some(sub) = target.sub else {
        container.insert(target.attribute.name.into(), value.clone());
        return;
    };
    let pick = |v: &Value, into: Option<&Value>| {
        let mut object = into.and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(found) = v.get(sub.name) {
            object.insert(sub.name.into(), found.clone());
        }
        Value::Object(object)
    };
    let before = container.get(target.attribute.name);
    let picked = match value {
        Value::Array(items) => {
            Value::Array(items.iter().enumerate().map(|(i, v)| pick(v, before.and_then(|b| b.get(i)))).collect())
        }
        single => pick(single, before),
    };
    container.insert(target.attribute.name.into(), picked);
}

fn remove(target: &Target, out: &mut Map<String, Value>) {
    let Some(container) = target.container(out) else { return };
    let Some(sub) = target.sub else {
        container.remove(target.attribute.name);
        return;
    };
    match container.get_mut(target.attribute.name) {
        Some(Value::Array(items)) => items.iter_mut().filter_map(Value::as_object_mut).for_each(|o| {
            o.remove(sub.name);
        }),
        Some(Value::Object(object)) => {
            object.remove(sub.name);
        }
        _ => {}
    }
}
