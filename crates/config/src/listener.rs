//! `listeners`: where callers' WebSockets arrive.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::{
    ByteSize, Signature, Webhook, defaults,
    reader::At,
    section::section,
    shape::{Purpose, words},
    text,
    tree::Node,
    webhook,
};

section! {
    /// One address that accepts callers.
    pub struct Listener {
        /// Name of this listener in logs; unique.
        pub name: String [&text::NAME],
        /// IP address and port to listen on.
        pub address: SocketAddr [Purpose::Listen],
        /// Most TCP connections at once; further callers are refused with 503.
        pub max_connections: u32 = defaults::MAX_CONNECTIONS,
        /// Longest time from the accepted connection to the upgrade, TLS included.
        pub handshake_timeout: Duration = defaults::HANDSHAKE_TIMEOUT,
        /// Peers whose `X-Forwarded-For` is believed, as networks.
        pub trusted_proxies: Vec<IpNet> = Vec::new(),
        /// TLS on this listener; `off` where a proxy in front ends it.
        pub tls: Option<Tls> = None,
        /// Paths that are served here.
        pub routes: Vec<Route> [1..=256],
    }
    checked by check_listener
}

fn check_listener(at: &At<'_>) {
    if let Some(routes) = at.get("routes") {
        routes.check_unique("path");
        webhook::check_paths(&routes);
    }
}

section! {
    /// Certificate and key of a listener, loaded again when the files change.
    pub struct Tls {
        /// PEM file with the certificate chain.
        pub certificate: PathBuf,
        /// PEM file with the private key.
        pub key: PathBuf,
    }
}

section! {
    /// One path and what becomes of calls that arrive on it.
    pub struct Route {
        /// Exact path, or one that ends in `/*` or `/{token}`; unique within a listener.
        pub path: String [&text::ROUTE],
        /// The caller's dialect: `twilio` or `raw`.
        pub profile: CallerProfile,
        /// How long a `twilio` caller may take until its `start` message.
        pub start_timeout: Duration = defaults::START_TIMEOUT,
        /// A caller silent for so long is closed; `off` for never.
        pub idle_timeout: Option<Duration> = defaults::CALLER_IDLE_TIMEOUT,
        /// Largest WebSocket message taken from a caller.
        pub max_frame: ByteSize [ByteSize::bytes(1)..=ByteSize::mib(64)] = defaults::CALLER_MAX_FRAME,
        /// How `X-Twilio-Signature` is checked. A `twilio` route must say it, if only `off`.
        pub signature: Option<Signature> = None,
        /// The edge's own TwiML webhook for this route; `off` where you answer Twilio yourself.
        pub webhook: Option<Webhook> = None,
        /// Without a webhook: whether the `start` of a live call's new stream is believed.
        pub takeover: Option<Takeover> = None,
        /// Outbound legs that are dialled as soon as the caller's socket is accepted.
        pub legs: Vec<DialledLeg> [0..=63] = Vec::new(),
        /// The pool of workers that serves these calls, by its name in `workers`.
        pub workers: String [&text::POOL],
    }
    checked by check_route
}

fn check_route(at: &At<'_>) {
    let twilio = at.text_of("profile") == Some(CallerProfile::Twilio.as_str());
    match at.get("signature") {
        None if twilio => at.wrong(
            "lacks `signature`: without it anybody may place calls; write \
             `signature: {public_url: ..., auth_token: {env: TWILIO_AUTH_TOKEN}}`, or `signature: off` \
             where something in front checks it",
        ),
        // Anything but a map is `off`, or complained of already.
        Some(signature) if matches!(signature.node, Node::Map(_)) => {
            if at.text_of("profile") == Some(CallerProfile::Raw.as_str()) {
                signature.wrong("only a `twilio` route can be signed: write `signature: off`");
            }
            check_public_url(at.text_of("path"), &signature);
        }
        _ => {}
    }
    if let Some(legs) = at.get("legs") {
        legs.check_unique("name");
    }
    webhook::check_return(at, twilio);
}

/// The public URL names one call's URL or a prefix of them, as the route does.
fn check_public_url(path: Option<&str>, signature: &At<'_>) {
    let url = signature.text_of("public_url");
    let (Some(path), Some(url)) = (path, url) else {
        return;
    };
    let place = signature.place("public_url");
    for end in ["/*", text::TOKEN_SEGMENT] {
        match (path.ends_with(end), url.ends_with(end)) {
            (true, false) => place.wrong(format!("must end in `{end}`, as the route's path does")),
            (false, true) => place.wrong(format!(
                "must not end in `{end}`: the route's path does not"
            )),
            _ => {}
        }
    }
}

section! {
    /// A leg that the edge dials by itself.
    pub struct DialledLeg {
        /// Name of the leg within the session.
        pub name: String [&text::LEG],
        /// Name of the upstream, in `upstreams`.
        pub upstream: String [&text::UPSTREAM],
    }
}

words! {
    /// What else than a token lets a new stream take a live call's place.
    pub enum Takeover {
        /// Its `start`, if it names the call and the account of a live session.
        TrustStart = "trust_start",
    }
}

words! {
    /// What the edge knows of a caller's dialect.
    pub enum CallerProfile {
        /// Twilio Media Streams.
        Twilio = "twilio",
        /// Any WebSocket client; nothing is read out of its messages.
        Raw = "raw",
    }
}
