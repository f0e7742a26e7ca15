//! Which path is answered by what.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{
        ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, WWW_AUTHENTICATE,
    },
};
use serde::Serialize;

use super::{
    body::{Answer, Body},
    commands, dashboard, events,
    guard::Refusal,
    name,
    query::{self, Query},
    ready, rollout, sessions, workers,
};
use crate::edge::Edge;

const PATHS: &str = "paths: / (the dashboard) /livez /readyz /metrics /sessions \
                     /sessions/{id or call_sid} /workers /rollout /events /openapi.json\n";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What this port answers, for programs.
const OPENAPI: &str = include_str!("openapi.json");

/// Answers one request that may be answered.
pub(super) async fn answer(
    edge: &Arc<Edge>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Answer {
    match *request.method() {
        Method::GET | Method::HEAD => show(edge, &request).await,
        Method::POST => match commands::obey(edge, request, peer).await {
            Some(response) => response,
            None => not_allowed(),
        },
        _ => not_allowed(),
    }
}

fn not_allowed() -> Answer {
    let words = "GET and HEAD, and POST to /sessions/{id or call_sid}/inputs, /move and /end, to \
                 /workers/{address}/drain and /undrain, and to /rollout\n";
    let refusal = text(StatusCode::METHOD_NOT_ALLOWED, words);
    with(refusal, ALLOW, "GET, HEAD, POST")
}

async fn show<B>(edge: &Arc<Edge>, request: &Request<B>) -> Answer {
    let path = request.uri().path();
    match path {
        // As long as this can be answered, a restart would only drop calls.
        "/livez" => text(StatusCode::OK, "alive\n"),
        "/readyz" => readiness(edge),
        "/metrics" => respond(StatusCode::OK, METRICS, edge.metrics.render()),
        "/workers" => json(&workers::all(edge)),
        "/rollout" => json(&rollout::page(edge)),
        "/events" => events::tell(edge, *request.method() == Method::HEAD),
        "/openapi.json" => respond(StatusCode::OK, JSON, OPENAPI),
        "/sessions" => match Query::read(request.uri().query().unwrap_or_default()) {
            Some(query) => json(&sessions::page(edge, &query)),
            None => text(StatusCode::BAD_REQUEST, query::KEYS),
        },
        _ => match path.strip_prefix("/sessions/") {
            Some(part) => session(edge, part).await,
            None => dashboard::file(path).unwrap_or_else(|| text(StatusCode::NOT_FOUND, PATHS)),
        },
    }
}

async fn session(edge: &Edge, part: &str) -> Answer {
    let name = match name::decode(part) {
        Ok(name) => name,
        Err(refusal) => return refusal,
    };
    match sessions::one(edge, &name).await {
        Some(session) => json(&session),
        None => text(StatusCode::NOT_FOUND, "no such session is on this edge\n"),
    }
}

/// Answers a request that is not to be answered. The connection ends with it: whatever follows on it
/// was perhaps meant as something else.
pub(super) fn refused(refusal: Refusal) -> Answer {
    let response = text(refusal.status(), refusal.message());
    let response = with(response, CONNECTION, "close");
    match refusal.status() {
        StatusCode::UNAUTHORIZED => with(response, WWW_AUTHENTICATE, "Bearer"),
        _ => response,
    }
}

fn readiness(edge: &Edge) -> Answer {
    let because = ready::obstacles(edge);
    if because.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    let mut lines = because.join("\n");
    lines.push('\n');
    respond(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines)
}

pub(super) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec_pretty(value) {
        Ok(body) => respond(StatusCode::OK, JSON, body),
        Err(_) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the answer could not be written as JSON: a defect of this edge\n",
        ),
    }
}

pub(super) fn text(status: StatusCode, body: &'static str) -> Answer {
    respond(status, TEXT, body)
}

pub(super) fn with(mut response: Answer, name: HeaderName, value: &'static str) -> Answer {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
    response
}

/// An answer in words that were made for it.
pub(super) fn words(status: StatusCode, body: String) -> Answer {
    respond(status, TEXT, body)
}

pub(super) fn respond(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
