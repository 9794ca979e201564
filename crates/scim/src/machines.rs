//! Machines: service accounts, and what is said of any machine besides its schema: who answers for it, what it is for, and when it ends.
//! Ours; there is no standard for it (draft-abbey-scim-agent-extension-00 has read-only owners of agents).

use crate::schema::{Attribute, Extension, Kind, Mutability, Presence, ResourceType, Schema};
use crate::schemas::{PLURAL, reference, string};

/// What stands for no end, where a source has to send one.
pub const NO_END: &str = "9999-01-01T00:00:00Z";

const fn user(name: &'static str, description: &'static str) -> Attribute {
    Attribute::new(name, Kind::Reference, description).case_exact().references(&["User"])
}

/// Our own extension: who answers for a machine, what it is for, and when it ends.
pub static MACHINE: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:rollcall:2.0:Machine",
    name: "Machine",
    description: "Who answers for a service account or an agent, what it is for, and when it ends",
    attributes: &[
        user("owner", "The person who answers for it: their id, or where they are."),
        user("secondOwner", "Who knows it besides, and is asked when the owner leaves."),
        Attribute::new("team", Kind::Reference, "The group that looks after it: its id, or where it is.")
            .case_exact()
            .references(&["Group"]),
        string("purpose", "What it is for."),
        string("environment", "Where it runs, such as production."),
        string("criticality", "What depends on it.").canonical(&["low", "medium", "high", "critical"]),
        // A dateTime by what is taken; as text it is what clients read back to the letter.
        string("expiresAt", "When it ends, as an RFC 3339 time; it leaves by that.").case_exact().canonical(&[NO_END]),
        string("dependents", "What would stop without it."),
    ],
};

/// The extension, which a machine may do without.
pub(crate) const EXTENSION: Extension = Extension { schema: &MACHINE, presence: Presence::Optional };

/// A service account.
pub static SERVICE_ACCOUNT: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:extension:rollcall:2.0:ServiceAccount",
    name: "ServiceAccount",
    description: "An identity that a program signs in with",
    attributes: &[
        string("userName", "The name it signs in with; unique in any case.").required().unique(),
        string("displayName", "The name for display."),
        string("description", "What it does."),
        Attribute::new("active", Kind::Boolean, "Whether it should have access."),
        Attribute::new("emails", Kind::Complex, "Email addresses, where an app wants one.").multi().with(PLURAL),
        Attribute::new("groups", Kind::Complex, "The groups it is in; changed through the group.")
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
        Attribute::new("entitlements", Kind::Complex, "What it is entitled to.").multi().with(PLURAL),
        Attribute::new("roles", Kind::Complex, "Its roles.").multi().with(PLURAL),
    ],
};

/// Service accounts.
pub static SERVICE_ACCOUNT_TYPE: ResourceType = ResourceType {
    name: "ServiceAccount",
    endpoint: "/ServiceAccounts",
    description: "Identities that programs sign in with",
    core: &SERVICE_ACCOUNT,
    extensions: &[EXTENSION],
};
