//! Jobs of one attachment, performed beside its handlers.

use std::{future::pending, panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::{Job, JobError, JobKey, JobResult, Worker, attachment::panic_words};

/// Jobs that were begun. Dropped, they stop at their next await.
pub(super) struct Jobs<W> {
    worker: Arc<W>,
    running: JoinSet<(JobKey, JobResult)>,
}

impl<W: Worker> Jobs<W> {
    pub(super) fn new(worker: Arc<W>) -> Self {
        Self {
            worker,
            running: JoinSet::new(),
        }
    }

    pub(super) fn start(&mut self, job: Job) {
        let worker = Arc::clone(&self.worker);
        let perform = async move {
            let key = job.key().clone();
            let performed = AssertUnwindSafe(async { worker.perform(job).await });
            let result = performed.catch_unwind().await.unwrap_or_else(|panic| {
                let message = panic_words(&*panic).to_owned();
                tracing::warn!(%key, message, "a job panicked");
                Err(JobError::Panicked { message })
            });
            (key, result)
        };
        self.running.spawn(perform.in_current_span());
    }

    /// The next job that is over; waits for ever while there is none. Cancel safe.
    pub(super) async fn next(&mut self) -> (JobKey, JobResult) {
        loop {
            match self.running.join_next().await {
                Some(Ok(done)) => return done,
                // Panics are caught above, and nobody else can end a job.
                Some(Err(error)) => tracing::error!(%error, "a job was lost"),
                None => return pending().await,
            }
        }
    }
}
