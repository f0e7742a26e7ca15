//! How an edge is asked to stop, and how others watch it do so.
//!
//! Signals belong to the binary, tests have none: both hold a [`Control`], and `run` holds the
//! other end. The phase is a watched value, so nobody needs to poll or sleep.

use tokio::sync::{mpsc, watch};

use crate::Reload;

/// Where an edge stands between its start and its exit. Only ever goes forward.
///
/// ```text
/// Serving ──drain──► LameDuck ──► Refusing ──deadline, or Control::close──► Closing ──► Done
///                                     └───────────no session is left───────────────────►
/// ```
pub use holdline_telemetry::DrainPhase as Phase;

/// Whether new calls are taken in this phase.
pub(crate) fn takes_calls(phase: Phase) -> bool {
    phase < Phase::Refusing
}

/// Configurations that stand unread at most; who brings more waits.
const RELOADS_MAX: usize = 4;

/// What has been asked of an edge so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Wish {
    Serve,
    Drain,
    Close,
}

/// Asks a running edge to stop and tells where it stands. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    wish: watch::Sender<Wish>,
    phase: watch::Receiver<Phase>,
    reloads: mpsc::Sender<Reload>,
}

impl Control {
    /// Starts the drain, as SIGTERM does. Does nothing where it has begun.
    pub fn drain(&self) {
        self.raise(Wish::Drain);
    }

    /// Goes to the deadline at once, as a second SIGTERM does: live calls are ended.
    pub fn close(&self) {
        self.raise(Wish::Close);
    }

    /// Hands over a configuration that was read again. Waits while several stand unread, and is
    /// without effect once the edge has ended. Cancel safe: it is handed over or not.
    pub async fn reload(&self, reload: Reload) {
        // Nobody to take it: the edge has ended.
        let _ = self.reloads.send(reload).await;
    }

    /// A view of the phase. A receiver that follows it sees each value that it waits for, though
    /// a short phase may pass unseen.
    #[must_use]
    pub fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.clone()
    }

    fn raise(&self, to: Wish) {
        self.wish.send_if_modified(|wish| {
            let more = to > *wish;
            if more {
                *wish = to;
            }
            more
        });
    }
}

/// The running edge's end of a [`Control`].
#[derive(Debug)]
pub struct Lifecycle {
    wish: watch::Receiver<Wish>,
    phase: watch::Sender<Phase>,
    reloads: Option<mpsc::Receiver<Reload>>,
}

impl Lifecycle {
    /// Makes both ends.
    #[must_use]
    pub fn new() -> (Self, Control) {
        let (wish, wished) = watch::channel(Wish::Serve);
        let (phase, seen) = watch::channel(Phase::Serving);
        let (reloads, reloaded) = mpsc::channel(RELOADS_MAX);
        let lifecycle = Self {
            wish: wished,
            phase,
            reloads: Some(reloaded),
        };
        let control = Control {
            wish,
            phase: seen,
            reloads,
        };
        (lifecycle, control)
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Configurations that are read again; none the second time.
    pub(crate) fn reloads(&mut self) -> Option<mpsc::Receiver<Reload>> {
        self.reloads.take()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    /// Waits until at least this is asked. Where every [`Control`] is gone, nobody could ask any
    /// more, and a drain counts as asked. Cancel safe.
    pub(crate) async fn wished(&mut self, at_least: Wish) {
        let asked = self.wish.wait_for(|wish| *wish >= at_least).await.is_ok();
        if !asked && at_least > Wish::Drain {
            std::future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wishes_only_grow() {
        let (mut lifecycle, control) = Lifecycle::new();
        control.close();
        control.drain();
        lifecycle.wished(Wish::Close).await;
    }

    #[tokio::test]
    async fn losing_every_control_drains_but_does_not_close() {
        let (mut lifecycle, control) = Lifecycle::new();
        drop(control);
        lifecycle.wished(Wish::Drain).await;
        let close = lifecycle.wished(Wish::Close);
        let waited = tokio::time::timeout(std::time::Duration::ZERO, close).await;
        assert!(waited.is_err());
    }
}
