//! One accepted connection, until it is a call or is gone.

use std::{
    convert::Infallible,
    net::{self, IpAddr},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use holdline_telemetry::{LegKind, LegMetrics};
use holdline_tls::Stream;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn, upgrade::OnUpgrade};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role};

use super::{
    IncomingCall, ListenerRuntime, OnCall,
    arrivals::Place,
    forwarded,
    route::{find_webhook, shown},
    upgrade::{Admitted, accepted, admit, instructed, refused},
};
use crate::{
    Gate, LegSocket,
    errors::{HandshakeError, Refused},
    socket::{LegSettings, web_socket_config},
    webhook::Webhook,
};

/// Bytes of request line and headers. Twilio's request has about 400.
const HEADER_BYTES: usize = 16 << 10;
/// Header lines.
const HEADERS: usize = 64;

/// A request that got its 101, and the connection to come.
struct Promised {
    admitted: Admitted,
    peer: IpAddr,
    upgrade: OnUpgrade,
}

/// Counts a connection until it is dropped, and keeps its places below the limits.
struct Connection {
    place: Option<OwnedSemaphorePermit>,
    /// Once it is a call: its place among those of its address.
    of_address: Option<Place>,
    metrics: Arc<LegMetrics>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

/// Does TLS and HTTP within `handshake_timeout`, and hands the call over if it comes to one. The
/// socket joins the runtime that this is polled on.
pub(super) async fn serve(
    tcp: net::TcpStream,
    peer: IpAddr,
    runtime: Arc<ListenerRuntime>,
    on_call: Arc<OnCall>,
    gate: Arc<dyn Gate>,
) {
    let metrics = Arc::clone(&runtime.metrics);
    metrics.connections.inc();
    let mut connection = Connection {
        place: Arc::clone(&runtime.connections).try_acquire_owned().ok(),
        of_address: None,
        metrics: Arc::clone(&metrics),
    };
    metrics.handshakes.inc();
    let deadline = Instant::now() + runtime.settings.handshake_timeout;
    let shaken = handshake(tcp, peer, &runtime, connection.place.is_some(), &*gate);
    let shaken = timeout_at(deadline, Box::pin(shaken)).await;
    metrics.handshakes.dec();

    let listener = runtime.settings.name.as_str();
    match shaken.unwrap_or(Err(HandshakeError::Timeout)) {
        Ok(Some((admitted, peer, web_socket))) => {
            metrics.upgrades_accepted.inc();
            let Admitted {
                route,
                path,
                token,
                permit,
                place,
                ..
            } = admitted;
            connection.of_address = Some(place);
            let settings = LegSettings {
                profile: route.profile(),
                kind: LegKind::Caller,
                max_frame: route.settings().max_frame.as_usize(),
                idle_timeout: route.settings().idle_timeout,
                ping_interval: None,
                metrics,
                slot: Some(Box::new(connection)),
            };
            let socket = LegSocket::new(web_socket, settings);
            on_call(IncomingCall {
                route,
                peer,
                path,
                token,
                socket,
                permit,
            });
        }
        // Refused, and said so where it was decided.
        Ok(None) => {}
        Err(error) => {
            let why = error.as_str();
            metrics.upgrade_refused(why);
            // What a load balancer's TCP check looks like.
            if let HandshakeError::Gone = error {
                tracing::debug!(listener, %peer, %error, "no upgrade");
            } else if let Some(untold) = runtime.told.admit(now()) {
                tracing::info!(listener, %peer, why, %error, untold, "no upgrade");
            }
        }
    }
}

type Shaken = Option<(Admitted, IpAddr, WebSocketStream<Stream>)>;

async fn handshake(
    tcp: net::TcpStream,
    peer: IpAddr,
    runtime: &ListenerRuntime,
    room: bool,
    gate: &dyn Gate,
) -> Result<Shaken, HandshakeError> {
    let tcp = TcpStream::from_std(tcp).map_err(HandshakeError::Socket)?;
    // Frames are small and late ones are worthless: never wait to fill a segment.
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY cannot be set");
    }
    let stream = match &runtime.tls {
        None => Stream::Tcp(tcp),
        Some(tls) => {
            let tls = tls
                .acceptor()
                .accept(tcp)
                .await
                .map_err(HandshakeError::Tls)?;
            Stream::Tls(Box::new(tls.into()))
        }
    };
    let Some(Promised {
        admitted,
        peer,
        upgrade,
    }) = http(stream, peer, runtime, room, gate).await?
    else {
        return Ok(None);
    };
    let upgraded = upgrade.await.map_err(HandshakeError::Http)?;
    let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else {
        return Err(HandshakeError::Gone); // Not to be: the connection was made of this type above.
    };
    // Frames may have come right behind the request.
    let read_ahead = parts.read_buf.to_vec();
    let config = web_socket_config(admitted.route.settings().max_frame.as_usize());
    let stream = parts.io.into_inner();
    let web_socket =
        WebSocketStream::from_partially_read(stream, read_ahead, Role::Server, Some(config)).await;
    Ok(Some((admitted, peer, web_socket)))
}

/// Serves HTTP until a request is admitted, or refused: every refusal closes the connection.
async fn http(
    stream: Stream,
    peer: IpAddr,
    runtime: &ListenerRuntime,
    room: bool,
    gate: &dyn Gate,
) -> Result<Option<Promised>, HandshakeError> {
    let promised = Mutex::new(None);
    let asked = Mutex::new(false);
    let service = service_fn(|request: Request<Incoming>| {
        *asked.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let promised = &promised;
        async move {
            if let Some(webhook) = find_webhook(&runtime.routes, request.uri().path()) {
                return Ok::<_, Infallible>(instruct(webhook, request, peer, runtime, gate).await);
            }
            let (response, promise) = answer(request, peer, runtime, room, gate);
            if promise.is_some() {
                *promised.lock().unwrap_or_else(PoisonError::into_inner) = promise;
            }
            Ok(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(runtime.settings.handshake_timeout)
        .max_buf_size(HEADER_BYTES)
        .max_headers(HEADERS)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    let promised = promised
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let asked = asked.into_inner().unwrap_or_else(PoisonError::into_inner);
    match served {
        Ok(()) if asked => Ok(promised),
        Ok(()) => Err(HandshakeError::Gone),
        Err(_) if asked => Ok(None),
        Err(error) if error.is_parse() => Err(HandshakeError::Http(error)),
        Err(error) if error.is_timeout() => Err(HandshakeError::Timeout),
        Err(_) => Err(HandshakeError::Gone),
    }
}

fn answer(
    mut request: Request<Incoming>,
    peer: IpAddr,
    runtime: &ListenerRuntime,
    room: bool,
    gate: &dyn Gate,
) -> (Response<Full<Bytes>>, Option<Promised>) {
    let peer = forwarded::client(&runtime.settings, peer, request.headers());
    match admit(runtime, &request, peer, room, gate) {
        Ok(admitted) => {
            let response = accepted(&admitted.accept);
            let upgrade = hyper::upgrade::on(&mut request);
            (
                response,
                Some(Promised {
                    admitted,
                    peer,
                    upgrade,
                }),
            )
        }
        Err(why) => {
            let path = shown(&runtime.routes, request.uri().path());
            report(runtime, peer, &path, why);
            (refused(why), None)
        }
    }
}

/// Answers the carrier's question how a call goes on.
async fn instruct(
    webhook: &Webhook,
    request: Request<Incoming>,
    peer: IpAddr,
    runtime: &ListenerRuntime,
    gate: &dyn Gate,
) -> Response<Full<Bytes>> {
    let (listener, metrics) = (runtime.settings.name.as_str(), &runtime.metrics);
    let peer = forwarded::client(&runtime.settings, peer, request.headers());
    match webhook.answer(request, gate).await {
        Ok(answer) => {
            let (call_sid, direction) = (answer.call_sid, answer.direction);
            metrics.webhook_answered(direction);
            tracing::info!(listener, %peer, call_sid, direction, "webhook answered");
            instructed(answer.twiml)
        }
        Err(why) => {
            metrics.webhook_answered("refused");
            let (path, status) = (webhook.path(), why.status().as_u16());
            let untold = runtime.told.admit(now());
            if let Refused::Signature(error) = why {
                metrics.signature_failed(error.as_str());
                let error = error.as_str();
                if let Some(untold) = untold {
                    tracing::warn!(listener, %peer, path, status, error, untold, "webhook refused: signature");
                }
            } else if let Some(untold) = untold {
                let why = why.as_str();
                tracing::info!(listener, %peer, path, status, why, untold, "webhook refused");
            }
            refused(why)
        }
    }
}

/// Counts a refusal, and tells of it where the pace of such lines allows.
fn report(runtime: &ListenerRuntime, peer: IpAddr, path: &str, why: Refused) {
    let (listener, metrics) = (runtime.settings.name.as_str(), &runtime.metrics);
    metrics.upgrade_refused(why.as_str());
    if let Refused::Signature(error) = why {
        metrics.signature_failed(error.as_str());
    }
    let Some(untold) = runtime.told.admit(now()) else {
        return;
    };
    let status = why.status().as_u16();
    let path = &path[..path.floor_char_boundary(256)];
    if let Refused::Signature(error) = why {
        let error = error.as_str();
        tracing::warn!(listener, %peer, path, status, error, untold, "upgrade refused: signature");
    } else {
        let why = why.as_str();
        tracing::info!(listener, %peer, path, status, why, untold, "upgrade refused");
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
