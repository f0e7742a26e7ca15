//! The bridge's time: the moment at which the edge received an input, never a clock of its own.
//!
//! A replayed input carries the time of its first receipt, so another worker comes to the same
//! estimate of what the caller has heard.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment in microseconds of Unix time, as told by the edge.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Time(pub(crate) u64);

impl Time {
    /// Milliseconds from `earlier` until this; zero where `earlier` is later.
    pub(crate) fn ms_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1_000
    }

    /// This moment and so many milliseconds.
    pub(crate) fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_moment_is_no_time_ago() {
        assert_eq!(Time(5_000).ms_since(Time(9_000)), 0);
        assert_eq!(Time(9_999).ms_since(Time(5_000)), 4);
        assert_eq!(Time(1).plus_ms(2), Time(2_001));
    }
}
