//! The attachments of a call: streams to workers, by epoch, being sought or open.
//!
//! Usually there is one. During a planned move there are two: the old worker finishes while the
//! new one is already asked.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use holdline_session::{Epoch, Event, HangupCause, Suspicion, ToWorker};
use holdline_workers::{Pool, SeekError, SeekRequest, StreamEvent, WorkerStream};

use super::turn::{Bell, Turn};

type Search = Pin<Box<dyn Future<Output = Result<WorkerStream, SeekError>> + Send>>;

/// All streams of one call.
#[derive(Debug)]
pub(super) struct Streams {
    pool: Pool,
    bell: Bell,
    live: Vec<Attachment>,
}

#[derive(Debug)]
struct Attachment {
    epoch: Epoch,
    turn: Turn,
    stream: Stream,
}

/// ```text
/// Seeking ──found──► Open ──lost or hung up──► Over
///    └──────not found, or no longer wanted──────┘
/// ```
enum Stream {
    Seeking(Search),
    Open(Box<WorkerStream>),
    Over,
}

impl Streams {
    /// `bell` is rung when one of them has something to tell.
    pub(super) fn new(pool: Pool, bell: Bell) -> Self {
        Self {
            pool,
            bell,
            live: Vec::new(),
        }
    }

    /// Starts to look for a worker; the answer comes from [`Streams::poll`].
    pub(super) fn seek(&mut self, request: SeekRequest) {
        let epoch = request.seek.epoch;
        let search = Box::pin(self.pool.seek(request));
        self.live.push(Attachment {
            epoch,
            turn: Turn::new(&self.bell),
            stream: Stream::Seeking(search),
        });
    }

    /// Says something on a stream; nothing where it is over, which the engine learns anyway.
    pub(super) fn send(&mut self, epoch: Epoch, message: ToWorker) {
        if let Some(attachment) = self.attachment_mut(epoch)
            && let Stream::Open(stream) = &mut attachment.stream
        {
            stream.send(message);
        }
    }

    /// Ends a stream or takes a search back.
    pub(super) fn hang_up(&mut self, epoch: Epoch, cause: &HangupCause) {
        let Some(attachment) = self.attachment_mut(epoch) else {
            return;
        };
        if let Stream::Open(open) = std::mem::replace(&mut attachment.stream, Stream::Over) {
            open.hang_up(cause);
        }
    }

    /// The session is under less suspicion: so much is left of it.
    pub(super) fn cleared(&self, epoch: Epoch, left: Suspicion) {
        for attachment in &self.live {
            if let Stream::Open(stream) = &attachment.stream
                && attachment.epoch == epoch
            {
                stream.cleared(left);
            }
        }
    }

    /// Where the worker of an open stream listens.
    pub(super) fn address(&self, epoch: Epoch) -> Option<&str> {
        self.live
            .iter()
            .find_map(|attachment| match &attachment.stream {
                Stream::Open(stream) if attachment.epoch == epoch => Some(stream.address()),
                _ => None,
            })
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    pub(super) fn epoch(&self, index: usize) -> Option<Epoch> {
        self.live.get(index).map(|attachment| attachment.epoch)
    }

    /// What the stream at `index` has to tell. Takes messages from it only if `read`.
    pub(super) fn poll(&mut self, index: usize, read: bool) -> Poll<Event> {
        let Some(attachment) = self.live.get_mut(index) else {
            return Poll::Pending;
        };
        let Attachment {
            epoch,
            turn,
            stream,
        } = attachment;
        turn.take(read, |cx| stream.poll(*epoch, cx, read))
    }

    /// Forgets streams that are over. Moves the others' indices.
    pub(super) fn sweep(&mut self) {
        self.live
            .retain(|attachment| !matches!(attachment.stream, Stream::Over));
    }

    fn attachment_mut(&mut self, epoch: Epoch) -> Option<&mut Attachment> {
        self.live.iter_mut().find(|it| it.epoch == epoch)
    }
}

impl Stream {
    fn poll(&mut self, epoch: Epoch, cx: &mut Context<'_>, read: bool) -> Poll<Event> {
        match self {
            Self::Seeking(search) => {
                let found = ready!(search.as_mut().poll(cx));
                Poll::Ready(self.found(epoch, found))
            }
            Self::Open(open) => {
                let event = ready!(open.poll_event(cx, read));
                if matches!(event, StreamEvent::Lost(_)) {
                    *self = Self::Over;
                }
                Poll::Ready(translate(epoch, event))
            }
            Self::Over => Poll::Pending,
        }
    }

    fn found(&mut self, epoch: Epoch, found: Result<WorkerStream, SeekError>) -> Event {
        match found {
            Ok(open) => {
                let event = Event::Offered {
                    epoch,
                    worker: open.worker(),
                    version: open.version().to_owned(),
                };
                *self = Self::Open(Box::new(open));
                event
            }
            Err(error) => {
                *self = Self::Over;
                Event::SeekFailed {
                    epoch,
                    reason: error.to_string(),
                    crowded: error.is_crowded(),
                }
            }
        }
    }
}

fn translate(epoch: Epoch, event: StreamEvent) -> Event {
    match event {
        StreamEvent::Message(message) => Event::FromWorker { epoch, message },
        StreamEvent::Move(reason) => Event::Move { epoch, reason },
        StreamEvent::Lost(loss) => Event::StreamLost { epoch, loss },
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Seeking(_) => "seeking",
            Self::Open(_) => "open",
            Self::Over => "over",
        })
    }
}
