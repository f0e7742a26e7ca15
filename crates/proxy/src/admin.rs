//! The operator's HTTP port: is the edge alive, may it get calls, what is it doing.
//!
//! On an address that is not meant for callers; [`guard`] says who may ask for what, [`commands`] what
//! can be changed. It lives until the edge's last call is over, so that a drain can be watched to its
//! end.

use std::{
    convert::Infallible,
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdline_config::Secret;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::{debug, warn};

use self::guard::Guard;
use crate::edge::Edge;

mod answers;
mod ask;
mod body;
mod commands;
mod counters;
mod dashboard;
mod events;
mod guard;
mod name;
mod query;
mod ready;
mod rollout;
mod sessions;
mod workers;

/// Operators' connections at once.
const CONNECTIONS: usize = 64;

/// Further ones while those are taken, so that nobody who holds them has the kubelet think that the edge
/// is dead: each for one request of a probe or a scraper, and for this time. More wait in the kernel's
/// queue.
const RESERVED: usize = 16;
const RESERVED_LIFE: Duration = Duration::from_secs(2);

/// The longest life of a connection. A scraper opens the next one.
const CONNECTION_LIFE: Duration = Duration::from_secs(300);

/// The longest life of one on which events are told.
const STREAM_LIFE: Duration = Duration::from_secs(12 * 3600);

/// From the first byte of a request to the end of its headers, and between two requests.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A request line and its headers, in bytes.
const HEADER_BYTES: usize = 16 << 10;

/// A pause after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` resolves; connections that are open then are dropped.
pub(crate) async fn serve(
    listener: TcpListener,
    token: Option<Secret>,
    edge: Arc<Edge>,
    shutdown: impl Future<Output = ()>,
) {
    let guard = Arc::new(guard_of(&listener, token, &edge));
    let places = Places::default();
    let mut tasks = tokio::task::JoinSet::new();
    let accepting = async {
        loop {
            let (socket, peer, place) = accept(&listener, &places).await;
            let (edge, guard) = (Arc::clone(&edge), Arc::clone(&guard));
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                connection(socket, peer, &place, guard, edge).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = shutdown => {}
        () = accepting => {}
    }
}

fn guard_of(listener: &TcpListener, token: Option<Secret>, edge: &Edge) -> Guard {
    // An address that cannot be told is taken for one that everybody reaches.
    let address = listener.local_addr().map(|address| address.ip());
    let address = address.unwrap_or(Ipv4Addr::UNSPECIFIED.into());
    let guard = Guard::new(token, address, edge.metrics.admin.clone());
    if guard.is_open() {
        warn!(
            %address,
            "the admin port is not on loopback and has no token: whoever reaches it sees all calls"
        );
    }
    guard
}

/// How many connections may be.
struct Places {
    common: Arc<Semaphore>,
    reserved: Arc<Semaphore>,
}

/// Of one connection.
struct Place {
    reserved: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            common: Arc::new(Semaphore::new(CONNECTIONS)),
            reserved: Arc::new(Semaphore::new(RESERVED)),
        }
    }
}

impl Places {
    /// Waits for one.
    async fn free(&self) -> Place {
        let (common, reserved) = (Arc::clone(&self.common), Arc::clone(&self.reserved));
        // The semaphores are never closed, so there always is a permit.
        let (reserved, permit) = tokio::select! {
            biased;
            permit = common.acquire_owned() => (false, permit),
            permit = reserved.acquire_owned() => (true, permit),
        };
        Place {
            reserved,
            _permit: permit.ok(),
        }
    }

    /// The same, or a better one that has come free meanwhile.
    fn better(&self, place: Place) -> Place {
        match Arc::clone(&self.common).try_acquire_owned() {
            Ok(permit) if place.reserved => Place {
                reserved: false,
                _permit: Some(permit),
            },
            Ok(_) | Err(_) => place,
        }
    }
}

async fn accept(listener: &TcpListener, places: &Places) -> (TcpStream, SocketAddr, Place) {
    let place = places.free().await;
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => return (socket, peer, places.better(place)),
            Err(error) => {
                warn!(%error, "the admin port cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    place: &Place,
    guard: Arc<Guard>,
    edge: Arc<Edge>,
) {
    let goes_on = AtomicBool::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        let (guard, edge, goes_on) = (&guard, &edge, &goes_on);
        async move {
            let answer = match guard.check(&request, peer, place.reserved) {
                Ok(()) => answers::answer(edge, request, peer).await,
                Err(refusal) => return Ok::<_, Infallible>(answers::refused(refusal)),
            };
            guard.look(&answer, peer);
            goes_on.fetch_or(answer.body().goes_on(), Ordering::Relaxed);
            Ok(answer)
        }
    });
    let (head, life) = match place.reserved {
        true => (RESERVED_LIFE, RESERVED_LIFE),
        false => (HEADER_TIMEOUT, CONNECTION_LIFE),
    };
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .keep_alive(!place.reserved)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut served = pin!(served);
    let mut over = timeout(life, served.as_mut()).await;
    if over.is_err() && goes_on.load(Ordering::Relaxed) {
        over = timeout(STREAM_LIFE, served).await;
    }
    match over {
        Ok(Ok(())) | Err(_) => {}
        Ok(Err(error)) => {
            guard.broke(&error, peer);
            debug!(%error, "an operator's connection failed");
        }
    }
}
