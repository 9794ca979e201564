//! What can be done to a resource of any type: one request, or one operation of many in a bulk request.

use std::borrow::Cow;

use axum::http::StatusCode;
use rollcall_domain::Sequence;
use rollcall_domain::identity::IdentityKind;
use rollcall_domain::identity::statement::silent;
use rollcall_scim::{PatchRequest, Reading, ResourceType, ScimError, check_immutable, normalize};
use serde_json::{Map, Value};

/// How resources of a type live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// They join, move and leave.
    Identity(IdentityKind),
    /// They have members.
    Group,
    /// They are kept and shown.
    Plain,
}

impl Family {
    /// Of a resource type.
    pub fn of(kind: &ResourceType) -> Self {
        match kind.name {
            "User" => Self::Identity(IdentityKind::User),
            "Agent" => Self::Identity(IdentityKind::Agent),
            "ServiceAccount" => Self::Identity(IdentityKind::ServiceAccount),
            "Group" => Self::Group,
            _ => Self::Plain,
        }
    }
}

/// A change of a resource that is there.
#[derive(Debug, Clone)]
pub enum Edit {
    /// PUT: the whole resource.
    Replace(Map<String, Value>),
    /// PATCH: parts of it.
    Patch(PatchRequest),
}

impl Edit {
    /// Reads the body of a PUT.
    pub fn replace(body: &Value, kind: &ResourceType, reading: &mut Reading) -> Result<Self, ScimError> {
        normalize(body, kind, reading).map(Self::Replace)
    }

    /// Reads the body of a PATCH.
    pub fn patch(body: &Value, kind: &ResourceType, reading: &mut Reading) -> Result<Self, ScimError> {
        PatchRequest::parse(body, kind, reading).map(Self::Patch)
    }

    /// What it is called in a reason.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Replace(_) => "replace",
            Self::Patch(_) => "patch",
        }
    }

    /// The resource after it.
    pub fn apply(
        &self,
        before: &Map<String, Value>,
        kind: &ResourceType,
        reading: &mut Reading,
    ) -> Result<Map<String, Value>, ScimError> {
        let after = match self {
            Self::Replace(resource) => resource.clone(),
            Self::Patch(request) => request.apply(before, kind, reading)?,
        };
        check_immutable(before, &after, kind)?;
        Ok(after)
    }

    /// A resource that says of whether somebody is active, and when, only what this says outright: a PATCH says what is there after it
    /// although it was not there before.
    pub fn outright<'a>(
        &'a self,
        before: &Map<String, Value>,
        kind: &ResourceType,
        reading: &Reading,
    ) -> Cow<'a, Map<String, Value>> {
        match self {
            Self::Replace(resource) => Cow::Borrowed(resource),
            Self::Patch(request) => {
                let silent = silent(before.clone());
                Cow::Owned(request.apply(&silent, kind, &mut reading.clone()).unwrap_or_default())
            }
        }
    }
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Done {
    pub status: StatusCode,
    /// The id, where there is a resource afterwards.
    pub id: Option<String>,
    pub version: Option<Sequence>,
    /// The resource as it is answered; `None`: without a body.
    pub body: Option<Map<String, Value>>,
}

impl Done {
    /// There is no such resource any more (RFC 7644, section 3.6).
    pub const fn no_content() -> Self {
        Self { status: StatusCode::NO_CONTENT, id: None, version: None, body: None }
    }

    /// The change is on the log, and our own state does not show it yet: a slow projection must not make it look like a
    /// failure, or whoever asked for something new asks for it a second time.
    pub fn unseen(id: String, mut resource: Map<String, Value>) -> Self {
        resource.insert("id".into(), id.clone().into());
        Self { status: StatusCode::OK, id: Some(id), version: None, body: Some(resource) }
    }
}

/// What to do.
#[derive(Debug, Clone)]
pub enum Operation {
    Create(Value),
    Replace(String, Value),
    Patch(String, Value),
    Delete(String),
}

impl Operation {
    /// What it is called on events.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Replace(..) => "replace",
            Self::Patch(..) => "patch",
            Self::Delete(_) => "delete",
        }
    }

    /// What it is about; `None`: something new.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Create(_) => None,
            Self::Replace(id, _) | Self::Patch(id, _) | Self::Delete(id) => Some(id),
        }
    }
}
