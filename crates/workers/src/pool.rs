//! A pool of workers: the part that the rest of the edge talks to.

mod keeper;

use std::{future::Future, sync::Arc, time::Duration};

use holdline_config::WorkerPool;
use holdline_session::WorkerId;
use holdline_telemetry::WorkerMetrics;
use tokio::{sync::oneshot, time::Instant};

use self::keeper::Keeper;
use crate::{
    PoolTls, Resolve, SeekError, SeekRequest, SystemResolver, WorkerState, WorkerStatus,
    WorkerStream, discovery,
    roster::{entry::Cause, rules::Rules},
    seek,
    shared::Shared,
};

/// What a pool needs to start.
#[derive(Debug)]
pub struct PoolSetup {
    /// Its name in the configuration.
    pub name: String,
    /// Its settings.
    pub settings: WorkerPool,
    /// Its certificates, where `settings.tls` names any: [`PoolTls::load`].
    pub tls: Option<PoolTls>,
    /// The largest gRPC message that workers of this pool must take and may send, in bytes: the
    /// largest `max_frame` of the routes and upstreams that use it.
    pub required_message_bytes: u64,
    /// Where it counts.
    pub metrics: WorkerMetrics,
}

/// A pool of workers. Cheap to clone; ends when its shutdown future resolves or the last clone is
/// dropped. Streams that are open then stay open, but are no longer told to move.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    /// Its end is seen by the keeper.
    _in_use: Arc<oneshot::Sender<()>>,
}

impl Pool {
    /// Starts to look for workers and to connect to them. Needs a tokio runtime.
    #[must_use]
    pub fn start(setup: PoolSetup, shutdown: impl Future<Output = ()> + Send + 'static) -> Self {
        Self::start_with(setup, Arc::new(SystemResolver), shutdown)
    }

    /// As [`Pool::start`], with names looked up in another way.
    #[must_use]
    pub fn start_with(
        setup: PoolSetup,
        resolver: Arc<dyn Resolve>,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let endpoints =
            discovery::endpoints(&setup.settings.discovery, resolver, setup.metrics.clone());
        let shared = Arc::new(Shared::new(
            setup.name,
            setup.settings,
            setup.tls.map(Arc::new),
            setup.required_message_bytes,
            setup.metrics,
        ));
        let (in_use, unused) = oneshot::channel();
        let keeper = Keeper::new(Arc::clone(&shared));
        let watching = Arc::clone(&shared);
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown => {}
                _ = unused => {}
                never = watching.watch_certificates() => match never {},
                never = watching.watch_trials() => match never {},
                never = keeper.run(endpoints) => match never {},
            }
        });
        Self {
            shared,
            _in_use: Arc::new(in_use),
        }
    }

    /// Chooses a worker, opens a stream to it and offers the session. Resolves once the stream is
    /// open or the worker has had a moment to say no; the answer to the offer comes on the stream.
    ///
    /// Dropping the future takes the offer back.
    ///
    /// # Errors
    /// Nothing suitable, in words; see [`SeekError`].
    pub fn seek(
        &self,
        request: SeekRequest,
    ) -> impl Future<Output = Result<WorkerStream, SeekError>> + Send + 'static {
        seek::seek(Arc::clone(&self.shared), request)
    }

    /// All workers that are known, oldest first.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        self.shared.roster().statuses(Instant::now())
    }

    /// Whether at least one worker would take a new session.
    #[must_use]
    pub fn ready(&self) -> bool {
        !self.shared.is_closed() && self.shared.roster().ready(Instant::now())
    }

    /// Waits until a worker is ready; forever where the pool is shut down first. Cancel safe.
    pub async fn until_ready(&self) {
        self.until(|workers| {
            workers
                .iter()
                .any(|worker| worker.state == WorkerState::Ready)
        })
        .await;
    }

    /// Waits until the workers are as wanted, looking at each change of their states. Cancel safe.
    pub async fn until(&self, mut wanted: impl FnMut(&[WorkerStatus]) -> bool) {
        let mut changes = self.shared.changes();
        while !wanted(&self.workers()) {
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// From the next decision on, calls go where these settings say: `rollout`, `existing`, `eject`
    /// and `handoffs_per_second`. All else in them needs a restart and is not looked at.
    pub fn set_rules(&self, settings: &WorkerPool) {
        self.shared.set_rules(Rules::from(settings));
    }

    /// Moves all sessions away from a worker, at the latest `within` this time, as far as there is
    /// a better place; it gets no new ones until [`Pool::undrain`]. False where there is no such
    /// worker.
    #[must_use]
    pub fn drain(&self, worker: WorkerId, within: Option<Duration>) -> bool {
        let known = self.shared.roster().state(worker, Instant::now());
        if !known.is_some_and(|state| state != WorkerState::Lost) {
            return false;
        }
        self.shared.drain(worker, Cause::Operator, within);
        true
    }

    /// Takes [`Pool::drain`] back: the worker gets sessions again, unless it drains for another cause,
    /// too. False where no operator drains such a worker.
    #[must_use]
    pub fn undrain(&self, worker: WorkerId) -> bool {
        let drained = self.workers().into_iter().any(|status| {
            status.id == worker && status.leave.is_some_and(|leave| leave.by_operator)
        });
        if drained {
            self.shared.serves_again(worker, Cause::Operator);
        }
        drained
    }
}
