//! What a held caller hears: never before its time, never far ahead of it, and no longer than the
//! hold.

use std::time::Duration;

use holdline_session::{LegName, LegRef, Session, Time};

use super::{At, Ledger, Leg, Phase};
use crate::engine::rig::ms;

/// The sound of the present time without a worker.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pieces: u64,
    /// When all of it will have been heard.
    heard_at: Time,
}

impl Hold {
    pub(super) fn audio_ms(&self) -> u64 {
        self.pieces * 20
    }

    fn ahead(&self, now: Time) -> Duration {
        self.heard_at.since(now)
    }
}

impl Ledger {
    pub(super) fn begins_alone(&mut self, now: Time, at: &At) {
        if at.serves {
            self.unserved_since = now;
        }
        self.hold = Hold::default();
    }

    /// The caller is to hear 20 ms.
    pub(super) fn sounds(&mut self, now: Time, leg: &LegRef, piece: u64) {
        assert!(self.at.is_none() && self.ending.is_none(), "nobody holds");
        let after = self.limits.hold_after.expect("it is to be silent");
        assert!(now.since(self.unserved_since) >= after, "too early");
        assert_eq!(piece, self.hold.pieces, "one after the other");
        assert!(self.hears(leg), "{leg} cannot hear it");
        self.hold.pieces += 1;
        self.hold.heard_at = self.hold.heard_at.max(now) + ms(20);
        assert!(self.hold.ahead(now) <= ms(40), "too far ahead");
        let caller = self.legs.get_mut(LegName::CALLER).unwrap();
        caller.unwritten_sound += 1;
    }

    /// A caller who could hear something does, and will in time.
    pub(super) fn hears_enough(&self, session: &Session, now: Time) {
        let caller = self.leg_ref(LegName::CALLER);
        let hears = caller.is_some_and(|leg| self.hears(&leg));
        // Time in which the edge stood still counts for nothing: then it may begin later.
        if self.at.is_none() && self.ending.is_none() && self.hold.pieces > 0 && hears {
            assert!(self.hold.ahead(now) > ms(20), "the line runs dry");
            let next = session.next_wake().unwrap();
            assert!(self.hold.heard_at.since(next) >= ms(20), "it will");
        }
    }

    fn hears(&self, leg: &LegRef) -> bool {
        let high = self.limits.leg_high;
        let can = |caller: &Leg| {
            caller.phase == Phase::Open
                && caller.unwritten.iter().sum::<u64>() <= high
                && caller.unwritten_sound < 4
        };
        leg.name.is_caller()
            && self.leg_ref(LegName::CALLER).as_ref() == Some(leg)
            && can(&self.legs[LegName::CALLER])
    }
}
