//! `workers`: pools of workers, where to find them and when to leave them.

use std::{net::SocketAddr, time::Duration};

use crate::ByteSize;

/// One pool of workers; versions are ordered within a pool only.
#[derive(Clone, PartialEq, Debug)]
pub struct WorkerPool {
    /// Where workers are found.
    pub discovery: Discovery,
    /// Longest time for a connection to a worker.
    pub connect_timeout: Duration,
    /// HTTP/2 pings on each connection.
    pub keepalive: Keepalive,
    /// How long a worker may take to describe itself.
    pub describe_timeout: Duration,
    /// HTTP/2 window of one attachment, what a worker may send ahead.
    pub stream_window: ByteSize,
    /// HTTP/2 window of one connection, over all its attachments.
    pub connection_window: ByteSize,
    /// Pace of planned handoffs.
    pub handoffs_per_second: u32,
    /// When a worker is set aside.
    pub eject: Eject,
    /// What becomes of existing calls when a newer version appears.
    pub existing: Existing,
}

/// Where workers are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Discovery {
    /// A fixed list.
    Static(StaticDiscovery),
    /// All addresses of a name.
    Dns(DnsDiscovery),
}

/// A fixed list of workers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StaticDiscovery {
    /// IP address and port of each. At least one.
    pub addresses: Vec<SocketAddr>,
}

/// Workers behind a name; in Kubernetes, of a headless Service.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DnsDiscovery {
    /// The name to resolve.
    pub name: String,
    /// The workers' port.
    pub port: u16,
    /// How often it is resolved.
    pub interval: Duration,
}

/// HTTP/2 pings on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keepalive {
    /// Time between pings.
    pub interval: Duration,
    /// A ping unanswered for so long ends the connection.
    pub timeout: Duration,
}

/// When a worker is set aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Eject {
    /// So many distinct sessions whose attachments failed...
    pub sessions: u32,
    /// ...within so long...
    pub within: Duration,
    /// ...set a worker aside for so long.
    pub r#for: Duration,
}

/// What becomes of existing calls when a newer version appears.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Existing {
    /// They stay until their worker drains.
    OnDrain,
}
