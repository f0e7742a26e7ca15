//! Ports of processes that do not run yet.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tokio::net::TcpSocket;

/// A port that the system chose. It is kept by a socket that never listens, so that nobody else is
/// given it; a process's own listener may share it.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _kept: TcpSocket,
}

impl Port {
    /// Takes a port of the loopback.
    ///
    /// # Errors
    /// If the system has none.
    pub fn reserve() -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(Self {
            number: socket.local_addr()?.port(),
            _kept: socket,
        })
    }

    /// Its number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn at(&self, host: IpAddr) -> SocketAddr {
        (host, self.number).into()
    }
}
