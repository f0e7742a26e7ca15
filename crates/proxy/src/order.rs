//! What a session task can be told from outside, between two events.

use std::time::Duration;

use holdline_session::{EndReason, External, Taken};
use tokio::sync::oneshot;

use crate::{call::Joining, status::Inside};

/// Something that the edge or an operator wants of one session.
#[derive(Debug)]
pub(crate) enum Order {
    /// Say how you are, as far as your record does not.
    Show(oneshot::Sender<Box<Inside>>),
    /// Something happened outside of the call.
    Tell(Box<External>, oneshot::Sender<Taken>),
    /// Leave your worker for another, since an operator wants it. The answer: whether you have one.
    Move(oneshot::Sender<bool>),
    /// Take this stream in the place of the caller's present one.
    Join(Box<Joining>),
    /// The edge ends you in so much time: tell your worker.
    DeadlineNear(Duration),
    /// End now.
    End {
        /// Why.
        reason: EndReason,
        /// In words, for the worker and the log.
        detail: &'static str,
    },
}
