//! What a leg is to write.

use std::{
    collections::VecDeque,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::Sink as _;
use holdline_session::Payload;
use holdline_tls::Stream;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{self, Message, Utf8Bytes},
};

/// Bytes that the WebSocket library gathers before it writes by itself: frames queued together
/// leave in one system call.
pub(super) const WRITE_BUFFER: usize = 16 << 10;
/// Frames are handed to the library up to this many bytes between two flushes. Only a flush tells
/// that they are written, so this is also the grain in which progress is seen.
const FEED: usize = 64 << 10;
/// Room for pongs and a close frame behind a full feed.
const SLACK: usize = 4 << 10;
/// Longest header of a frame (RFC 6455, 5.2).
const HEADER: usize = 14;
/// A leg always takes messages up to this size, however small its own `max_frame` is.
const LARGEST_MIN: usize = 1 << 20;

/// Messages on their way out: queued, then fed to the WebSocket library, then flushed.
pub(super) struct Outbox {
    queue: VecDeque<Payload>,
    /// Frames and payload bytes that were fed since the last flush.
    fed: (u64, u64),
    /// The same in bytes on the wire.
    fed_wire: usize,
    /// Something other than a message waits for a flush.
    pinged: bool,
    /// Largest message that the library's buffer can take.
    largest: usize,
}

/// Why nothing more goes out.
pub(super) enum OutError {
    /// The socket failed.
    Socket(tungstenite::Error),
    /// A message that cannot be sent, and why.
    Frame(&'static str),
}

/// Upper bound of the library's write buffer for a leg with this `max_frame`.
pub(super) fn max_write_buffer(max_frame: usize) -> usize {
    FEED + largest(max_frame) + HEADER + SLACK
}

fn largest(max_frame: usize) -> usize {
    max_frame.max(LARGEST_MIN)
}

impl Outbox {
    pub(super) fn new(max_frame: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            fed: (0, 0),
            fed_wire: 0,
            pinged: false,
            largest: largest(max_frame),
        }
    }

    pub(super) fn push(&mut self, payload: Payload) {
        self.queue.push_back(payload);
    }

    /// Whether all is written and flushed.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.fed.0 == 0 && !self.pinged
    }

    /// Sends a ping with the next flush. If there is no room for one, the peer is not reading, and
    /// needs none to tell us so.
    pub(super) fn ping(&mut self, web_socket: &mut WebSocketStream<Stream>) {
        let _ = Pin::new(web_socket).start_send(Message::Ping(Bytes::new()));
        self.pinged = true;
    }

    /// Feeds as much as may be fed, then flushes once. Resolves to the frames and payload bytes that
    /// the socket took; pending while there is nothing to write.
    pub(super) fn poll_written(
        &mut self,
        web_socket: &mut WebSocketStream<Stream>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(u64, u64), OutError>> {
        loop {
            self.feed(web_socket, cx)?;
            if self.fed.0 == 0 && !self.pinged {
                return Poll::Pending;
            }
            ready!(Pin::new(&mut *web_socket).poll_flush(cx)).map_err(OutError::Socket)?;
            self.pinged = false;
            self.fed_wire = 0;
            let written = std::mem::take(&mut self.fed);
            if written.0 > 0 {
                return Poll::Ready(Ok(written));
            }
        }
    }

    fn feed(
        &mut self,
        web_socket: &mut WebSocketStream<Stream>,
        cx: &mut Context<'_>,
    ) -> Result<(), OutError> {
        while let Some(payload) = self.queue.front() {
            if self.fed_wire >= FEED {
                return Ok(());
            }
            if payload.len() > self.largest {
                return Err(OutError::Frame(
                    "a message to this leg is over its max_frame",
                ));
            }
            match Pin::new(&mut *web_socket).poll_ready(cx) {
                Poll::Ready(ready) => ready.map_err(OutError::Socket)?,
                Poll::Pending => return Ok(()),
            }
            let length = payload.len();
            match Pin::new(&mut *web_socket).start_send(message(payload)?) {
                Ok(()) => {}
                // Pongs took the room. The message is still at the front of the queue.
                Err(tungstenite::Error::WriteBufferFull(_)) => {
                    self.pinged = true;
                    return Ok(());
                }
                Err(error) => return Err(OutError::Socket(error)),
            }
            self.queue.pop_front();
            self.fed.0 += 1;
            self.fed.1 += length as u64;
            self.fed_wire += length + HEADER;
        }
        Ok(())
    }
}

/// The message, sharing the payload's bytes. Text was checked where it entered; the type of the
/// library's text asks for it again, and a failure here is a bug of ours that costs one leg.
fn message(payload: &Payload) -> Result<Message, OutError> {
    match payload {
        Payload::Text(bytes) => match Utf8Bytes::try_from(bytes.clone()) {
            Ok(text) => Ok(Message::Text(text)),
            Err(_) => Err(OutError::Frame("a text message to this leg is not UTF-8")),
        },
        Payload::Binary(bytes) => Ok(Message::Binary(bytes.clone())),
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("queued", &self.queue.len())
            .field("fed", &self.fed)
            .finish()
    }
}
