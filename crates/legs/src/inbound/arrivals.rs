//! What all listeners of an edge share: how many may be at the door at once, and how many callers
//! may come from one place, so that one place cannot take all of them.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Semaphore;

/// An IPv6 customer has at least a /64 (RFC 6177), and may call from any address of it.
const CUSTOMER_BITS: u32 = 64;

/// Bounds of all listeners of an edge together. Cheap to clone; clones share their counts.
#[derive(Clone, Debug)]
pub struct Arrivals {
    /// Handshakes in flight.
    pub(super) handshakes: Arc<Semaphore>,
    pub(super) sources: Sources,
}

impl Arrivals {
    /// Allows so many handshakes in flight (`limits.handshakes`), and so many callers' sockets of one
    /// address (`limits.per_address`).
    #[must_use]
    pub fn new(handshakes: u32, per_address: u32) -> Self {
        let handshakes = usize::try_from(handshakes).unwrap_or(usize::MAX);
        Self {
            handshakes: Arc::new(Semaphore::new(handshakes.min(Semaphore::MAX_PERMITS))),
            sources: Sources {
                most: per_address,
                counts: Arc::default(),
            },
        }
    }
}

/// How many sockets each source has. Holds only sources that have one, so it is bounded by what
/// bounds connections.
#[derive(Clone, Debug)]
pub(super) struct Sources {
    most: u32,
    counts: Arc<Mutex<HashMap<IpAddr, u32>>>,
}

/// A socket's place among those of its source, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    sources: Sources,
    source: IpAddr,
}

impl Sources {
    /// A place for one more socket of this address, if it may have one.
    pub(super) fn take(&self, address: IpAddr) -> Option<Place> {
        let source = source(address);
        let mut counts = self.lock();
        let count = counts.get(&source).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        counts.insert(source, count + 1);
        drop(counts);
        Some(Place {
            sources: self.clone(),
            source,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // No code that can panic runs under this lock; were it so, the map would still be whole.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.sources.lock();
        if let Some(count) = counts.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.source);
            }
        }
    }
}

fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - CUSTOMER_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Arrivals;

    #[test]
    fn an_address_has_so_many_places_and_an_ipv6_customer_is_one_address() {
        let sources = Arrivals::new(1, 2).sources;
        let take = |address: &str| sources.take(address.parse().unwrap());
        let (one, _two) = (
            take("192.0.2.1").unwrap(),
            take("::ffff:192.0.2.1").unwrap(),
        );
        assert!(take("192.0.2.1").is_none());
        let _other = take("192.0.2.2").unwrap();
        drop(one);
        drop(take("192.0.2.1").unwrap());

        let _six = [
            take("2001:db8::1").unwrap(),
            take("2001:db8::ffff:2").unwrap(),
        ];
        assert!(take("2001:db8:0:0:3::").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn nothing_is_kept_of_an_address_without_sockets() {
        for most in [0, 1] {
            let sources = Arrivals::new(1, most).sources;
            let place = sources.take("192.0.2.1".parse().unwrap());
            assert_eq!(place.is_some(), most == 1);
            drop(place);
            assert!(sources.lock().is_empty());
        }
    }
}
