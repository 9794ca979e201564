//! Unique names: within what a value is unique, and what makes two values the same.

use std::fmt;

use caseless::Caseless as _;
use rollcall_scim::{Attribute, Case, Kind, ResourceType};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;

use crate::identity::{IdentityChanged, IdentityKind, user_name};
use crate::ids::SourceName;

/// Within what a name is unique, such as all user names; fit to be part of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NameSpace(String);

impl Default for NameSpace {
    /// User names.
    fn default() -> Self {
        Self::USER.into()
    }
}

impl From<&str> for NameSpace {
    /// What is not a lower-case letter, a digit or `-` becomes one.
    fn from(text: &str) -> Self {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        Self(text.chars().map(plain).collect())
    }
}

impl fmt::Display for NameSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl NameSpace {
    const USER: &'static str = "user";

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that identities of a kind sign in with.
    #[must_use]
    pub fn of_identities(kind: IdentityKind) -> Self {
        match kind {
            IdentityKind::User => Self::default(),
            IdentityKind::Agent => "Agent-Agent-name".into(),
            IdentityKind::ServiceAccount => "ServiceAccount-ServiceAccount-userName".into(),
        }
    }

    /// The external ids that a source gives to resources of a type.
    #[must_use]
    pub fn external_id(source: &SourceName, kind: &ResourceType) -> Self {
        format!("external-id-{source}-{}", kind.name).as_str().into()
    }

    fn of(kind: &ResourceType, schema: &str, attribute: &Attribute) -> Self {
        match (kind.name, attribute.name) {
            ("User", "userName") => Self::default(),
            _ => format!("{}-{schema}-{}", kind.name, attribute.name).as_str().into(),
        }
    }
}

/// What makes two names the same where case does not count (RFC 7643 §4.1.1): compatible characters are one, as in
/// Unicode's NFKC, and case is folded, not only lowered (Unicode §3.13, D145: ß and SS are one, as are ς and σ). It is the
/// same again for what it gave.
#[must_use]
pub fn name_key(name: &str) -> String {
    let name = name.trim();
    // Of ASCII alone nothing else is left of all this.
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    name.nfkc().default_case_fold().nfkc().default_case_fold().nfkc().collect()
}

/// The name that a creation claims by itself: it is appended under that name, so that nobody else can have it. `None` for any
/// other change.
#[must_use]
pub fn name_of_creation(changed: &IdentityChanged) -> Option<(NameSpace, String)> {
    let is_creation = changed.before.is_none() && !changed.deleted;
    is_creation.then(|| (NameSpace::of_identities(changed.kind), name_key(user_name(&changed.resource))))
}

/// What it was until names were folded: case was only lowered. Names that were claimed then are claimed by this.
#[must_use]
pub fn former_name_key(name: &str) -> String {
    name.trim().nfkc().flat_map(char::to_lowercase).nfkc().collect()
}

/// A character that nobody sees, or that changes the order in which others are seen: a control character, or one that is
/// ignored by default (Unicode's Default_Ignorable_Code_Point). A name with one looks like another.
#[must_use]
pub fn invisible(name: &str) -> Option<char> {
    name.chars().find(|c| {
        c.is_control()
            || matches!(u32::from(*c),
                0xAD | 0x34F | 0x61C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F
                | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB
                | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
    })
}

/// A value that no other resource may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueValue {
    /// Within what.
    pub space: NameSpace,
    /// What is compared.
    pub key: String,
    /// The attribute, for messages.
    pub attribute: &'static str,
    /// The value as it was sent, for messages.
    pub value: String,
}

/// The values of a resource that its schemas, or its source, say are unique.
#[must_use]
pub fn unique_values(
    resource: &Map<String, Value>,
    kind: &ResourceType,
    source: Option<&SourceName>,
) -> Vec<UniqueValue> {
    let mut out = Vec::new();
    let mut take = |fields: &Map<String, Value>, schema: &str, attributes: &'static [Attribute]| {
        for attribute in attributes.iter().filter(|a| a.is_unique() && !a.is_multi() && a.kind != Kind::Complex) {
            let Some(value) = fields.get(attribute.name) else { continue };
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let key = if attribute.case == Case::Exact { value.clone() } else { name_key(&value) };
            out.push(UniqueValue {
                space: NameSpace::of(kind, schema, attribute),
                key,
                attribute: attribute.name,
                value,
            });
        }
    };
    take(resource, kind.core.name, kind.core.attributes);
    for extension in kind.extensions {
        if let Some(fields) = resource.get(extension.schema.id).and_then(Value::as_object) {
            take(fields, extension.schema.name, extension.schema.attributes);
        }
    }
    if let (Some(source), Some(value)) = (source, resource.get("externalId").and_then(Value::as_str)) {
        let (key, value) = (value.to_owned(), value.to_owned());
        out.push(UniqueValue { space: NameSpace::external_id(source, kind), key, attribute: "externalId", value });
    }
    out
}
