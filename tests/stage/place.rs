//! Addresses of workers that do not run yet.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that the system chose. It is kept by a socket that never listens, so that nobody else is
/// given it before its worker starts; the worker's own listener may share it.
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    _kept: TcpSocket,
}

impl Place {
    pub(crate) fn reserve() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self {
            address: socket.local_addr().unwrap(),
            _kept: socket,
        }
    }
}
