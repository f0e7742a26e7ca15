//! What the caller's ear does with the audio that we send: a queue played in real time.
//!
//! Why without a clock or timers: every sound's place in time is fixed when it arrives (the
//! end of what is queued, or now plus a small start delay), so that the moment a mark is due
//! is known at once, and only `clear` can change it. The caller asks for the next due mark
//! and sleeps until then.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::mulaw;

/// Twilio discards what is queued beyond ten minutes (warning 31931).
pub const QUEUE_LIMIT: Duration = Duration::from_secs(600);
/// From the first media of a quiet line until it is heard, about (design of the barge-in
/// transcript in the vendor facts).
pub const START_DELAY: Duration = Duration::from_millis(30);
/// Marks waiting for their echo beyond which new ones are refused. Twilio names no number;
/// without one a peer could fill our memory.
pub const MARK_LIMIT: usize = 10_000;

/// The place of a piece of audio in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// When its first byte is played, unless `clear` comes before.
    pub starts: Instant,
    /// How many of its bytes fitted into the queue; the rest is discarded.
    pub accepted: usize,
}

/// A mark whose time has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Echo {
    /// The name that we gave it.
    pub name: String,
    /// Its number among all marks of the stream, from 0.
    pub number: usize,
}

/// The queue. See the module.
#[derive(Debug)]
pub struct Playback {
    start_delay: Duration,
    limit: Duration,
    busy_until: Option<Instant>,
    marks: VecDeque<(Instant, Echo)>,
    marks_seen: usize,
    refused_marks: u64,
    overflow_bytes: u64,
}

impl Default for Playback {
    fn default() -> Self {
        Self::new(START_DELAY, QUEUE_LIMIT)
    }
}

impl Playback {
    /// A silent line.
    #[must_use]
    pub fn new(start_delay: Duration, limit: Duration) -> Self {
        Self {
            start_delay,
            limit,
            busy_until: None,
            marks: VecDeque::new(),
            marks_seen: 0,
            refused_marks: 0,
            overflow_bytes: 0,
        }
    }

    /// Audio of `len` bytes arrived.
    pub fn media(&mut self, now: Instant, len: usize) -> Placed {
        let starts = match self.busy_until {
            Some(until) if until > now => until,
            _ => now + self.start_delay,
        };
        let room = mulaw::bytes(
            self.limit
                .saturating_sub(starts.saturating_duration_since(now)),
        );
        let accepted = len.min(room);
        self.overflow_bytes += (len - accepted) as u64;
        if accepted > 0 {
            self.busy_until = Some(starts + mulaw::duration(accepted));
        }
        Placed { starts, accepted }
    }

    /// A mark arrived. It is due at once on a silent line, else when all before it was
    /// played; [`Playback::due`] hands it out. Returns its number, or `None` when too many
    /// wait already.
    pub fn mark(&mut self, now: Instant, name: String) -> Option<usize> {
        if self.marks.len() >= MARK_LIMIT {
            self.refused_marks += 1;
            return None;
        }
        let number = self.marks_seen;
        self.marks_seen += 1;
        let due = self.busy_until.map_or(now, |until| until.max(now));
        self.marks.push_back((due, Echo { name, number }));
        Some(number)
    }

    /// `clear` arrived: nothing more is played, and all pending marks are echoed now, in
    /// their order, although they were not reached.
    pub fn clear(&mut self, now: Instant) -> Vec<Echo> {
        if self.busy_until.is_some_and(|until| until > now) {
            self.busy_until = Some(now);
        }
        self.marks.drain(..).map(|(_, echo)| echo).collect()
    }

    /// The next mark that is due by `now`.
    pub fn due(&mut self, now: Instant) -> Option<Echo> {
        if self.marks.front()?.0 > now {
            return None;
        }
        self.marks.pop_front().map(|(_, echo)| echo)
    }

    /// When [`Playback::due`] will next have something.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.marks.front().map(|(due, _)| *due)
    }

    /// How much is queued and not yet heard.
    #[must_use]
    pub fn queued(&self, now: Instant) -> Duration {
        self.busy_until
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// Bytes discarded because the queue was full (31931).
    #[must_use]
    pub fn overflow_bytes(&self) -> u64 {
        self.overflow_bytes
    }

    /// Marks refused because too many were pending.
    #[must_use]
    pub fn refused_marks(&self) -> u64 {
        self.refused_marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn names(echoes: &[Echo]) -> Vec<&str> {
        echoes.iter().map(|echo| echo.name.as_str()).collect()
    }

    #[test]
    fn a_mark_is_echoed_when_all_before_it_was_played() {
        let t = Instant::now();
        let mut line = Playback::default();
        assert_eq!(line.media(t, 1_600).starts, t + 30 * MS);
        line.mark(t, "a".into());
        // 5 ms later more audio: it joins without a gap.
        assert_eq!(line.media(t + 5 * MS, 800).starts, t + 230 * MS);
        line.mark(t + 5 * MS, "b".into());
        assert_eq!(line.next_due(), Some(t + 230 * MS));
        assert_eq!(line.due(t + 229 * MS), None);
        assert_eq!(
            line.due(t + 230 * MS).map(|echo| echo.name),
            Some("a".into())
        );
        assert_eq!(line.due(t + 230 * MS), None);
        assert_eq!(line.due(t + 330 * MS).map(|echo| echo.number), Some(1));
    }

    #[test]
    fn a_mark_on_a_silent_line_is_due_at_once() {
        let t = Instant::now();
        let mut line = Playback::default();
        line.mark(t, "now".into());
        assert_eq!(line.due(t).map(|echo| echo.name), Some("now".into()));
        line.media(t, 160);
        let later = t + 500 * MS;
        line.mark(later, "again".into());
        assert_eq!(line.next_due(), Some(later));
    }

    #[test]
    fn clear_echoes_all_pending_marks_in_order_and_frees_the_line() {
        let t = Instant::now();
        let mut line = Playback::default();
        for name in ["a", "b", "c"] {
            line.media(t, 8_000);
            line.mark(t, name.into());
        }
        let now = t + 1_500 * MS;
        assert_eq!(line.due(now).map(|echo| echo.name), Some("a".into()));
        assert_eq!(line.queued(now), 1_530 * MS);
        assert_eq!(names(&line.clear(now)), ["b", "c"]);
        assert_eq!(line.queued(now), Duration::ZERO);
        // What comes next does not wait behind what was dropped.
        assert_eq!(line.media(now + MS, 160).starts, now + 31 * MS);
    }

    #[test]
    fn more_than_ten_minutes_are_discarded_and_counted() {
        let t = Instant::now();
        let mut line = Playback::new(Duration::ZERO, QUEUE_LIMIT);
        assert_eq!(line.media(t, 4_799_000).accepted, 4_799_000);
        assert_eq!(line.media(t, 8_000).accepted, 1_000);
        assert_eq!(line.media(t, 8_000).accepted, 0);
        assert_eq!(line.overflow_bytes(), 15_000);
        // One second on there is room for one second.
        assert_eq!(line.media(t + 1_000 * MS, 16_000).accepted, 8_000);
    }

    #[test]
    fn marks_without_end_are_refused() {
        let t = Instant::now();
        let mut line = Playback::default();
        line.media(t, 8_000);
        for _ in 0..MARK_LIMIT {
            assert!(line.mark(t, String::new()).is_some());
        }
        assert_eq!(line.mark(t, String::new()), None);
        assert_eq!(line.refused_marks(), 1);
    }
}
