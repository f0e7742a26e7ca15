//! What all parts of a pool hold together: its settings, its roster, and news of changes.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use holdline_config::WorkerPool;
use holdline_session::{Attributes, Seek, SessionId, Suspicion, WorkerId};
use holdline_telemetry::WorkerMetrics;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    Pod, PoolTls,
    connections::Connections,
    describe::DescribeError,
    discovery::EndpointId,
    link::{LinkError, LinkSettings},
    roster::{
        Reserved, Roster,
        entry::{About, Cause},
        moves::Leaving,
        pick::NoPlace,
        rules::Rules,
    },
    signals::Signals,
};

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) settings: WorkerPool,
    tls: Option<Arc<PoolTls>>,
    /// Largest gRPC message in either direction, without its envelope.
    pub(crate) required_message_bytes: u64,
    pub(crate) metrics: WorkerMetrics,
    roster: Mutex<Roster>,
    changed: watch::Sender<()>,
    closed: AtomicBool,
}

impl Shared {
    pub(crate) fn new(
        name: String,
        settings: WorkerPool,
        tls: Option<Arc<PoolTls>>,
        required_message_bytes: u64,
        metrics: WorkerMetrics,
    ) -> Self {
        let rules = Rules::from(&settings);
        rules.tell(&name, &metrics);
        let roster = Roster::new(&name, rules, metrics.clone());
        Self {
            name,
            settings,
            tls,
            required_message_bytes,
            roster: Mutex::new(roster),
            metrics,
            changed: watch::Sender::new(()),
            closed: AtomicBool::new(false),
        }
    }

    pub(crate) fn roster(&self) -> MutexGuard<'_, Roster> {
        // A panic under the lock would be a bug of ours; calls must go on nonetheless.
        self.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn link_settings(&self) -> LinkSettings {
        LinkSettings {
            connect_timeout: self.settings.connect_timeout,
            keepalive_interval: self.settings.keepalive.interval,
            keepalive_timeout: self.settings.keepalive.timeout,
            stream_window: self.settings.stream_window.as_u32(),
            connection_window: self.settings.connection_window.as_u32(),
            tls: self.tls.clone(),
        }
    }

    /// Takes up changed certificates for as long as it is polled.
    pub(crate) async fn watch_certificates(&self) -> Infallible {
        match &self.tls {
            Some(tls) => tls.watch(&self.metrics).await,
            None => std::future::pending().await,
        }
    }

    /// Takes back versions whose trial is over, for as long as it is polled.
    pub(crate) async fn watch_trials(&self) -> Infallible {
        let mut changes = self.changes();
        loop {
            changes.mark_unchanged();
            let (passed, next) = self.roster().end_trials(Instant::now());
            for version in passed {
                self.taken_back(&version);
            }
            let end = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender is in `self`.
                _ = changes.changed() => {}
                () = end => {}
            }
        }
    }

    /// Whether a worker that was not met needs a person: one that merely starts or restarts does
    /// not, one whose certificate or authority does not fit does.
    pub(crate) fn is_to_be_mended(&self, error: &DescribeError) -> bool {
        match error {
            DescribeError::Link(LinkError::Tls(_)) => true,
            DescribeError::Closed(_) => self.tls.is_some(),
            _ => false,
        }
    }

    /// Changes of who takes sessions and who must leave.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.changed.send_replace(());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn add(&self, endpoint: &EndpointId, awaited: bool) -> WorkerId {
        let id = self.roster().add(endpoint, awaited, Instant::now());
        self.changed.send_replace(());
        id
    }

    /// What is known of a worker's pod.
    pub(crate) fn set_pod(&self, id: WorkerId, pod: Option<&Arc<Pod>>) {
        if self.roster().set_pod(id, pod) {
            self.tell_weightless();
            self.changed.send_replace(());
        }
    }

    pub(crate) fn set_detail(&self, id: WorkerId, detail: String) {
        self.roster().set_detail(id, detail);
        self.changed.send_replace(());
    }

    /// Nothing more will come of this worker.
    pub(crate) fn end(&self, id: WorkerId) {
        self.roster().end(id);
        self.changed.send_replace(());
    }

    pub(crate) fn described(&self, id: WorkerId, about: About, connections: Arc<Connections>) {
        let address = connections.address();
        let version = Arc::clone(&about.version);
        let no_way_back = {
            let mut roster = self.roster();
            roster.described(id, about, connections, Instant::now());
            roster.no_way_back(id)
        };
        tracing::info!(pool = %self.name, worker = id.0, %address, %version, "worker ready");
        if let Some(schema) = no_way_back {
            tracing::warn!(
                pool = %self.name, %version, schema,
                why = "no other version reads the schema that it writes",
                advice = "roll it back and change schemas in two steps, or set `allow_one_way` of the \
                          pool's rollout before the grace of the old workers is over",
                "calls with state will not go to this version"
            );
        }
        self.tell_weightless();
        self.changed.send_replace(());
    }

    pub(crate) fn incompatible(&self, id: WorkerId, about: About, why: String) {
        self.metrics.incompatible.inc();
        tracing::warn!(
            pool = %self.name, worker = id.0, version = %about.version, %why,
            "worker cannot be used"
        );
        self.roster().incompatible(id, about, why, Instant::now());
        self.changed.send_replace(());
    }

    pub(crate) fn drain(&self, id: WorkerId, cause: Cause, within: Option<Duration>) {
        if self.roster().drain(id, cause, within, Instant::now()) {
            tracing::info!(
                pool = %self.name, worker = id.0, cause = cause.as_str(), ?within,
                "worker draining"
            );
        }
        self.changed.send_replace(());
    }

    pub(crate) fn serves_again(&self, id: WorkerId, gone: Cause) {
        if self.roster().serves_again(id, gone, Instant::now()) {
            tracing::info!(pool = %self.name, worker = id.0, "worker ready again");
            self.tell_weightless();
            self.changed.send_replace(());
        }
    }

    pub(crate) fn lost(&self, id: WorkerId, cause: String) {
        let sessions = self.roster().lost(id, cause.clone(), Instant::now());
        tracing::info!(pool = %self.name, worker = id.0, %cause, sessions, "worker lost");
        self.changed.send_replace(());
    }

    /// A place with a suitable worker, taken in the same moment.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        session: SessionId,
        attributes: &Arc<Attributes>,
        seek: &Seek,
        tried: &[WorkerId],
    ) -> Result<Place, NoPlace> {
        let reserved = self
            .roster()
            .reserve(session, attributes, seek, tried, Instant::now())?;
        if reserved.trial {
            let version = &reserved.version;
            tracing::info!(pool = %self.name, %session, %version, "version tried again");
            self.changed.send_replace(());
        }
        Ok(Place {
            shared: Arc::clone(self),
            session,
            reserved,
        })
    }

    /// From the next decision on, these rules hold.
    pub(crate) fn set_rules(&self, rules: Rules) {
        rules.tell(&self.name, &self.metrics);
        self.roster().set_rules(rules);
        self.tell_weightless();
        self.changed.send_replace(());
    }

    /// Who rolls out a version wants it to get calls, and may have forgotten the weights of an earlier one.
    fn tell_weightless(&self) {
        // The lock is not held while the log is written.
        let next = || self.roster().next_weightless();
        while let Some(version) = next() {
            tracing::warn!(
                pool = %self.name, %version,
                why = "the pool's rollout has weights, and none for it",
                advice = "give it a weight, or take the weights away",
                "ready version without a weight: it gets calls only where no other can take them"
            );
        }
    }

    pub(crate) fn leaving(&self, id: WorkerId) -> Option<Leaving> {
        self.roster().leaving(id, Instant::now())
    }

    pub(crate) fn move_one(&self, id: WorkerId) -> bool {
        self.roster().move_one(id, Instant::now())
    }

    fn failed(self: &Arc<Self>, worker: WorkerId, session: SessionId) {
        self.version_failed(worker, session);
        let mut roster = self.roster();
        let eject = roster.rules().eject;
        if !roster.failed(worker, session, Instant::now()) {
            return;
        }
        drop(roster);
        self.metrics.ejected("sessions_failed");
        tracing::warn!(
            pool = %self.name, worker = worker.0, sessions = eject.sessions, within = ?eject.within,
            "worker set aside: attachments of several sessions failed"
        );
        let shared = Arc::clone(self);
        // Bounded: a worker that is set aside is not set aside again before this is over.
        tokio::spawn(async move {
            tokio::time::sleep(eject.r#for).await;
            shared.roster().readmitted(worker, Instant::now());
            shared.changed.send_replace(());
        });
    }

    /// The session counts against the worker's version.
    fn version_failed(&self, worker: WorkerId, session: SessionId) {
        let aside = self
            .roster()
            .version_failed(worker, session, Instant::now());
        let Some(version) = aside else {
            return;
        };
        self.metrics.ejected("version_failed");
        tracing::warn!(
            pool = %self.name, %version,
            "version set aside: it failed several sessions, which go to another version"
        );
        self.changed.send_replace(());
    }

    fn taken_back(&self, version: &str) {
        tracing::info!(pool = %self.name, version, "version taken back: a call went well on it");
        self.changed.send_replace(());
    }
}

/// A place with a worker, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    session: SessionId,
    reserved: Reserved,
}

impl Place {
    pub(crate) fn worker(&self) -> WorkerId {
        self.reserved.worker
    }

    pub(crate) fn version(&self) -> &str {
        &self.reserved.version
    }

    pub(crate) fn connections(&self) -> &Arc<Connections> {
        &self.reserved.connections
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.reserved.signals
    }

    /// The session was handed over to the worker: from now on it can be told to leave.
    pub(crate) fn attached(&self) {
        let Reserved { worker, place, .. } = self.reserved;
        if self.shared.roster().attached(worker, place) {
            self.shared.changed.send_replace(());
        }
    }

    /// The session is under less suspicion: others may now come here, and it may be told to leave.
    pub(crate) fn cleared(&self, left: Suspicion) {
        let Reserved { worker, place, .. } = self.reserved;
        self.shared.roster().clear(worker, place, left);
        self.shared.changed.send_replace(());
    }

    /// The worker committed something for the session, whose state is of this schema since.
    pub(crate) fn committed(&self, schema: u32) {
        let Reserved { worker, place, .. } = self.reserved;
        self.shared.roster().committed(worker, place, schema);
    }

    /// The worker was lost before it had committed anything for this session, which counts against
    /// its version.
    pub(crate) fn lost_at_once(&self) {
        let worker = self.reserved.worker;
        self.shared.version_failed(worker, self.session);
    }

    /// The worker failed this session.
    pub(crate) fn failed(&self) {
        self.shared.failed(self.reserved.worker, self.session);
    }

    /// The worker said on this stream that it drains.
    pub(crate) fn draining(&self, within: Option<Duration>) {
        self.shared
            .drain(self.reserved.worker, Cause::Message, within);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Reserved { worker, place, .. } = self.reserved;
        let mut roster = self.shared.roster();
        let now = Instant::now();
        let taken_back = roster.release(worker, place, now);
        let leaving = roster.leaving(worker, now).is_some();
        drop(roster);
        if let Some(version) = taken_back {
            self.shared.taken_back(&version);
        }
        if leaving {
            self.shared.changed.send_replace(());
        }
    }
}
