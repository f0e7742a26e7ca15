//! Whether another call may come in, and how many there are.
//!
//! The count is held by the call itself, from before its upgrade until its session is over, so that
//! zero means that nothing is left: no socket, no session, no worker that still runs one.

use std::{sync::Arc, time::Duration};

use holdline_legs::{Gate, Permit, Refusal, RefusalReason};
use tokio::sync::watch;

use crate::lifecycle::{Phase, takes_calls};

/// The gate of all listeners of an edge. Cheap to clone.
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

    fn refuse(&self, reason: RefusalReason) -> Refusal {
        Refusal {
            reason,
            retry_after: self.retry_after,
        }
    }
}

impl Gate for Admission {
    fn admit(&self) -> Result<Permit, Refusal> {
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
        drop(permit);
        gate.idle().await;
        phase.send_replace(Phase::LameDuck);
        drop(gate.admit().unwrap());
        phase.send_replace(Phase::Refusing);
        let refusal = gate.admit().unwrap_err();
        assert_eq!(refusal.reason, RefusalReason::Draining);
        assert_eq!(refusal.retry_after, Duration::from_secs(5));
    }
}
