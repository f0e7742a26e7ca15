//! A session without a worker: for how long that is borne, and what the caller hears meanwhile.
//!
//! A sound that ran ahead would stand between the caller and the next worker's first word, so no
//! more of it goes out than keeps the line from running dry. What was not said in time, because the
//! edge itself was late, is never made up for: nobody waits for it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Limits, Notice, Output, Report, Session, Time, legs::Leg};

use super::ending::Life;

/// Playing time of one piece of hold sound. At most two of them wait to be heard.
const FRAME: Duration = Duration::from_millis(20);
/// The same in milliseconds.
const FRAME_MS: u64 = 20;

/// A time without a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Alone {
    since: Time,
    /// Time since then in which the edge itself was not running: it tries nobody's patience.
    absent: Duration,
    /// Whether it has been said.
    said: bool,
    /// Pieces of hold sound so far, and when the next one may follow.
    played: u64,
    next_piece: Option<Time>,
}

impl Alone {
    pub(super) fn new(now: Time) -> Self {
        Self {
            since: now,
            absent: Duration::ZERO,
            said: false,
            played: 0,
            next_piece: None,
        }
    }

    pub(super) fn forgive(&mut self, late: Duration) {
        self.absent = self.absent.saturating_add(late);
    }

    /// When the caller is handed back.
    pub(super) fn give_up_at(&self, limits: &Limits) -> Time {
        self.since + self.absent + limits.give_up
    }

    /// Until when a suspect waits for a place where it is kept apart. Later any place will do.
    pub(super) fn kept_apart_until(&self, limits: &Limits) -> Time {
        self.since + self.absent + limits.isolation_wait
    }

    /// When the next piece of hold sound is due.
    fn piece_at(&self, limits: &Limits) -> Option<Time> {
        let begins = self.since + self.absent + limits.hold_after?;
        Some(self.next_piece.unwrap_or(begins))
    }

    /// Notes a piece. The first is followed by another at once; from then on one follows as one has
    /// been heard, counted from now where this one comes late.
    fn play(&mut self, now: Time) -> u64 {
        let number = self.played;
        self.played += 1;
        let next = self.next_piece.map_or(now, |due| (due + FRAME).max(now));
        self.next_piece = Some(next);
        number
    }
}

impl Session {
    /// There is no worker, or none any more.
    pub(super) fn begin_alone(&mut self, now: Time) {
        self.recovery.alone.get_or_insert(Alone::new(now));
    }

    /// No worker can be had at once: that is worth a word, once.
    pub(super) fn say_hold(&mut self, out: &mut Vec<Output>) {
        if let Some(alone) = &mut self.recovery.alone
            && !std::mem::replace(&mut alone.said, true)
        {
            self.account.holds += 1;
            out.push(Output::Report(Report::HoldStarted));
        }
    }

    /// There is a worker again. What it is told of the time without, where that was said.
    pub(super) fn end_alone(&mut self, now: Time, out: &mut Vec<Output>) -> Option<Notice> {
        let alone = self.recovery.alone.take().filter(|alone| alone.said)?;
        let held = now.since(alone.since);
        let audio_ms = alone.played * FRAME_MS;
        out.push(Output::Report(Report::HoldEnded { held, audio_ms }));
        Some(Notice::Hold { held, audio_ms })
    }

    /// Lets the caller hear what is due.
    pub(super) fn play_hold(&mut self, now: Time, out: &mut Vec<Output>) {
        while self.next_hold_piece().is_some_and(|due| due <= now) {
            let Some(leg) = self.caller_ref() else { return };
            let Some(alone) = &mut self.recovery.alone else {
                return;
            };
            let piece = alone.play(now);
            self.say_hold(out);
            if let Some(caller) = self.legs.current(&leg) {
                caller.sounded();
            }
            self.account.hold_ms += FRAME_MS;
            out.push(Output::HoldSound { leg, piece });
        }
    }

    /// When the caller is to hear more, where it can hear anything.
    pub(super) fn next_hold_piece(&self) -> Option<Time> {
        let alone = self.recovery.alone.as_ref()?;
        let running = matches!(self.life, Life::Running);
        let caller = self.legs.get(&crate::LegName::new(crate::LegName::CALLER));
        let hears = caller.is_some_and(|leg: &Leg| leg.takes_sound(&self.limits));
        if running && hears {
            alone.piece_at(&self.limits)
        } else {
            None
        }
    }
}
