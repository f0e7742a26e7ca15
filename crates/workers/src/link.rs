//! One HTTP/2 connection to a worker.
//!
//! tonic's own channel reconnects behind its user's back. Here a connection is a fact about a
//! worker: when it ends, that worker is lost, and a process that answers on the same address
//! afterwards is another one. So this is HTTP/2 itself: calls of sessions are made on it directly
//! ([`Link::open`]), and for the two small ones beside them it is a channel that tonic's client takes.

mod answer;
mod frames;
mod wire;

use std::{
    fmt,
    future::{Future, pending, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use h2::{
    Ping, PingPong, SendStream,
    client::{Connection, ResponseFuture, SendRequest},
};
use holdline_tls::Stream;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::{
    net::TcpStream,
    runtime::{self, Handle},
    sync::mpsc,
    time::{sleep, timeout},
};
use tonic::body::Body;

use self::{answer::Answer, wire::Wire};
use crate::{PoolTls, loss::status};

/// Most bytes of one stream that wait to be written, whatever the worker's window: one message of the
/// usual bound fits in pieces, and a thousand streams that are stuck take no more than 256 MiB.
const SEND_BUFFER: usize = 256 << 10;

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
    Http(#[from] h2::Error),
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

/// A connection. Clones share it; it closes with the last one and the last stream.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    sender: SendRequest<Bytes>,
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
        let keepalive = (settings.keepalive_interval, settings.keepalive_timeout);
        tokio::spawn(run(connection, keepalive, Arc::clone(&state)));
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

    /// Opens a stream with a request whose body follows. Cancel safe.
    pub(crate) async fn open(
        &self,
        request: Request<()>,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        self.sender
            .clone()
            .ready()
            .await?
            .send_request(request, false)
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
    type Response = Response<Answer>;
    type Error = tonic::Status;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let link = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // A name or a number: there is no window that it would not fit in.
            let body = body.collect().await?.to_bytes();
            let request = Request::from_parts(parts, ());
            let (answer, mut sending) = link.open(request).await.map_err(status)?;
            sending.send_data(body, true).map_err(status)?;
            Ok(answer.await.map_err(status)?.map(Answer::new))
        })
    }
}

async fn handshake(
    address: SocketAddr,
    settings: &LinkSettings,
    state: Arc<LinkState>,
) -> Result<(SendRequest<Bytes>, Connection<Wire, Bytes>), LinkError> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let stream = match &settings.tls {
        None => Stream::Tcp(tcp),
        Some(tls) => tls.connect(tcp, address).await.map_err(LinkError::Tls)?,
    };
    let connected = h2::client::Builder::new()
        .enable_push(false)
        .initial_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake(Wire::new(stream, state))
        .await?;
    Ok(connected)
}

/// Drives the connection, notes how many streams the worker allows, and gives it up where the worker
/// answers no ping.
async fn run(
    mut connection: Connection<Wire, Bytes>,
    (interval, within): (Duration, Duration),
    state: Arc<LinkState>,
) {
    let pings = connection.ping_pong();
    let mut connection = std::pin::pin!(connection);
    let driven = poll_fn(|cx| {
        let polled = connection.as_mut().poll(cx);
        state
            .streams_peer
            .store(connection.max_concurrent_send_streams(), Ordering::Release);
        polled
    });
    let end = tokio::select! {
        end = driven => end,
        () = unanswered(pings, interval, within) => {
            tracing::debug!("a worker answers no ping: its connection is given up");
            return;
        }
    };
    // Done means that no stream is left and no new one can be opened.
    state.goes_away();
    if let Err(error) = end {
        tracing::debug!(%error, "the connection to a worker is over");
    }
}

/// Resolves once a ping was not answered in time.
async fn unanswered(pings: Option<PingPong>, interval: Duration, within: Duration) {
    let Some(mut pings) = pings else {
        // They can be taken once, and nobody else does.
        return pending().await;
    };
    loop {
        sleep(interval).await;
        match timeout(within, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection itself knows that it is over.
            Ok(Err(_)) => return pending().await,
            Err(_) => return,
        }
    }
}
