//! From a TCP connection to a WebSocket with a session, or to a refusal.
//!
//! The real server answers 101 to nearly everything and says no afterwards: 101 does not
//! mean "authenticated".

use std::sync::Arc;

use http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::{Connection, Shared, lock, now, unix_now};
use crate::net::{Io, ws_config};
use crate::openai::faults::{Fault, When};
use crate::openai::options::SimOptions;
use crate::openai::session::{Refusal, Session};

/// The longest message of a client: 15 MiB of audio in base64, and its wrapping.
const MAX_MESSAGE: usize = 21 * 1024 * 1024;

/// What the upgrade request leads to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Http(StatusCode),
    Open {
        model: String,
        refusal: Option<Refusal>,
    },
}

pub(super) async fn upgrade(
    tcp: TcpStream,
    shared: &Shared,
) -> Option<(WebSocketStream<Io>, Arc<Connection>)> {
    let io = match &shared.options.tls {
        None => Io::Plain(tcp),
        Some(config) => match TlsAcceptor::from(Arc::clone(config)).accept(tcp).await {
            Ok(tls) => Io::Tls(Box::new(tls.into())),
            Err(error) => {
                tracing::debug!(%error, "a client's TLS handshake failed");
                return None;
            }
        },
    };
    let mut opened = None;
    #[allow(
        clippy::result_large_err,
        reason = "the type is the WebSocket library's"
    )]
    let decide = |request: &Request, response: Response| {
        // The number is taken under the lock, so that faults by number are exact.
        let mut connections = lock(&shared.connections);
        let gone = *lock(&shared.refused) + *lock(&shared.taken);
        let number = (connections.len() as u64 + gone + 1)
            .try_into()
            .unwrap_or(u16::MAX);
        match judge(&shared.options, number, request.uri(), request.headers()) {
            Verdict::Http(status) => {
                *lock(&shared.refused) += 1;
                Err(refuse(status))
            }
            Verdict::Open { model, refusal } => {
                let options = Arc::clone(&shared.options);
                let session = Session::open(options, number, model, refusal, now(), unix_now());
                let connection = Arc::new(Connection {
                    session: session.into(),
                    wake: Notify::new(),
                });
                connections.push(Arc::clone(&connection));
                opened = Some(connection);
                Ok(with_protocol(request.headers(), response))
            }
        }
    };
    let ws = accept_hdr_async_with_config(io, decide, Some(ws_config(MAX_MESSAGE))).await;
    match (ws, opened) {
        (Ok(ws), Some(connection)) => Some((ws, connection)),
        (Err(error), opened) => {
            tracing::debug!(%error, "an upgrade failed");
            if let Some(connection) = opened {
                lock(&connection.session).closed(now(), format!("the upgrade failed: {error}"));
            }
            None
        }
        (Ok(_), None) => None,
    }
}

fn judge(options: &SimOptions, number: u16, uri: &Uri, headers: &HeaderMap) -> Verdict {
    let fault = options
        .faults
        .iter()
        .find(|rule| rule.concerns(number) && rule.when == When::Upgrade);
    if let Some(rule) = fault {
        let status = match rule.fault {
            Fault::Http(status) => {
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        return Verdict::Http(status);
    }
    if number > options.max_connections {
        return Verdict::Http(StatusCode::SERVICE_UNAVAILABLE);
    }
    if uri.path() != "/v1/realtime" {
        return Verdict::Http(StatusCode::NOT_FOUND);
    }
    let query = uri.query().unwrap_or("");
    let parameter = |name: &str| {
        query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let model = parameter("model").unwrap_or("").to_owned();
    let refusal = if headers.contains_key("openai-beta") {
        Some((
            "beta_api_shape_disabled",
            "The Realtime beta API is no longer supported.",
            4_000,
        ))
    } else if !options.keys.accept(api_key(headers)) {
        Some(("invalid_api_key", "Incorrect API key provided.", 3_000))
    } else if parameter("call_id").is_some() {
        Some((
            "call_not_found",
            "Sessions over WebSocket have no call id and cannot be attached to.",
            4_000,
        ))
    } else if model.is_empty() {
        Some((
            "missing_model",
            "You must provide a model parameter.",
            4_000,
        ))
    } else {
        None
    };
    let refusal = refusal.map(|(code, message, close)| Refusal {
        code,
        message,
        close,
    });
    Verdict::Open { model, refusal }
}

/// From the Authorization header, or as browsers must send it, among the subprotocols.
fn api_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if let Some(value) = bearer {
        return value.strip_prefix("Bearer ");
    }
    protocols(headers).find_map(|protocol| protocol.strip_prefix("openai-insecure-api-key."))
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
}

fn with_protocol(headers: &HeaderMap, mut response: Response) -> Response {
    if protocols(headers).any(|protocol| protocol == "realtime") {
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("realtime"));
    }
    response
}

fn refuse(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::openai::faults::FaultRule;
    use crate::openai::options::Keys;

    fn verdict(options: &SimOptions, uri: &str, headers: &[(&'static str, &str)]) -> Verdict {
        let map = headers
            .iter()
            .map(|(name, value)| {
                (
                    http::HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        judge(options, 1, &uri.parse().unwrap(), &map)
    }

    fn refused(verdict: Verdict) -> Option<(&'static str, u16)> {
        let Verdict::Open { refusal, .. } = verdict else {
            panic!("{verdict:?}")
        };
        refusal.map(|refusal| (refusal.code, refusal.close))
    }

    #[test]
    fn keys_beta_and_model_are_judged_after_the_upgrade() {
        let options = SimOptions {
            keys: Keys::Only(["good".to_owned()].into()),
            ..SimOptions::default()
        };
        let uri = "/v1/realtime?model=gpt-realtime";
        let good = ("authorization", "Bearer good");
        assert_eq!(refused(verdict(&options, uri, &[good])), None);
        assert_eq!(
            refused(verdict(&options, uri, &[("authorization", "Bearer bad")])),
            Some(("invalid_api_key", 3_000))
        );
        assert_eq!(
            refused(verdict(&options, uri, &[])),
            Some(("invalid_api_key", 3_000))
        );
        let browser = (
            "sec-websocket-protocol",
            "realtime, openai-insecure-api-key.good",
        );
        assert_eq!(refused(verdict(&options, uri, &[browser])), None);
        let beta = ("openai-beta", "realtime=v1");
        assert_eq!(
            refused(verdict(&options, uri, &[good, beta])),
            Some(("beta_api_shape_disabled", 4_000))
        );
        assert_eq!(
            refused(verdict(&options, "/v1/realtime", &[good])),
            Some(("missing_model", 4_000))
        );
    }

    #[test]
    fn some_upgrades_are_refused_by_http() {
        let options = SimOptions::default();
        assert_eq!(
            verdict(&options, "/v1/other?model=x", &[]),
            Verdict::Http(StatusCode::NOT_FOUND)
        );
        let faults = vec![FaultRule::on(1, When::Upgrade, Fault::Http(401))];
        let options = SimOptions {
            faults,
            ..SimOptions::default()
        };
        assert_eq!(
            verdict(&options, "/v1/realtime?model=x", &[]),
            Verdict::Http(StatusCode::UNAUTHORIZED)
        );
    }
}
