//! A call without a worker: what its caller hears, and that nobody's patience runs while the edge
//! itself does not.

use std::time::Duration;

use holdline_session::{LegName, LegRef, Time};

use super::{At, Check, Model, Phase, ensure, legs::Leg};
use crate::{
    coverage::{Coverage, Mark},
    shell::Shell,
};

/// Playing time of one piece.
const PIECE: Duration = Duration::from_millis(20);
/// More than this is never waiting to be heard.
const AHEAD: Duration = Duration::from_millis(40);
/// More pieces than this are never waiting to be written.
const UNWRITTEN: u64 = 4;

/// After an edge stood still, what workers said meanwhile is read before they are blamed.
const UNREAD: Duration = Duration::from_millis(50);

/// The sound of one time without a worker.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hold {
    pieces: u64,
    /// When all of it will have been heard.
    heard_at: Time,
}

impl Hold {
    pub(super) fn audio_ms(self) -> u64 {
        self.pieces * PIECE.as_millis() as u64
    }
}

impl Model {
    /// A worker is there no more: the next hold begins anew. Patience does not, unless the worker was
    /// of some use.
    pub(super) fn begins_alone(&mut self, now: Time, at: &At) {
        self.unattached_since = now;
        if at.serves {
            self.unserved_since = now;
        }
        self.denied_since = None;
        self.hold = Hold::default();
    }

    /// A call for which nothing was done for long is given back, and no other is.
    pub(super) fn is_borne(&self, now: Time) -> Check {
        let unserved = now.since(self.unserved_since);
        ensure!(
            self.at.is_some() || self.ending.is_some() || unserved < self.limits.give_up,
            "a call that nothing is done for is handed back",
            "it goes on after {unserved:?}"
        );
        Ok(())
    }

    pub(super) fn gives_up(&self, now: Time, coverage: &mut Coverage) -> Check {
        let unserved = now.since(self.unserved_since);
        ensure!(
            self.at.is_none() && unserved >= self.limits.give_up,
            "nobody gives up early",
            "after {unserved:?}"
        );
        if now.since(self.unattached_since) < self.limits.give_up {
            coverage.mark(Mark::GaveUpUnserved);
        }
        Ok(())
    }

    /// What is said of a time without a worker is true.
    pub(super) fn held(&self, now: Time, held: Duration, audio_ms: u64) -> Check {
        let was = (now.since(self.unattached_since), self.hold.audio_ms());
        ensure!(
            (held, audio_ms) == was,
            "a hold is as long as it was",
            "{held:?} with {audio_ms} ms of sound, not {was:?}"
        );
        Ok(())
    }

    /// Time in which the edge was not running is held against nobody.
    pub(super) fn forgives(&mut self, late: Duration) {
        let unread = match late.is_zero() {
            true => late,
            false => late + UNREAD,
        };
        if let Some(at) = &mut self.at {
            at.attached_at = at.attached_at + unread;
            at.waiting_since = at.waiting_since + unread;
            at.release_asked = at.release_asked.map(|asked| asked + unread);
        }
        self.asked_since = self.asked_since + unread;
        self.unserved_since = self.unserved_since + late;
        self.denied_since = self.denied_since.map(|since| since + late);
        for leg in self.legs.values_mut() {
            if leg.phase == Phase::Awaited {
                leg.since = leg.since + late;
            }
        }
    }

    /// The caller is to hear a piece of the hold sound.
    pub(super) fn sounds(
        &mut self,
        now: Time,
        leg: &LegRef,
        piece: u64,
        coverage: &mut Coverage,
    ) -> Check {
        coverage.mark(Mark::HoldSound);
        ensure!(
            self.at.is_none() && self.ending.is_none(),
            "the hold sound stops with the hold",
            "{leg} at {now}"
        );
        let alone = now.since(self.unserved_since);
        ensure!(
            self.limits.hold_after.is_some_and(|after| alone >= after),
            "the hold sound has its time",
            "after {alone:?}, where {:?} are wanted",
            self.limits.hold_after
        );
        ensure!(
            piece == self.hold.pieces && self.caller_hears(leg),
            "the hold sound is heard once, in order",
            "{piece} on {leg}, where {} is next",
            self.hold.pieces
        );
        let hold = &mut self.hold;
        hold.pieces += 1;
        hold.heard_at = hold.heard_at.max(now) + PIECE;
        let ahead = hold.heard_at.since(now);
        ensure!(
            ahead <= AHEAD,
            "the hold sound is never far ahead",
            "{ahead:?}"
        );
        if let Some(caller) = self.present(leg) {
            caller.unwritten_sound += 1;
        }
        Ok(())
    }

    /// Where a caller should hear something, it does, and the engine wants to come back in time.
    pub(super) fn hears_enough(&self, shell: &Shell, now: Time) -> Check {
        let Some(after) = self.limits.hold_after else {
            return Ok(());
        };
        let due =
            self.at.is_none() && self.ending.is_none() && now.since(self.unserved_since) >= after;
        let hears =
            |caller: &Leg| self.caller_hears(&LegRef::new(LegName::CALLER, caller.incarnation));
        if !due || !self.legs.get(LegName::CALLER).is_some_and(hears) {
            return Ok(());
        }
        let ahead = self.hold.heard_at.since(now);
        let wake = shell.next_wake();
        ensure!(
            ahead > PIECE && wake.is_some_and(|wake| self.hold.heard_at.since(wake) >= PIECE),
            "the hold sound does not run dry",
            "{ahead:?} ahead, next at {wake:?}"
        );
        Ok(())
    }

    fn caller_hears(&self, leg: &LegRef) -> bool {
        let high = self.limits.leg_high;
        self.legs.get(leg.name.as_str()).is_some_and(|present| {
            leg.name.is_caller()
                && present.incarnation == leg.incarnation.0
                && present.phase == Phase::Open
                && present.unwritten_bytes() <= high
                && present.unwritten_sound < UNWRITTEN
        })
    }
}
