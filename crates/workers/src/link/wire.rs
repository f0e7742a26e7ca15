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
/// Enough to tell an alert.
const LAST_WORDS: usize = 64;
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

    /// A worker that has reset the connection may have said why just before. That is still there to
    /// be read, but nobody reads it once a write is known to have failed. A connection that is gone
    /// can always be read, at the latest when the runtime has heard of its end.
    fn hear_the_last(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [0; LAST_WORDS];
        let heard = Pin::new(self).poll_read(cx, &mut ReadBuf::new(&mut room));
        heard.map(drop)
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
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, buf));
        if let Err(error) = &written {
            ready!(self.hear_the_last(cx));
            self.closed(&error.to_string());
        }
        Poll::Ready(written)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tokio::{
        io::AsyncWriteExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    #[tokio::test]
    async fn an_alert_is_heard_even_if_a_write_fails_before_it_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
        let (mut worker, _) = listener.accept().await.unwrap();
        let state = Arc::new(LinkState::new(1));
        let mut wire = Wire::new(Stream::Tcp(stream.unwrap()), Arc::clone(&state));
        wire.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
        worker.readable().await.unwrap();
        // Closed with something unread: a reset follows the alert.
        worker.write_all(&[0x15, 3, 3, 0, 2, 2, 10]).await.unwrap();
        drop(worker);
        while wire.write_all(b"SM\r\n").await.is_ok() {}
        assert_eq!(state.cause(), Some("speaks TLS: set `tls` of its pool"));
    }
}
