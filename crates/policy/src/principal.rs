//! Identities as policies are asked about them.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use rollcall_scim::{Attribute, Catalogue, ENTERPRISE_USER, Kind as AttributeKind, ResourceType};
use serde_json::{Map, Value};

use crate::schema::{ENTERPRISE, attributes};

/// What kind of identity it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    User,
    Agent,
    ServiceAccount,
}

/// An identity, as policies are asked about it.
#[derive(Debug, Clone)]
pub struct Principal {
    pub(crate) uid: EntityUid,
    pub(crate) entity: Entity,
}

/// The name of an entity; `None`: the type is none, which is a mistake of ours.
pub(crate) fn uid(kind: &str, id: &str) -> Option<EntityUid> {
    let name: EntityTypeName = kind.parse().ok()?;
    Some(EntityUid::from_type_name_and_id(name, EntityId::new(id)))
}

impl Principal {
    /// An identity, with the groups and roles that it has. What its schema does not have, or has otherwise, is left out.
    #[must_use]
    pub fn new<'a>(
        catalogue: &Catalogue,
        kind: Kind,
        id: &str,
        resource: &Map<String, Value>,
        groups: impl Iterator<Item = &'a str>,
        roles: impl Iterator<Item = &'a str>,
    ) -> Option<Self> {
        let (name, of) = match kind {
            Kind::User => ("User", catalogue.user()),
            Kind::Agent => ("Agent", catalogue.agent()),
            Kind::ServiceAccount => ("ServiceAccount", catalogue.service_account()),
        };
        let uid_of = uid(name, id)?;
        let groups = groups.filter_map(|group| uid("Group", group));
        let parents: HashSet<EntityUid> = groups.chain(roles.filter_map(|role| uid("Role", role))).collect();
        let entity = Entity::new(uid_of.clone(), values(of, resource), parents).ok()?;
        Some(Self { uid: uid_of, entity })
    }
}

fn values(kind: &ResourceType, resource: &Map<String, Value>) -> HashMap<String, RestrictedExpression> {
    let core = attributes(kind);
    let mut out: HashMap<String, RestrictedExpression> = core
        .filter_map(|attribute| Some((attribute.name.to_owned(), value(attribute, resource.get(attribute.name)?)?)))
        .collect();
    for extension in kind.extensions {
        let id = extension.schema.id;
        let Some(fields) = resource.get(id).and_then(Value::as_object) else { continue };
        let Some(record) = record(extension.schema.attributes, fields) else { continue };
        if id == ENTERPRISE_USER.id {
            out.insert(ENTERPRISE.to_owned(), record.clone());
        }
        out.insert(id.to_owned(), record);
    }
    out
}

fn record(attributes: &[Attribute], fields: &Map<String, Value>) -> Option<RestrictedExpression> {
    let known = attributes
        .iter()
        .filter_map(|attribute| Some((attribute.name.to_owned(), value(attribute, fields.get(attribute.name)?)?)));
    RestrictedExpression::new_record(known).ok()
}

fn value(attribute: &Attribute, of: &Value) -> Option<RestrictedExpression> {
    match of {
        Value::Array(all) if attribute.is_multi() => {
            Some(RestrictedExpression::new_set(all.iter().filter_map(|one| single(attribute, one))))
        }
        Value::Array(_) | Value::Null => None,
        // One value where there may be several.
        one if attribute.is_multi() => Some(RestrictedExpression::new_set(single(attribute, one))),
        one => single(attribute, one),
    }
}

fn single(attribute: &Attribute, of: &Value) -> Option<RestrictedExpression> {
    match (attribute.kind, of) {
        (AttributeKind::Boolean, Value::Bool(yes)) => Some(RestrictedExpression::new_bool(*yes)),
        (AttributeKind::Integer, Value::Number(number)) => number.as_i64().map(RestrictedExpression::new_long),
        (AttributeKind::Decimal, Value::Number(number)) => Some(RestrictedExpression::new_string(number.to_string())),
        (AttributeKind::Complex, Value::Object(fields)) => record(attribute.sub_attributes, fields),
        (
            AttributeKind::String | AttributeKind::DateTime | AttributeKind::Binary | AttributeKind::Reference,
            Value::String(text),
        ) => Some(RestrictedExpression::new_string(text.clone())),
        _ => None,
    }
}
