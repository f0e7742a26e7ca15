//! `listeners`: where callers' WebSockets arrive.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;

use crate::{ByteSize, Signature};

/// One address that accepts callers.
#[derive(Clone, PartialEq, Debug)]
pub struct Listener {
    /// Name of this listener in logs; unique.
    pub name: String,
    /// IP address and port to listen on.
    pub address: SocketAddr,
    /// Most TCP connections at once; more are left in the kernel's queue.
    pub max_connections: u32,
    /// Longest time from the accepted connection to the upgrade, TLS included.
    pub handshake_timeout: Duration,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// TLS on this listener.
    pub tls: Option<Tls>,
    /// What is served here. At least one.
    pub routes: Vec<Route>,
}

/// Certificate and key of a listener, loaded again when the files change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// PEM file with the certificate chain.
    pub certificate: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// One path and what becomes of calls that arrive on it.
#[derive(Clone, PartialEq, Debug)]
pub struct Route {
    /// Exact path, or a prefix that ends in `/*`; unique within a listener.
    pub path: String,
    /// The caller's dialect.
    pub profile: CallerProfile,
    /// How long a `twilio` caller may take until its `start` message.
    pub start_timeout: Duration,
    /// A caller silent for so long is closed; `off` for never.
    pub idle_timeout: Option<Duration>,
    /// Largest WebSocket message taken from a caller.
    pub max_frame: ByteSize,
    /// How `X-Twilio-Signature` is checked; none: not at all.
    pub signature: Option<Signature>,
    /// Outbound legs that are dialled as soon as the caller's socket is accepted.
    pub legs: Vec<DialledLeg>,
    /// The pool of workers that serves these calls.
    pub workers: String,
}

/// A leg that the edge dials by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DialledLeg {
    /// Name of the leg within the session.
    pub name: String,
    /// Name of the upstream.
    pub upstream: String,
}

/// What the edge knows of a caller's dialect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CallerProfile {
    /// Twilio Media Streams.
    Twilio,
    /// Any WebSocket client; nothing is read out of its messages.
    Raw,
}
