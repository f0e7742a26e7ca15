//! Who may ask the admin port for what.
//!
//! Three kinds of people can reach a port that is meant for operators alone: a web page in the
//! browser of somebody on this machine, somebody else on the network, and operators. A page is known
//! by what its browser says of it (`Host`, `Origin`, `Sec-Fetch-Site`); an operator by the token.

use std::{
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use holdline_config::Secret;
use holdline_telemetry::{AdminMetrics, logging::Paces};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Version,
    body::Body,
    header::{AUTHORIZATION, HOST, HeaderName, ORIGIN},
    http::uri::Authority,
};
use subtle::ConstantTimeEq as _;

use super::dashboard;

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Refusals for one cause that the log tells of in a second, at most; all are counted.
const TOLD: u32 = 1;

/// Why a request is not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// Not as a client of this port asks: a body, several hosts or none, a whole URL.
    Form,
    /// Asked under a name that this port has not: a page whose name was turned to this address.
    Host,
    /// Asked by a page of another site.
    CrossSite,
    /// The token is wrong.
    Token,
    /// A token is needed, and none was shown.
    TokenMissing,
    /// A token is needed, and none is configured.
    TokenUnset,
    /// All connections are taken; those that are left are for probes and scrapers.
    Full,
}

impl Refusal {
    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::Form => StatusCode::BAD_REQUEST,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Token | Self::TokenMissing | Self::TokenUnset => StatusCode::UNAUTHORIZED,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The word used in logs and metric labels.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Host => "host",
            Self::CrossSite => "cross_site",
            Self::Token => "token",
            Self::TokenMissing => "token_missing",
            Self::TokenUnset => "token_unset",
            Self::Full => "full",
        }
    }

    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Form => "a request here has one Host and a path, and a body with POST alone\n",
            Self::Host => {
                "this port listens on loopback and answers to localhost and IP addresses only\n"
            }
            Self::CrossSite => "this port answers no pages of other sites\n",
            Self::Token | Self::TokenMissing => {
                "the admin token is needed: Authorization: Bearer TOKEN\n"
            }
            Self::TokenUnset => {
                "this needs the admin token, and no `admin.token` is configured on this edge\n"
            }
            Self::Full => "too many are connected to this port\n",
        }
    }
}

/// Decides, counts and tells.
#[derive(Debug)]
pub(super) struct Guard {
    token: Option<Secret>,
    loopback: bool,
    metrics: AdminMetrics,
    told: Paces,
}

impl Guard {
    /// `address`: where the port listens.
    pub(super) fn new(token: Option<Secret>, address: IpAddr, metrics: AdminMetrics) -> Self {
        Self {
            token,
            loopback: address.to_canonical().is_loopback(),
            metrics,
            told: Paces::new(TOLD),
        }
    }

    /// Whether everybody on the network may read what calls are on this edge.
    pub(super) fn is_open(&self) -> bool {
        !self.loopback && self.token.is_none()
    }

    /// Whether this request may be answered. Counts it and tells of it where not. `reserved`: it came on
    /// a connection that is kept for probes and scrapers.
    pub(super) fn check<B: Body>(
        &self,
        request: &Request<B>,
        peer: SocketAddr,
        reserved: bool,
    ) -> Result<(), Refusal> {
        let mut checked = self.decide(request);
        if reserved && !is_of_machines(request.uri().path()) {
            checked = checked.and(Err(Refusal::Full));
        }
        if let Err(refusal) = checked {
            self.refuse(refusal.as_str(), peer);
        }
        checked
    }

    /// Counts and tells of a command that was not understood.
    pub(super) fn look<B>(&self, answer: &Response<B>, peer: SocketAddr) {
        let why = match answer.status() {
            StatusCode::BAD_REQUEST => "malformed",
            StatusCode::REQUEST_TIMEOUT => "slow",
            StatusCode::PAYLOAD_TOO_LARGE => "too_large",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "content_type",
            _ => return,
        };
        self.refuse(why, peer);
    }

    /// Counts and tells of a request whose head could not be read; its sender has been answered.
    pub(super) fn broke(&self, error: &hyper::Error, peer: SocketAddr) {
        if error.is_parse_too_large() {
            self.refuse("too_large", peer);
        } else if error.is_parse() {
            self.refuse("malformed", peer);
        }
    }

    fn decide<B: Body>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        // A body where none belongs could be understood by a proxy in front in another way.
        let takes_body = *request.method() == Method::POST;
        if request.uri().authority().is_some() || !(takes_body || request.body().is_end_stream()) {
            return Err(Refusal::Form);
        }
        let host = host(headers, request.version())?;
        if self.loopback && !host.as_ref().is_none_or(is_of_loopback) {
            return Err(Refusal::Host);
        }
        if is_cross_site(headers, host.as_ref()) {
            return Err(Refusal::CrossSite);
        }
        if self.needs_token(request.method(), request.uri().path()) {
            return self.check_token(headers);
        }
        Ok(())
    }

    /// Whatever could change anything, from everywhere; what tells of calls, from elsewhere than
    /// this machine where a token is configured.
    fn needs_token(&self, method: &Method, path: &str) -> bool {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let open = is_of_machines(path) || dashboard::has(path);
        !reads || (!open && !self.loopback && self.token.is_some())
    }

    fn check_token(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else {
            return Err(Refusal::TokenUnset);
        };
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let value = match (given.next(), given.next()) {
            (Some(value), None) => value,
            (None, _) => return Err(Refusal::TokenMissing),
            (Some(_), Some(_)) => return Err(Refusal::Token),
        };
        let bearer = value
            .as_bytes()
            .split_at_checked(7)
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Bearer "))
            .map(|(_, value)| value);
        // The time it takes tells the token's length, nothing else of it.
        let right = bearer.is_some_and(|it| it.ct_eq(token.expose().as_bytes()).into());
        if right { Ok(()) } else { Err(Refusal::Token) }
    }

    fn refuse(&self, why: &'static str, peer: SocketAddr) {
        self.metrics.refused(why);
        if let Some(untold) = self.told.admit(why, Instant::now()) {
            tracing::warn!(%peer, why, untold, "request to the admin port refused");
        }
    }
}

/// What probes and scrapers ask for.
fn is_of_machines(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

/// Whom the request is for; only HTTP/1.0 may leave that out, which no browser speaks.
fn host(headers: &HeaderMap, version: Version) -> Result<Option<Authority>, Refusal> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => {
            let host = Authority::try_from(host.as_bytes()).map_err(|_| Refusal::Form)?;
            Ok(Some(host))
        }
        (None, _) if version == Version::HTTP_10 => Ok(None),
        _ => Err(Refusal::Form),
    }
}

/// Names that nobody's DNS decides on.
fn is_of_loopback(host: &Authority) -> bool {
    let name = host.host();
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// Only browsers send these, and they let no page change them.
fn is_cross_site(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let ours = |origin: &[u8]| {
        let rest = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        host.is_some_and(|host| {
            rest.is_some_and(|it| it.eq_ignore_ascii_case(host.as_str().as_bytes()))
        })
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    let mut sites = headers.get_all(FETCH_SITE).iter();
    origins.any(|origin| !ours(origin.as_bytes()))
        || sites.any(|site| site != "same-origin" && site != "none")
}

#[cfg(test)]
#[path = "guard/tests.rs"]
mod tests;
