//! The edge's own end: a phone call must not notice it, and it must come to an end itself.
//!
//! Load balancers learn late that an edge goes away, so it first says so and takes calls all the
//! same. Then it waits for the calls, not for connections: every call holds its admission until its
//! session is over. Only at the deadline is anything cut, and what is cut is named.

use std::time::Duration;

use holdline_config::Drain;
use holdline_session::{EndReason, Limits};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::{
    clock::unix_seconds,
    edge::Edge,
    lifecycle::{Lifecycle, Phase, Wish},
    order::Order,
    table::Entry,
};

/// What a call may take to end beyond the bounds that its engine keeps, before its task is aborted.
const ABORT_MARGIN: Duration = Duration::from_secs(1);

/// How an edge came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct ExitReport {
    /// From the wish to drain until the last call was over.
    pub drained_in: Duration,
    /// Calls that still lived at the deadline and were ended by the edge.
    pub cut: usize,
    /// Of these, calls whose task had to be aborted: their worker did not learn of the end.
    pub aborted: usize,
}

/// Waits for the wish to drain, then sees the edge to its end.
pub(crate) async fn drained(edge: &Edge, mut lifecycle: Lifecycle) -> ExitReport {
    lifecycle.wished(Wish::Drain).await;
    // As they are now: a drain that has begun is not to change its course.
    let settings = *edge.drain.borrow();
    let mut drain = Draining {
        edge,
        settings,
        lifecycle,
        began: Instant::now(),
    };
    let deadline = edge.clock.now() + settings.deadline;
    edge.metrics.drain.deadline.set(unix_seconds(deadline));
    drain.enter(Phase::LameDuck);
    let mut next = drain.wait(settings.lame_duck, false).await;
    if next == Next::Time {
        drain.enter(Phase::Refusing);
        next = drain.refuse().await;
    }
    let (cut, aborted) = match next {
        Next::Idle => (0, 0),
        Next::Time | Next::Hurry => drain.close().await,
    };
    edge.metrics.drain.cut(cut, aborted);
    drain.enter(Phase::Done);
    ExitReport {
        drained_in: drain.began.elapsed(),
        cut,
        aborted,
    }
}

struct Draining<'a> {
    edge: &'a Edge,
    settings: Drain,
    lifecycle: Lifecycle,
    began: Instant,
}

/// What ended a wait.
#[derive(PartialEq, Eq)]
enum Next {
    /// Its time came.
    Time,
    /// No call is left.
    Idle,
    /// Somebody wants it over with.
    Hurry,
}

impl Draining<'_> {
    fn enter(&self, phase: Phase) {
        let sessions = self.edge.admission.active();
        info!(phase = phase.as_str(), sessions, "drain");
        self.edge.metrics.drain.set_phase(phase);
        self.lifecycle.enter(phase);
    }

    /// Waits until `after` the beginning of the drain.
    async fn wait(&mut self, after: Duration, until_idle: bool) -> Next {
        let left = after.saturating_sub(self.began.elapsed());
        tokio::select! {
            biased;
            () = self.edge.admission.idle(), if until_idle => Next::Idle,
            () = self.lifecycle.wished(Wish::Close) => Next::Hurry,
            () = sleep(left) => Next::Time,
        }
    }

    /// Waits for the calls to end by themselves, and tells them when it is time to.
    async fn refuse(&mut self) -> Next {
        let Drain {
            deadline, notice, ..
        } = self.settings;
        let next = self.wait(deadline.saturating_sub(notice), true).await;
        if next != Next::Time {
            return next;
        }
        let remaining = deadline.saturating_sub(self.began.elapsed());
        info!(
            sessions = self.edge.admission.active(),
            remaining_s = remaining.as_secs(),
            "deadline near"
        );
        self.tell(|| Order::DeadlineNear(remaining));
        self.wait(deadline, true).await
    }

    /// Ends what is left, and says what that is.
    async fn close(&self) -> (usize, usize) {
        self.enter(Phase::Closing);
        let live = self.live();
        let cut = live.len();
        for call in live {
            let age_s = self.edge.clock.now().since(call.since).as_secs();
            let call_sid = call.call_sid.as_deref().unwrap_or_default();
            warn!(session = %call.id, call_sid, age_s, "call is cut: the drain deadline is reached");
            if let (false, Some(abort)) = (call.begun, &call.abort) {
                // Nobody has said yet who calls, so there is nothing to end in good order.
                abort.abort();
            }
        }
        self.tell(|| Order::End {
            reason: EndReason::EdgeDeadline,
            detail: "the edge reached its drain deadline",
        });
        let bound = last_wait(&self.edge.limits);
        if tokio::time::timeout(bound, self.edge.admission.idle())
            .await
            .is_ok()
        {
            return (cut, 0);
        }
        let stuck = self.edge.table.all();
        for call in &stuck {
            warn!(session = %call.id, "call did not end in time: its task is aborted");
            if let Some(abort) = &call.abort {
                abort.abort();
            }
        }
        (cut, stuck.len())
    }

    /// Calls whose session is not over; others may still be closing their sockets.
    fn live(&self) -> Vec<Entry> {
        let mut calls = self.edge.table.all();
        calls.retain(|call| !call.orders.is_closed());
        calls
    }

    fn tell(&self, order: impl Fn() -> Order) {
        for call in self.live() {
            if call.orders.try_send(order()).is_err() {
                // It is stuck, and will be aborted at the deadline.
                warn!(session = %call.id, "call takes no orders");
            }
        }
    }
}

/// The longest that a session takes from its end's begin to its last output.
fn last_wait(limits: &Limits) -> Duration {
    [
        limits.end_timeout,
        limits.close_timeout,
        limits.release_timeout,
        ABORT_MARGIN,
    ]
    .into_iter()
    .fold(Duration::ZERO, Duration::saturating_add)
}
