//! From *a worker is wanted* to an open stream with an offer on it.

use holdline_session::{Attributes, Limits, Seek, SessionId};

/// A session wants a worker.
#[derive(Clone, Debug)]
pub struct SeekRequest {
    /// Which session.
    pub session: SessionId,
    /// What the engine asked for.
    pub seek: Seek,
    /// Told to the worker with the offer, for example `call_sid`.
    pub attributes: Attributes,
    /// Bounds of the session; told to the worker when it is attached.
    pub limits: Limits,
}

/// Why no worker could be had. A retry helps as soon as a worker comes, returns or has room.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SeekError {
    /// No worker fits.
    #[error("no worker fits: {0}")]
    NoneFits(String),
    /// One was chosen, and could not be reached.
    #[error("worker {address} could not be reached: {cause}")]
    Unreachable {
        /// Where it listens.
        address: String,
        /// In words.
        cause: String,
    },
    /// The pool was shut down.
    #[error("the worker pool is shut down")]
    Closed,
}
