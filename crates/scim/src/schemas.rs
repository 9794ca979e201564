//! The core schemas: User, EnterpriseUser and Group (RFC 7643 §4 and §8.7).

use crate::schema::{Attribute, Extension, Kind, Mutability, Presence, ResourceType, Returned, Schema};

pub(crate) const fn string(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Kind::String, description)
}

pub(crate) const fn reference(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Kind::Reference, description).case_exact().references(&["external"])
}

pub(crate) const PRIMARY: Attribute =
    Attribute::new("primary", Kind::Boolean, "Whether this is the preferred value; true at most once.");

/// What every resource has besides its schema (RFC 7643 §3.1).
pub(crate) const COMMON: &[Attribute] = &[
    string("schemas", "The URNs of the schemas in this resource.").case_exact().multi().returned(Returned::Always),
    string("id", "Rollcall's identifier of the resource.")
        .case_exact()
        .mutability(Mutability::ReadOnly)
        .returned(Returned::Always),
    string("externalId", "The source's identifier of the resource.").case_exact(),
    Attribute::new("meta", Kind::Complex, "About the resource.").mutability(Mutability::ReadOnly).with(&[
        string("resourceType", "The kind of resource.").case_exact().mutability(Mutability::ReadOnly),
        Attribute::new("created", Kind::DateTime, "When it was created.").mutability(Mutability::ReadOnly),
        Attribute::new("lastModified", Kind::DateTime, "When it last changed.").mutability(Mutability::ReadOnly),
        reference("location", "Where it is.").mutability(Mutability::ReadOnly),
        string("version", "Its version.").case_exact().mutability(Mutability::ReadOnly),
    ]),
];

pub(crate) const PLURAL: &[Attribute] =
    &[string("value", "The value."), string("display", "For people."), string("type", "What it is for."), PRIMARY];

/// The core User (RFC 7643 §4.1).
pub static USER: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:User",
    name: "User",
    description: "User Account",
    attributes: &[
        string("userName", "The name an identity signs in with; unique in any case.").required().unique(),
        Attribute::new("name", Kind::Complex, "The parts of the person's name.").with(&[
            string("formatted", "The whole name, for display."),
            string("familyName", "The family name."),
            string("givenName", "The given name."),
            string("middleName", "The middle name."),
            string("honorificPrefix", "The title before the name."),
            string("honorificSuffix", "The suffix after the name."),
        ]),
        string("displayName", "The name for display."),
        string("nickName", "The casual name."),
        reference("profileUrl", "A page about the person."),
        string("title", "The job title."),
        string("userType", "The relation to the company, such as Employee or Contractor."),
        string("preferredLanguage", "The preferred language, as in Accept-Language."),
        string("locale", "The locale for numbers, dates and currency."),
        string("timezone", "The time zone, in the Olson format."),
        Attribute::new("active", Kind::Boolean, "Whether the identity should have access."),
        string("password", "Accepted and dropped: Rollcall keeps no password.")
            .case_exact()
            .mutability(Mutability::WriteOnly)
            .returned(Returned::Never),
        Attribute::new("emails", Kind::Complex, "Email addresses.").multi().with(&[
            string("value", "The address."),
            string("display", "For people."),
            string("type", "What it is for.").canonical(&["work", "home", "other"]),
            PRIMARY,
        ]),
        Attribute::new("phoneNumbers", Kind::Complex, "Phone numbers.").multi().with(&[
            string("value", "The number."),
            string("display", "For people."),
            string("type", "What it is for.").canonical(&["work", "home", "mobile", "fax", "pager", "other"]),
            PRIMARY,
        ]),
        Attribute::new("ims", Kind::Complex, "Instant messaging addresses.").multi().with(PLURAL),
        Attribute::new("photos", Kind::Complex, "Pictures of the person.").multi().with(&[
            reference("value", "Where the picture is."),
            string("display", "For people."),
            string("type", "photo or thumbnail.").canonical(&["photo", "thumbnail"]),
            PRIMARY,
        ]),
        Attribute::new("addresses", Kind::Complex, "Postal addresses.").multi().with(&[
            string("formatted", "The whole address."),
            string("streetAddress", "The street and number."),
            string("locality", "The city."),
            string("region", "The state or region."),
            string("postalCode", "The postal code."),
            string("country", "The country."),
            string("type", "What it is for, such as work or home.").canonical(&["work", "home", "other"]),
            PRIMARY,
        ]),
        Attribute::new("groups", Kind::Complex, "The groups the identity is in; changed through the group.")
            .multi()
            .mutability(Mutability::ReadOnly)
            .with(&[
                string("value", "The group's id.").case_exact().mutability(Mutability::ReadOnly),
                reference("$ref", "The group.").references(&["Group"]).mutability(Mutability::ReadOnly),
                string("display", "The group's name.").mutability(Mutability::ReadOnly),
                string("type", "direct or indirect.")
                    .canonical(&["direct", "indirect"])
                    .mutability(Mutability::ReadOnly),
            ]),
        Attribute::new("entitlements", Kind::Complex, "What the identity is entitled to.").multi().with(PLURAL),
        Attribute::new("roles", Kind::Complex, "The identity's roles.").multi().with(PLURAL),
        Attribute::new("x509Certificates", Kind::Complex, "Certificates issued to the identity.").multi().with(&[
            Attribute::new("value", Kind::Binary, "DER, in base 64.").case_exact(),
            string("display", "For people."),
            string("type", "What it is for."),
            PRIMARY,
        ]),
    ],
};

/// The enterprise extension (RFC 7643 §4.3).
pub static ENTERPRISE_USER: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    name: "EnterpriseUser",
    description: "An identity within a company",
    attributes: &[
        string("employeeNumber", "The company's number for the person."),
        string("costCenter", "The cost centre."),
        string("organization", "The organization."),
        string("division", "The division."),
        string("department", "The department."),
        Attribute::new("manager", Kind::Complex, "The person's manager.").with(&[
            string("value", "The manager's id.").case_exact(),
            reference("$ref", "The manager.").references(&["User"]),
            string("displayName", "The manager's name.").mutability(Mutability::ReadOnly),
        ]),
    ],
};

/// Our own extension: when a change of `active` takes effect, and whether it is urgent.
pub static LIFECYCLE: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Lifecycle",
    name: "Lifecycle",
    description: "When a joiner or leaver becomes one",
    attributes: &[
        Attribute::new("effectiveAt", Kind::DateTime, "When 'active' takes effect; at once without it."),
        Attribute::new("emergency", Kind::Boolean, "Whether access must go within the emergency service level."),
    ],
};

/// The core Group (RFC 7643 §4.2).
pub static GROUP: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Group",
    name: "Group",
    description: "A group of identities and other groups",
    attributes: &[
        string("displayName", "The group's name.").required(),
        Attribute::new("members", Kind::Complex, "Who is in the group.").multi().with(&[
            string("value", "The member's id.").case_exact().mutability(Mutability::Immutable),
            reference("$ref", "The member.")
                .references(&["User", "Group", "Agent", "ServiceAccount"])
                .mutability(Mutability::Immutable),
            string("display", "The member's name.").mutability(Mutability::ReadOnly),
            string("type", "What the member is.")
                .canonical(&["User", "Group", "Agent", "ServiceAccount"])
                .mutability(Mutability::Immutable),
        ]),
    ],
};

/// Users, with the enterprise extension.
pub static USER_TYPE: ResourceType = ResourceType {
    name: "User",
    endpoint: "/Users",
    description: "Identities",
    core: &USER,
    extensions: &[Extension { schema: &ENTERPRISE_USER, presence: Presence::Optional }],
};

/// Groups.
pub static GROUP_TYPE: ResourceType = ResourceType {
    name: "Group",
    endpoint: "/Groups",
    description: "Groups of identities",
    core: &GROUP,
    extensions: &[],
};
