//! Accounts: what is desired, what was last observed, and what follows from the two.

use jiff::Timestamp;
use rollcall_scim::Changed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::app::Deprovision;
use crate::drift::DriftKind;
use crate::event::TraceContext;
use crate::identity::user_name;
use crate::ids::{AppId, IdentityId, Sequence};

/// What an account must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Desired {
    /// There, with these attributes.
    Present(Map<String, Value>),
    /// Gone.
    Absent,
}

/// Desired, without its attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Target {
    Present,
    Absent,
}

impl Target {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
        }
    }

    /// The other one.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Present => Self::Absent,
            Self::Absent => Self::Present,
        }
    }
}

impl Desired {
    /// Whether there must be an account.
    #[must_use]
    pub const fn target(&self) -> Target {
        match self {
            Self::Present(_) => Target::Present,
            Self::Absent => Target::Absent,
        }
    }
}

/// One identity's presence in one app, in a projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// Where.
    pub app: AppId,
    /// Whose.
    pub identity: IdentityId,
    /// What it must be.
    pub desired: Desired,
    /// The change that says so.
    pub desired_version: Sequence,
    /// The id of that change's event.
    pub caused_by: Uuid,
    /// The correlation id of that change.
    pub correlation_id: String,
    /// The trace of that change.
    pub trace: TraceContext,
    /// The app's own id of the account, when it is known.
    pub remote_id: Option<String>,
    /// The last change that the app says it has applied.
    pub applied_version: Option<Sequence>,
    /// The last change that was read back.
    pub verified_version: Option<Sequence>,
    /// What was read back then.
    pub observed: Option<Map<String, Value>>,
    /// When that was.
    pub verified_at: Option<Timestamp>,
    /// The last failure since the last success.
    pub rejection: Option<Rejection>,
}

impl Account {
    /// Whether the app still has to be changed or read.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.verified_version.is_none_or(|verified| verified < self.desired_version)
    }
}

/// What was done to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Operation {
    Create,
    Update,
    Deactivate,
    Delete,
}

impl Operation {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Deactivate => "deactivate",
            Self::Delete => "delete",
        }
    }
}

/// Whether Rollcall created the account it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Origin {
    Ours,
    Adopted,
}

/// The app answered that it has done it; nothing is proved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Applied {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub remote_id: Option<String>,
    pub operation: Operation,
    pub origin: Origin,
}

/// The app was read back and shows what is desired.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Verified {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub remote_id: Option<String>,
    pub target: Target,
    pub observed: Map<String, Value>,
}

/// Why an app could not be brought to what is desired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCause {
    /// It answered that it won't.
    Refused,
    /// It gave no answer.
    Unreachable,
    /// The account belongs to someone else.
    Conflict,
    /// It asked for fewer requests.
    Throttled,
    /// Its answer is not SCIM, or can't be trusted to show what is there.
    NotScim,
    /// It is not in the configuration.
    NotConnected,
}

impl RejectionCause {
    /// The word in metrics and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Conflict => "conflict",
            Self::Throttled => "throttled",
            Self::NotScim => "not_scim",
            Self::NotConnected => "not_connected",
        }
    }
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    /// Why.
    pub cause: RejectionCause,
    /// The HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// The app's answer, cut short.
    pub detail: String,
}

impl Rejection {
    /// Whether this is the same failure as another: its wording does not count.
    #[must_use]
    pub fn repeats(&self, other: &Self) -> bool {
        self.cause == other.cause && self.status == other.status
    }
}

/// A failure of one account.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Rejected {
    pub app: AppId,
    pub identity: IdentityId,
    pub version: Sequence,
    pub rejection: Rejection,
}

const TEXTS: [&str; 3] = ["userName", "displayName", "title"];
const NAME_PARTS: [&str; 2] = ["givenName", "familyName"];

/// The attributes that Rollcall manages in an app, from an identity's resource. The app's `externalId` is the
/// identity's id, so that an account is found again whatever it is renamed to.
#[must_use]
pub fn managed_attributes(identity: IdentityId, resource: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for name in TEXTS {
        out.extend(resource.get(name).map(|v| (name.to_owned(), v.clone())));
    }
    out.insert("userName".into(), user_name(resource).into());
    out.insert("externalId".into(), identity.to_string().into());
    out.insert("active".into(), true.into());
    let name = resource.get("name").and_then(Value::as_object);
    let parts: Map<String, Value> = NAME_PARTS
        .iter()
        .filter_map(|part| name.and_then(|n| n.get(*part)).map(|v| ((*part).to_owned(), v.clone())))
        .collect();
    if !parts.is_empty() {
        out.insert("name".into(), Value::Object(parts));
    }
    if let Some(email) = primary_email(resource) {
        out.insert("emails".into(), json!([{ "value": email, "type": "work", "primary": true }]));
    }
    out
}

/// The preferred email address: the primary one, else the first.
#[must_use]
pub fn primary_email(resource: &Map<String, Value>) -> Option<&str> {
    let emails = resource.get("emails")?.as_array()?;
    let primary = emails.iter().find(|e| e.get("primary") == Some(&Value::Bool(true)));
    primary.or_else(|| emails.first())?.get("value")?.as_str()
}

/// An account as an app answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// The app's own id.
    pub id: String,
    /// The resource.
    pub resource: Map<String, Value>,
}

impl Remote {
    /// Whether it can be used; an app that does not say so has a live account (RFC 7643 leaves `active` optional).
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.resource.get("active").and_then(Value::as_bool).unwrap_or(true)
    }

    /// A top-level text attribute; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.resource.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What Rollcall manages of it.
    #[must_use]
    pub fn managed(&self) -> Map<String, Value> {
        let keep = ["userName", "displayName", "title", "externalId", "active", "name", "emails"];
        self.resource.iter().filter(|(k, _)| keep.contains(&k.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

/// What to ask of an app next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// It is already as desired.
    Nothing,
    /// Create it with these attributes.
    Create(Map<String, Value>),
    /// Change these: desired before, observed after.
    Update(Vec<Changed>),
    /// Set it inactive.
    Deactivate,
    /// Delete it.
    Delete,
}

/// What follows from desired and observed.
#[must_use]
pub fn plan(desired: &Desired, observed: Option<&Remote>, deprovision: Deprovision) -> Step {
    match (desired, observed, deprovision) {
        (Desired::Present(attributes), None, _) => Step::Create(attributes.clone()),
        (Desired::Present(attributes), Some(remote), _) => match differences(attributes, remote) {
            changes if changes.is_empty() => Step::Nothing,
            changes => Step::Update(changes),
        },
        (Desired::Absent, None, _) => Step::Nothing,
        (Desired::Absent, Some(_), Deprovision::Delete) => Step::Delete,
        (Desired::Absent, Some(remote), Deprovision::Deactivate) if remote.is_active() => Step::Deactivate,
        (Desired::Absent, Some(_), Deprovision::Deactivate) => Step::Nothing,
    }
}

/// What a read-back proves, or how it differs.
///
/// # Errors
/// The kind of drift, and the differences: desired before, observed after.
pub fn judge(
    desired: &Desired,
    observed: Option<&Remote>,
    deprovision: Deprovision,
) -> Result<Target, (DriftKind, Vec<Changed>)> {
    match plan(desired, observed, deprovision) {
        Step::Nothing => Ok(desired.target()),
        Step::Create(_) => Err((DriftKind::Missing, Vec::new())),
        Step::Update(changes) => Err((DriftKind::Attribute, changes)),
        Step::Deactivate | Step::Delete => {
            let active = observed.is_some_and(Remote::is_active);
            let change = Changed { path: "active".into(), before: Some(false.into()), after: Some(active.into()) };
            Err((DriftKind::Zombie, vec![change]))
        }
    }
}

/// How an account differs from the desired attributes; attributes that Rollcall does not manage don't count.
///
/// A title or a part of the name that the source has cleared must be cleared in the app too; apps may derive the
/// others themselves, so those only count when the source has them.
#[must_use]
pub fn differences(desired: &Map<String, Value>, remote: &Remote) -> Vec<Changed> {
    let mut out = Vec::new();
    let mut compare = |path: &str, want: Option<&Value>, have: Option<&Value>, same: bool| {
        let clearable = path == "title" || path.starts_with("name.");
        if !same && (want.is_some() || clearable) {
            out.push(Changed { path: path.to_owned(), before: want.cloned(), after: have.cloned() });
        }
    };
    for path in ["userName", "displayName", "title", "externalId"] {
        let (want, have) = (desired.get(path), remote.resource.get(path));
        let same = match (path, want.and_then(Value::as_str), have.and_then(Value::as_str)) {
            ("userName", Some(want), Some(have)) => want.to_lowercase() == have.to_lowercase(),
            (_, want, have) => want == have,
        };
        compare(path, want, have, same);
    }
    compare("active", desired.get("active"), remote.resource.get("active"), remote.is_active());
    for part in NAME_PARTS {
        let of = |map: &Map<String, Value>| map.get("name").and_then(|n| n.get(part)).cloned();
        let (want, have) = (of(desired), of(&remote.resource));
        compare(&format!("name.{part}"), want.as_ref(), have.as_ref(), want == have);
    }
    let emails = remote.resource.get("emails").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let wanted = primary_email(desired);
    let same = emails
        .iter()
        .filter_map(|e| e.get("value").and_then(Value::as_str))
        .any(|have| wanted.is_some_and(|want| want.eq_ignore_ascii_case(have)));
    compare("emails", desired.get("emails"), remote.resource.get("emails"), same);
    out
}
