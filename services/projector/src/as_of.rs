//! The state that a question is about: as it is now, or as it was after some event.

use jiff::Timestamp;
use rollcall_domain::ids::Sequence;
use rollcall_domain::kv::{KeyPage, KvError, Pair, Read};
use rollcall_projection::{History, PastView, View};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::schema;

/// Whatever an answer as of an instant may show. An index that is rebuilt from these needs no history.
pub const HISTORY: History = History::of(&[
    "identity/",
    "user-name/",
    "group/",
    "member-of/",
    "app/",
    "role/",
    "policy/",
    "separation/",
    "violation/",
    "grant/",
    "grant-of/",
    "grant-in/",
    "grant-held/",
    "switched-off/",
    "account/",
    "obligation/",
    "leaver/",
    "drift/",
    "hold/",
    "capabilities/",
    "quarantine/",
    "conformance/",
    "reconciled/",
    "drill/",
    "drill-report/",
    "count-open/",
    "machine/",
    "owns/",
    "ownerless/",
    "handover/",
    "handover-of/",
    "credential/",
    "credentials-of/",
    "inventory/",
    "revocation/",
    "revoking/",
]);

/// Current or past state.
#[derive(Debug)]
pub enum StateAt {
    Now(View),
    Past(PastView),
}

impl Read for StateAt {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, KvError> {
        match self {
            Self::Now(view) => view.get(key),
            Self::Past(view) => view.get(key),
        }
    }

    fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        match self {
            Self::Now(view) => view.scan(prefix, after, limit),
            Self::Past(view) => view.scan(prefix, after, limit),
        }
    }

    fn scan_some(&self, prefix: &str, after: Option<&str>, look: usize) -> Result<KeyPage, KvError> {
        match self {
            Self::Now(view) => view.scan_some(prefix, after, look),
            Self::Past(view) => view.scan_some(prefix, after, look),
        }
    }

    fn scan_back(&self, prefix: &str, before: Option<&str>, limit: usize) -> Result<Vec<Pair>, KvError> {
        match self {
            Self::Now(view) => view.scan_back(prefix, before, limit),
            Self::Past(view) => view.scan_back(prefix, before, limit),
        }
    }
}

/// State, and which state it is.
#[derive(Debug)]
pub struct Snapshot {
    pub state: StateAt,
    pub as_of: AsOf,
}

/// Which state an answer shows: that after this event of the log.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct AsOf {
    #[schema(schema_with = schema::time)]
    pub instant: Timestamp,
    /// The last event that is in it; the current state may have a later one in it already.
    #[schema(value_type = u64)]
    pub sequence: Sequence,
}
