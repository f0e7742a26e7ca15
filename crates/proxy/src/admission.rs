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
    limit: usize,
    retry_after: Duration,
    phase: watch::Receiver<Phase>,
    active: Arc<watch::Sender<usize>>,
}

impl Admission {
    /// Admits up to `limit` calls at once while `phase` takes calls; the others are told to come
    /// again in `retry_after`.
    pub(crate) fn new(limit: usize, retry_after: Duration, phase: watch::Receiver<Phase>) -> Self {
        Self {
            limit,
            retry_after,
            phase,
            active: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Calls that are admitted now.
    pub(crate) fn active(&self) -> usize {
        *self.active.borrow()
    }

    /// Waits until there is none. Cancel safe.
    pub(crate) async fn idle(&self) {
        let mut active = self.active.subscribe();
        // The sender is in `self`, so it cannot be gone.
        let _ = active.wait_for(|calls| *calls == 0).await;
    }

    /// Whether a new call would be admitted now.
    pub(crate) fn is_open(&self) -> bool {
        takes_calls(*self.phase.borrow()) && self.active() < self.limit
    }

    /// Admits a new call.
    ///
    /// # Errors
    /// There are as many as may be, or none is taken any more.
    pub(crate) fn admit(&self) -> Result<Permit, Refusal> {
        if !takes_calls(*self.phase.borrow()) {
            return Err(self.refuse(RefusalReason::Draining));
        }
        let admitted = self.active.send_if_modified(|calls| {
            let room = *calls < self.limit;
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
            retry_after: self.retry_after,
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

    #[tokio::test]
    async fn counts_admits_to_the_limit_and_refuses_when_draining() {
        let phase = watch::Sender::new(Phase::Serving);
        let gate = Admission::new(1, Duration::from_secs(5), phase.subscribe());
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
