//! Lines that somebody outside can provoke, at a bounded pace.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is bounded are the lines of this time.
const PERIOD: Duration = Duration::from_secs(1);

/// Lets through a number of lines a second, and counts the others.
#[derive(Debug)]
pub struct Pace {
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When the present second began.
    since: Option<Instant>,
    /// Lines that were let through in it.
    lines: u32,
    untold: u64,
}

impl Pace {
    /// At most this many lines a second.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            most,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now; then, how many were left out since the last one that was.
    pub fn admit(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let present = |since| now.saturating_duration_since(since) < PERIOD;
        if !state.since.is_some_and(present) {
            (state.since, state.lines) = (Some(now), 0);
        }
        if state.lines == self.most {
            state.untold = state.untold.saturating_add(1);
            return None;
        }
        state.lines += 1;
        Some(std::mem::take(&mut state.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_counted_and_told_with_the_next() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let pace = Pace::new(2);
        let told = [0, 1, 2, 900, 999, 1_000, 1_001, 1_002, 9_000].map(|ms| pace.admit(at(ms)));
        let (none, some) = (None, Some);
        assert_eq!(
            told,
            [
                some(0),
                some(0),
                none,
                none,
                none,
                some(3),
                some(0),
                none,
                some(1)
            ]
        );
    }
}
