//! Versions of resources (RFC 7644 §3.14): the position of the event that changed one last.

use axum::http::{HeaderMap, HeaderName};
use rollcall_domain::Sequence;
use rollcall_scim::ScimError;

/// The ETag of a version.
pub fn etag(version: Sequence) -> String {
    format!("W/\"{version}\"")
}

/// Stands for a tag that is no text.
const UNREADABLE: &str = "unreadable";

/// Which version a request is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// Whichever is current.
    #[default]
    None,
    /// One of these.
    OneOf(Vec<String>),
}

impl Condition {
    /// Reads `If-Match`, or `If-None-Match`; `*` fits every version.
    pub fn read(headers: &HeaderMap, name: HeaderName) -> Self {
        // One that can't be read names no version: it must not become no condition at all.
        let values = headers.get_all(name).iter().map(|v| v.to_str().unwrap_or(UNREADABLE));
        let tags: Vec<String> = values.flat_map(|v| v.split(',')).map(|tag| tag.trim().to_owned()).collect();
        if tags.is_empty() { Self::None } else { Self::OneOf(tags) }
    }

    /// The same from a bulk operation's `version`.
    pub fn of(version: Option<&str>) -> Self {
        version.map_or(Self::None, |tag| Self::OneOf(vec![tag.trim().to_owned()]))
    }

    /// Whether the request names this version; one without a condition names none.
    pub fn names(&self, version: Sequence) -> bool {
        // A weak comparison: our tags are weak, and some clients drop the mark.
        let bare = |tag: &str| tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned();
        let ours = version.to_string();
        match self {
            Self::None => false,
            Self::OneOf(tags) => tags.iter().any(|tag| tag == "*" || bare(tag) == ours),
        }
    }

    /// Refuses a change of a version that the client does not know.
    ///
    /// # Errors
    /// 412.
    pub fn check(&self, version: Sequence) -> Result<(), ScimError> {
        if *self == Self::None || self.names(version) {
            return Ok(());
        }
        let detail = format!("the resource is at version {}, not at the one in If-Match", etag(version));
        Err(ScimError::status(412, detail))
    }
}
