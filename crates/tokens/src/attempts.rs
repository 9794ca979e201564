//! How often one address may try.

use std::net::IpAddr;
use std::num::NonZeroU32;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How many addresses are remembered before those that tried long ago are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// Attempts, such as those to sign in, counted for each address.
#[derive(Debug)]
pub struct Attempts(DefaultKeyedRateLimiter<IpAddr>);

impl Attempts {
    /// None yet; each address has so many in a minute.
    #[must_use]
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(per_minute)))
    }

    /// Counts one more; whether it is still one of those that an address has. An address that is not known is one.
    #[must_use]
    pub fn may(&self, address: Option<IpAddr>) -> bool {
        if self.0.len() > MAX_ADDRESSES {
            self.0.retain_recent();
        }
        self.0.check_key(&address.unwrap_or(IpAddr::from([0, 0, 0, 0]))).is_ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn each_address_has_its_own() {
        let attempts = Attempts::new(NonZeroU32::new(2).unwrap());
        let (one, other) = (Some(IpAddr::from([10, 0, 0, 1])), None);
        assert!(attempts.may(one) && attempts.may(one) && !attempts.may(one));
        assert!(attempts.may(other));
    }
}
