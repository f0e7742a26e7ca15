//! What a request must be to become a call. Decides; does no IO.

use std::{net::IpAddr, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
        SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper::body::Body;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{ListenerRuntime, RouteRuntime, arrivals::Place, route};
use crate::{Gate, Permit, RefusalReason, Token, errors::Refused};

/// `Retry-After` of a refusal for `max_connections` or `limits.per_address`, in seconds.
const ROOM_RETRY_AFTER: u64 = 5;

/// A request that may become a call.
pub(super) struct Admitted {
    pub(super) route: Arc<RouteRuntime>,
    /// Fit to be told.
    pub(super) path: String,
    pub(super) token: Option<Token>,
    pub(super) permit: Permit,
    /// Among the sockets of its address.
    pub(super) place: Place,
    /// For `Sec-WebSocket-Accept`.
    pub(super) accept: String,
}

/// Checks everything that must be in order before a 101. Cheap checks come first, and the gate last:
/// it is not asked about a request that is refused anyway. `client`: who asks, once trusted proxies are
/// believed. `room`: whether the listener is below its `max_connections`.
pub(super) fn admit<B: Body>(
    runtime: &ListenerRuntime,
    request: &Request<B>,
    client: IpAddr,
    room: bool,
    gate: &dyn Gate,
) -> Result<Admitted, Refused> {
    let path = request.uri().path();
    let (route, rest) = route::find(&runtime.routes, path).ok_or(Refused::NotFound)?;
    let accept = web_socket(request)?;
    if let Some(verifier) = route.verifier() {
        verifier
            .verify(request.headers(), rest)
            .map_err(Refused::Signature)?;
    }
    if !room {
        return Err(Refused::Connections);
    }
    let place = runtime.arrivals.sources.take(client);
    let place = place.ok_or(Refused::Address)?;
    let token = route.has_token().then(|| Token::new(rest));
    let permit = gate.admit(token.as_ref()).map_err(Refused::Gate)?;
    Ok(Admitted {
        route: Arc::clone(route),
        path: route::shown(&runtime.routes, path).into_owned(),
        token,
        permit,
        place,
        accept,
    })
}

/// Whether the request is a WebSocket upgrade as in RFC 6455, 4.2.1. No subprotocol and no extension
/// is ever agreed to, so what the client offers of those is not looked at.
fn web_socket<B: Body>(request: &Request<B>) -> Result<String, Refused> {
    let headers = request.headers();
    if request.method() != Method::GET {
        return Err(Refused::Method);
    }
    if request.version() != Version::HTTP_11 {
        return Err(Refused::HttpVersion);
    }
    if !request.body().is_end_stream() {
        return Err(Refused::Body);
    }
    if !has_token(headers, &CONNECTION, "upgrade") || !has_token(headers, &UPGRADE, "websocket") {
        return Err(Refused::NoUpgrade);
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        return Err(Refused::Version);
    }
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16) => {
            Ok(derive_accept_key(key.as_bytes()))
        }
        _ => Err(Refused::Key),
    }
}

/// Whether a comma-separated header has this token, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .any(|part| part.trim().eq_ignore_ascii_case(token))
}

/// The 101.
pub(super) fn accepted<B: Default>(accept: &str) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    insert(&mut response, CONNECTION, "upgrade");
    insert(&mut response, UPGRADE, "websocket");
    insert(&mut response, SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// An answer to a webhook. The connection ends with it.
pub(super) fn instructed<B: From<String>>(twiml: String) -> Response<B> {
    let mut response = Response::new(twiml.into());
    insert(&mut response, CONTENT_TYPE, "text/xml; charset=utf-8");
    insert(&mut response, CACHE_CONTROL, "no-store");
    insert(&mut response, CONNECTION, "close");
    response
}

/// The answer to a request that is refused. The connection ends with it.
pub(super) fn refused<B: From<&'static str>>(why: Refused) -> Response<B> {
    let mut response = Response::new(why.message().into());
    *response.status_mut() = why.status();
    insert(&mut response, CONTENT_TYPE, "text/plain; charset=utf-8");
    insert(&mut response, CONNECTION, "close");
    match why {
        Refused::Method => insert(&mut response, ALLOW, "GET"),
        Refused::NotPost => insert(&mut response, ALLOW, "POST"),
        Refused::NoUpgrade | Refused::Version => {
            insert(&mut response, CONNECTION, "upgrade, close");
            insert(&mut response, UPGRADE, "websocket");
            insert(&mut response, SEC_WEBSOCKET_VERSION, "13");
        }
        Refused::Connections | Refused::Address => {
            insert(&mut response, RETRY_AFTER, &ROOM_RETRY_AFTER.to_string());
        }
        Refused::Gate(refusal) if refusal.reason != RefusalReason::Token => {
            let seconds = refusal.retry_after.as_secs_f64().ceil();
            insert(&mut response, RETRY_AFTER, &format!("{seconds:.0}"));
        }
        _ => {}
    }
    response
}

/// For values that are made here, and so are printable ASCII.
fn insert<B>(response: &mut Response<B>, name: HeaderName, value: &str) {
    if let Ok(value) = value.parse() {
        response.headers_mut().insert(name, value);
    }
}
