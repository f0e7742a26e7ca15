//! The engine's time: handed in with every event, never asked for.

use std::{fmt, ops, time::Duration};

use serde::{Deserialize, Serialize};

/// A moment in microseconds of Unix time, from a clock that never goes back.
///
/// The shell reads the wall clock once and adds a monotonic clock to it, so one number serves both
/// for deadlines and as the time of receipt that workers are told.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize,
)]
pub struct Time(pub u64);

impl Time {
    /// The time from `earlier` until this; zero where `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, after: Duration) -> Self {
        let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(micros))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
