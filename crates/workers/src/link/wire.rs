//! The socket under a connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use holdline_tls::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{LinkState, frames::Frames};
use crate::tls;

/// How an alert of TLS begins (RFC 8446, 5.1): what a worker with TLS answers to one without.
const TLS_ALERT: [u8; 2] = [0x15, 0x03];
/// Said where an alert was lost on its way: a worker that refuses resets the connection behind it.
const TURNED_AWAY: &str =
    "it may not accept the certificate in the pool's `tls.certificate`; its own log says";

/// Passes bytes through; tells the link's state of GOAWAY and of the end.
///
/// It does not offer vectored writes: with them, the HTTP/2 library puts each message of 256 bytes
/// and more into a write of its own, which costs 12 to 22 % of the whole edge's time.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: Stream,
    frames: Frames,
    state: Arc<LinkState>,
    /// Whether the worker has said anything.
    heard: bool,
}

impl Wire {
    pub(crate) fn new(stream: Stream, state: Arc<LinkState>) -> Self {
        Self {
            stream,
            frames: Frames::default(),
            state,
            heard: false,
        }
    }

    /// What came from the worker: nothing is its end.
    fn hear(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.closed("closed by the worker");
        } else if !self.heard && bytes.starts_with(&TLS_ALERT) {
            // Else the words would be HTTP/2's, of a frame with an absurd length.
            self.closed("speaks TLS: set `tls` of its pool");
        } else if self.frames.saw_go_away(bytes) {
            self.state.goes_away();
        }
        self.heard = true;
    }

    fn closed(&self, words: &str) {
        let turned_away = !self.heard && matches!(self.stream, Stream::Tls(_));
        self.state.closed(|| match turned_away {
            true => format!("{words}, before its first word: {TURNED_AWAY}"),
            false => words.to_owned(),
        });
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let room = buf.remaining();
        let read = ready!(Pin::new(&mut this.stream).poll_read(cx, buf));
        match &read {
            Err(error) => match tls::alert(error) {
                Some(words) => this.state.closed(|| words),
                None => this.closed(&error.to_string()),
            },
            Ok(()) if room > 0 => this.hear(&buf.filled()[before..]),
            Ok(()) => {}
        }
        Poll::Ready(read)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.closed("given up: a keepalive was not answered, or HTTP/2 was broken");
    }
}
