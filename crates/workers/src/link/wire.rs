//! The TCP socket under a connection.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use super::{LinkState, frames::Frames};

/// Passes bytes through; tells the link's state of GOAWAY and of the end.
///
/// It does not offer vectored writes: with them, the HTTP/2 library puts each message of 256 bytes
/// and more into a write of its own, which costs 12 to 22 % of the whole edge's time.
#[derive(Debug)]
pub(crate) struct Wire {
    tcp: TcpStream,
    frames: Frames,
    state: Arc<LinkState>,
}

impl Wire {
    pub(crate) fn new(tcp: TcpStream, state: Arc<LinkState>) -> Self {
        Self {
            tcp,
            frames: Frames::default(),
            state,
        }
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
        let read = ready!(Pin::new(&mut this.tcp).poll_read(cx, buf));
        match &read {
            Err(error) => this.state.closed(|| error.to_string()),
            Ok(()) => {
                let bytes = &buf.filled()[before..];
                if bytes.is_empty() && room > 0 {
                    this.state.closed(|| "closed by the worker".to_owned());
                } else if this.frames.saw_go_away(bytes) {
                    this.state.goes_away();
                }
            }
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
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state
            .closed(|| "given up: a keepalive was not answered, or HTTP/2 was broken".to_owned());
    }
}
