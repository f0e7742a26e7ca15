//! What a pool tells about its workers.

use std::{fmt, net::SocketAddr, time::Duration};

use holdline_session::WorkerId;

/// Where a worker stands, as seen by this edge.
///
/// ```text
/// Connecting ──described──► Ready ──NOT_SERVING, GOAWAY, Draining, gone from discovery──► Draining
///     │                     │   ▲                                                           │
///     │                     │   └──time over──  Ejected                                      │
///     └──cannot be used──►  Incompatible                         connection lost ──► Lost ◄──┘
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkerState {
    /// Its address is known; it has not said yet what it is.
    Connecting,
    /// Takes sessions.
    Ready,
    /// Wants its sessions to leave, or is to be left.
    Draining {
        /// Time left until it is gone; `None`: not known.
        left: Option<Duration>,
    },
    /// Its connection is gone, or a keepalive was not answered.
    Lost,
    /// Attachments of several sessions failed on it: set aside for a while.
    Ejected {
        /// Time left until it is tried again.
        left: Duration,
    },
    /// Needs what this edge has not, or cannot take messages as large as its routes need.
    Incompatible,
}

impl WorkerState {
    /// The word used in logs, in metric labels and in `/workers`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Ready => "ready",
            Self::Draining { .. } => "draining",
            Self::Lost => "lost",
            Self::Ejected { .. } => "ejected",
            Self::Incompatible => "incompatible",
        }
    }
}

impl fmt::Display for WorkerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One worker, for people and dashboards.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerStatus {
    /// Its name within this edge. A process that comes back on the same address is a new worker.
    pub id: WorkerId,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its version; empty until it has described itself.
    pub version: String,
    /// Where it stands.
    pub state: WorkerState,
    /// Why, in words; empty where there is nothing to say.
    pub detail: String,
    /// Sessions attached or on offer.
    pub sessions: usize,
    /// Sessions that it wants at most; `None`: as many as come.
    pub capacity: Option<u32>,
}
