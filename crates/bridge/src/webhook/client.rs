//! One HTTP request: bounded in time and in size.

use std::fmt;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client as HyperClient, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};

use super::Hook;

/// Name of the header that is the same in all attempts of one call.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Keeps connections open between calls.
pub(super) struct Client(HyperClient<HttpsConnector<HttpConnector>, Full<Bytes>>);

/// Why an attempt came to nothing.
pub(super) enum Failure {
    /// No connection, or it broke.
    Connection(String),
    /// No whole answer in time.
    Timeout,
    /// An answer that is none.
    Status(StatusCode),
    /// An answer longer than allowed.
    TooLong,
    /// An answer that is not text.
    NotText,
}

impl Client {
    /// A client; certificates are read only where they are needed.
    pub(super) fn new(secure: bool) -> Result<Self, String> {
        let provider = rustls::crypto::ring::default_provider();
        let builder = HttpsConnectorBuilder::new();
        let builder = if secure {
            builder
                .with_provider_and_native_roots(provider)
                .map_err(|why| format!("the system's certificates cannot be used: {why}"))?
        } else {
            let tls = rustls::ClientConfig::builder_with_provider(provider.into())
                .with_safe_default_protocol_versions()
                .map_err(|why| format!("TLS cannot be set up: {why}"))?
                .with_root_certificates(rustls::RootCertStore::empty())
                .with_no_client_auth();
            builder.with_tls_config(tls)
        };
        let connector = builder.https_or_http().enable_http1().build();
        Ok(Self(
            HyperClient::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(connector),
        ))
    }

    /// One attempt.
    pub(super) async fn post(
        &self,
        hook: &Hook,
        key: &str,
        body: Bytes,
    ) -> Result<String, Failure> {
        match tokio::time::timeout(hook.timeout, self.exchange(hook, key, body)).await {
            Ok(result) => result,
            Err(_) => Err(Failure::Timeout),
        }
    }

    async fn exchange(&self, hook: &Hook, key: &str, body: Bytes) -> Result<String, Failure> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(hook.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(IDEMPOTENCY_KEY, key);
        for (name, value) in &hook.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|why| Failure::Connection(why.to_string()))?;
        let response = self
            .0
            .request(request)
            .await
            .map_err(|why| Failure::Connection(chain(&why)))?;
        if !response.status().is_success() {
            return Err(Failure::Status(response.status()));
        }
        let whole = Limited::new(response.into_body(), hook.max_response_bytes)
            .collect()
            .await
            .map_err(|why| match why.downcast_ref::<LengthLimitError>() {
                Some(_) => Failure::TooLong,
                None => Failure::Connection(chain(&*why)),
            })?;
        String::from_utf8(whole.to_bytes().into()).map_err(|_| Failure::NotText)
    }
}

impl Failure {
    /// Whether it may be gone the next time.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Timeout => true,
            Self::Status(status) => {
                status.is_server_error() || *status == StatusCode::TOO_MANY_REQUESTS
            }
            Self::TooLong | Self::NotText => false,
        }
    }

    /// What the model is told.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Connection(_) => "the service cannot be reached",
            Self::Timeout => "the service did not answer in time",
            Self::Status(status) if status.is_client_error() => "the service refused the request",
            Self::Status(_) => "the service failed",
            Self::TooLong => "the service's answer was too long",
            Self::NotText => "the service's answer was not text",
        }
    }

    /// The HTTP status, where there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.as_u16()),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())?;
        match self {
            Self::Connection(why) => write!(f, ": {why}"),
            Self::Status(status) => write!(f, ": {status}"),
            _ => Ok(()),
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
