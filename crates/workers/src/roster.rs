//! Everything a pool knows, and every rule about it: who is there, who is where, who is to leave.
//!
//! No IO and no clock: the shell says what happened and when. It stands behind one short-held lock,
//! so that a place is taken in the same moment in which it is chosen; otherwise all sessions of a
//! drained worker would find the same worker least loaded.

mod aside;
mod blame;
pub(crate) mod entry;
pub(crate) mod moves;
pub(crate) mod pace;
pub(crate) mod pick;
mod places;
pub(crate) mod rules;
pub(crate) mod versions;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use holdline_session::WorkerId;
use holdline_telemetry::{PoolWorkers, WorkerMetrics, WorkerState as Label};
use tokio::time::Instant;

pub(crate) use self::places::Reserved;
use self::{
    aside::Record,
    entry::{About, Cause, Entry, Life},
    rules::{Home, Rules},
    versions::Versions,
};
use crate::{Pod, WorkerState, WorkerStatus, connections::Connections, discovery::EndpointId};

/// So long sessions stay with a draining worker for the sake of one that is on its way: in a rolling
/// deploy the old worker is told to go in the moment in which the new one is ready, and who moves to
/// another old one moves twice.
const NEWCOMER_WITHIN: Duration = Duration::from_secs(1);
/// Workers that are gone are remembered, so many, to know where their sessions come from.
const GONE_MAX: usize = 256;
/// Versions without a weight that were told are remembered, so many.
const WEIGHTLESS_MAX: usize = 64;

#[derive(Debug)]
pub(crate) struct Roster {
    workers: BTreeMap<WorkerId, Entry>,
    versions: Versions,
    rules: Rules,
    record: Record,
    /// Workers that are gone, oldest first.
    gone: VecDeque<(WorkerId, Home)>,
    /// Versions that are told to have no weight.
    weightless: BTreeSet<Arc<str>>,
    /// Version last seen at each endpoint that is or was in discovery of late.
    seen: BTreeMap<EndpointId, Arc<str>>,
    metrics: WorkerMetrics,
    counted: PoolWorkers,
    last_worker: u64,
    last_place: u64,
    /// Discovery knows endpoints that do not serve yet.
    unready: bool,
}

impl Roster {
    pub(crate) fn new(pool: &str, rules: Rules, metrics: WorkerMetrics) -> Self {
        Self {
            counted: metrics.pool(pool),
            workers: BTreeMap::new(),
            versions: Versions::default(),
            rules,
            record: Record::default(),
            gone: VecDeque::new(),
            weightless: BTreeSet::new(),
            seen: BTreeMap::new(),
            metrics,
            last_worker: 0,
            last_place: 0,
            unready: false,
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// From the next decision on, other rules hold.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        if self.rules.rollout != rules.rollout {
            self.weightless.clear();
        }
        self.rules = rules;
        self.unsettle();
    }

    /// A version with workers that take calls, to which the rules give none though they name others, as a
    /// canary's weights do once the next version is rolled out. Each is told once for the same rules.
    pub(crate) fn next_weightless(&mut self) -> Option<Arc<str>> {
        let takes_calls = |entry: &Entry| entry.life == Life::Described && entry.causes.is_empty();
        let version = self
            .versions_where(takes_calls)
            .into_iter()
            .find(|version| {
                self.rules.is_left_out(version) && !self.weightless.contains(version)
            })?;
        if self.weightless.len() == WEIGHTLESS_MAX {
            self.weightless.pop_first();
        }
        self.weightless.insert(Arc::clone(&version));
        Some(version)
    }

    /// A new worker is to be connected to. `awaited`: discovery says that it is there.
    pub(crate) fn add(&mut self, endpoint: &EndpointId, awaited: bool, now: Instant) -> WorkerId {
        self.last_worker += 1;
        let id = WorkerId(self.last_worker);
        let tracked = self.counted.track("", Label::Connecting);
        let mut entry = Entry::new(endpoint.clone(), tracked);
        entry.awaited = awaited.then(|| now + NEWCOMER_WITHIN);
        self.workers.insert(id, entry);
        id
    }

    /// Whether discovery knows endpoints that do not serve yet.
    pub(crate) fn set_unready(&mut self, unready: bool) {
        self.unready = unready;
    }

    /// What discovery says of a worker's pod. True where that is news.
    pub(crate) fn set_pod(&mut self, id: WorkerId, pod: Option<&Arc<Pod>>) -> bool {
        let Some(entry) = self.workers.get_mut(&id) else {
            return false;
        };
        let before = Arc::clone(&entry.about.version);
        if !entry.set_pod(pod) {
            return false;
        }
        let takes_calls = entry.life == Life::Described && entry.causes.is_empty();
        if takes_calls && entry.about.version != before {
            self.appeared(id);
        }
        self.unsettle();
        true
    }

    /// The worker described itself and serves.
    pub(crate) fn described(
        &mut self,
        id: WorkerId,
        about: About,
        connections: Arc<Connections>,
        now: Instant,
    ) {
        let Some(entry) = self.workers.get_mut(&id) else {
            return;
        };
        entry.set_about(about);
        self.appeared(id);
        let Some(entry) = self.workers.get_mut(&id) else {
            return;
        };
        entry.life = Life::Described;
        entry.detail.clear();
        entry.connections = Some(connections);
        entry.count(now);
        self.unsettle();
    }

    /// The version of a worker is known, by the worker's own words or by its pod's label.
    fn appeared(&mut self, id: WorkerId) {
        let draining = self.versions_where(Entry::draining);
        let draining: Vec<&str> = draining.iter().map(|version| &**version).collect();
        let Some(entry) = self.workers.get(&id) else {
            return;
        };
        let version = &entry.about.version;
        let before = self
            .seen
            .insert(entry.endpoint.clone(), Arc::clone(version));
        let returned = before.as_ref() == Some(version);
        self.versions.appeared(version, &draining, returned);
    }

    /// The schema that a worker's version writes, where no other reads it though others write: calls with
    /// state do not go there. Of each version only the first of its workers tells.
    pub(crate) fn no_way_back(&self, id: WorkerId) -> Option<u32> {
        let about = &self.workers.get(&id)?.about;
        let described = || {
            let all = self.workers.iter().filter(|(other, _)| **other != id);
            all.filter(|(_, entry)| entry.life == Life::Described)
                .map(|(_, entry)| &entry.about)
        };
        let others = || described().filter(|other| other.version != about.version);
        let is_first = !described().any(|other| other.version == about.version);
        let writes_another = |it: &About| ![0, about.writes].contains(&it.writes);
        let is_read = others().any(|it| it.reads.contains(&about.writes));
        let alone = others().any(writes_another) && !is_read;
        (!self.rules.rollout.allow_one_way && about.writes != 0 && is_first && alone)
            .then_some(about.writes)
    }

    /// The worker cannot be used.
    pub(crate) fn incompatible(&mut self, id: WorkerId, about: About, why: String, now: Instant) {
        if let Some(entry) = self.workers.get_mut(&id) {
            entry.life = Life::Incompatible;
            entry.detail = why;
            entry.set_about(about);
            entry.count(now);
        }
    }

    /// What is the matter with a worker, for people.
    pub(crate) fn set_detail(&mut self, id: WorkerId, detail: String) {
        if let Some(entry) = self.workers.get_mut(&id) {
            entry.detail = detail;
        }
    }

    /// The worker drains, for one more cause. True where it did not before.
    pub(crate) fn drain(
        &mut self,
        id: WorkerId,
        cause: Cause,
        within: Option<Duration>,
        now: Instant,
    ) -> bool {
        let Some(entry) = self.workers.get_mut(&id) else {
            return false;
        };
        if let Some(within) = within {
            let at = now + within;
            entry.deadline = Some(entry.deadline.map_or(at, |known| known.min(at)));
        }
        if entry.life == Life::Lost || entry.causes.contains(&cause) {
            return false;
        }
        entry.causes.push(cause);
        let sessions = entry.occupants.len();
        entry.leaving.get_or_insert((now, sessions));
        cause.as_str().clone_into(&mut entry.detail);
        entry.count(now);
        entry.settled = None;
        let first = entry.causes.len() == 1 && entry.life == Life::Described;
        if first {
            let version = Arc::clone(&entry.about.version);
            let present =
                self.versions_where(|entry| entry.life == Life::Described && !entry.draining());
            let present: Vec<&str> = present.iter().map(|version| &**version).collect();
            self.versions.drains(&version, &present);
            self.unsettle();
        }
        first
    }

    /// A cause why the worker drains is gone. True where it no longer drains.
    pub(crate) fn serves_again(&mut self, id: WorkerId, gone: Cause, now: Instant) -> bool {
        let Some(entry) = self.workers.get_mut(&id) else {
            return false;
        };
        if !entry.draining() {
            return false;
        }
        entry.causes.retain(|cause| *cause != gone);
        if entry.causes.is_empty() {
            entry.deadline = None;
            entry.leaving = None;
            entry.detail.clear();
        } else if let Some(cause) = entry.causes.last() {
            cause.as_str().clone_into(&mut entry.detail);
        }
        entry.count(now);
        let serves = entry.causes.is_empty();
        self.unsettle();
        serves
    }

    /// The worker's connection is gone: all that are there are told. Returns how many.
    pub(crate) fn lost(&mut self, id: WorkerId, why: String, now: Instant) -> usize {
        let Some(entry) = self.workers.get_mut(&id) else {
            return 0;
        };
        entry.life = Life::Lost;
        entry.detail = why;
        entry.over = true;
        entry.connections = None;
        entry.count(now);
        for occupant in entry.occupants.values() {
            occupant.signals.tell_lost();
        }
        let sessions = entry.occupants.len();
        self.forget_if_over(id);
        sessions
    }

    /// Nothing more will come of this worker: it is forgotten once the last session is gone.
    pub(crate) fn end(&mut self, id: WorkerId) {
        if let Some(entry) = self.workers.get_mut(&id) {
            entry.over = true;
        }
        self.forget_if_over(id);
    }

    pub(crate) fn statuses(&self, now: Instant) -> Vec<WorkerStatus> {
        self.workers
            .iter()
            .map(|(id, entry)| entry.status(*id, now))
            .collect()
    }

    pub(crate) fn state(&self, worker: WorkerId, now: Instant) -> Option<WorkerState> {
        self.workers.get(&worker).map(|entry| entry.state(now))
    }

    /// Whether the worker was met and is not lost.
    pub(crate) fn is_known(&self, worker: WorkerId) -> bool {
        self.workers
            .get(&worker)
            .is_some_and(|entry| entry.life == Life::Described)
    }

    /// Whether the worker is leaving for good and its last session is gone.
    pub(crate) fn is_left(&self, worker: WorkerId) -> bool {
        let for_good =
            |cause: &Cause| matches!(cause, Cause::GoAway | Cause::Discovery | Cause::Terminating);
        self.workers
            .get(&worker)
            .is_some_and(|entry| entry.occupants.is_empty() && entry.causes.iter().any(for_good))
    }

    /// Forgets what was seen at endpoints that are no longer of interest.
    pub(crate) fn keep_seen(&mut self, keep: impl Fn(&EndpointId) -> bool) {
        self.seen.retain(|endpoint, _| keep(endpoint));
    }

    /// Something changed that may give a session a better place.
    fn unsettle(&mut self) {
        for entry in self.workers.values_mut() {
            entry.settled = None;
        }
    }

    fn versions_where(&self, which: impl Fn(&Entry) -> bool) -> Vec<Arc<str>> {
        self.workers
            .values()
            .filter(|entry| which(entry))
            .map(|entry| Arc::clone(&entry.about.version))
            .collect()
    }

    fn forget_if_over(&mut self, worker: WorkerId) {
        let done = |entry: &Entry| entry.over && entry.occupants.is_empty();
        if self.workers.get(&worker).is_some_and(done)
            && let Some(entry) = self.workers.remove(&worker)
        {
            if self.gone.len() == GONE_MAX {
                self.gone.pop_front();
            }
            self.gone.push_back((worker, entry.home()));
        }
    }
}

#[cfg(test)]
mod tests;
