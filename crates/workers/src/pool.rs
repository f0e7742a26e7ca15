//! A pool of workers: the part that the rest of the edge talks to.

use std::{future::Future, time::Duration};

use holdline_config::WorkerPool;
use holdline_session::WorkerId;

use crate::{SeekError, SeekRequest, WorkerStatus, WorkerStream};

/// What a pool needs to start.
#[derive(Clone, Debug)]
pub struct PoolSetup {
    /// Its name in the configuration.
    pub name: String,
    /// Its settings.
    pub settings: WorkerPool,
    /// The largest gRPC message that workers of this pool must take and may send, in bytes: the
    /// largest `max_frame` of the routes and upstreams that use it.
    pub required_message_bytes: u64,
}

/// A pool of workers. Cheap to clone; ends when its shutdown future resolves or the last clone is
/// dropped. Streams that are open then stay open.
#[derive(Clone, Debug)]
pub struct Pool {
    _private: (),
}

impl Pool {
    /// Starts to look for workers and to connect to them. Needs a tokio runtime.
    #[must_use]
    pub fn start(setup: PoolSetup, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        drop((setup, shutdown));
        Self { _private: () }
    }

    /// Chooses a worker, opens a stream to it and offers the session.
    ///
    /// Dropping the future takes the offer back.
    ///
    /// # Errors
    /// Nothing suitable, in words; see [`SeekError`].
    pub fn seek(
        &self,
        request: SeekRequest,
    ) -> impl Future<Output = Result<WorkerStream, SeekError>> + Send + 'static {
        async move {
            drop(request);
            Err(SeekError::Closed)
        }
    }

    /// All workers that are known, oldest first.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        Vec::new()
    }

    /// Whether at least one worker would take a new session.
    #[must_use]
    pub fn ready(&self) -> bool {
        false
    }

    /// Waits until [`Pool::ready`]; forever where the pool is shut down first. Cancel safe.
    pub async fn until_ready(&self) {
        std::future::pending().await
    }

    /// Moves all sessions away from a worker, at the latest `within` this time; it gets no new
    /// ones. False where there is no such worker.
    #[must_use]
    pub fn drain(&self, worker: WorkerId, within: Option<Duration>) -> bool {
        let _ = (worker, within);
        false
    }
}
