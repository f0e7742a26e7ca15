//! A timer that is cheap to move.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Wakes the leg at a deadline that moves with every message. The runtime's timer is only touched
/// when the deadline moves closer or the old one has come: moving it fifty times a second would
/// cost more than reading the frames.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once `when` has come; otherwise the task is woken by then, or earlier.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, when: Option<Instant>) -> Poll<()> {
        let Some(when) = when else {
            return Poll::Pending;
        };
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(when)));
        if sleep.deadline() > when {
            sleep.as_mut().reset(when);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if when <= Instant::now() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(when);
        }
        Poll::Pending
    }
}
