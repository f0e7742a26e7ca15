//! The operator's HTTP port: is the edge alive, may it get calls, what is it doing.
//!
//! Read only, on an address that is not meant for callers. It lives until the edge's last call is
//! over, so that a drain can be watched to its end.

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{debug, warn};

use crate::edge::Edge;

mod answers;
mod ready;
mod sessions;

/// Operators' connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 64;

/// The longest life of a connection. A scraper opens the next one.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

/// From the first byte of a request to the end of its headers, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request line and its headers, in bytes.
const HEADER_BYTES: usize = 16 << 10;

/// A pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` resolves; connections that are open then are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    edge: Arc<Edge>,
    shutdown: impl Future<Output = ()>,
) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    let accepting = async {
        loop {
            let (socket, permit) = accept(&listener, &connections).await;
            let edge = Arc::clone(&edge);
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                connection(socket, edge).await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = accepting => {}
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there always is a permit.
    let permit = Arc::clone(connections).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((socket, _)) => return (socket, permit),
            Err(error) => {
                warn!(%error, "the admin port cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(socket: TcpStream, edge: Arc<Edge>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let edge = Arc::clone(&edge);
        async move {
            let (method, path) = (request.method(), request.uri().path());
            Ok::<_, Infallible>(answers::answer(&edge, method, path).await)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    match timeout(CONNECTION_LIFE, served).await {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => debug!(%error, "an operator's connection failed"),
    }
}
