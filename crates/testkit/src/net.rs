//! One WebSocket over TCP or TLS, with a send queue of its own.
//!
//! Why not `split` and a task per direction: a call is one task, a read may cause a write
//! (pong, close), and a caller that measures slow readers must see how much it could not
//! send. [`Socket::step`] drives both directions and is cancel safe.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use crate::traffic::Traffic;

/// The transport of a socket.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Io {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls.get_ref().0,
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}

/// Small buffers: a hundred calls live in one process. `max_message` bounds what the peer
/// may make us hold.
pub(crate) fn ws_config(max_message: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(4_096)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
}

/// A connected WebSocket.
#[derive(Debug)]
pub(crate) struct Socket {
    ws: WebSocketStream<Io>,
    out: VecDeque<Message>,
    out_bytes: usize,
    out_limit: usize,
    unflushed: bool,
    reading: bool,
    traffic: Traffic,
}

/// The send queue is over its limit; the message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueFull;

impl Socket {
    /// `out_limit` is in bytes of payload waiting for a peer that does not read.
    pub(crate) fn new(ws: WebSocketStream<Io>, out_limit: usize) -> Self {
        Self {
            ws,
            out: VecDeque::new(),
            out_bytes: 0,
            out_limit,
            unflushed: false,
            reading: true,
            traffic: Traffic::default(),
        }
    }

    /// Takes a message for sending; [`Socket::step`] writes it. An empty queue takes a
    /// message of any size.
    pub(crate) fn queue(&mut self, message: Message) -> Result<(), QueueFull> {
        let len = message.len();
        if !self.out.is_empty() && self.out_bytes + len > self.out_limit {
            return Err(QueueFull);
        }
        if is_data(&message) {
            self.traffic.sends(len);
        }
        self.out_bytes += len;
        self.out.push_back(message);
        Ok(())
    }

    /// As [`Socket::queue`], for the few small messages that must come through when audio is
    /// already being discarded: a mark echo, the end. Four times the limit is the end of it.
    pub(crate) fn queue_control(&mut self, message: Message) -> Result<(), QueueFull> {
        let limit = self.out_limit;
        self.out_limit = limit.saturating_mul(4);
        let result = self.queue(message);
        self.out_limit = limit;
        result
    }

    /// Messages so far.
    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Stops reading for good; the peer's bytes stay where they are.
    pub(crate) fn stop_reading(&mut self) {
        self.reading = false;
    }

    /// Writes what is queued and waits for the next message; `None` at the end of the
    /// stream. Cancel safe: nothing is lost when the future is dropped.
    pub(crate) async fn step(&mut self) -> Option<Result<Message, WsError>> {
        poll_fn(|cx| self.poll_step(cx)).await
    }

    /// Writes until all is handed to the kernel. Cancel safe.
    pub(crate) async fn flush(&mut self) -> Result<(), WsError> {
        poll_fn(|cx| self.poll_out(cx)).await
    }

    /// Ends the TCP connection with a reset: what was not read or sent is gone.
    pub(crate) fn reset(self) {
        // Where the option cannot be set the connection ends with FIN, which is also an end
        // without a close frame.
        let _ = self.ws.get_ref().tcp().set_zero_linger();
    }

    /// One poll of both directions, for callers that watch several sockets.
    pub(crate) fn poll_step(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Message, WsError>>> {
        if let Poll::Ready(Err(error)) = self.poll_out(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        if !self.reading {
            return Poll::Pending;
        }
        let next = ready!(Pin::new(&mut self.ws).poll_next(cx));
        if let Some(Ok(message)) = &next
            && is_data(message)
        {
            self.traffic.receives(message.len());
        }
        Poll::Ready(next)
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WsError>> {
        while !self.out.is_empty() {
            ready!(Pin::new(&mut self.ws).poll_ready(cx))?;
            if let Some(message) = self.out.pop_front() {
                self.out_bytes -= message.len();
                self.unflushed = true;
                Pin::new(&mut self.ws).start_send(message)?;
            }
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.ws).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

fn is_data(message: &Message) -> bool {
    matches!(message, Message::Text(_) | Message::Binary(_))
}
