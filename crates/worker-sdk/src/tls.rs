//! TLS on the worker's side: who may hand it calls.
//!
//! Whoever reaches a worker's port can hand it sessions, and learns what it does with them. With a
//! `client_ca` only those can who hold a certificate of that authority: the edges.

use std::{io, net::SocketAddr, path::PathBuf, pin::pin, time::Duration};

use holdline_tls::{Own, Reloading, TlsError};
use rustls::ServerConfig;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;

/// gRPC is HTTP/2.
const PROTOCOL: &[u8] = b"h2";
/// Handshakes at once; further connections wait in the kernel's queue.
const HANDSHAKES: usize = 64;
/// What a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The PEM files of a worker that serves TLS. They are read again when they change: connections that
/// are there go on, new ones get the new certificate. A bad new file changes nothing, and the log
/// says why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// The worker's certificate chain. Edges check that it is for their pool's `server_name`.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities that issue the edges' certificates: whoever shows none of theirs is turned
    /// away. `None`: anybody who reaches the port may hand this worker calls.
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    pub(crate) fn load(&self) -> Result<Reloading<ServerConfig>, TlsError> {
        let own = Own {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
        };
        Reloading::server(&own, self.client_ca.clone(), PROTOCOL)
    }
}

/// Connections whose handshake is done, until the stream is dropped.
pub(crate) fn incoming(
    listener: TcpListener,
    tls: Reloading<ServerConfig>,
) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let (ready, incoming) = mpsc::channel(1);
    tokio::spawn(accept(listener, tls, ready));
    ReceiverStream::new(incoming)
}

type Ready = mpsc::Sender<io::Result<TlsStream<TcpStream>>>;

async fn accept(listener: TcpListener, tls: Reloading<ServerConfig>, ready: Ready) {
    let mut handshakes = JoinSet::new();
    // The log says what became of new files; a worker has no metrics of its own.
    let mut watch = pin!(tls.watch(|_| {}));
    loop {
        tokio::select! {
            () = ready.closed() => return,
            never = &mut watch => match never {},
            Some(_) = handshakes.join_next() => {}
            accepted = listener.accept(), if handshakes.len() < HANDSHAKES => match accepted {
                Ok((tcp, peer)) => {
                    let acceptor = TlsAcceptor::from(tls.current());
                    handshakes.spawn(handshake(tcp, peer, acceptor, ready.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept; trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn handshake(tcp: TcpStream, peer: SocketAddr, acceptor: TlsAcceptor, ready: Ready) {
    // Commits are small and late ones are worthless: never wait to fill a segment.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
        // Nobody takes it any more where the server has ended.
        Ok(Ok(stream)) => drop(ready.send(Ok(stream)).await),
        Ok(Err(error)) => {
            tracing::info!(%peer, %error, "connection turned away: no TLS, or a certificate that is not of an edge");
        }
        Err(_) => tracing::info!(%peer, "connection turned away: no TLS handshake in time"),
    }
}
