//! Why an edge does not start.

use std::{io, net::SocketAddr};

use holdline_legs::SetupError;
use holdline_workers::{NotBuiltIn, TlsError};

use crate::CollectorError;

/// An edge could not start. No call was taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// An address cannot be listened on. A retry helps once it is free.
    #[error("cannot listen on {address} for {what}: {source}")]
    Bind {
        /// `listener NAME` or `admin`.
        what: String,
        /// The address as configured.
        address: SocketAddr,
        /// What the operating system said.
        source: io::Error,
    },
    /// The threads for calls cannot be started. A retry helps once the system has more of what it
    /// says is missing.
    #[error("the threads for calls (`limits.threads`) cannot be started: {0}")]
    Threads(#[source] io::Error),
    /// A listener or an upstream cannot be set up as configured. A retry does not help.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A pool's workers cannot be found in the way configured. A retry does not help.
    #[error("workers of pool `{pool}`: {source}")]
    Discovery {
        /// Which pool.
        pool: String,
        /// Why.
        source: NotBuiltIn,
    },
    /// `kubernetes` asks for what this build has not. A retry does not help.
    #[error(
        "kubernetes.pod_deletion_cost is not in this build: use one with the feature `kubernetes`, \
         which is on unless `--no-default-features` switches it off"
    )]
    NoKubernetes,
    /// The edge does not know which pod it is. A retry does not help.
    #[error(
        "kubernetes.pod_deletion_cost needs {0} in the environment: take it from the downward API, \
         `valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}` or `metadata.namespace`"
    )]
    NoPod(&'static str),
    /// Spans cannot be sent as configured. A retry does not help.
    #[error("tracing: {0}")]
    Tracing(#[from] CollectorError),
    /// The certificates of a pool's `tls` cannot be used. A retry does not help.
    #[error("workers of pool `{pool}`: {source}")]
    WorkerTls {
        /// Which pool.
        pool: String,
        /// Why.
        source: TlsError,
    },
}
