//! How often one address may try.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;

use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How many addresses are remembered before those that tried long ago are forgotten.
const MAX_ADDRESSES: usize = 10_000;

/// Attempts, such as those to sign in, counted for each address.
#[derive(Debug)]
pub struct Attempts {
    each: DefaultKeyedRateLimiter<IpAddr>,
    /// How often those that tried long ago are forgotten.
    swept: DefaultDirectRateLimiter,
}

/// Whoever has one address of version 6 has the 2^64 of its network: those count as one.
#[must_use]
pub fn holder_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

impl Attempts {
    /// None yet; each address has so many in a minute.
    #[must_use]
    pub fn new(per_minute: NonZeroU32) -> Self {
        Self {
            each: RateLimiter::keyed(Quota::per_minute(per_minute)),
            swept: RateLimiter::direct(Quota::per_second(NonZeroU32::MIN)),
        }
    }

    /// Counts one more; whether it is still one of those that an address has. An address that is not known is one.
    #[must_use]
    pub fn may(&self, address: Option<IpAddr>) -> bool {
        if self.each.len() > MAX_ADDRESSES && self.swept.check().is_ok() {
            self.each.retain_recent();
        }
        // When there are too many all the same, they share one.
        let address = address.map(holder_of).filter(|_| self.each.len() <= MAX_ADDRESSES);
        self.each.check_key(&address.unwrap_or(IpAddr::from([0, 0, 0, 0]))).is_ok()
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
        let of = |text: &str| holder_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
