//! The one timer of a call.
//!
//! tokio's timers may fire late, and they round; the engine's deadlines are told by the edge's
//! clock. So the sleep only makes sure that somebody looks at the clock. It is moved only when that
//! would be too late: deadlines move away with each frame, and to follow them would cost more than to
//! look at the clock in vain a few times a second.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use holdline_session::Time;
use tokio::time::Sleep;

use crate::clock::Clock;

#[derive(Debug)]
pub(super) struct Alarm {
    clock: Clock,
    sleep: Pin<Box<Sleep>>,
    /// When somebody looks next, if that is not over.
    set_for: Option<Time>,
}

impl Alarm {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            sleep: Box::pin(tokio::time::sleep_until(clock.instant(Time(0)))),
            set_for: None,
        }
    }

    /// Ready once the clock shows `due`; never where that is `None`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, due: Option<Time>) -> Poll<()> {
        let Some(due) = due else {
            return Poll::Pending;
        };
        loop {
            if self.clock.now() >= due {
                self.set_for = None;
                return Poll::Ready(());
            }
            if self.set_for.is_none_or(|at| at > due) {
                self.sleep.as_mut().reset(self.clock.instant(due));
                self.set_for = Some(due);
            }
            std::task::ready!(self.sleep.as_mut().poll(cx));
            // Rounded down, too far ahead to be slept through at once, or set for an earlier time.
            self.set_for = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn is_ready_when_the_clock_is_and_may_be_set_earlier() {
        let clock = Clock::start();
        let mut alarm = Alarm::new(clock);
        let start = clock.now();
        let late = start + Duration::from_secs(60);
        let soon = start + Duration::from_millis(20);
        let first = tokio::time::timeout(
            Duration::from_secs(1),
            poll_fn(|cx| alarm.poll(cx, Some(late))),
        );
        assert!(first.await.is_err());
        poll_fn(|cx| alarm.poll(cx, Some(soon))).await;
        poll_fn(|cx| alarm.poll(cx, Some(late))).await;
        assert_eq!(clock.now().since(start), Duration::from_secs(60));
    }
}
