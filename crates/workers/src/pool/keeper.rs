//! Keeps one task for each worker that discovery knows.

use std::{collections::BTreeMap, convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use holdline_session::WorkerId;
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use crate::{
    Pod,
    discovery::{self, EndpointId, Endpoints},
    roster::entry::Cause,
    shared::Shared,
    worker::{self, Fate, Whereabouts, back_off},
};

/// A worker that lived for so long did not fail at its start: the next at its endpoint is tried at
/// once.
const SOUND_AFTER: Duration = Duration::from_secs(10);
/// News of workers that can stand unread; they wait where it is full.
const FATES_MAX: usize = 256;

/// The newest worker at an endpoint.
#[derive(Debug)]
struct Slot {
    worker: WorkerId,
    /// What is known of its pod, and of that of the next one here.
    pod: Option<Arc<Pod>>,
    /// Further addresses of it, for whoever tries to reach it.
    others: watch::Sender<Vec<SocketAddr>>,
    task: AbortHandle,
    since: Instant,
    /// Workers at this endpoint that ended soon, one after the other.
    failures: u32,
    /// It is about to go: nobody comes after this worker.
    terminating: bool,
}

/// Brings the workers in line with discovery. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    slots: BTreeMap<EndpointId, Slot>,
    tasks: JoinSet<()>,
    told: mpsc::Sender<(WorkerId, Fate)>,
    fates: mpsc::Receiver<(WorkerId, Fate)>,
}

impl Keeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let (told, fates) = mpsc::channel(FATES_MAX);
        Self {
            shared,
            slots: BTreeMap::new(),
            tasks: JoinSet::new(),
            told,
            fates,
        }
    }

    pub(super) async fn run(mut self, mut endpoints: BoxStream<'static, Endpoints>) -> Infallible {
        loop {
            tokio::select! {
                Some(found) = endpoints.next() => self.found(&found),
                Some((worker, fate)) = self.fates.recv() => self.fate(worker, fate),
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn found(&mut self, found: &Endpoints) {
        let changes = discovery::changes(self.slots.keys(), found);
        for endpoint in &changes.terminating {
            self.terminates(endpoint);
        }
        for endpoint in &changes.removed {
            self.leave(endpoint, Cause::Discovery);
        }
        for endpoint in changes.added {
            self.meet(endpoint, None, watch::Sender::default(), 0, true);
        }
        for (id, slot) in &mut self.slots {
            let endpoint = found.get(id);
            slot.pod = endpoint.and_then(|endpoint| endpoint.pod.clone());
            self.shared.set_pod(slot.worker, slot.pod.as_ref());
            let others = endpoint.map(|endpoint| endpoint.others.clone());
            slot.others.send_replace(others.unwrap_or_default());
        }
        let mut roster = self.shared.roster();
        roster.set_unready(changes.unready);
        roster.keep_seen(|endpoint| found.contains_key(endpoint));
    }

    /// Whoever answers at this endpoint is a worker, and a new one. `awaited`: with good hope.
    fn meet(
        &mut self,
        endpoint: EndpointId,
        pod: Option<Arc<Pod>>,
        others: watch::Sender<Vec<SocketAddr>>,
        failures: u32,
        awaited: bool,
    ) {
        let worker = self.shared.add(&endpoint, awaited);
        self.shared.set_pod(worker, pod.as_ref());
        let life = worker::run(
            Arc::clone(&self.shared),
            worker,
            Whereabouts::new(endpoint.address, others.subscribe()),
            back_off(failures),
            self.told.clone(),
        );
        let task = self.tasks.spawn(life);
        let slot = Slot {
            worker,
            pod,
            others,
            task,
            since: Instant::now(),
            failures,
            terminating: false,
        };
        self.slots.insert(endpoint, slot);
    }

    /// The endpoint is about to go: its worker drains, and stays connected.
    fn terminates(&mut self, endpoint: &EndpointId) {
        let Some(slot) = self.slots.get_mut(endpoint) else {
            return;
        };
        if !slot.terminating && self.shared.roster().is_known(slot.worker) {
            slot.terminating = true;
            self.shared.drain(slot.worker, Cause::Terminating, None);
        } else if !slot.terminating {
            self.leave(endpoint, Cause::Terminating);
        }
    }

    /// The endpoint is of no interest any more: its worker drains, if it ever was one.
    fn leave(&mut self, endpoint: &EndpointId, cause: Cause) {
        let Some(slot) = self.slots.remove(endpoint) else {
            return;
        };
        if self.shared.roster().is_known(slot.worker) {
            self.shared.drain(slot.worker, cause, None);
        } else {
            slot.task.abort();
            self.shared.end(slot.worker);
        }
    }

    fn fate(&mut self, worker: WorkerId, fate: Fate) {
        let Some((endpoint, slot)) = self.slots.iter().find(|(_, slot)| slot.worker == worker)
        else {
            return;
        };
        let endpoint = endpoint.clone();
        if slot.terminating {
            self.slots.remove(&endpoint);
            return;
        }
        let failures = if slot.since.elapsed() >= SOUND_AFTER {
            0
        } else {
            slot.failures.saturating_add(1)
        };
        tracing::debug!(pool = %self.shared.name, worker = worker.0, ?fate, failures,
            "worker's address is tried again");
        let others = watch::Sender::new(slot.others.borrow().clone());
        let pod = slot.pod.clone();
        self.meet(endpoint, pod, others, failures, false);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.close();
    }
}
