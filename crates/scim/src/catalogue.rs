//! Every schema and resource type that is served: the core ones, and those that the operator adds as JSON documents
//! (RFC 7643 §6 and §7).

use serde::Deserialize;
use serde_json::Value;

use crate::agents::{AGENT, AGENT_TYPE, AGENTIC_APPLICATION, AGENTIC_APPLICATION_TYPE};
use crate::machines::{MACHINE, SERVICE_ACCOUNT, SERVICE_ACCOUNT_TYPE};
use crate::schema::{
    Attribute, Case, Extension, Kind, Mutability, Plurality, Presence, ResourceType, Returned, Schema, Uniqueness,
};
use crate::schemas::{ENTERPRISE_USER, GROUP, GROUP_TYPE, LIFECYCLE, USER, USER_TYPE};

/// The most attributes and sub-attributes of one schema.
const MAX_ATTRIBUTES: usize = 500;

/// A document that can't be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {why}")]
pub struct CatalogueError {
    /// Which document.
    pub what: String,
    /// What is wrong with it.
    pub why: String,
}

/// The schemas and resource types of this service provider. Loaded once and kept as long as the process runs, so that
/// everything checked against a schema can refer to it.
#[derive(Debug, Clone, Copy)]
pub struct Catalogue {
    schemas: &'static [&'static Schema],
    types: &'static [&'static ResourceType],
}

static CORE_SCHEMAS: [&Schema; 7] =
    [&USER, &ENTERPRISE_USER, &GROUP, &AGENT, &AGENTIC_APPLICATION, &SERVICE_ACCOUNT, &MACHINE];
static CORE_TYPES: [&ResourceType; 5] =
    [&USER_TYPE, &GROUP_TYPE, &AGENT_TYPE, &AGENTIC_APPLICATION_TYPE, &SERVICE_ACCOUNT_TYPE];

impl Default for Catalogue {
    fn default() -> Self {
        Self { schemas: &CORE_SCHEMAS, types: &CORE_TYPES }
    }
}

impl Catalogue {
    /// The core schemas with those of the documents, each with a name for messages. A document is a Schema or a
    /// ResourceType; a ResourceType named like one of ours adds its extensions to it.
    ///
    /// # Errors
    /// When a document is not valid, or refers to a schema that is not there.
    pub fn load(documents: &[(String, Value)]) -> Result<Self, CatalogueError> {
        let core = Self::default();
        let (mut schemas, mut types) = (core.schemas.to_vec(), core.types.to_vec());
        let parsed = documents.iter().map(|(what, value)| parse(what, value)).collect::<Result<Vec<_>, _>>()?;
        for (what, document) in &parsed {
            if let Document::Schema(schema) = document {
                if schemas.iter().any(|s| s.id.eq_ignore_ascii_case(&schema.id)) {
                    return Err(wrong(what, format!("there is a schema '{}' already", schema.id)));
                }
                schemas.push(leak(schema.build(what)?));
            }
        }
        for (what, document) in parsed {
            if let Document::ResourceType(kind) = document {
                kind.add(&what, &schemas, &mut types)?;
            }
        }
        Ok(Self { schemas: schemas.leak(), types: types.leak() })
    }

    /// The same with our own extension of identities: when a change takes effect, and whether it is urgent. Sources that
    /// send no such thing are better off without it.
    #[must_use]
    pub fn with_effective_dates(self) -> Self {
        let extend = |kind: &&'static ResourceType| {
            if ![USER_TYPE.name, AGENT_TYPE.name, SERVICE_ACCOUNT_TYPE.name].contains(&kind.name) {
                return *kind;
            }
            let mut extensions = kind.extensions.to_vec();
            extensions.push(Extension { schema: &LIFECYCLE, presence: Presence::Optional });
            leak(ResourceType { extensions: leak_all(extensions), ..**kind })
        };
        let mut schemas = self.schemas.to_vec();
        schemas.push(&LIFECYCLE);
        let types: Vec<_> = self.types.iter().map(extend).collect();
        Self { schemas: schemas.leak(), types: types.leak() }
    }

    /// Every schema.
    #[must_use]
    pub const fn schemas(&self) -> &'static [&'static Schema] {
        self.schemas
    }

    /// Every resource type.
    #[must_use]
    pub const fn types(&self) -> &'static [&'static ResourceType] {
        self.types
    }

    /// The schema with this URN, in any case.
    #[must_use]
    pub fn schema(&self, id: &str) -> Option<&'static Schema> {
        self.schemas.iter().copied().find(|s| s.id.eq_ignore_ascii_case(id))
    }

    /// The resource type with this name, in any case.
    #[must_use]
    pub fn resource_type(&self, name: &str) -> Option<&'static ResourceType> {
        self.types.iter().copied().find(|t| t.name.eq_ignore_ascii_case(name))
    }

    /// Users, with every extension that was added to them.
    #[must_use]
    pub fn user(&self) -> &'static ResourceType {
        self.resource_type(USER_TYPE.name).unwrap_or(&USER_TYPE)
    }

    /// Groups.
    #[must_use]
    pub fn group(&self) -> &'static ResourceType {
        self.resource_type(GROUP_TYPE.name).unwrap_or(&GROUP_TYPE)
    }

    /// Agents.
    #[must_use]
    pub fn agent(&self) -> &'static ResourceType {
        self.resource_type(AGENT_TYPE.name).unwrap_or(&AGENT_TYPE)
    }

    /// Service accounts.
    #[must_use]
    pub fn service_account(&self) -> &'static ResourceType {
        self.resource_type(SERVICE_ACCOUNT_TYPE.name).unwrap_or(&SERVICE_ACCOUNT_TYPE)
    }
}

fn wrong(what: &str, why: impl Into<String>) -> CatalogueError {
    CatalogueError { what: what.to_owned(), why: why.into() }
}

// Once per schema, at start: the catalogue lives as long as the process.
fn leak<T>(value: T) -> &'static T {
    Box::leak(Box::new(value))
}

fn leak_text(text: &str) -> &'static str {
    text.to_owned().leak()
}

fn leak_all<T>(items: Vec<T>) -> &'static [T] {
    items.leak()
}

enum Document {
    Schema(SchemaDocument),
    ResourceType(TypeDocument),
}

fn parse(what: &str, value: &Value) -> Result<(String, Document), CatalogueError> {
    let declared = value.get("schemas").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut document = None;
    for urn in declared {
        let read = |e: serde_json::Error| wrong(what, e.to_string());
        match urn {
            "urn:ietf:params:scim:schemas:core:2.0:Schema" => {
                document = Some(Document::Schema(SchemaDocument::deserialize(value).map_err(read)?));
            }
            "urn:ietf:params:scim:schemas:core:2.0:ResourceType" => {
                document = Some(Document::ResourceType(TypeDocument::deserialize(value).map_err(read)?));
            }
            _ => {}
        }
    }
    let expected = "'schemas' must hold urn:ietf:params:scim:schemas:core:2.0:Schema or …:ResourceType";
    document.map(|d| (what.to_owned(), d)).ok_or_else(|| wrong(what, expected))
}

#[derive(Deserialize)]
struct SchemaDocument {
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    attributes: Vec<AttributeDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttributeDocument {
    name: String,
    #[serde(rename = "type", default)]
    kind: Kind,
    #[serde(default)]
    description: String,
    #[serde(default)]
    multi_valued: bool,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    case_exact: bool,
    #[serde(default)]
    mutability: Mutability,
    #[serde(default)]
    returned: Returned,
    #[serde(default)]
    uniqueness: Uniqueness,
    #[serde(default)]
    canonical_values: Vec<String>,
    #[serde(default)]
    reference_types: Vec<String>,
    #[serde(default)]
    sub_attributes: Vec<AttributeDocument>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypeDocument {
    name: String,
    #[serde(default)]
    endpoint: String,
    #[serde(default)]
    description: String,
    schema: String,
    #[serde(default)]
    schema_extensions: Vec<ExtensionDocument>,
}

#[derive(Deserialize)]
struct ExtensionDocument {
    schema: String,
    #[serde(default)]
    required: bool,
}

const fn presence(required: bool) -> Presence {
    if required { Presence::Required } else { Presence::Optional }
}

impl SchemaDocument {
    fn build(&self, what: &str) -> Result<Schema, CatalogueError> {
        if !self.id.to_ascii_lowercase().starts_with("urn:") {
            return Err(wrong(what, format!("'id' must be a URN, not '{}'", self.id)));
        }
        let count: usize = self.attributes.iter().map(|a| 1 + a.sub_attributes.len()).sum();
        if count == 0 || count > MAX_ATTRIBUTES {
            return Err(wrong(what, format!("a schema has 1 to {MAX_ATTRIBUTES} attributes, not {count}")));
        }
        let attributes = self.attributes.iter().map(|a| a.build(what, Depth::Top)).collect::<Result<Vec<_>, _>>()?;
        unique_names(what, &attributes)?;
        Ok(Schema {
            id: leak_text(&self.id),
            name: leak_text(&self.name),
            description: leak_text(&self.description),
            attributes: leak_all(attributes),
        })
    }
}

fn unique_names(what: &str, attributes: &[Attribute]) -> Result<(), CatalogueError> {
    for (index, attribute) in attributes.iter().enumerate() {
        if attributes.iter().take(index).any(|a| a.name.eq_ignore_ascii_case(attribute.name)) {
            return Err(wrong(what, format!("attribute '{}' is there twice", attribute.name)));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Top,
    Sub,
}

impl AttributeDocument {
    fn build(&self, what: &str, depth: Depth) -> Result<Attribute, CatalogueError> {
        let name = &self.name;
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$');
        let first = |c: char| c.is_ascii_alphabetic() || c == '$';
        if !(name.starts_with(first) && name.chars().all(good)) {
            return Err(wrong(what, format!("'{name}' is not an attribute name (RFC 7643 §2.1)")));
        }
        let complex = self.kind == Kind::Complex;
        if complex == self.sub_attributes.is_empty() {
            return Err(wrong(what, format!("attribute '{name}': complex attributes have subAttributes, others none")));
        }
        if complex && depth == Depth::Sub {
            return Err(wrong(what, format!("sub-attribute '{name}' can't be complex (RFC 7643 §2.3.8)")));
        }
        let subs = self.sub_attributes.iter().map(|a| a.build(what, Depth::Sub)).collect::<Result<Vec<_>, _>>()?;
        unique_names(what, &subs)?;
        let texts = |all: &[String]| leak_all(all.iter().map(|text| leak_text(text)).collect::<Vec<_>>());
        let exact = self.case_exact || matches!(self.kind, Kind::Reference | Kind::Binary);
        Ok(Attribute {
            name: leak_text(name),
            description: leak_text(&self.description),
            kind: self.kind,
            plurality: if self.multi_valued { Plurality::Multi } else { Plurality::Single },
            presence: presence(self.required),
            case: if exact { Case::Exact } else { Case::Insensitive },
            mutability: self.mutability,
            returned: self.returned,
            uniqueness: self.uniqueness,
            canonical: texts(&self.canonical_values),
            references: texts(&self.reference_types),
            sub_attributes: leak_all(subs),
        })
    }
}

impl TypeDocument {
    fn add(
        &self,
        what: &str,
        schemas: &[&'static Schema],
        types: &mut Vec<&'static ResourceType>,
    ) -> Result<(), CatalogueError> {
        let schema = |id: &str| {
            let found = schemas.iter().copied().find(|s| s.id.eq_ignore_ascii_case(id));
            found.ok_or_else(|| wrong(what, format!("there is no schema '{id}'")))
        };
        let extensions = self
            .schema_extensions
            .iter()
            .map(|e| Ok(Extension { schema: schema(&e.schema)?, presence: presence(e.required) }))
            .collect::<Result<Vec<_>, CatalogueError>>()?;
        if let Some(at) = types.iter().position(|t| t.name.eq_ignore_ascii_case(&self.name)) {
            let ours = types[at];
            if !ours.core.id.eq_ignore_ascii_case(&self.schema) {
                return Err(wrong(what, format!("{} resources have the schema '{}'", ours.name, ours.core.id)));
            }
            let mut all = ours.extensions.to_vec();
            all.retain(|known| !extensions.iter().any(|e| e.schema.id == known.schema.id));
            all.extend(extensions);
            types[at] = leak(ResourceType { extensions: leak_all(all), ..*ours });
            return Ok(());
        }
        let path = self.endpoint.strip_prefix('/').unwrap_or_default();
        if path.is_empty() || !path.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
            return Err(wrong(what, format!("'endpoint' must be like /Devices, not '{}'", self.endpoint)));
        }
        let reserved = ["/Bulk", "/Me", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig"];
        let taken = |endpoint: &&str| endpoint.eq_ignore_ascii_case(&self.endpoint);
        if types.iter().map(|t| t.endpoint).chain(reserved).any(|e| taken(&e)) {
            return Err(wrong(what, format!("endpoint '{}' is taken", self.endpoint)));
        }
        types.push(leak(ResourceType {
            name: leak_text(&self.name),
            endpoint: leak_text(&self.endpoint),
            description: leak_text(&self.description),
            core: schema(&self.schema)?,
            extensions: leak_all(extensions),
        }));
        Ok(())
    }
}
