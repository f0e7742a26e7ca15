//! One HTTP/2 connection to a worker.
//!
//! tonic's own channel reconnects behind its user's back. Here a connection is a fact about a
//! worker: when it ends, that worker is lost, and a process that answers on the same address
//! afterwards is another one. So the channel is hyper's connection itself, which tonic's client
//! takes as well.

mod frames;
mod wire;

use std::{
    fmt,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use holdline_tls::Stream;
use http::{Request, Response};
use hyper::{body::Incoming, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    runtime::{self, Handle},
    sync::mpsc,
    time::timeout,
};
use tonic::body::Body;

use self::wire::Wire;
use crate::PoolTls;

/// What becomes of a connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum LinkEvent {
    /// The worker said GOAWAY.
    GoesAway,
    /// It is gone.
    Closed(String),
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct LinkSettings {
    pub(crate) connect_timeout: Duration,
    pub(crate) keepalive_interval: Duration,
    pub(crate) keepalive_timeout: Duration,
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    pub(crate) tls: Option<Arc<PoolTls>>,
}

impl LinkSettings {
    /// Streams that can stand unread on one connection without holding up the others: each may
    /// fill its window, and together they must not fill the connection's.
    fn streams_max(&self) -> usize {
        let streams = self.connection_window / self.stream_window.max(1);
        usize::try_from(streams).unwrap_or(usize::MAX).max(1)
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("no connection within {0:?}")]
    Timeout(Duration),
    #[error("{0}")]
    Connect(#[from] std::io::Error),
    #[error("{0}")]
    Tls(String),
    #[error("no HTTP/2: {0}")]
    Http(#[from] hyper::Error),
    #[error("the worker is going away")]
    GoingAway,
    #[error("all {0} connections are in full use")]
    Full(usize),
}

impl LinkError {
    /// The word used in metric labels.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Timeout(_) => "timeout",
            Self::Connect(_) => "connect",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http2",
            Self::GoingAway => "going_away",
            Self::Full(_) => "full",
        }
    }
}

/// What is known of a connection.
pub(crate) struct LinkState {
    going_away: AtomicBool,
    cause: OnceLock<String>,
    streams: AtomicUsize,
    /// As the worker's SETTINGS_MAX_CONCURRENT_STREAMS says.
    streams_peer: AtomicUsize,
    streams_max: usize,
    /// Set once connected: a connection that never came about is no news of the worker.
    events: OnceLock<mpsc::Sender<LinkEvent>>,
}

impl LinkState {
    fn new(streams_max: usize) -> Self {
        Self {
            going_away: AtomicBool::new(false),
            cause: OnceLock::new(),
            streams: AtomicUsize::new(0),
            streams_peer: AtomicUsize::new(usize::MAX),
            streams_max,
            events: OnceLock::new(),
        }
    }

    fn goes_away(&self) {
        if !self.going_away.swap(true, Ordering::AcqRel) {
            self.tell(LinkEvent::GoesAway);
        }
    }

    fn tell(&self, event: LinkEvent) {
        if let Some(events) = self.events.get() {
            // Full only where the receiver is gone or has older bad news to work on.
            let _ = events.try_send(event);
        }
    }

    fn closed(&self, cause: impl FnOnce() -> String) {
        let mut news = false;
        let cause = self.cause.get_or_init(|| {
            news = true;
            cause()
        });
        if news {
            self.tell(LinkEvent::Closed(cause.clone()));
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.cause.get().is_some()
    }

    /// Why it is closed, in words; `None` while it is not.
    pub(crate) fn cause(&self) -> Option<&str> {
        self.cause.get().map(String::as_str)
    }

    /// Neither closed nor going away.
    pub(crate) fn is_usable(&self) -> bool {
        !self.is_closed() && !self.going_away.load(Ordering::Acquire)
    }
}

impl fmt::Debug for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkState")
            .field("usable", &self.is_usable())
            .field("streams", &self.streams)
            .finish_non_exhaustive()
    }
}

/// Counts one stream on a connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Lease(Arc<LinkState>);

impl Lease {
    pub(crate) fn state(&self) -> &LinkState {
        &self.0
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A connection, for tonic's client. Clones share it; it closes with the last one and the last
/// stream.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    sender: http2::SendRequest<Body>,
    state: Arc<LinkState>,
    home: runtime::Id,
}

impl Link {
    /// Connects, within the connect timeout, and drives the connection on this runtime. News of the connection go to `events`.
    pub(crate) async fn connect(
        address: SocketAddr,
        settings: &LinkSettings,
        events: mpsc::Sender<LinkEvent>,
    ) -> Result<Self, LinkError> {
        let state = Arc::new(LinkState::new(settings.streams_max()));
        let connecting = handshake(address, settings, Arc::clone(&state));
        let (sender, connection) = timeout(settings.connect_timeout, connecting)
            .await
            .map_err(|_| LinkError::Timeout(settings.connect_timeout))?
            .map_err(|error| match (error, state.cause()) {
                // The socket knows better why HTTP/2 did not begin.
                (LinkError::Http(_), Some(cause)) if settings.tls.is_some() => {
                    LinkError::Tls(cause.to_owned())
                }
                (error, _) => error,
            })?;
        state.events.get_or_init(|| events);
        // What happened before that was told to nobody.
        if !state.is_usable() {
            return Err(LinkError::GoingAway);
        }
        tokio::spawn(run(connection, Arc::clone(&state)));
        Ok(Self {
            sender,
            state,
            home: Handle::current().id(),
        })
    }

    /// Takes a stream on this connection, if there is one to be had.
    pub(crate) fn lease(&self) -> Option<Lease> {
        let state = &self.state;
        let max = state
            .streams_max
            .min(state.streams_peer.load(Ordering::Acquire));
        let lease = || {
            state
                .streams
                .try_update(Ordering::AcqRel, Ordering::Acquire, |streams| {
                    (streams < max).then_some(streams + 1)
                })
                .is_ok()
        };
        (state.is_usable() && lease()).then(|| Lease(Arc::clone(state)))
    }

    pub(crate) fn state(&self) -> &LinkState {
        &self.state
    }

    /// The runtime that drives it.
    pub(crate) fn home(&self) -> runtime::Id {
        self.home
    }
}

impl tower::Service<Request<Body>> for Link {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
    }
}

type Connection = http2::Connection<TokioIo<Wire>, Body, TokioExecutor>;

async fn handshake(
    address: SocketAddr,
    settings: &LinkSettings,
    state: Arc<LinkState>,
) -> Result<(http2::SendRequest<Body>, Connection), LinkError> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let stream = match &settings.tls {
        None => Stream::Tcp(tcp),
        Some(tls) => tls.connect(tcp, address).await.map_err(LinkError::Tls)?,
    };
    let connected = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .keep_alive_interval(settings.keepalive_interval)
        .keep_alive_timeout(settings.keepalive_timeout)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(Wire::new(stream, state)))
        .await?;
    Ok(connected)
}

/// Drives the connection, and notes how many streams the worker allows.
async fn run(connection: Connection, state: Arc<LinkState>) {
    let mut connection = std::pin::pin!(connection);
    let end = poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        state
            .streams_peer
            .store(connection.current_max_send_streams(), Ordering::Release);
        polled
    })
    .await;
    // Done means only that no new stream can be opened; those that are open live on.
    state.goes_away();
    if let Err(error) = end {
        tracing::debug!(%error, "connection to a worker takes no new streams");
    }
}
