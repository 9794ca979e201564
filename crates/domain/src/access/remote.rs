//! An account as an app shows it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::access::desired::Desired;
use crate::app::mapping;

/// An account as an app answered it.
#[derive(Debug, Clone, PartialEq)]
pub struct Remote {
    /// The app's own id.
    pub id: String,
    /// The resource.
    pub resource: Map<String, Value>,
    /// The managed groups that the app shows it in.
    pub groups: BTreeSet<String>,
}

impl Remote {
    /// Whether it can be used; an app that does not say so has a live account (RFC 7643 leaves `active` optional), and so has
    /// one that says anything but false.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self.resource.get("active") {
            Some(Value::Bool(active)) => *active,
            Some(Value::String(text)) => !text.trim().eq_ignore_ascii_case("false"),
            _ => true,
        }
    }

    /// A top-level text attribute; empty when it is not there.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.resource.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What Rollcall manages of it, by path, and its groups: what "verified" stands on.
    #[must_use]
    pub fn managed(&self, desired: &Desired) -> Map<String, Value> {
        let always = ["userName", "externalId", "active"];
        let paths: BTreeSet<&str> = match desired {
            Desired::Present(presence) => presence.attributes.keys().map(String::as_str).chain(always).collect(),
            Desired::Absent | Desired::Deleted | Desired::Off => always.into(),
        };
        let shown = |path: &str| mapping::observed(&self.resource, path).map(|value| (path.to_owned(), value));
        let mut out: Map<String, Value> = paths.into_iter().filter_map(shown).collect();
        if !self.groups.is_empty() {
            out.insert("groups".into(), self.groups.iter().cloned().collect());
        }
        out
    }
}
