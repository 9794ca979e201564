//! What a path in a filter or PATCH names (RFC 7644 §3.10), checked against the schema.

use scim_v2::filter::AttrPath;
use serde_json::{Map, Value};

use crate::schema::{Attribute, ResourceType, Schema};
use crate::schemas::COMMON;

/// An attribute of a resource type, or one of its sub-attributes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub extension: Option<&'static Schema>,
    pub attribute: &'static Attribute,
    pub sub: Option<&'static Attribute>,
}

impl Target {
    /// The value of the attribute (not of the sub-attribute) in a resource.
    pub fn attribute_value<'a>(&self, resource: &'a Value) -> Option<&'a Value> {
        let container = match self.extension {
            Some(schema) => resource.get(schema.id)?,
            None => resource,
        };
        container.get(self.attribute.name)
    }

    /// The object that holds the attribute, made when it is missing.
    pub fn container<'a>(&self, resource: &'a mut Map<String, Value>) -> Option<&'a mut Map<String, Value>> {
        match self.extension {
            Some(schema) => resource.entry(schema.id).or_insert_with(|| Value::Object(Map::new())).as_object_mut(),
            None => Some(resource),
        }
    }

    /// The path in canonical case.
    pub fn name(&self) -> String {
        let mut name = self.extension.map(|s| format!("{}:", s.id)).unwrap_or_default();
        name.push_str(self.attribute.name);
        if let Some(sub) = self.sub {
            name.push('.');
            name.push_str(sub.name);
        }
        name
    }
}

/// The attribute of the core schema, or common to all, with this name.
pub(crate) fn core_attribute(kind: &ResourceType, name: &str) -> Option<&'static Attribute> {
    kind.core.attribute(name).or_else(|| COMMON.iter().find(|a| a.name.eq_ignore_ascii_case(name)))
}

/// What `path` names in resources of this kind, or why it names nothing.
pub(crate) fn resolve(path: &AttrPath, kind: &ResourceType) -> Result<Target, String> {
    let uri = path.uri.as_ref().map(ToString::to_string);
    let unknown = || format!("{} resources have no attribute '{path}'", kind.name);
    let (extension, attribute) = match uri {
        Some(urn) if !urn.eq_ignore_ascii_case(kind.core.id) => {
            let schema =
                kind.extension(&urn).ok_or_else(|| format!("{} resources have no schema '{urn}'", kind.name))?;
            (Some(schema), schema.attribute(&path.name).ok_or_else(unknown)?)
        }
        _ => (None, core_attribute(kind, &path.name).ok_or_else(unknown)?),
    };
    let sub = match &path.sub_attr {
        None => None,
        Some(name) => Some(
            attribute
                .sub(name)
                .ok_or_else(|| format!("attribute '{}' has no sub-attribute '{name}'", attribute.name))?,
        ),
    };
    Ok(Target { extension, attribute, sub })
}

/// The extension that `path` names as a whole, such as `urn:…:enterprise:2.0:User`: the grammar reads its last
/// segment as an attribute name.
pub(crate) fn whole_extension(path: &AttrPath, kind: &ResourceType) -> Option<&'static Schema> {
    let uri = path.uri.as_ref()?;
    if path.sub_attr.is_some() {
        return None;
    }
    kind.extension(&format!("{uri}:{}", path.name))
}
