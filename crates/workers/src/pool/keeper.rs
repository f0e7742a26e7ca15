//! Keeps one task for each worker that discovery knows.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt, stream::BoxStream};
use holdline_session::WorkerId;
use tokio::{
    sync::mpsc,
    task::{AbortHandle, JoinSet},
    time::Instant,
};

use crate::{
    discovery,
    roster::entry::Cause,
    shared::Shared,
    worker::{self, Fate, back_off},
};

/// A worker that lived for so long did not fail at its start: the next on its address is tried at
/// once.
const SOUND_AFTER: Duration = Duration::from_secs(10);
/// News of workers that can stand unread; they wait where it is full.
const FATES_MAX: usize = 256;

/// The newest worker at an address.
#[derive(Debug)]
struct Slot {
    worker: WorkerId,
    task: AbortHandle,
    since: Instant,
    /// Workers at this address that ended soon, one after the other.
    failures: u32,
}

/// Brings the workers in line with discovery. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Keeper {
    shared: Arc<Shared>,
    slots: BTreeMap<SocketAddr, Slot>,
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

    pub(super) async fn run(
        mut self,
        mut endpoints: BoxStream<'static, BTreeSet<SocketAddr>>,
    ) -> Infallible {
        loop {
            tokio::select! {
                Some(found) = endpoints.next() => self.found(&found),
                Some((worker, fate)) = self.fates.recv() => self.fate(worker, fate),
                Some(_) = self.tasks.join_next() => {}
            }
        }
    }

    fn found(&mut self, found: &BTreeSet<SocketAddr>) {
        let changes = discovery::changes(self.slots.keys(), found);
        for address in changes.removed {
            self.leave(address);
        }
        for address in changes.added {
            self.meet(address, 0);
        }
        self.shared
            .roster()
            .keep_seen(|address| found.contains(address));
    }

    /// Whoever answers at this address is a worker, and a new one.
    fn meet(&mut self, address: SocketAddr, failures: u32) {
        let worker = self.shared.add(address);
        let life = worker::run(
            Arc::clone(&self.shared),
            worker,
            address,
            back_off(failures),
            self.told.clone(),
        );
        let task = self.tasks.spawn(life);
        let slot = Slot {
            worker,
            task,
            since: Instant::now(),
            failures,
        };
        self.slots.insert(address, slot);
    }

    /// The address is gone from discovery: its worker drains, if it ever was one.
    fn leave(&mut self, address: SocketAddr) {
        let Some(slot) = self.slots.remove(&address) else {
            return;
        };
        if self.shared.roster().is_known(slot.worker) {
            self.shared.drain(slot.worker, Cause::Discovery, None);
        } else {
            slot.task.abort();
            self.shared.end(slot.worker);
        }
    }

    fn fate(&mut self, worker: WorkerId, fate: Fate) {
        let Some((address, slot)) = self.slots.iter().find(|(_, slot)| slot.worker == worker)
        else {
            return;
        };
        let address = *address;
        let failures = if slot.since.elapsed() >= SOUND_AFTER {
            0
        } else {
            slot.failures.saturating_add(1)
        };
        tracing::debug!(pool = %self.shared.name, worker = worker.0, ?fate, failures,
            "worker's address is tried again");
        self.meet(address, failures);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.close();
    }
}
