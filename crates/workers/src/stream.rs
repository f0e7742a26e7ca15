//! One attachment: the gRPC stream between one session and one worker.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use holdline_session::{FromWorker, HangupCause, Loss, MoveReason, Suspicion, ToWorker, WorkerId};
use holdline_wire::v1;
use prost::Message as _;

use crate::{
    convert::{Batches, Malformed, from_worker},
    link::Lease,
    loss,
    serve::{Full, Serve},
    shared::Place,
};

/// So many times in a row a worker may say that it drains before the session's other events have
/// their turn: said again it means nothing new, and a flood of it must not hold up the call.
const DRAININGS_MAX: usize = 8;

/// What an attachment's stream tells.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StreamEvent {
    /// The worker spoke. `Draining` comes here only in answer to an offer: said by a worker that
    /// has the session it concerns all sessions there, and each hears of it as `Move`, at a pace.
    Message(FromWorker),
    /// Leave this worker now. Told only after `Attach` and only while there is a better place;
    /// told again after some seconds where the session is still there.
    Move(MoveReason),
    /// The stream is over. The last event.
    Lost(Loss),
}

/// One attachment. Dropping it hangs up.
pub struct WorkerStream {
    opened: Opened,
    /// Received, but not yet wanted.
    stash: Option<FromWorker>,
    /// Whether the session was handed over.
    attached: bool,
    /// The worker has committed something, and the state was of this schema then.
    committed: Option<u32>,
    /// The out-queue was full.
    overrun: bool,
    /// `Lost` was said.
    over: bool,
}

/// What a stream is made of.
pub(crate) struct Opened {
    pub(crate) place: Place,
    pub(crate) lease: Lease,
    pub(crate) address: String,
    pub(crate) batches: Batches,
    pub(crate) serve: Serve,
}

impl WorkerStream {
    pub(crate) fn new(opened: Opened) -> Self {
        Self {
            opened,
            stash: None,
            attached: false,
            committed: None,
            overrun: false,
            over: false,
        }
    }

    /// Which worker this is.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.opened.place.worker()
    }

    /// The worker's version.
    #[must_use]
    pub fn version(&self) -> &str {
        self.opened.place.version()
    }

    /// Where the worker listens, for logs.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.opened.address
    }

    /// Queues a message. Never waits: the engine's window bounds what is queued. Where that is
    /// overrun nonetheless, the next event is `Lost`, and whoever waits for one is woken.
    pub fn send(&mut self, message: ToWorker) {
        if matches!(message, ToWorker::Attach(_)) {
            self.attached = true;
            self.opened.place.attached();
        }
        let Opened {
            place,
            batches,
            serve,
            ..
        } = &mut self.opened;
        let overrun = &mut self.overrun;
        batches.messages(message, |message| match serve.send(&message) {
            Ok(true) => {}
            // It goes on when it is polled.
            Ok(false) => place.signals().wake(),
            Err(Full) => {
                *overrun = true;
                place.signals().wake();
            }
        });
    }

    /// The session is under less suspicion than when it was sought: so much is left of it.
    pub fn cleared(&self, left: Suspicion) {
        self.opened.place.cleared(left);
    }

    /// The next event. Takes messages only if `read`; moves and losses come in any case. Pending
    /// for ever after `Lost`.
    ///
    /// Drives the stream: to be polled by one task only. Cancel safe.
    pub fn poll_event(&mut self, cx: &mut Context<'_>, read: bool) -> Poll<StreamEvent> {
        if self.over {
            return Poll::Pending;
        }
        self.opened.place.signals().register(cx.waker());
        if self.overrun {
            return self.lost(Loss::Failed {
                status: "the worker does not read: its out-queue is full".to_owned(),
            });
        }
        if let Some(reason) = self.opened.place.signals().take_move() {
            return Poll::Ready(StreamEvent::Move(reason));
        }
        let mut drainings = 0;
        while self.stash.is_none() {
            if drainings == DRAININGS_MAX {
                cx.waker().wake_by_ref();
                break;
            }
            let said = self.opened.serve.poll_message(cx);
            match said.map(|said| said.map(|message| message.map(understood))) {
                Poll::Ready(Some(Ok(Ok(FromWorker::Draining { within })))) => {
                    drainings += 1;
                    self.opened.place.draining(within);
                    if !self.attached {
                        self.stash = Some(FromWorker::Draining { within });
                    }
                }
                Poll::Ready(Some(Ok(Ok(message)))) => {
                    self.note(&message);
                    self.stash = Some(message);
                }
                Poll::Ready(Some(Ok(Err(Malformed(what))))) => {
                    return self.lost(Loss::Malformed { what });
                }
                Poll::Ready(Some(Err(status))) => {
                    let loss = loss::loss(&status, self.opened.lease.state());
                    return self.lost(loss);
                }
                Poll::Ready(None) => return self.lost(Loss::Ended),
                Poll::Pending => break,
            }
        }
        if read && let Some(message) = self.stash.take() {
            return Poll::Ready(StreamEvent::Message(message));
        }
        if self.opened.place.signals().is_lost() {
            return self.lost(Loss::Disconnected {
                cause: "the connection to the worker is gone".to_owned(),
            });
        }
        Poll::Pending
    }

    /// Ends the stream and says why, so that a worker which fails several sessions is set aside.
    pub fn hang_up(self, cause: &HangupCause) {
        match cause {
            HangupCause::Stuck | HangupCause::Refused { .. } => self.opened.place.failed(),
            HangupCause::Done | HangupCause::Fenced => {}
        }
    }

    fn note(&mut self, message: &FromWorker) {
        if let FromWorker::Commit(commit) = message
            && self.committed != Some(commit.schema)
        {
            self.committed = Some(commit.schema);
            self.opened.place.committed(commit.schema);
        }
    }

    fn lost(&mut self, loss: Loss) -> Poll<StreamEvent> {
        self.over = true;
        match loss {
            Loss::Failed { .. } | Loss::Malformed { .. } => self.opened.place.failed(),
            // A session that it runs is not to be ended by the worker.
            Loss::Ended if self.attached => self.opened.place.failed(),
            Loss::Disconnected { .. } if self.attached && self.committed.is_none() => {
                self.opened.place.lost_at_once();
            }
            // Its connection tells all there is to say of the worker.
            Loss::Disconnected { .. } | Loss::Ended => {}
        }
        Poll::Ready(StreamEvent::Lost(loss))
    }
}

impl fmt::Debug for WorkerStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerStream")
            .field("worker", &self.worker())
            .field("address", &self.opened.address)
            .finish_non_exhaustive()
    }
}

/// What a message says. One that is not understood is the worker's fault, not the stream's end.
pub(crate) fn understood(message: Bytes) -> Result<FromWorker, Malformed> {
    match v1::ServeResponse::decode(message) {
        Ok(response) => from_worker(response),
        Err(error) => Err(Malformed(format!("not a ServeResponse: {error}"))),
    }
}
