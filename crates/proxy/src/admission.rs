//! Whether another call may come in, and how many there are.
//!
//! The count is held by the call itself, from before its upgrade until its session is over, so that
//! zero means that nothing is left: no socket, no session, no worker that still runs one.

use std::{sync::Arc, time::Duration};

use holdline_legs::{Permit, Refusal, RefusalReason};
use tokio::sync::watch;

use crate::lifecycle::{Phase, takes_calls};

/// How many calls there are, and whether more may be. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    bounds: Arc<watch::Sender<Bounds>>,
    phase: watch::Receiver<Phase>,
    active: Arc<watch::Sender<usize>>,
}

/// How many calls may be, and what the others are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Calls at once.
    pub(crate) limit: usize,
    /// When to come again.
    pub(crate) retry_after: Duration,
}

impl Admission {
    /// Admits as many calls as `bounds` say while `phase` takes calls.
    pub(crate) fn new(bounds: Bounds, phase: watch::Receiver<Phase>) -> Self {
        Self {
            bounds: Arc::new(watch::Sender::new(bounds)),
            phase,
            active: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Other bounds hold from the next call on; those that are admitted stay.
    pub(crate) fn set_bounds(&self, bounds: Bounds) {
        self.bounds.send_replace(bounds);
    }

    /// Calls that are admitted now.
    pub(crate) fn active(&self) -> usize {
        *self.active.borrow()
    }

    /// The same, to be followed.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn follow(&self) -> watch::Receiver<usize> {
        self.active.subscribe()
    }

    /// Waits until there is none. Cancel safe.
    pub(crate) async fn idle(&self) {
        let mut active = self.active.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = active.wait_for(|calls| *calls == 0).await;
    }

    /// Whether a new call would be admitted now.
    pub(crate) fn is_open(&self) -> bool {
        takes_calls(*self.phase.borrow()) && self.active() < self.bounds.borrow().limit
    }

    /// Admits a new call.
    ///
    /// # Errors
    /// There are as many as may be, or none is taken any more.
    pub(crate) fn admit(&self) -> Result<Permit, Refusal> {
        if !takes_calls(*self.phase.borrow()) {
            return Err(self.refuse(RefusalReason::Draining));
        }
        let limit = self.bounds.borrow().limit;
        let admitted = self.active.send_if_modified(|calls| {
            let room = *calls < limit;
            *calls += usize::from(room);
            room
        });
        if !admitted {
            return Err(self.refuse(RefusalReason::Full));
        }
        Ok(Permit::new(Admitted(Arc::clone(&self.active))))
    }

    /// Admits a further stream of a call that has been admitted. It counts until it has joined.
    pub(crate) fn admit_back(&self) -> Permit {
        self.active.send_modify(|calls| *calls += 1);
        Permit::new(Admitted(Arc::clone(&self.active)))
    }

    pub(crate) fn refuse(&self, reason: RefusalReason) -> Refusal {
        Refusal {
            reason,
            retry_after: self.bounds.borrow().retry_after,
        }
    }
}

/// Counts one call for as long as it lives.
struct Admitted(Arc<watch::Sender<usize>>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.send_modify(|calls| *calls = calls.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bounds(limit: usize) -> Bounds {
        Bounds {
            limit,
            retry_after: Duration::from_secs(5),
        }
    }

    #[tokio::test]
    async fn other_bounds_hold_from_the_next_call_on() {
        let phase = watch::Sender::new(Phase::Serving);
        let gate = Admission::new(bounds(1), phase.subscribe());
        let _first = gate.admit().unwrap();
        gate.set_bounds(bounds(2));
        let _second = gate.admit().unwrap();
        gate.set_bounds(bounds(1));
        assert_eq!(gate.active(), 2);
        assert_eq!(gate.admit().unwrap_err().reason, RefusalReason::Full);
    }

    #[tokio::test]
    async fn counts_admits_to_the_limit_and_refuses_when_draining() {
        let phase = watch::Sender::new(Phase::Serving);
        let gate = Admission::new(bounds(1), phase.subscribe());
        gate.idle().await;
        let permit = gate.admit().unwrap();
        assert_eq!(gate.active(), 1);
        assert_eq!(gate.admit().unwrap_err().reason, RefusalReason::Full);
        assert!(!gate.is_open());
        drop(gate.admit_back());
        assert_eq!(gate.active(), 1);
        drop(permit);
        gate.idle().await;
        phase.send_replace(Phase::LameDuck);
        drop(gate.admit().unwrap());
        phase.send_replace(Phase::Refusing);
        assert!(!gate.is_open());
        let refusal = gate.admit().unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::Draining);
        assert_eq!(refusal.retry_after, Duration::from_secs(5));
    }
}
