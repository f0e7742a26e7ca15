//! The caller's media clock: finds gaps, so that the model hears as much time as has passed.
//!
//! The model's turn detection counts audio. Where media is missing, silence must take its place,
//! and where silence was sent already while waiting, the late media's gap is that much shorter.

use serde::{Deserialize, Serialize};

use crate::{time::Time, wire::BYTES_PER_MS};

/// Timestamps that are less than this apart from what is expected are jitter of rounding.
const TOLERANCE_MS: u64 = 20;

/// The caller's media clock.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Clock {
    /// Stream time at which the next media should begin, in ms.
    next_ms: Option<u64>,
    /// When the last media was received.
    at: Time,
    /// Silence sent since then, in ms.
    filled_ms: u64,
    /// Audio that the present model session was sent, in mu-law bytes: its own clock.
    pub(crate) appended_bytes: u64,
    /// When the model last said anything.
    pub(crate) model_at: Time,
}

impl Clock {
    /// Media came; answers how much silence is missing before it, in ms.
    pub(crate) fn media(&mut self, now: Time, timestamp_ms: Option<u64>, bytes: u64) -> u64 {
        let gap = match (self.next_ms, timestamp_ms) {
            (Some(expected), Some(told)) => told.saturating_sub(expected),
            _ => 0,
        };
        self.next_ms = timestamp_ms
            .or(self.next_ms)
            .map(|begin| begin.saturating_add(bytes / BYTES_PER_MS));
        self.at = now;
        let filled = std::mem::take(&mut self.filled_ms);
        if gap < TOLERANCE_MS {
            0
        } else {
            gap.saturating_sub(filled)
        }
    }

    /// Media was dropped on its way here; answers how much silence takes its place, in ms.
    pub(crate) fn dropped(&mut self, now: Time, media_ms: u64) -> u64 {
        self.next_ms = self.next_ms.map(|next| next.saturating_add(media_ms));
        self.at = now;
        media_ms
    }

    /// How long there has been no media, in ms.
    pub(crate) fn quiet_ms(&self, now: Time) -> u64 {
        now.ms_since(self.at)
    }

    /// Silence was sent although no media told of a gap.
    pub(crate) fn fill(&mut self, ms: u64) {
        self.filled_ms = self.filled_ms.saturating_add(ms);
    }

    /// A new stream begins, whose timestamps have nothing to do with the old one's.
    pub(crate) fn restart(&mut self, now: Time) {
        self.next_ms = None;
        self.at = now;
        self.filled_ms = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_of_the_timestamps_is_a_gap() {
        let mut clock = Clock::default();
        assert_eq!(clock.media(Time(1), Some(20), 160), 0);
        assert_eq!(clock.media(Time(2), Some(40), 160), 0);
        assert_eq!(clock.media(Time(3), Some(560), 160), 500);
        assert_eq!(clock.media(Time(4), Some(580), 160), 0);
    }

    #[test]
    fn silence_that_was_sent_already_is_not_sent_again() {
        let mut clock = Clock::default();
        clock.media(Time(1), Some(20), 160);
        clock.fill(1_000);
        assert_eq!(clock.media(Time(2), Some(1_540), 160), 500);
        assert_eq!(clock.media(Time(3), Some(1_560), 160), 0);
    }

    #[test]
    fn dropped_media_is_no_gap_for_a_second_time() {
        let mut clock = Clock::default();
        clock.media(Time(1), Some(20), 160);
        assert_eq!(clock.dropped(Time(2), 400), 400);
        assert_eq!(clock.media(Time(3), Some(440), 160), 0);
    }

    #[test]
    fn times_that_go_back_or_are_missing_are_no_gap() {
        let mut clock = Clock::default();
        clock.media(Time(1), Some(u64::MAX), 160);
        assert_eq!(clock.media(Time(2), Some(20), 160), 0);
        assert_eq!(clock.media(Time(3), None, 160), 0);
    }
}
