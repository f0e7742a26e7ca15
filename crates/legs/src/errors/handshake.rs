//! Why a connection of a listener does not become a call.

use std::io;

use http::StatusCode;

use crate::{Refusal, RefusalReason, signature::SignatureError};

/// A request that is answered with an HTTP error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// No route has this path.
    NotFound,
    /// Not a GET.
    Method,
    /// Not a POST, on a webhook's path.
    NotPost,
    /// A webhook's body is over its limit.
    TooLarge,
    /// A webhook's body is not a form with a `CallSid`.
    Form,
    /// Not HTTP/1.1.
    HttpVersion,
    /// The request has a body.
    Body,
    /// Not a WebSocket upgrade.
    NoUpgrade,
    /// Another version of the WebSocket protocol than 13.
    Version,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64.
    Key,
    /// The signature is not Twilio's.
    Signature(SignatureError),
    /// The listener has `max_connections`.
    Connections,
    /// The caller's address has `limits.per_address`.
    Address,
    /// The gate says no.
    Gate(Refusal),
}

impl Refused {
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method | Self::NotPost => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HttpVersion | Self::Body | Self::Key | Self::Form => StatusCode::BAD_REQUEST,
            Self::NoUpgrade | Self::Version => StatusCode::UPGRADE_REQUIRED,
            Self::Signature(_)
            | Self::Gate(Refusal {
                reason: RefusalReason::Token,
                ..
            }) => StatusCode::FORBIDDEN,
            Self::Connections | Self::Address | Self::Gate(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word used in logs and metric labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Method | Self::NotPost => "method",
            Self::TooLarge => "too_large",
            Self::Form => "form",
            Self::HttpVersion => "http_version",
            Self::Body => "body",
            Self::NoUpgrade => "no_upgrade",
            Self::Version => "websocket_version",
            Self::Key => "websocket_key",
            Self::Signature(_) => "signature",
            Self::Connections => "connections",
            Self::Address => "address",
            Self::Gate(Refusal {
                reason: RefusalReason::Draining,
                ..
            }) => "draining",
            Self::Gate(Refusal {
                reason: RefusalReason::Full,
                ..
            }) => "full",
            Self::Gate(Refusal {
                reason: RefusalReason::Token,
                ..
            }) => "token",
        }
    }

    /// The body of the answer: enough for an honest client, nothing for another.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::NotFound => "Nothing is served at this path.\n",
            Self::Method => "Only GET is served here.\n",
            Self::HttpVersion => "HTTP/1.1 is needed.\n",
            Self::Body => "A WebSocket upgrade has no body.\n",
            Self::NoUpgrade => "Only WebSocket connections are served here.\n",
            Self::Version => "WebSocket version 13 is needed.\n",
            Self::Key => "Sec-WebSocket-Key is missing or malformed.\n",
            Self::NotPost => "Only POST is served here.\n",
            Self::TooLarge => "The request is too large.\n",
            Self::Form => "A form with a CallSid is needed.\n",
            Self::Signature(_)
            | Self::Gate(Refusal {
                reason: RefusalReason::Token,
                ..
            }) => "The request is not authorized.\n",
            Self::Connections | Self::Address | Self::Gate(_) => "No more calls are taken now.\n",
        }
    }
}

/// A connection that ended before it had an answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The system cannot watch one more socket.
    #[error("the socket cannot be served: {0}")]
    Socket(io::Error),
    /// TLS failed.
    #[error("TLS handshake failed: {0}")]
    Tls(io::Error),
    /// What came is not HTTP, or over a limit of headers.
    #[error("not served as HTTP/1.1: {0}")]
    Http(hyper::Error),
    /// The peer left.
    #[error("the peer left during the handshake")]
    Gone,
    /// The peer took too long.
    #[error("no upgrade within the handshake_timeout")]
    Timeout,
}

impl HandshakeError {
    /// The word used in logs and metric labels.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Socket(_) => "socket",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            Self::Gone => "gone",
            Self::Timeout => "timeout",
        }
    }
}
