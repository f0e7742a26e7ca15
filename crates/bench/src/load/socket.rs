//! One WebSocket of the load: non-blocking, with whatever of a frame is not there or not away yet.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    sync::Arc,
};

use rustls::{ServerConfig, ServerConnection};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::frame::{self, CLOSE, Frame, PING, PONG};

/// Bytes that wait for a peer that does not read; what comes on top is not sent.
const UNSENT_LIMIT: usize = 1 << 20;
/// The longest HTTP head that a peer may send.
const HEAD_LIMIT: usize = 8 << 10;
/// Any sixteen bytes will do.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// Which end of a call a socket is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// Ours is the client.
    Caller,
    /// Ours is the server.
    Model,
}

/// See the module's page.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) tcp: TcpStream,
    side: Side,
    tls: Option<Box<ServerConnection>>,
    /// The upgrade is done.
    pub(super) open: bool,
    /// The peer has closed, or the socket failed.
    pub(super) gone: bool,
    /// The beginning of a frame, or of an HTTP head.
    rest: Vec<u8>,
    unsent: Vec<u8>,
    /// The call that it belongs to, once that is known.
    pub(super) call: Option<u32>,
}

impl Socket {
    /// A connection of ours; asks for the upgrade at once.
    ///
    /// # Errors
    /// If the system refuses the socket.
    pub(super) fn caller(tcp: TcpStream, call: u32, path: &str) -> io::Result<Self> {
        let host = tcp.peer_addr()?;
        let mut socket = Self::new(tcp, Side::Caller, None)?;
        socket.call = Some(call);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
        );
        socket.send(request.as_bytes());
        Ok(socket)
    }

    /// An accepted connection.
    ///
    /// # Errors
    /// If the system refuses the socket, or TLS cannot begin.
    pub(super) fn model(tcp: TcpStream, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let tls = tls.map(ServerConnection::new).transpose();
        let mut tls = tls.map_err(io::Error::other)?.map(Box::new);
        if let Some(tls) = &mut tls {
            tls.set_buffer_limit(Some(UNSENT_LIMIT));
        }
        Self::new(tcp, Side::Model, tls)
    }

    fn new(tcp: TcpStream, side: Side, tls: Option<Box<ServerConnection>>) -> io::Result<Self> {
        tcp.set_nonblocking(true)?;
        tcp.set_nodelay(true)?;
        Ok(Self {
            tcp,
            side,
            tls,
            open: false,
            gone: false,
            rest: Vec::new(),
            unsent: Vec::new(),
            call: None,
        })
    }

    /// Sends bytes, or keeps them until the peer takes them. False: too much waits already, and
    /// they are not sent.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        if self.unsent.len() > UNSENT_LIMIT || self.gone {
            return false;
        }
        if let Some(tls) = &mut self.tls {
            // Over its limit rustls takes a part, and the rest of the stream would make no sense.
            self.gone = tls.writer().write_all(bytes).is_err();
            self.flush();
            return !self.gone;
        }
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return true;
        }
        match self.tcp.write(bytes) {
            Ok(len) => self.unsent.extend_from_slice(&bytes[len..]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.unsent.extend_from_slice(bytes);
            }
            Err(_) => self.gone = true,
        }
        true
    }

    /// Sends what waits, as far as the peer takes it.
    pub(super) fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                match tls.write_tls(&mut self.tcp) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                    Err(_) => {
                        self.gone = true;
                        return;
                    }
                }
            }
            return;
        }
        while !self.unsent.is_empty() {
            match self.tcp.write(&self.unsent) {
                Ok(len) => drop(self.unsent.drain(..len)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            }
        }
    }

    /// Reads all that is there and shows every message; answers pings and upgrades by itself.
    pub(super) fn receive(&mut self, scratch: &mut [u8], mut message: impl FnMut(&Frame<'_>)) {
        while !self.gone {
            let len = match self.read(scratch) {
                Ok(0) => {
                    self.gone = true;
                    return;
                }
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.gone = true;
                    return;
                }
            };
            self.take(&scratch[..len], &mut message);
            // A short read has emptied the socket: the next bytes come with an event of their own.
            if self.tls.is_none() && len < scratch.len() {
                return;
            }
        }
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.tcp.read(scratch);
        };
        loop {
            match tls.reader().read(scratch) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            if tls.read_tls(&mut self.tcp)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            if tls.wants_write() {
                // What is not taken now goes with the next write.
                let _ = tls.write_tls(&mut self.tcp);
            }
        }
    }

    fn take(&mut self, bytes: &[u8], message: &mut impl FnMut(&Frame<'_>)) {
        if self.rest.is_empty() && self.open {
            let used = self.frames(bytes, message);
            self.rest.extend_from_slice(&bytes[used..]);
            return;
        }
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let mut used = 0;
        if !self.open {
            used = self.upgrade(&all);
        }
        if self.open {
            used += self.frames(&all[used..], message);
        }
        all.drain(..used);
        self.rest = all;
    }

    /// Shows the whole frames of the buffer; how many bytes they are.
    fn frames(&mut self, buffer: &[u8], message: &mut impl FnMut(&Frame<'_>)) -> usize {
        let mut used = 0;
        while let Some((found, len)) = frame::first(&buffer[used..]) {
            used += len;
            match found.opcode {
                PING => {
                    let mut pong = Vec::new();
                    let masked = self.side == Side::Caller;
                    frame::write_frame(&mut pong, PONG, &found.clear(), masked);
                    self.send(&pong);
                }
                CLOSE => self.gone = true,
                PONG => {}
                _ => message(&found),
            }
        }
        used
    }

    /// Takes the HTTP head, if it is there in full; how many bytes it has.
    fn upgrade(&mut self, buffer: &[u8]) -> usize {
        let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else {
            self.gone = buffer.len() > HEAD_LIMIT;
            return 0;
        };
        let head = String::from_utf8_lossy(&buffer[..end]);
        match self.side {
            Side::Caller => self.gone = !head.starts_with("HTTP/1.1 101"),
            Side::Model => match header(&head, "sec-websocket-key") {
                None => self.gone = true,
                Some(key) => {
                    let answer = format!(
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                         Connection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
                        derive_accept_key(key.as_bytes())
                    );
                    self.send(answer.as_bytes());
                }
            },
        }
        self.open = !self.gone;
        end + 4
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
