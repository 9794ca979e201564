//! Which attributes an answer holds: `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use scim_v2::filter::{AttrPath, PatchPath};
use serde_json::{Map, Value};

use crate::error::{ScimError, ScimType};
use crate::path::{Target, resolve, whole_extension};
use crate::reading::Strictness;
use crate::schema::{Attribute, ResourceType, Returned};
use crate::schemas::COMMON;

/// What the client asked to see.
#[derive(Debug, Clone)]
pub struct Selection {
    asked: Asked,
    always: Vec<Place>,
    on_request: Vec<Place>,
}

#[derive(Debug, Clone)]
enum Asked {
    Default,
    Only(Vec<Target>),
    Without(Vec<Target>),
}

/// A whole attribute: the extension it is in, and its name.
type Place = (Option<&'static str>, &'static str);

fn places(kind: &ResourceType, returned: Returned) -> Vec<Place> {
    let chosen = |schema: Option<&'static str>, attributes: &'static [Attribute]| {
        attributes.iter().filter(move |a| a.returned == returned).map(move |a| (schema, a.name))
    };
    let extensions = kind.extensions.iter().flat_map(|e| chosen(Some(e.schema.id), e.schema.attributes));
    chosen(None, COMMON).chain(chosen(None, kind.core.attributes)).chain(extensions).collect()
}

impl Selection {
    /// Everything that is returned by default.
    #[must_use]
    pub fn whole(kind: &ResourceType) -> Self {
        let (always, on_request) = (places(kind, Returned::Always), places(kind, Returned::Request));
        Self { asked: Asked::Default, always, on_request }
    }

    /// Reads the two query parameters; one that is blank is none. Names that no schema here has are passed over when read
    /// tolerantly: there is nothing to show.
    ///
    /// # Errors
    /// `invalidValue` when both are given, when one can't be read, or read strictly names an attribute that is not there.
    pub fn parse(
        only: Option<&str>,
        without: Option<&str>,
        kind: &ResourceType,
        strictness: Strictness,
    ) -> Result<Self, ScimError> {
        let said = |text: &&str| !text.trim().is_empty();
        let asked = match (only.filter(said), without.filter(said)) {
            (Some(_), Some(_)) => {
                return Err(ScimError::bad_request(
                    ScimType::InvalidValue,
                    "'attributes' and 'excludedAttributes' can't be used together",
                ));
            }
            (Some(list), None) => Asked::Only(paths(list, kind, strictness)?),
            (None, Some(list)) => Asked::Without(paths(list, kind, strictness)?),
            (None, None) => Asked::Default,
        };
        Ok(Self { asked, ..Self::whole(kind) })
    }

    /// Whether an answer can hold this attribute of the core schema, so that what is costly is not made in vain.
    #[must_use]
    pub fn wants(&self, name: &str) -> bool {
        let named = |targets: &[Target], whole: bool| {
            targets.iter().any(|t| t.extension.is_none() && t.attribute.name == name && (!whole || t.sub.is_none()))
        };
        match &self.asked {
            Asked::Default => !self.on_request.iter().any(|(e, n)| e.is_none() && *n == name),
            Asked::Only(targets) => named(targets, false),
            Asked::Without(targets) => !named(targets, true),
        }
    }

    /// The part of the resource that was asked for.
    #[must_use]
    pub fn apply(&self, resource: Map<String, Value>) -> Map<String, Value> {
        match &self.asked {
            Asked::Default => self.without_on_request(resource),
            Asked::Only(targets) => {
                let whole = Value::Object(resource);
                let mut out = Map::new();
                for place in &self.always {
                    take(*place, &whole, &mut out);
                }
                for target in targets {
                    if let Some(value) = target.attribute_value(&whole) {
                        copy(target, value, &mut out);
                    }
                }
                out
            }
            Asked::Without(targets) => {
                let mut out = self.without_on_request(resource);
                let always = |t: &Target| self.always.contains(&(t.extension.map(|s| s.id), t.attribute.name));
                for target in targets.iter().filter(|t| !always(t)) {
                    remove(target, &mut out);
                }
                out
            }
        }
    }

    fn without_on_request(&self, mut resource: Map<String, Value>) -> Map<String, Value> {
        for (extension, name) in &self.on_request {
            match extension {
                Some(id) => resource.get_mut(*id).and_then(Value::as_object_mut).map(|fields| fields.remove(*name)),
                None => Some(resource.remove(*name)),
            };
        }
        resource
    }
}

fn paths(list: &str, kind: &ResourceType, strictness: Strictness) -> Result<Vec<Target>, ScimError> {
    let invalid = |why: String| ScimError::bad_request(ScimType::InvalidValue, why);
    let mut out = Vec::new();
    for path in list.split(',').map(str::trim).filter(|p| !p.is_empty()) {
        let parsed: PatchPath = path.parse().map_err(|_| invalid(format!("'{path}' is not an attribute path")))?;
        // Some clients choose values there, too: the whole attribute holds them.
        let attr = match parsed {
            PatchPath::Attr(attr) => attr,
            PatchPath::Value(chosen) => AttrPath { sub_attr: chosen.sub_attr, ..chosen.attr },
        };
        match whole_extension(&attr, kind) {
            Some(schema) => {
                let target = |attribute| Target { extension: Some(schema), attribute, sub: None };
                out.extend(schema.attributes.iter().map(target));
            }
            None => match (resolve(&attr, kind), strictness) {
                (Ok(target), _) => out.push(target),
                (Err(_), Strictness::Tolerant) => {}
                (Err(why), Strictness::Strict) => return Err(invalid(why)),
            },
        }
    }
    Ok(out)
}

fn take((extension, name): Place, whole: &Value, out: &mut Map<String, Value>) {
    let container = extension.map_or(Some(whole), |id| whole.get(id));
    let Some(value) = container.and_then(|c| c.get(name)) else { return };
    match extension {
        None => {
            out.insert(name.into(), value.clone());
        }
        Some(id) => {
            let fields = out.entry(id).or_insert_with(|| Value::Object(Map::new()));
            if let Some(fields) = fields.as_object_mut() {
                fields.insert(name.into(), value.clone());
            }
        }
    }
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
    if target.extension.is_some_and(|schema| !out.contains_key(schema.id)) {
        return;
    }
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
