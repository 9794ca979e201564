//! How many of something there may be at once, in all and of one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::attempts::holder_of;

/// So many places in all, and so many for one address.
#[derive(Debug)]
pub struct Places {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub struct Place {
    places: Arc<Places>,
    address: IpAddr,
}

impl Places {
    /// None is taken yet.
    #[must_use]
    pub fn new(max: usize, max_per_address: usize) -> Arc<Self> {
        Arc::new(Self { max, max_per_address, open: Mutex::default() })
    }

    /// A place, while there is one for this address.
    #[must_use]
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let address = holder_of(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let theirs = open.by_address.get(&address).copied().unwrap_or_default();
        if open.all >= self.max || theirs >= self.max_per_address {
            return None;
        }
        open.all += 1;
        open.by_address.insert(address, theirs + 1);
        Some(Place { places: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.places.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(theirs) = open.by_address.get_mut(&self.address) {
            *theirs -= 1;
            if *theirs == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_given_back() {
        let places = Places::new(3, 2);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let first = places.take(one).unwrap();
        let _second = places.take(one).unwrap();
        assert!(places.take(one).is_none(), "two of one address");
        let _third = places.take(other).unwrap();
        assert!(places.take(other).is_none(), "three in all");
        drop(first);
        assert!(places.take(other).is_some());
        assert_eq!(places.open.lock().unwrap().all, 2);
    }
}
