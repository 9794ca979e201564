//! How far an app does what it says: operations that it confirmed, and what was read back afterwards.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::access::operation::Operation;
use crate::ids::Sequence;

/// What became of the operations of one kind that an app confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Tally {
    /// Confirmed with a 2xx.
    pub confirmed: u64,
    /// Read back as asked.
    pub honoured: u64,
    /// Read back otherwise, and counted once for each time it was confirmed.
    pub ignored: u64,
    /// From confirmed to read back, summed and at most.
    pub total_millis: u64,
    pub slowest_millis: u64,
}

/// The record of one app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conformance(pub BTreeMap<Operation, Tally>);

/// An operation that an app confirmed and that was not read back yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Confirmed {
    #[serde(serialize_with = "crate::stored::number")]
    pub operation: Operation,
    pub version: Sequence,
    #[serde(with = "crate::stored::time")]
    pub at: Timestamp,
}

impl Conformance {
    /// The app confirmed an operation.
    pub fn confirmed(&mut self, operation: Operation) {
        self.0.entry(operation).or_default().confirmed += 1;
    }

    /// It was read back as asked, so long after it was confirmed.
    pub fn honoured(&mut self, operation: Operation, after: SignedDuration) {
        let tally = self.0.entry(operation).or_default();
        let millis = u64::try_from(after.as_millis()).unwrap_or_default();
        tally.honoured += 1;
        tally.total_millis = tally.total_millis.saturating_add(millis);
        tally.slowest_millis = tally.slowest_millis.max(millis);
    }

    /// It was read back otherwise.
    pub fn ignored(&mut self, operation: Operation) {
        self.0.entry(operation).or_default().ignored += 1;
    }

    /// The share of what was confirmed and read back that was honoured, from 0 to 1; `None`: nothing was read back.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        let (honoured, ignored) = self.0.values().fold((0, 0), |(h, i), t| (h + t.honoured, i + t.ignored));
        let all = honoured + ignored;
        (all > 0).then(|| honoured as f64 / all as f64)
    }

    /// What an auditor has to know of the app, such as "confirms deletes and ignores them".
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        let liar = |(operation, tally): (&Operation, &Tally)| {
            let share = tally.ignored as f64 / (tally.ignored + tally.honoured).max(1) as f64;
            (tally.ignored > 0 && share >= 0.5).then(|| {
                format!(
                    "confirms {} and ignores them ({} of {})",
                    operation.plural(),
                    tally.ignored,
                    tally.ignored + tally.honoured
                )
            })
        };
        self.0.iter().filter_map(liar).collect()
    }
}
