//! Everything a pool knows, and every rule about it: who is there, who is where, who is to leave.
//!
//! No IO and no clock: the shell says what happened and when. It stands behind one short-held lock,
//! so that a place is taken in the same moment in which it is chosen; otherwise all sessions of a
//! drained worker would find the same worker least loaded.

mod aside;
pub(crate) mod entry;
pub(crate) mod moves;
pub(crate) mod pace;
pub(crate) mod pick;
pub(crate) mod rules;
pub(crate) mod versions;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use holdline_session::{AttachReason, Attributes, Seek, SessionId, Suspicion, WorkerId};
use holdline_telemetry::{WorkerMetrics, WorkerState as Label};
use tokio::time::Instant;

use self::{
    aside::Record,
    entry::{About, Cause, Entry, Life, Occupant, PlaceId},
    pick::{Candidate, Wish, pick},
    rules::{Home, Rules},
    versions::Versions,
};
use crate::{
    Pod, WorkerState, WorkerStatus, connections::Connections, discovery::EndpointId,
    signals::Signals,
};

/// So long sessions stay with a draining worker for the sake of one that is on its way: in a rolling
/// deploy the old worker is told to go in the moment in which the new one is ready, and who moves to
/// another old one moves twice.
const NEWCOMER_WITHIN: Duration = Duration::from_secs(1);
/// Workers that are gone are remembered, so many, to know where their sessions come from.
const GONE_MAX: usize = 256;

/// What is known of a call that is none yet.
static NOTHING: Attributes = Attributes::new();

/// A reserved place with a worker.
#[derive(Clone, Debug)]
pub(crate) struct Reserved {
    pub(crate) worker: WorkerId,
    pub(crate) place: PlaceId,
    pub(crate) version: Arc<str>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) signals: Arc<Signals>,
}

#[derive(Debug)]
pub(crate) struct Roster {
    workers: BTreeMap<WorkerId, Entry>,
    versions: Versions,
    rules: Rules,
    record: Record,
    /// Workers that are gone, oldest first.
    gone: VecDeque<(WorkerId, Home)>,
    /// Version last seen at each endpoint that is or was in discovery of late.
    seen: BTreeMap<EndpointId, Arc<str>>,
    metrics: WorkerMetrics,
    last_worker: u64,
    last_place: u64,
    /// Discovery knows endpoints that do not serve yet.
    unready: bool,
}

impl Roster {
    pub(crate) fn new(rules: Rules, metrics: WorkerMetrics) -> Self {
        Self {
            workers: BTreeMap::new(),
            versions: Versions::default(),
            rules,
            record: Record::default(),
            gone: VecDeque::new(),
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
        self.rules = rules;
        self.unsettle();
    }

    /// A new worker is to be connected to. `awaited`: discovery says that it is there.
    pub(crate) fn add(&mut self, endpoint: &EndpointId, awaited: bool, now: Instant) -> WorkerId {
        self.last_worker += 1;
        let id = WorkerId(self.last_worker);
        let tracked = self.metrics.track("", Label::Connecting);
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
        let entry = self.workers.get_mut(&id);
        let news = entry.is_some_and(|entry| entry.set_pod(pod));
        if news {
            self.unsettle();
        }
        news
    }

    /// The worker described itself and serves.
    pub(crate) fn described(
        &mut self,
        id: WorkerId,
        about: About,
        connections: Arc<Connections>,
        now: Instant,
    ) {
        let draining = self.versions_where(Entry::draining);
        let draining: Vec<&str> = draining.iter().map(|version| &**version).collect();
        let Some(entry) = self.workers.get_mut(&id) else {
            return;
        };
        entry.set_about(about);
        let version = &entry.about.version;
        let before = self
            .seen
            .insert(entry.endpoint.clone(), Arc::clone(version));
        let returned = before.as_ref() == Some(version);
        self.versions.appeared(version, &draining, returned);
        entry.life = Life::Described;
        entry.detail.clear();
        entry.connections = Some(connections);
        entry.count(now);
        self.unsettle();
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
        entry.leaving.get_or_insert(now);
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

    /// The worker serves again. True where it no longer drains.
    pub(crate) fn serves_again(&mut self, id: WorkerId, now: Instant) -> bool {
        let Some(entry) = self.workers.get_mut(&id) else {
            return false;
        };
        if !entry.draining() {
            return false;
        }
        entry.causes.retain(|cause| *cause != Cause::Health);
        if entry.causes.is_empty() {
            entry.deadline = None;
            entry.leaving = None;
            entry.detail.clear();
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

    /// Chooses a worker and takes a place with it.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn reserve(
        &mut self,
        session: SessionId,
        attributes: &Arc<Attributes>,
        seek: &Seek,
        tried: &[WorkerId],
        now: Instant,
    ) -> Result<Reserved, String> {
        let home = seek.avoid.and_then(|worker| self.home(worker));
        let wish = Wish {
            session,
            attributes,
            rules: &self.rules,
            home: home.as_ref(),
            schema: seek.schema,
            avoid: seek.avoid,
            planned: seek.planned,
            suspicion: seek.suspicion(),
            failed: &seek.failed,
            tried,
        };
        let probe = (seek.reason == AttachReason::New).then_some(session);
        let worker = self.pick(&wish, probe, now)?;
        self.last_place += 1;
        let place = PlaceId(self.last_place);
        let signals = Arc::new(Signals::default());
        let unusable = || "the chosen worker has no connection".to_owned();
        let entry = self.workers.get_mut(&worker).ok_or_else(unusable)?;
        let connections = entry.connections.clone().ok_or_else(unusable)?;
        entry.enter(
            place,
            Occupant {
                session,
                attributes: Arc::clone(attributes),
                schema: seek.schema,
                suspicion: seek.suspicion(),
                signals: Arc::clone(&signals),
                attached: false,
                committed: false,
                told: None,
            },
        );
        if probe.is_some() {
            self.record.entered(&entry.about.version, session, now);
        }
        Ok(Reserved {
            worker,
            place,
            version: Arc::clone(&entry.about.version),
            connections,
            signals,
        })
    }

    /// The session was handed over. True where its worker is already draining.
    pub(crate) fn attached(&mut self, worker: WorkerId, place: PlaceId) -> bool {
        let Some(entry) = self.workers.get_mut(&worker) else {
            return false;
        };
        if let Some(occupant) = entry.occupants.get_mut(&place) {
            occupant.attached = true;
        }
        entry.draining()
    }

    /// The session of a place is under suspicion no more.
    pub(crate) fn clear(&mut self, worker: WorkerId, place: PlaceId, left: Suspicion) {
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.clear(place, left);
        }
    }

    /// The worker committed something for a session.
    pub(crate) fn committed(&mut self, worker: WorkerId, place: PlaceId) {
        let entry = self.workers.get_mut(&worker);
        if let Some(occupant) = entry.and_then(|entry| entry.occupants.get_mut(&place)) {
            occupant.committed = true;
        }
    }

    pub(crate) fn release(&mut self, worker: WorkerId, place: PlaceId, now: Instant) {
        if let Some(entry) = self.workers.get_mut(&worker)
            && let Some(occupant) = entry.leave(place)
        {
            let (session, well) = (occupant.session, occupant.committed);
            self.record.left(&entry.about.version, session, well, now);
        }
        self.forget_if_over(worker);
    }

    /// The worker's version failed a session. Returns the version where it is now set aside.
    pub(crate) fn version_failed(
        &mut self,
        worker: WorkerId,
        session: SessionId,
        now: Instant,
    ) -> Option<Arc<str>> {
        let version = Arc::clone(&self.workers.get(&worker)?.about.version);
        let set_aside = self.rules.rollout.set_aside;
        let alternative = self.workers.values().any(|entry| {
            let other = &entry.about.version;
            *other != version
                && entry.state(now) == WorkerState::Ready
                && !self.rules.is_disabled(other)
                && !self.record.is_aside(other, None, now, &set_aside)
        });
        let aside = self
            .record
            .failed(&version, session, now, &set_aside, alternative);
        if aside {
            self.unsettle();
        }
        aside.then_some(version)
    }

    /// An attachment failed by the worker's fault. True where the worker is now set aside. The last
    /// one that takes sessions stays: a doubtful place is better than none, and where every worker
    /// is slow it is not their fault.
    pub(crate) fn failed(&mut self, worker: WorkerId, session: SessionId, now: Instant) -> bool {
        let eject = self.rules.eject;
        let ready = |entry: &&Entry| entry.state(now) == WorkerState::Ready;
        let last = self.workers.values().filter(ready).count() == 1;
        let Some(entry) = self.workers.get_mut(&worker).filter(|_| !last) else {
            return false;
        };
        let ejected = entry.state(now) == WorkerState::Ready && entry.failed(session, now, &eject);
        if ejected {
            entry.detail = format!("attachments of {} sessions failed", eject.sessions.max(1));
            entry.count(now);
        }
        ejected
    }

    /// The time of being set aside may be over: the gauge is to say so.
    pub(crate) fn readmitted(&mut self, worker: WorkerId, now: Instant) {
        if let Some(entry) = self.workers.get_mut(&worker) {
            if entry.ejected.is_some_and(|until| until <= now) {
                entry.ejected = None;
                entry.detail.clear();
            }
            entry.count(now);
        }
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

    /// Whether a new session would find a place.
    pub(crate) fn ready(&self, now: Instant) -> bool {
        let wish = Wish {
            session: SessionId(0),
            attributes: &NOTHING,
            rules: &self.rules,
            home: None,
            schema: 0,
            avoid: None,
            planned: false,
            suspicion: Suspicion::None,
            failed: &[],
            tried: &[],
        };
        self.pick(&wish, None, now).is_ok()
    }

    /// Forgets what was seen at endpoints that are no longer of interest.
    pub(crate) fn keep_seen(&mut self, keep: impl Fn(&EndpointId) -> bool) {
        self.seen.retain(|endpoint, _| keep(endpoint));
    }

    fn pick(
        &self,
        wish: &Wish<'_>,
        probe: Option<SessionId>,
        now: Instant,
    ) -> Result<WorkerId, String> {
        let workers = self.workers.iter();
        pick(
            workers.map(|(id, entry)| self.candidate(*id, entry, wish.session, probe, now)),
            wish,
        )
    }

    fn candidate<'a>(
        &self,
        id: WorkerId,
        entry: &'a Entry,
        session: SessionId,
        probe: Option<SessionId>,
        now: Instant,
    ) -> Candidate<'a> {
        let set_aside = &self.rules.rollout.set_aside;
        let version = &entry.about.version;
        Candidate {
            aside: self.record.is_aside(version, probe, now, set_aside),
            ..entry.candidate(id, session, &self.versions, now)
        }
    }

    /// Where sessions of this worker come from.
    fn home(&self, worker: WorkerId) -> Option<Home> {
        if let Some(entry) = self.workers.get(&worker) {
            return Some(entry.home());
        }
        let mut gone = self.gone.iter();
        gone.find(|(id, _)| *id == worker)
            .map(|(_, home)| home.clone())
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
