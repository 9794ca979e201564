//! Whether what an app shows can be older than what we have asked of it: one that shows changes late shows, for a while,
//! what was before. An account that we made a moment ago is "not there"; one that we removed is "as desired" again.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rollcall_domain::Sequence;
use rollcall_domain::access::account::Account;
use rollcall_domain::app::capability::Capabilities;
use rollcall_domain::ids::IdentityId;
use tokio::time::Instant;

/// How long an app of which nothing is known may show what was before a change that it has confirmed.
const USUAL_DELAY: Duration = Duration::from_secs(2);

/// Since when nothing that an earlier version asked for is under way, by account.
#[derive(Debug, Default)]
pub struct Settled(Mutex<BTreeMap<IdentityId, (Sequence, Instant)>>);

impl Settled {
    /// Work on a version of what is desired begins: whatever was asked for an earlier one has ended. Returns how long
    /// the app may still show what was before that.
    pub fn wait(&self, account: &Account, can: &Capabilities) -> Option<Duration> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let version = account.desired_version;
        let entry = since.entry(account.identity).or_insert_with(|| (version, Instant::now()));
        if entry.0 != version {
            *entry = (version, Instant::now());
        }
        let earlier = account.confirmed.iter().any(|confirmed| confirmed.version < version);
        let delay = can.consistency_delay.or(earlier.then_some(USUAL_DELAY))?;
        delay.checked_sub(entry.1.elapsed()).filter(|left| !left.is_zero())
    }

    /// The account is as desired.
    pub fn forget(&self, identity: IdentityId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&identity);
    }
}
