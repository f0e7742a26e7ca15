//! When which call is due: all calls one after the other, evenly spread over the interval.
//!
//! Times are absolute, so that a generator that was late catches up and the rate stays true.

use std::time::Duration;

/// The rhythm of one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacer {
    start: u64,
    interval: u64,
    calls: u64,
    next: u64,
}

impl Pacer {
    /// Every call once in each interval, from `start` on, in nanoseconds.
    pub(super) fn new(start: u64, interval: Duration, calls: u32) -> Self {
        Self {
            start,
            interval: u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX),
            calls: u64::from(calls.max(1)),
            next: 0,
        }
    }

    /// The next call that was due by `now`, and when it was.
    pub(super) fn due(&mut self, now: u64) -> Option<(u32, u64)> {
        let (cycle, call) = (self.next / self.calls, self.next % self.calls);
        let at = self.start + cycle * self.interval + call * self.interval / self.calls;
        if at > now {
            return None;
        }
        self.next += 1;
        // Fewer than `calls`, which came as an u32.
        Some((call as u32, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_spread_over_the_interval() {
        let mut pacer = Pacer::new(1_000, Duration::from_nanos(400), 4);
        let mut due = || pacer.due(1_450);
        let all: Vec<_> = std::iter::from_fn(&mut due).collect();
        let expected = [(0, 1_000), (1, 1_100), (2, 1_200), (3, 1_300), (0, 1_400)];
        assert_eq!(all, expected);
        assert_eq!(due(), None);
    }
}
