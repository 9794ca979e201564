//! Non-human identities: Agent and AgenticApplication (draft-abbey-scim-agent-extension-00 §5).

use crate::schema::{Attribute, Kind, Mutability, ResourceType, Schema};
use crate::schemas::{PLURAL, PRIMARY, reference, string};

const READ_ONLY: Mutability = Mutability::ReadOnly;

const LINK: &[Attribute] = &[
    string("value", "The id.").case_exact().mutability(READ_ONLY),
    reference("$ref", "Where it is.").references(&["uri"]).mutability(READ_ONLY),
    string("display", "For people.").mutability(READ_ONLY),
];

/// An agent.
pub static AGENT: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:Agent",
    name: "Agent",
    description: "An AI agent with an identity of its own",
    attributes: &[
        string("name", "The name the agent signs in with; unique in any case.").required().unique(),
        string("displayName", "The name for display."),
        string("agentType", "The kind of agent, such as Assistant or Researcher."),
        Attribute::new("active", Kind::Boolean, "Whether the agent should have access."),
        string("description", "What the agent is for."),
        string("subject", "The OpenID Connect subject of its tokens.").case_exact().mutability(READ_ONLY),
        Attribute::new("groups", Kind::Complex, "The groups the agent is in; changed through the group.")
            .multi()
            .mutability(READ_ONLY)
            .with(&[
                string("value", "The group's id.").case_exact().mutability(READ_ONLY),
                reference("$ref", "The group.").references(&["Group"]).mutability(READ_ONLY),
                string("display", "The group's name.").mutability(READ_ONLY),
                string("type", "direct or indirect.").canonical(&["direct", "indirect"]).mutability(READ_ONLY),
            ]),
        Attribute::new("entitlements", Kind::Complex, "What the agent is entitled to.").multi().with(PLURAL),
        Attribute::new("roles", Kind::Complex, "The agent's roles.").multi().with(PLURAL),
        Attribute::new("x509Certificates", Kind::Complex, "Certificates issued to the agent.").multi().with(&[
            Attribute::new("value", Kind::Binary, "DER, in base 64.").case_exact(),
            string("display", "For people."),
            string("type", "What it is for."),
            PRIMARY,
        ]),
        Attribute::new("applications", Kind::Complex, "The agentic applications it belongs to.")
            .multi()
            .mutability(READ_ONLY)
            .with(LINK),
        Attribute::new("owners", Kind::Complex, "Who answers for it.").multi().mutability(READ_ONLY).with(LINK),
        Attribute::new("protocols", Kind::Complex, "How it is spoken to.").multi().mutability(READ_ONLY).with(&[
            string("type", "The protocol, such as A2A, OpenAPI or MCP-Server.").mutability(READ_ONLY),
            string("specificationUrl", "Where it is described.").mutability(READ_ONLY),
        ]),
        Attribute::new("parent", Kind::Complex, "The agent it belongs to.").mutability(READ_ONLY).with(LINK),
    ],
};

/// An application that hosts agents.
pub static AGENTIC_APPLICATION: Schema = Schema {
    id: "urn:ietf:params:scim:schemas:core:2.0:AgenticApplication",
    name: "AgenticApplication",
    description: "An application that hosts agents or gives access to them",
    attributes: &[
        string("name", "Its name; unique in any case.").required().unique(),
        string("displayName", "The name for display."),
        string("description", "What it is for."),
        Attribute::new("active", Kind::Boolean, "Whether it is in use."),
    ],
};

/// Agents.
pub static AGENT_TYPE: ResourceType = ResourceType {
    name: "Agent",
    endpoint: "/Agents",
    description: "Identities of AI agents",
    core: &AGENT,
    extensions: &[crate::machines::EXTENSION],
};

/// Agentic applications.
pub static AGENTIC_APPLICATION_TYPE: ResourceType = ResourceType {
    name: "AgenticApplication",
    endpoint: "/AgenticApplications",
    description: "Applications that host agents",
    core: &AGENTIC_APPLICATION,
    extensions: &[],
};
