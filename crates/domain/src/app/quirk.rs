//! In what an app's answers are not as the RFCs say, and are read all the same.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::BadId;

/// In what an app's answers are not as the RFCs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AppQuirk {
    /// An `id` is a number (RFC 7643 §3.1: a string).
    NumericId,
    /// `active` is text (RFC 7643 §4.1.1: a boolean).
    TextActive,
    /// `totalResults` is text, or missing (RFC 7644 §3.4.2: an integer).
    TextTotal,
    /// A list says in `schemas` not that it is one, or has none.
    NoListSchema,
    /// `Resources` is missing or null where there are none.
    NoResources,
    /// An answer begins with a byte order mark (RFC 8259 §8.1: it must not).
    ByteOrderMark,
    /// It fails when a list is asked for with `count` (RFC 7644 §3.4.2.4).
    NoCount,
    /// Members of groups are named by their user names (RFC 7643 §4.2: by their ids).
    MembersByName,
}

impl AppQuirk {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::NumericId,
        Self::TextActive,
        Self::TextTotal,
        Self::NoListSchema,
        Self::NoResources,
        Self::ByteOrderMark,
        Self::NoCount,
        Self::MembersByName,
    ];

    /// The word in events and answers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NumericId => "numeric_id",
            Self::TextActive => "text_active",
            Self::TextTotal => "text_total",
            Self::NoListSchema => "no_list_schema",
            Self::NoResources => "no_resources",
            Self::ByteOrderMark => "byte_order_mark",
            Self::NoCount => "no_count",
            Self::MembersByName => "members_by_name",
        }
    }
}

impl fmt::Display for AppQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for AppQuirk {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let found = Self::ALL.into_iter().find(|quirk| quirk.name() == text);
        found.ok_or_else(|| BadId { text: text.into(), wanted: "a quirk of an app" })
    }
}
