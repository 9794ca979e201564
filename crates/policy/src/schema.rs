//! The Cedar schema of identities and entitlements, made from the SCIM catalogue.

use std::fmt::Write as _;

use cedar_policy::Schema;
use rollcall_scim::{Attribute, Catalogue, ENTERPRISE_USER, Kind as AttributeKind, ResourceType};

/// What policies are never asked about: what is secret, what SCIM keeps for itself, and groups, which are parents.
const LEFT_OUT: [&str; 5] = ["password", "schemas", "meta", "groups", "x509Certificates"];

/// The short name of the enterprise extension (RFC 7643 §4.3), besides its URN.
pub const ENTERPRISE: &str = "enterprise";

/// What policies are checked against.
#[derive(Debug, Clone)]
pub struct PolicySchema {
    pub(crate) schema: Schema,
    /// As text, for people and other engines.
    pub text: String,
}

impl PolicySchema {
    /// That of a catalogue.
    ///
    /// # Errors
    /// When the catalogue has an attribute that Cedar can't name: with what Cedar says.
    pub fn of(catalogue: &Catalogue) -> Result<Self, String> {
        let mut text = String::from("entity Group;\nentity Role;\n");
        let kinds = [catalogue.user(), catalogue.agent(), catalogue.service_account()];
        for (name, kind) in kinds.map(|kind| (kind.name, kind)) {
            let _ = writeln!(text, "entity {name} in [Group, Role] = {{\n{}}};", identity(kind));
        }
        text.push_str("entity App = {\n  \"owner\": String,\n};\n");
        text.push_str(
            "entity Entitlement in [App] = {\n  \"kind\": String,\n  \"name\": String,\n  \"owner\": String,\n  \"risk\": String,\n};\n",
        );
        text.push_str(
            "action \"hold\", \"request\", \"approve\" appliesTo {\n  principal: [User, Agent, ServiceAccount],\n  resource: [Entitlement],\n};\n",
        );
        let schema = Schema::from_cedarschema_str(&text).map(|(schema, _)| schema).map_err(|e| e.to_string())?;
        Ok(Self { schema, text })
    }
}

/// The attributes of a resource type that policies may name, with those of its extensions under their URNs.
pub(crate) fn attributes(kind: &ResourceType) -> impl Iterator<Item = &'static Attribute> {
    kind.core.attributes.iter().filter(|attribute| !LEFT_OUT.contains(&attribute.name))
}

fn identity(kind: &ResourceType) -> String {
    let mut text = String::new();
    for attribute in attributes(kind) {
        line(&mut text, attribute.name, &of_attribute(attribute));
    }
    for extension in kind.extensions {
        let fields: Vec<String> = extension.schema.attributes.iter().map(field).collect();
        let record = format!("{{ {} }}", fields.join(", "));
        line(&mut text, extension.schema.id, &record);
        if extension.schema.id == ENTERPRISE_USER.id {
            line(&mut text, ENTERPRISE, &record);
        }
    }
    text
}

fn line(text: &mut String, name: &str, of: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "  \"{name}\"?: {of},");
}

fn field(attribute: &Attribute) -> String {
    format!("\"{}\"?: {}", attribute.name, of_attribute(attribute))
}

fn of_attribute(attribute: &Attribute) -> String {
    let one = match attribute.kind {
        AttributeKind::Boolean => "Bool".to_owned(),
        AttributeKind::Integer => "Long".to_owned(),
        AttributeKind::Complex => {
            format!("{{ {} }}", attribute.sub_attributes.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        AttributeKind::String
        | AttributeKind::Decimal
        | AttributeKind::DateTime
        | AttributeKind::Binary
        | AttributeKind::Reference => "String".to_owned(),
    };
    if attribute.is_multi() { format!("Set<{one}>") } else { one }
}
