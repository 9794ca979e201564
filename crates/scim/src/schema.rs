//! What a schema says about its attributes (RFC 7643 §2 and §7).

use serde::{Deserialize, Serialize};

/// The data type of an attribute (RFC 7643 §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Kind {
    #[default]
    String,
    Boolean,
    Integer,
    Decimal,
    DateTime,
    Binary,
    Reference,
    Complex,
}

impl Kind {
    /// The word in a schema document.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::DateTime => "dateTime",
            Self::Binary => "binary",
            Self::Reference => "reference",
            Self::Complex => "complex",
        }
    }
}

/// Who may write an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Mutability {
    #[default]
    ReadWrite,
    ReadOnly,
    Immutable,
    WriteOnly,
}

/// When an attribute is in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Returned {
    #[default]
    Default,
    Always,
    Never,
    Request,
}

/// Within what an attribute's value is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Uniqueness {
    #[default]
    None,
    Server,
    Global,
}

/// Whether an attribute holds one value or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Plurality {
    Single,
    Multi,
}

/// Whether a resource must have an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Presence {
    Optional,
    Required,
}

/// Whether upper and lower case are different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Case {
    Insensitive,
    Exact,
}

/// One attribute, or sub-attribute.
#[derive(Debug, Clone, Copy)]
pub struct Attribute {
    /// Its name in canonical case.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Its data type.
    pub kind: Kind,
    /// One value or many.
    pub plurality: Plurality,
    /// Whether it must be there.
    pub presence: Presence,
    /// Whether case matters in comparisons.
    pub case: Case,
    /// Who may write it.
    pub mutability: Mutability,
    /// When it is answered.
    pub returned: Returned,
    /// Within what it is unique.
    pub uniqueness: Uniqueness,
    /// The values it is usual to have (RFC 7643 §7); others are accepted.
    pub canonical: &'static [&'static str],
    /// What a reference may point at.
    pub references: &'static [&'static str],
    /// Of a complex attribute.
    pub sub_attributes: &'static [Attribute],
}

impl Attribute {
    /// An optional, single, case-insensitive, read-write attribute.
    #[must_use]
    pub const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            description,
            kind,
            plurality: Plurality::Single,
            presence: Presence::Optional,
            case: Case::Insensitive,
            mutability: Mutability::ReadWrite,
            returned: Returned::Default,
            uniqueness: Uniqueness::None,
            canonical: &[],
            references: &[],
            sub_attributes: &[],
        }
    }

    /// The same, of this mutability.
    #[must_use]
    pub const fn mutability(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    /// The same, answered at these times.
    #[must_use]
    pub const fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    /// The same, required.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.presence = Presence::Required;
        self
    }

    /// The same, with many values.
    #[must_use]
    pub const fn multi(mut self) -> Self {
        self.plurality = Plurality::Multi;
        self
    }

    /// The same, with case that matters.
    #[must_use]
    pub const fn case_exact(mut self) -> Self {
        self.case = Case::Exact;
        self
    }

    /// The same, unique within the server.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.uniqueness = Uniqueness::Server;
        self
    }

    /// The same, usually with one of these values.
    #[must_use]
    pub const fn canonical(mut self, values: &'static [&'static str]) -> Self {
        self.canonical = values;
        self
    }

    /// The same, pointing at these kinds of resource, `external` or `uri`.
    #[must_use]
    pub const fn references(mut self, kinds: &'static [&'static str]) -> Self {
        self.references = kinds;
        self
    }

    /// The same, with these sub-attributes.
    #[must_use]
    pub const fn with(mut self, sub_attributes: &'static [Attribute]) -> Self {
        self.sub_attributes = sub_attributes;
        self
    }

    /// Whether no two resources may share a value of it.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.uniqueness != Uniqueness::None
    }

    /// Whether it is kept and answered at all.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.returned != Returned::Never && self.mutability != Mutability::WriteOnly
    }

    /// Whether it holds many values.
    #[must_use]
    pub fn is_multi(&self) -> bool {
        self.plurality == Plurality::Multi
    }

    /// The sub-attribute of this name, in any case.
    #[must_use]
    pub fn sub(&self, name: &str) -> Option<&'static Attribute> {
        self.sub_attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
    }
}

/// One schema.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its URN.
    pub id: &'static str,
    /// Its short name.
    pub name: &'static str,
    /// For people.
    pub description: &'static str,
    /// Its attributes.
    pub attributes: &'static [Attribute],
}

impl Schema {
    /// The attribute of this name, in any case.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.iter().find(|a| a.name.eq_ignore_ascii_case(name))
    }
}

/// An extension of a resource type.
#[derive(Debug, Clone, Copy)]
pub struct Extension {
    /// Its schema.
    pub schema: &'static Schema,
    /// Whether each resource must have it.
    pub presence: Presence,
}

/// A kind of resource: a core schema and its extensions (RFC 7643 §6).
#[derive(Debug, Clone, Copy)]
pub struct ResourceType {
    /// Its name, such as `User`.
    pub name: &'static str,
    /// Where it lives, such as `/Users`.
    pub endpoint: &'static str,
    /// For people.
    pub description: &'static str,
    /// The core schema.
    pub core: &'static Schema,
    /// Extensions that a resource may have.
    pub extensions: &'static [Extension],
}

impl ResourceType {
    /// The extension with this URN, in any case.
    #[must_use]
    pub fn extension(&self, urn: &str) -> Option<&'static Schema> {
        self.extensions.iter().map(|e| e.schema).find(|s| s.id.eq_ignore_ascii_case(urn))
    }
}
