//! Which path is answered by what.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
    },
};
use serde::Serialize;

use super::{commands, guard::Refusal, ready, sessions};
use crate::edge::Edge;

const PATHS: &str =
    "paths: /livez /readyz /metrics /sessions /sessions/{id or call_sid} /workers\n";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers one request that may be answered.
pub(super) async fn answer(edge: &Edge, request: Request<Incoming>) -> Response<Full<Bytes>> {
    match *request.method() {
        Method::GET | Method::HEAD => show(edge, request.uri().path()).await,
        Method::POST => match commands::obey(edge, request).await {
            Some(response) => response,
            None => not_allowed(),
        },
        _ => not_allowed(),
    }
}

fn not_allowed() -> Response<Full<Bytes>> {
    let words = "GET and HEAD, and POST to /sessions/{id or call_sid}/inputs, /move and /end\n";
    let refusal = text(StatusCode::METHOD_NOT_ALLOWED, words);
    with(refusal, ALLOW, "GET, HEAD, POST")
}

async fn show(edge: &Edge, path: &str) -> Response<Full<Bytes>> {
    match path {
        // As long as this can be answered, a restart would only drop calls.
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" => readiness(edge),
        "/metrics" => respond(StatusCode::OK, METRICS, edge.metrics.render()),
        "/workers" => json(&ready::workers(edge)),
        "/sessions" => json(&sessions::all(edge).await),
        _ => match path.strip_prefix("/sessions/") {
            Some(name) => match sessions::one(edge, name).await {
                Some(session) => json(&session),
                None => text(StatusCode::NOT_FOUND, "no such session is on this edge\n"),
            },
            None => text(StatusCode::NOT_FOUND, PATHS),
        },
    }
}

/// Answers a request that is not to be answered. The connection ends with it: whatever follows on it
/// was perhaps meant as something else.
pub(super) fn refused(refusal: Refusal) -> Response<Full<Bytes>> {
    let response = text(refusal.status(), refusal.message());
    let response = with(response, CONNECTION, "close");
    match refusal.status() {
        StatusCode::UNAUTHORIZED => with(response, WWW_AUTHENTICATE, "Bearer"),
        _ => response,
    }
}

fn readiness(edge: &Edge) -> Response<Full<Bytes>> {
    let because = ready::obstacles(edge);
    if because.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    let mut lines = because.join("\n");
    lines.push('\n');
    respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines)
}

pub(super) fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec_pretty(value) {
        Ok(body) => respond(StatusCode::OK, JSON, body),
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written as JSON: a defect of this edge\n",
        ),
    }
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    respond(status, TEXT, body)
}

pub(super) fn with(
    mut response: Response<Full<Bytes>>,
    name: HeaderName,
    value: &'static str,
) -> Response<Full<Bytes>> {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}

fn respond(
    status: StatusCode,
    kind: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
