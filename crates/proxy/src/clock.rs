//! The one clock of an edge.
//!
//! The wall clock may be set back or jump; deadlines and the order of a session's inputs must not
//! follow it. So it is read once, and a monotonic clock is added to it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use holdline_session::Time;
use tokio::time::Instant;

/// Tells sessions the time. Cheap to copy; all copies agree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin_unix_us: u64,
    origin: Instant,
}

impl Clock {
    /// Reads the wall clock, for the only time.
    pub(crate) fn start() -> Self {
        let unix = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            origin_unix_us: micros(unix),
            origin: Instant::now(),
        }
    }

    /// Now. Never less than what it said before.
    pub(crate) fn now(&self) -> Time {
        Time(
            self.origin_unix_us
                .saturating_add(micros(self.origin.elapsed())),
        )
    }

    /// When the monotonic clock will show `at`; the origin for times before this clock's start.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        let after = Duration::from_micros(at.0.saturating_sub(self.origin_unix_us));
        // A time too far ahead to be told is as good as never: the timer is armed again later.
        self.origin.checked_add(after).unwrap_or_else(|| {
            const FAR: Duration = Duration::from_secs(24 * 3600);
            Instant::now() + FAR
        })
    }
}

/// Whole seconds since 1970, as metrics tell a time.
pub(crate) fn unix_seconds(at: Time) -> i64 {
    i64::try_from(at.0 / 1_000_000).unwrap_or(i64::MAX)
}

/// Whole microseconds; a duration too long to be told is the longest that can be.
pub(crate) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Whole milliseconds, likewise.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn follows_the_monotonic_clock_and_back() {
        let clock = Clock::start();
        let first = clock.now();
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now().since(first), Duration::from_millis(1_500));
        assert_eq!(clock.instant(clock.now()), Instant::now());
        assert!(clock.instant(Time(u64::MAX)) > Instant::now());
    }
}
