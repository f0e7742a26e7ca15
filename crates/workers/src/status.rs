//! What a pool tells about its workers.

use std::{
    fmt,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime},
};

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
    /// State schemas that it reads, and the one that it writes; none and 0 where it does not say.
    pub reads: Vec<u32>,
    /// See [`WorkerStatus::reads`].
    pub writes: u32,
    /// Sessions attached or on offer.
    pub sessions: usize,
    /// Sessions that it wants at most; `None`: as many as come.
    pub capacity: Option<u32>,
    /// How far its sessions have left it, while it drains.
    pub leave: Option<Leave>,
    /// Its pod, where discovery knows pods.
    pub pod: Option<Arc<Pod>>,
}

/// How far the sessions of a draining worker have left it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leave {
    /// For so long it drains.
    pub since: Duration,
    /// Sessions that were there when it began.
    pub began_with: usize,
    /// Whether an operator said so, and may take it back.
    pub by_operator: bool,
}

/// The pod that a worker is, as Kubernetes tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pod {
    /// Never used for another pod.
    pub uid: Arc<str>,
    /// Its name.
    pub name: String,
    /// Where its node is.
    pub zone: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// When it was made, by the API server's clock; `None` where pods cannot be read.
    pub created: Option<SystemTime>,
    /// Value of its version label; `None` where it has none or pods cannot be read.
    pub version: Option<String>,
    /// Which rollout made it; `None` where no Deployment did, or ReplicaSets cannot be read.
    pub rollout: Option<Rollout>,
}

#[cfg(any(test, feature = "kubernetes"))]
impl Pod {
    /// A pod of which no more is known.
    pub(crate) fn new(uid: impl Into<Arc<str>>, name: String) -> Self {
        Self {
            uid: uid.into(),
            name,
            zone: None,
            node: None,
            created: None,
            version: None,
            rollout: None,
        }
    }
}

/// One rollout of a Deployment. Two of the same Deployment have an order, others have none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rollout {
    /// Uid of the Deployment.
    pub deployment: Arc<str>,
    /// Greater is newer: a roll-back gives the old ReplicaSet a new number.
    pub revision: u64,
}
