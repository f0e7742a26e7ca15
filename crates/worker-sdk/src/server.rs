//! Serving a worker: the gRPC server, health, reflection, and the way out.
//!
//! The windows are chosen so that calls do not hurt each other. All calls of an edge share a
//! connection, and what one call does not read counts against the connection's window: with the
//! usual windows, three slow calls would stop all others.

use std::{future::Future, io, sync::Arc, time::Duration};

use holdline_wire::{FILE_DESCRIPTOR_SET, PROTOCOL_REVISION, v1};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{
    Request, Response, Status, Streaming,
    transport::server::{Connected, Router, Server, TcpIncoming},
};
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    Description, ServeError, Settings, Tls, Worker,
    phase::{Gate, Phase},
    stream, tls,
};
use v1::worker_server::{self, WorkerServer};

/// Unread bytes that one call may have under way.
const STREAM_WINDOW: u32 = 64 << 10;
/// Unread bytes that all calls of one connection may have under way: 1,024 stalled calls.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// A connection silent for so long is asked whether it lives, and dropped if it is as long silent.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Streams that may be reset before they are taken up: an edge that lets go of many sessions at once
/// is no attack.
const RESETS: usize = 1_024;
/// Commits that may wait for the network. While that many do, no input of the call is read.
const COMMITS_WAITING: usize = 8;
/// What connections may take to end in good order, once no session is left on them.
const GOODBYE: Duration = Duration::from_millis(250);
/// What health calls the worker's service.
const SERVICE: &str = "holdline.worker.v1.Worker";

/// Serves with the settings of the environment ([`Settings::from_env`]) until SIGTERM or SIGINT,
/// then drains: the call that a worker's `main` consists of.
///
/// Draining means: health says `NOT_SERVING`, every session asks to be moved away, new ones are
/// rejected, and the sessions that are here are served until the edge has moved them. Returns once
/// none is left or the grace is over. A second signal returns at once.
///
/// # Errors
/// [`ServeError`], where it could not begin or the server failed.
pub async fn run<W: Worker>(worker: W) -> Result<(), ServeError> {
    run_with(worker, Settings::from_env()?).await
}

/// As [`run`], with settings from elsewhere.
///
/// # Errors
/// As [`run`].
pub async fn run_with<W: Worker>(worker: W, settings: Settings) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let listener = TcpListener::bind(&settings.address)
        .await
        .map_err(|source| ServeError::Listen {
            address: settings.address.clone(),
            source,
        })?;
    let (first, shutdown) = oneshot::channel::<()>();
    let signals = async {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        // Nobody listens any more where the server has failed meanwhile.
        let _ = first.send(());
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
    };
    let shutdown = async {
        let _ = shutdown.await;
    };
    tokio::select! {
        served = serve(worker, listener, settings, shutdown) => served,
        () = signals => {
            tracing::warn!("a second signal: stopped without waiting for sessions to move");
            Ok(())
        }
    }
}

/// Serves on a listener until `shutdown` is done, then drains as [`run`] does. Of the settings all
/// but the address matter.
///
/// # Errors
/// [`ServeError::Server`], [`ServeError::Tls`] and [`ServeError::Reflection`].
pub async fn serve<W: Worker>(
    worker: W,
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let description = worker.describe();
    let tls = settings.tls.as_ref().map(Tls::load).transpose()?;
    let gate = Gate::new();
    let (health, router) = router(worker, &description, gate.clone()).await?;
    if let Ok(address) = listener.local_addr() {
        let (tls, version) = (tls.is_some(), description.version);
        tracing::info!(%address, version, tls, "worker is listening");
    }
    let leaving = async {
        shutdown.await;
        drain(&health, &gate, settings.grace).await;
    };
    match tls {
        None => {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            serve_until(router, incoming, leaving).await
        }
        Some(tls) => serve_until(router, tls::incoming(listener, tls), leaving).await,
    }
}

/// Serves these connections until `leaving` is done, and a moment longer.
async fn serve_until<C>(
    router: Router,
    incoming: impl Stream<Item = io::Result<C>> + Send,
    leaving: impl Future<Output = ()> + Send,
) -> Result<(), ServeError>
where
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    let (stop, stopped) = oneshot::channel::<()>();
    let server = router.serve_with_incoming_shutdown(incoming, async {
        let _ = stopped.await;
    });
    let mut server = std::pin::pin!(server);

    tokio::select! {
        served = &mut server => return served.map_err(ServeError::Server),
        () = leaving => {}
    }
    // Health watchers would keep their connections for ever, so this wait has an end.
    let _ = stop.send(());
    match timeout(GOODBYE, server).await {
        Ok(served) => served.map_err(ServeError::Server),
        Err(_) => Ok(()),
    }
}

async fn drain(health: &HealthReporter, gate: &Gate, grace: Duration) {
    let until = Instant::now() + grace;
    tracing::info!(sessions = gate.open(), ?grace, "worker is draining");
    gate.enter(Phase::Draining { until });
    for service in ["", SERVICE] {
        health
            .set_service_status(service, ServingStatus::NotServing)
            .await;
    }
    if gate.emptied(until).await {
        tracing::info!("all sessions have moved");
        return;
    }
    tracing::warn!(sessions = gate.open(), "the grace is over");
    gate.enter(Phase::Over);
    gate.emptied(Instant::now() + GOODBYE).await;
}

async fn router<W: Worker>(
    worker: W,
    description: &Description,
    gate: Gate,
) -> Result<(HealthReporter, Router), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_service_status(SERVICE, ServingStatus::Serving)
        .await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    let largest = usize::try_from(description.max_message_bytes).unwrap_or(usize::MAX);
    let service = Service {
        worker: Arc::new(worker),
        gate,
    };
    let router = Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .http2_max_pending_accept_reset_streams(Some(RESETS))
        .add_service(WorkerServer::new(service).max_decoding_message_size(largest))
        .add_service(health_service)
        .add_service(reflection().build_v1().map_err(ServeError::Reflection)?)
        .add_service(
            reflection()
                .build_v1alpha()
                .map_err(ServeError::Reflection)?,
        );
    Ok((health, router))
}

/// The gRPC service.
struct Service<W> {
    worker: Arc<W>,
    gate: Gate,
}

#[tonic::async_trait]
impl<W: Worker> worker_server::Worker for Service<W> {
    async fn describe(
        &self,
        _request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        let description = self.worker.describe();
        Ok(Response::new(v1::DescribeResponse {
            version: description.version,
            reads_schemas: description.reads_schemas,
            writes_schema: description.writes_schema,
            max_sessions: description.max_sessions,
            max_message_bytes: description.max_message_bytes,
            needs_revision: PROTOCOL_REVISION,
            needs_commands: description.needs_commands,
        }))
    }

    type ServeStream = ReceiverStream<Result<v1::ServeResponse, Status>>;

    /// Answers at once, so that the edge sees the headers; a task of its own runs the session.
    async fn serve(
        &self,
        request: Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let (outgoing, responses) = mpsc::channel(COMMITS_WAITING);
        let worker = Arc::clone(&self.worker);
        let gate = self.gate.clone();
        tokio::spawn(stream::run(worker, gate, request.into_inner(), outgoing));
        Ok(Response::new(ReceiverStream::new(responses)))
    }
}
