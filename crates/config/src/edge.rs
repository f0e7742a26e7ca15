//! `drain`, `limits`, `admin`, `log`: the edge as a whole.

use std::{net::SocketAddr, time::Duration};

/// What the edge does upon SIGTERM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Drain {
    /// How long calls are still accepted while `/readyz` already fails.
    pub lame_duck: Duration,
    /// Calls that still live so long after SIGTERM are closed.
    pub deadline: Duration,
    /// So long before the deadline workers are told.
    pub notice: Duration,
    /// `Retry-After` of refused upgrades.
    pub retry_after: Duration,
}

/// Bounds of the whole edge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Most sessions at once.
    pub sessions: u32,
    /// Most handshakes (TLS and upgrade) in flight.
    pub handshakes: u32,
}

/// The operator's HTTP port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admin {
    /// IP address and port to listen on.
    pub address: SocketAddr,
}

/// What is logged, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Log {
    /// One JSON object a line, or text for people.
    pub format: LogFormat,
    /// Least level; `RUST_LOG` overrides it.
    pub level: LogLevel,
    /// Whether what callers say and send (transcripts, digits, parameters) may be logged.
    pub content: bool,
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

/// The least level that is logged.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LogLevel {
    /// A person must act.
    Error,
    /// What one would be woken for.
    Warn,
    /// A call or a worker changed its fate.
    Info,
    /// Decisions.
    Debug,
    /// Every frame.
    Trace,
}
