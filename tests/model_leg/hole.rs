//! An address that swallows connections: nobody answers, and nobody refuses.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};

/// So long an attempt may take before the hole counts as deep.
const NO_ANSWER: Duration = Duration::from_millis(300);
/// Attempts to fill it; Linux takes one or two more than the backlog.
const MOST: usize = 8;

/// A listener that accepts nobody and whose queue is full: Linux then drops further attempts.
pub(crate) struct Hole {
    pub(crate) address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Hole {
    pub(crate) async fn dig() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        for _ in 0..MOST {
            match timeout(NO_ANSWER, TcpStream::connect(address)).await {
                Ok(stream) => waiting.push(stream.unwrap()),
                Err(_) => {
                    return Self {
                        address,
                        _listener: listener,
                        _waiting: waiting,
                    };
                }
            }
        }
        panic!("{MOST} connections were taken by a queue of one");
    }
}
