//! Inbound legs: from a bound listener to calls whose carrier has proved itself. The carrier's
//! webhooks are answered on the way.

mod arrivals;
mod connection;
mod forwarded;
mod route;
mod upgrade;

use std::{
    fmt,
    future::{Future, pending},
    io,
    net::{self, IpAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use holdline_config::Listener;
use holdline_telemetry::{LegMetrics, Metrics, logging::Pace};
use tokio::{
    net::TcpListener,
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

pub use self::{arrivals::Arrivals, route::RouteRuntime};
use crate::{Gate, LegSocket, Permit, SetupError, Token, tls::ListenerTls};

/// Pause after an `accept` that failed, most likely for want of file descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// Refusals that the log tells of in a second, for each listener; all are counted. Anybody can
/// provoke them.
const TOLD: u32 = 20;

/// The runtime on which the next connection is to live: its handshake, and the call where it comes to
/// one. Called once for each. Must not block.
pub type Home = dyn Fn() -> Handle + Send + Sync;

/// What is done with a call: called once for each, from the connection's own task. Must not block.
pub type OnCall = dyn Fn(IncomingCall) + Send + Sync;

/// A caller's socket, upgraded and admitted. Who calls is not yet known: see
/// [`identify`](crate::identify).
#[derive(Debug)]
pub struct IncomingCall {
    /// The route that the call came in on.
    pub route: Arc<RouteRuntime>,
    /// The caller's carrier; behind a trusted proxy, the address that it vouches for.
    pub peer: IpAddr,
    /// The path of the request, without any query; the route's own where that has a token.
    pub path: String,
    /// The last segment of the path, where the route's path ends in `{token}`.
    pub token: Option<Token>,
    /// The socket. It also counts against the listener's `max_connections` until it is dropped.
    pub socket: LegSocket,
    /// Proof of admission.
    pub permit: Permit,
}

/// A listener, ready to serve.
pub struct ListenerRuntime {
    settings: Listener,
    routes: Vec<Arc<RouteRuntime>>,
    tls: Option<ListenerTls>,
    /// What all listeners together may have.
    arrivals: Arrivals,
    /// Connections of this listener that may become or are calls.
    connections: Arc<Semaphore>,
    /// How often the log tells of a refusal.
    told: Pace,
    metrics: Arc<LegMetrics>,
}

impl ListenerRuntime {
    /// Makes ready what `settings` asks for. `arrivals` bounds all listeners that share it.
    ///
    /// # Errors
    /// Certificate or key cannot be read or do not fit together, or a webhook's fallback is no
    /// TwiML.
    pub fn new(
        settings: &Listener,
        arrivals: Arrivals,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let connections = usize::try_from(settings.max_connections).unwrap_or(usize::MAX);
        Ok(Self {
            routes: settings
                .routes
                .iter()
                .map(|route| RouteRuntime::new(route).map(Arc::new))
                .collect::<Result<_, _>>()?,
            tls: settings.tls.as_ref().map(ListenerTls::load).transpose()?,
            arrivals,
            connections: Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))),
            told: Pace::new(TOLD),
            metrics: Arc::new(metrics.legs.clone()),
            settings: settings.clone(),
        })
    }
}

impl fmt::Debug for ListenerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListenerRuntime")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Accepts callers until `shutdown` resolves, then lets handshakes in flight come to their end,
/// which takes at most `handshake_timeout`. Calls already handed to `on_call` are not touched: an
/// HTTP server's graceful end knows nothing of upgraded connections.
///
/// At `limits.handshakes` connections wait in the kernel's queue; at `max_connections` and at
/// `limits.per_address` they are answered with 503, so that the carrier can go on to its next
/// instruction at once.
///
/// Cancel safe: dropping the future stops accepting and drops handshakes in flight.
pub async fn serve(
    listener: TcpListener,
    runtime: Arc<ListenerRuntime>,
    home: Arc<Home>,
    on_call: Arc<OnCall>,
    gate: Arc<dyn Gate>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let mut shutdown = pin!(shutdown);
    let mut watch = pin!(async {
        match &runtime.tls {
            Some(tls) => tls.watch(&runtime.metrics).await,
            None => pending().await,
        }
    });
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            never = &mut watch => match never {},
            Some(_) = handshakes.join_next() => {}
            (tcp, peer, permit) = accept(&listener, &runtime) => {
                let (runtime, on_call, gate) = (runtime.clone(), on_call.clone(), gate.clone());
                let serve = async move {
                    let _permit = permit;
                    connection::serve(tcp, peer, runtime, on_call, gate).await;
                };
                handshakes.spawn_on(serve, &home());
            }
        }
    }
    drop(listener);
    while handshakes.join_next().await.is_some() {}
}

/// The next connection, once there is room for its handshake. Cancel safe.
async fn accept(
    listener: &TcpListener,
    runtime: &ListenerRuntime,
) -> (net::TcpStream, IpAddr, OwnedSemaphorePermit) {
    loop {
        let Ok(permit) = runtime.arrivals.handshakes.clone().acquire_owned().await else {
            return pending().await; // Closed by its owner: nothing more is accepted.
        };
        match accept_one(listener).await {
            Ok((tcp, peer)) => return (tcp, peer, permit),
            Err(error) => {
                drop(permit);
                let listener = runtime.settings.name.as_str();
                tracing::warn!(listener, %error, "cannot accept; trying again");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// A connection that belongs to no runtime yet. Cancel safe.
async fn accept_one(listener: &TcpListener) -> io::Result<(net::TcpStream, IpAddr)> {
    let (tcp, peer) = listener.accept().await?;
    Ok((tcp.into_std()?, peer.ip().to_canonical()))
}
