//! DNS, TCP, TLS, upgrade: one after the other, under one deadline.

use std::{future::Future, io, net::SocketAddr};

use holdline_tls::Stream;
use http::{Request, Response};
use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::{WebSocketStream, client_async_with_config, tungstenite::Error as WsError};

use super::target::Target;
use crate::{
    errors::{DialError, Stage},
    socket::web_socket_config,
};

/// Most addresses of a name that are tried.
const ADDRESSES_MAX: usize = 8;

type Upgraded = (WebSocketStream<Stream>, Response<Option<Vec<u8>>>);

/// Opens a WebSocket to `target` with `request`.
pub(super) async fn connect(target: &Target, request: Request<()>) -> Result<Upgraded, DialError> {
    let deadline = Instant::now() + target.settings.connect_timeout;
    let tcp = connect_tcp(target, deadline).await?;
    let stream = match &target.tls {
        None => Stream::Tcp(tcp),
        Some((config, server)) => {
            let tls = TlsConnector::from(config.clone()).connect(server.clone(), tcp);
            let tls = within(target, deadline, Stage::Tls, tls).await?;
            let tls = tls.map_err(|source| DialError::Tls {
                host: target.host.clone(),
                source,
            })?;
            Stream::Tls(Box::new(tls.into()))
        }
    };
    let config = web_socket_config(target.settings.max_frame.as_usize());
    let upgrade = client_async_with_config(request, stream, Some(config));
    within(target, deadline, Stage::Upgrade, upgrade)
        .await?
        .map_err(|error| refusal(target, error))
}

/// Tries the name's addresses in turn. Each gets an equal share of the time that is left, so that
/// one that swallows packets does not keep the next from being tried.
async fn connect_tcp(target: &Target, deadline: Instant) -> Result<TcpStream, DialError> {
    let host = || target.host.clone();
    let lookup = lookup_host((target.host.as_str(), target.port));
    let addresses: Vec<SocketAddr> = within(target, deadline, Stage::Resolve, lookup)
        .await?
        .map_err(|source| DialError::Resolve {
            host: host(),
            source,
        })?
        .take(ADDRESSES_MAX)
        .collect();

    let mut failure = DialError::Resolve {
        host: host(),
        source: io::ErrorKind::NotFound.into(),
    };
    let count = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for (tried, address) in (0..count).zip(addresses) {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = Instant::now() + left / (count - tried);
        failure = match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(tcp)) => {
                // Frames are small and late ones are worthless: never wait to fill a segment.
                if let Err(error) = tcp.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY cannot be set");
                }
                return Ok(tcp);
            }
            Ok(Err(source)) => DialError::Connect {
                host: host(),
                source,
            },
            Err(_) => DialError::Timeout {
                host: host(),
                stage: Stage::Connect,
            },
        };
    }
    Err(failure)
}

async fn within<T>(
    target: &Target,
    deadline: Instant,
    stage: Stage,
    work: impl Future<Output = T>,
) -> Result<T, DialError> {
    let host = || target.host.clone();
    timeout_at(deadline, work)
        .await
        .map_err(|_| DialError::Timeout {
            host: host(),
            stage,
        })
}

fn refusal(target: &Target, error: WsError) -> DialError {
    let host = target.host.clone();
    match error {
        WsError::Http(response) => DialError::Status {
            host,
            status: response.status().as_u16(),
        },
        WsError::Io(source) => DialError::Connect { host, source },
        error => DialError::Upgrade {
            host,
            what: error.to_string(),
        },
    }
}
