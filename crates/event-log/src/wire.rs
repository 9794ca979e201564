//! Small conversions between protobuf's types and the domain's.

use jiff::Timestamp;
use prost_types::Timestamp as ProtoTimestamp;
use rollcall_domain::access::desired::Target;
use rollcall_domain::access::entitlement::Risk;
use rollcall_domain::access::grant::GrantEnd;
use rollcall_domain::access::operation::Operation;
use rollcall_domain::access::outcome::Origin;
use rollcall_domain::access::rejection::RejectionCause;
use rollcall_domain::app::capability::Support;
use rollcall_domain::app::deprovision::Deprovision;
use rollcall_domain::drift::kind::DriftKind;
use rollcall_domain::drift::policy::Policy;
use rollcall_domain::identity::IdentityKind;
use rollcall_domain::identity::lifecycle::{ChangeKind, Lifecycle};
use rollcall_domain::identity::ownership::Ownership;
use rollcall_proto::v1;
use rollcall_scim::Changed;
use serde_json::{Map, Value};
use uuid::Uuid;

pub fn to_proto_time(at: Timestamp) -> ProtoTimestamp {
    ProtoTimestamp { seconds: at.as_second(), nanos: at.subsec_nanosecond() }
}

pub fn from_proto_time(at: ProtoTimestamp) -> Option<Timestamp> {
    Timestamp::new(at.seconds, at.nanos).ok()
}

pub fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

pub fn object(json: &str) -> Option<Map<String, Value>> {
    if json.is_empty() {
        return Some(Map::new());
    }
    serde_json::from_str(json).ok()
}

pub fn to_changed(changed: &[Changed]) -> Vec<v1::ChangedPath> {
    let text = |v: &Option<Value>| v.as_ref().map(to_json).unwrap_or_default();
    changed
        .iter()
        .map(|c| v1::ChangedPath { path: c.path.clone(), before_json: text(&c.before), after_json: text(&c.after) })
        .collect()
}

pub fn from_changed(changed: Vec<v1::ChangedPath>) -> Vec<Changed> {
    let value = |text: &str| serde_json::from_str(text).ok();
    changed
        .into_iter()
        .map(|c| Changed { before: value(&c.before_json), after: value(&c.after_json), path: c.path })
        .collect()
}

/// An id, as it is stored since version 2, or as text before.
pub fn from_id(bytes: &[u8], text: &str) -> Option<Uuid> {
    if bytes.is_empty() { text.parse().ok() } else { Uuid::from_slice(bytes).ok() }
}

/// A trace context of version 00 in 25 bytes: trace id, parent id and flags (W3C Trace Context §3.2); `None` for any other.
pub fn to_trace(traceparent: &str) -> Option<Vec<u8>> {
    let parts: Vec<&str> = traceparent.strip_prefix("00-")?.split('-').collect();
    let [trace, parent, flags] = parts.as_slice() else { return None };
    let read = |text: &str, digits: usize| {
        let is_plain = text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_plain.then(|| u128::from_str_radix(text, 16).ok())?
    };
    let mut out = read(trace, 32)?.to_be_bytes().to_vec();
    out.extend(u64::try_from(read(parent, 16)?).ok()?.to_be_bytes());
    out.push(u8::try_from(read(flags, 2)?).ok()?);
    Some(out)
}

/// The trace context that was stored in 25 bytes.
pub fn from_trace(bytes: &[u8]) -> Option<String> {
    let (trace, rest) = bytes.split_first_chunk()?;
    let (parent, flags) = rest.split_first_chunk()?;
    let [flags] = flags else { return None };
    Some(format!("00-{:032x}-{:016x}-{flags:02x}", u128::from_be_bytes(*trace), u64::from_be_bytes(*parent)))
}

pub fn optional(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Who answers for a machine; nothing of whom nothing is said.
pub fn to_ownership(ownership: &Ownership) -> Option<v1::Ownership> {
    (*ownership != Ownership::default()).then(|| v1::Ownership {
        owner_id: ownership.owner.map(|id| id.to_string()).unwrap_or_default(),
        second_owner_id: ownership.second_owner.map(|id| id.to_string()).unwrap_or_default(),
        team_id: ownership.team.map(|id| id.to_string()).unwrap_or_default(),
        ends_at: ownership.ends_at.map(to_proto_time),
    })
}

/// The same as it was stored.
pub fn from_ownership(stored: v1::Ownership) -> Ownership {
    Ownership {
        owner: stored.owner_id.parse().ok(),
        second_owner: stored.second_owner_id.parse().ok(),
        team: stored.team_id.parse().ok(),
        ends_at: stored.ends_at.and_then(from_proto_time),
    }
}

macro_rules! enum_conversion {
    ($to:ident, $from:ident, $domain:ty, $proto:ty, $($domain_variant:ident = $proto_variant:ident),+) => {
        pub fn $to(value: $domain) -> i32 {
            match value { $(<$domain>::$domain_variant => <$proto>::$proto_variant.into(),)+ }
        }
        pub fn $from(value: i32) -> Option<$domain> {
            match <$proto>::try_from(value).ok()? {
                $(<$proto>::$proto_variant => Some(<$domain>::$domain_variant),)+
                <$proto>::Unspecified => None,
            }
        }
    };
}
pub(crate) use enum_conversion;

enum_conversion!(
    to_kind,
    from_kind,
    IdentityKind,
    v1::IdentityKind,
    User = User,
    Agent = Agent,
    ServiceAccount = ServiceAccount
);
enum_conversion!(
    to_lifecycle,
    from_lifecycle,
    Lifecycle,
    v1::Lifecycle,
    Staged = Staged,
    Active = Active,
    Left = Left,
    Leaving = Leaving
);
enum_conversion!(
    to_deprovision,
    from_deprovision,
    Deprovision,
    v1::Deprovision,
    Deactivate = Deactivate,
    Delete = Delete
);
enum_conversion!(
    to_operation,
    from_operation,
    Operation,
    v1::Operation,
    Create = Create,
    Update = Update,
    Deactivate = Deactivate,
    Delete = Delete,
    Enter = Enter,
    Leave = Leave
);
enum_conversion!(
    to_cause,
    from_cause,
    RejectionCause,
    v1::Rejection,
    Refused = Refused,
    Unreachable = Unreachable,
    AppError = AppError,
    Timeout = Timeout,
    Conflict = Conflict,
    Throttled = Throttled,
    NotScim = NotScim,
    NotConnected = NotConnected,
    Unmappable = Unmappable,
    Vanished = Vanished,
    BadList = BadList
);
enum_conversion!(
    to_drift,
    from_drift,
    DriftKind,
    v1::DriftKind,
    Zombie = Zombie,
    Attribute = Attribute,
    Missing = Missing,
    Orphan = Orphan,
    Membership = Membership,
    Duplicate = Duplicate,
    Residue = Residue,
    Invited = Invited
);
enum_conversion!(
    to_change,
    from_change,
    ChangeKind,
    v1::ChangeKind,
    Joiner = Joiner,
    Mover = Mover,
    Leaver = Leaver,
    Repair = Repair,
    Residue = Residue,
    Disable = Disable,
    Grant = Grant,
    Compromise = Compromise
);
enum_conversion!(to_risk, from_risk, Risk, v1::Risk, Low = Low, Medium = Medium, High = High, Critical = Critical);
enum_conversion!(
    to_grant_end,
    from_grant_end,
    GrantEnd,
    v1::GrantEnd,
    Expired = Expired,
    Ended = Ended,
    Denied = Denied,
    Withdrawn = Withdrawn,
    Unanswered = Unanswered,
    Left = Left,
    Extended = Extended,
    Separated = Separated
);
enum_conversion!(to_policy, from_policy, Policy, v1::DriftPolicy, Report = Report, Repair = Repair, Adopt = Adopt);

pub const fn to_support(support: Support) -> i32 {
    match support {
        Support::Unknown => v1::Support::Unspecified as i32,
        Support::Yes => v1::Support::Yes as i32,
        Support::No => v1::Support::No as i32,
    }
}

pub fn from_support(value: i32) -> Support {
    match v1::Support::try_from(value) {
        Ok(v1::Support::Yes) => Support::Yes,
        Ok(v1::Support::No) => Support::No,
        _ => Support::Unknown,
    }
}

pub const fn to_present(target: Target) -> bool {
    matches!(target, Target::Present)
}

pub const fn from_present(present: bool) -> Target {
    if present { Target::Present } else { Target::Absent }
}

pub const fn to_adopted(origin: Origin) -> bool {
    matches!(origin, Origin::Adopted)
}

pub const fn from_adopted(adopted: bool) -> Origin {
    if adopted { Origin::Adopted } else { Origin::Ours }
}
