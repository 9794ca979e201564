//! How a client's language is read: to the letter, or as identity providers really speak it.

use std::collections::BTreeSet;

use crate::error::{ScimError, ScimType};

/// Whether deviations from the RFCs are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Strictness {
    /// Known deviations are accepted and noted.
    #[default]
    Tolerant,
    /// They are refused.
    Strict,
}

/// A known deviation from the RFCs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quirk {
    /// `"op": "Replace"`, as Microsoft Entra sends it.
    OperationCase,
    /// `"active": "True"`, as Microsoft Entra sends it.
    BooleanText,
    /// A PATCH without a path whose keys are paths: `"name.givenName"`, `"urn:…:User:department"` (Microsoft Entra).
    PathAsKey,
    /// A removal that names its values in `value`, not in the path (Microsoft Entra).
    RemovalByValue,
    /// One value where many are meant, or a plain string where an object is meant (`"manager": "26118915"`).
    PlainValue,
    /// A number where a text is meant (`"employeeNumber": 701984`).
    NumberAsText,
    /// A value filter that matches nothing, with what it asks for made (Microsoft Entra's `emails[type eq "work"].value`).
    ValueMade,
    /// A group member whom nobody knows here.
    UnknownMember,
    /// A value that differs from a canonical one only in case.
    CanonicalCase,
    /// An attribute, a sub-attribute or an extension that no schema here has: it is left out, and named.
    UnknownAttribute,
    /// A body without `schemas`.
    NoSchemas,
    /// A path with a slash at its end, or in another case: `/users/`.
    PathForm,
}

impl Quirk {
    /// The word for it on events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OperationCase => "operation-case",
            Self::BooleanText => "boolean-text",
            Self::PathAsKey => "path-as-key",
            Self::RemovalByValue => "removal-by-value",
            Self::PlainValue => "plain-value",
            Self::NumberAsText => "number-as-text",
            Self::ValueMade => "value-made",
            Self::UnknownMember => "unknown-member",
            Self::CanonicalCase => "canonical-case",
            Self::UnknownAttribute => "unknown-attribute",
            Self::NoSchemas => "no-schemas",
            Self::PathForm => "path-form",
        }
    }
}

/// Reads one request, and notes which deviations it relied on.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    strictness: Strictness,
    quirks: BTreeSet<Quirk>,
    left_out: BTreeSet<String>,
}

/// The most names of what was left out that are noted, and the most characters of each.
const MOST_NAMES: usize = 20;
const LONGEST_NAME: usize = 120;

impl Reading {
    /// A new one.
    #[must_use]
    pub const fn new(strictness: Strictness) -> Self {
        Self { strictness, quirks: BTreeSet::new(), left_out: BTreeSet::new() }
    }

    /// Whether deviations are accepted.
    #[must_use]
    pub const fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// The same with a deviation that was accepted before.
    #[must_use]
    pub fn noting(mut self, quirk: Option<Quirk>) -> Self {
        self.quirks.extend(quirk);
        self
    }

    /// Notes a deviation.
    ///
    /// # Errors
    /// With `scim_type` when deviations are not accepted.
    pub fn accept(
        &mut self,
        quirk: Quirk,
        scim_type: ScimType,
        detail: impl FnOnce() -> String,
    ) -> Result<(), ScimError> {
        match self.strictness {
            Strictness::Tolerant => {
                self.quirks.insert(quirk);
                Ok(())
            }
            Strictness::Strict => Err(ScimError::bad_request(
                scim_type,
                format!("{} ({}: this source is read strictly)", detail(), quirk.name()),
            )),
        }
    }

    /// Leaves out what no schema here has, and notes its name.
    ///
    /// # Errors
    /// With `scim_type` when deviations are not accepted.
    pub fn leave_out(
        &mut self,
        name: &str,
        scim_type: ScimType,
        detail: impl FnOnce() -> String,
    ) -> Result<(), ScimError> {
        self.accept(Quirk::UnknownAttribute, scim_type, detail)?;
        if self.left_out.len() < MOST_NAMES {
            let printable = name.chars().filter(|c| !c.is_control());
            self.left_out.insert(printable.take(LONGEST_NAME).collect());
        }
        Ok(())
    }

    /// The deviations so far; of what was left out with its name, as in `unknown-attribute:costCenter`.
    #[must_use]
    pub fn quirks(&self) -> Vec<String> {
        let named = |quirk: &Quirk| match quirk {
            Quirk::UnknownAttribute => {
                self.left_out.iter().map(|name| format!("{}:{name}", quirk.name())).collect::<Vec<_>>()
            }
            _ => vec![quirk.name().to_owned()],
        };
        self.quirks.iter().flat_map(named).collect()
    }
}
