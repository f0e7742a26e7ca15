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

/// A time in which nothing was done for the caller: there was no worker, or none that got on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Unserved {
    since: Time,
    /// Time since then in which the edge itself was not running: it tries nobody's patience.
    absent: Duration,
}

impl Unserved {
    fn new(now: Time) -> Self {
        Self {
            since: now,
            absent: Duration::ZERO,
        }
    }

    pub(super) fn forgive(&mut self, late: Duration) {
        self.absent = self.absent.saturating_add(late);
    }

    /// When it will have been borne for so long.
    fn lasts(&self, bearable: Duration) -> Time {
        self.since + self.absent + bearable
    }
}

/// A time without a worker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Alone {
    since: Time,
    /// What this is a part of: workers that came and went without a commit were no service.
    unserved: Unserved,
    /// Since when a place is denied to it for the sake of isolation, as far as it knows.
    crowded: Option<Time>,
    /// Whether it has been said.
    said: bool,
    /// Pieces of hold sound so far, and when the next one may follow.
    played: u64,
    next_piece: Option<Time>,
}

impl Alone {
    pub(super) fn new(now: Time) -> Self {
        Self::within(Unserved::new(now), now)
    }

    fn within(unserved: Unserved, now: Time) -> Self {
        Self {
            since: now,
            unserved,
            crowded: None,
            said: false,
            played: 0,
            next_piece: None,
        }
    }

    /// As it goes on after the session was restored.
    pub(super) fn resumed(alone: Option<Self>, unproven: Option<Unserved>, now: Time) -> Self {
        let unserved = unproven.unwrap_or(Unserved::new(now));
        alone.unwrap_or(Self::within(unserved, now))
    }

    pub(super) fn forgive(&mut self, late: Duration) {
        self.unserved.forgive(late);
        self.crowded = self.crowded.map(|since| since + late);
    }

    /// Notes whether there is a place that is denied for the sake of isolation. Where no worker is
    /// at all, waiting for one costs nothing and tells nothing.
    pub(super) fn note_crowd(&mut self, now: Time, crowded: bool) {
        self.crowded = crowded.then(|| self.crowded.unwrap_or(now));
    }

    /// When the caller is handed back.
    pub(super) fn give_up_at(&self, limits: &Limits) -> Time {
        self.unserved.lasts(limits.give_up)
    }

    /// Whether a suspect still waits for a place where it is kept apart. Later any place will do.
    pub(super) fn is_kept_apart(&self, now: Time, limits: &Limits) -> bool {
        self.crowded
            .is_none_or(|since| now < since + limits.isolation_wait)
    }

    /// When the next piece of hold sound is due.
    fn piece_at(&self, limits: &Limits) -> Option<Time> {
        let begins = self.unserved.lasts(limits.hold_after?);
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
        let unproven = self.recovery.unproven.take();
        self.recovery.alone = Some(Alone::resumed(self.recovery.alone, unproven, now));
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
    ///
    /// Where inputs wait, a worker that is there is no service before it commits one of them.
    pub(super) fn end_alone(&mut self, now: Time, out: &mut Vec<Output>) -> Option<Notice> {
        let alone = self.recovery.alone.take();
        let unserved = alone.map(|alone| alone.unserved);
        let unserved = unserved.or(self.recovery.unproven);
        let waits = self.log.last() > self.log.committed();
        self.recovery.unproven = waits.then(|| unserved.unwrap_or(Unserved::new(now)));
        let alone = alone.filter(|alone| alone.said)?;
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
