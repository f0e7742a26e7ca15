//! Lines that somebody outside can provoke, at a bounded pace.

use std::{
    collections::BTreeMap,
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
        state.admit(now, self.most)
    }
}

impl State {
    fn admit(&mut self, now: Instant, most: u32) -> Option<u64> {
        let present = |since| now.saturating_duration_since(since) < PERIOD;
        if !self.since.is_some_and(present) {
            (self.since, self.lines) = (Some(now), 0);
        }
        if self.lines == most {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.untold))
    }
}

/// As [`Pace`], for several kinds of lines, none of which is in another's way. Kinds are words of the
/// source code, so they are few.
#[derive(Debug)]
pub struct Paces {
    most: u32,
    states: Mutex<BTreeMap<&'static str, State>>,
}

impl Paces {
    /// At most this many lines of each kind a second.
    #[must_use]
    pub fn new(most: u32) -> Self {
        Self {
            most,
            states: Mutex::default(),
        }
    }

    /// Whether a line of this kind may be written now; then, how many of its kind were left out since
    /// the last one that was.
    pub fn admit(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.entry(kind).or_default().admit(now, self.most)
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

    #[test]
    fn a_flood_of_one_kind_hides_no_other() {
        let (start, paces) = (Instant::now(), Paces::new(1));
        let told = ["flood", "flood", "rare"].map(|kind| paces.admit(kind, start));
        assert_eq!(told, [Some(0), None, Some(0)]);
        let later = start + PERIOD;
        let told = ["rare", "flood"].map(|kind| paces.admit(kind, later));
        assert_eq!(told, [Some(0), Some(1)]);
    }
}
