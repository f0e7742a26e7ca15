//! What a pool tells a single attachment, without a queue: an attachment is polled thousands of
//! times for each time that it is told something.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    task::Waker,
};

use futures_util::task::AtomicWaker;
use holdline_session::MoveReason;

const DRAIN: u8 = 1;
const ROLLOUT: u8 = 1 << 1;
const OPERATOR: u8 = 1 << 2;
const LOST: u8 = 1 << 3;

/// Told by the pool, taken by the attachment's stream.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    bits: AtomicU8,
    waker: AtomicWaker,
}

impl Signals {
    /// Leave this worker.
    pub(crate) fn tell_move(&self, reason: MoveReason) {
        self.set(match reason {
            MoveReason::Drain => DRAIN,
            MoveReason::Rollout => ROLLOUT,
            MoveReason::Operator => OPERATOR,
        });
    }

    /// The worker is lost.
    pub(crate) fn tell_lost(&self) {
        self.set(LOST);
    }

    /// To be woken at the next signal. To be called before the signals are looked at.
    pub(crate) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Takes a move that was told since the last time.
    pub(crate) fn take_move(&self) -> Option<MoveReason> {
        if self.bits.load(Ordering::Acquire) & !LOST == 0 {
            return None;
        }
        let bits = self.bits.fetch_and(LOST, Ordering::AcqRel);
        [
            (OPERATOR, MoveReason::Operator),
            (DRAIN, MoveReason::Drain),
            (ROLLOUT, MoveReason::Rollout),
        ]
        .into_iter()
        .find_map(|(bit, reason)| (bits & bit != 0).then_some(reason))
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.bits.load(Ordering::Acquire) & LOST != 0
    }

    /// Wakes who is registered: there is something else to look at.
    pub(crate) fn wake(&self) {
        self.waker.wake();
    }

    fn set(&self, bit: u8) {
        self.bits.fetch_or(bit, Ordering::AcqRel);
        self.wake();
    }
}
