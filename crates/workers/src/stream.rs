//! One attachment: the gRPC stream between one session and one worker.

use std::task::{Context, Poll};

use holdline_session::{FromWorker, HangupCause, Loss, MoveReason, ToWorker, WorkerId};

/// What an attachment's stream tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// The worker spoke.
    Message(FromWorker),
    /// Leave this worker now. The pool paces these over all sessions of a worker, and tells them
    /// only while there is a better place.
    Move(MoveReason),
    /// The stream is over. The last event.
    Lost(Loss),
}

/// One attachment. Dropping it hangs up.
#[derive(Debug)]
pub struct WorkerStream {
    _private: (),
}

impl WorkerStream {
    /// Which worker this is.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        WorkerId(0)
    }

    /// The worker's version.
    #[must_use]
    pub fn version(&self) -> &str {
        ""
    }

    /// Where the worker listens, for logs.
    #[must_use]
    pub fn address(&self) -> &str {
        ""
    }

    /// Queues a message. Never waits: the engine's window bounds what is queued. Where that is
    /// overrun nonetheless, the next event is `Lost`.
    pub fn send(&mut self, message: ToWorker) {
        drop(message);
    }

    /// The next event. Takes messages only if `read`; moves and losses come in any case.
    ///
    /// Drives the stream: to be polled by one task only. Cancel safe.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<StreamEvent> {
        let _ = (cx, read);
        Poll::Pending
    }

    /// Ends the stream and says why, so that a worker which fails several sessions is set aside.
    pub fn hang_up(self, cause: &HangupCause) {
        let _ = cause;
    }
}
