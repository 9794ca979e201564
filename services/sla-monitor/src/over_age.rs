//! How many credentials are over age: counted some at a time, since there may be millions.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rollcall_domain::access::credential::{Credential, CredentialKind};
use rollcall_domain::directory;
use rollcall_domain::kv::{KvError, Read, load_some};
use rollcall_telemetry::metrics::{label, metrics};

/// How many are looked at each time.
const SLICE: usize = 5000;

/// A count that goes through all credentials again and again.
#[derive(Debug)]
pub struct OverAge {
    most: Duration,
    after: Option<String>,
    counted: BTreeMap<&'static str, u64>,
}

impl OverAge {
    /// One that has counted nothing.
    #[must_use]
    pub const fn new(most: Duration) -> Self {
        Self { most, after: None, counted: BTreeMap::new() }
    }

    /// Looks at the next ones; sets the gauges once it was at the last one.
    ///
    /// # Errors
    /// When the state can't be read.
    pub fn turn(&mut self, state: &impl Read, now: Timestamp) -> Result<(), KvError> {
        let page = load_some::<Credential>(state, directory::CREDENTIALS, self.after.as_deref(), SLICE)?;
        for (_, credential) in page.pairs.iter().filter(|(_, credential)| credential.is_over_age(now, self.most)) {
            *self.counted.entry(credential.listed.kind.name()).or_default() += 1;
        }
        self.after = page.next;
        if self.after.is_none() {
            let counted = std::mem::take(&mut self.counted);
            for kind in CredentialKind::ALL {
                let count = counted.get(kind.name()).copied().unwrap_or_default();
                metrics().credentials_over_age.record(count, &[label("kind", kind.name())]);
            }
        }
        Ok(())
    }
}
