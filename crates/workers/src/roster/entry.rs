//! One worker as a pool knows it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use holdline_config::Eject;
use holdline_session::{Attributes, MoveReason, SessionId, Suspicion, WorkerId};
use holdline_telemetry::{TrackedWorker, WorkerState as Label};
use tokio::time::Instant;

use super::{pick::Candidate, rules::Home, versions::Versions};
use crate::{
    Leave, Pod, WorkerState, WorkerStatus, connections::Connections, discovery::EndpointId,
    signals::Signals,
};

/// What a worker says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct About {
    pub(crate) version: Arc<str>,
    pub(crate) reads: Vec<u32>,
    /// 0: it does not say.
    pub(crate) writes: u32,
    pub(crate) capacity: Option<u32>,
}

/// Why a worker drains. Several can hold at once; only health and operators come
/// back on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Cause {
    Health,
    GoAway,
    Message,
    Discovery,
    Terminating,
    Operator,
}

impl Cause {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "its health is NOT_SERVING",
            Self::GoAway => "it sent GOAWAY",
            Self::Message => "it said Draining",
            Self::Discovery => "it is gone from discovery",
            Self::Terminating => "its pod terminates",
            Self::Operator => "an operator said so",
        }
    }
}

/// How far a worker has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Connecting,
    Described,
    Incompatible,
    Lost,
}

/// Names a place within a pool.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PlaceId(pub(crate) u64);

/// One attachment, or one on offer.
#[derive(Debug)]
pub(crate) struct Occupant {
    pub(crate) session: SessionId,
    pub(crate) attributes: Arc<Attributes>,
    pub(crate) schema: u32,
    pub(crate) suspicion: Suspicion,
    pub(crate) signals: Arc<Signals>,
    /// The session has been handed over: only then can it be told to leave.
    pub(crate) attached: bool,
    /// The worker has committed something for it here.
    pub(crate) committed: bool,
    /// When it was last told to leave.
    pub(crate) told: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) endpoint: EndpointId,
    /// What discovery says of its pod.
    pod: Option<Arc<Pod>>,
    pub(crate) life: Life,
    pub(crate) about: About,
    pub(crate) detail: String,
    pub(crate) causes: Vec<Cause>,
    pub(crate) deadline: Option<Instant>,
    /// Since when it drains, and how many sessions were there then.
    pub(crate) leaving: Option<(Instant, usize)>,
    /// Until when it is expected to become ready soon.
    pub(crate) awaited: Option<Instant>,
    pub(crate) ejected: Option<Instant>,
    pub(crate) connections: Option<Arc<Connections>>,
    pub(crate) occupants: BTreeMap<PlaceId, Occupant>,
    /// Those occupants that are suspects, and those that are in doubt.
    suspects: BTreeSet<(SessionId, PlaceId)>,
    doubted: BTreeSet<(SessionId, PlaceId)>,
    /// Nothing more is to come of it: forgotten with its last occupant.
    pub(crate) over: bool,
    failures: VecDeque<(Instant, SessionId)>,
    /// When it was last found that the rules want none of its sessions elsewhere.
    pub(crate) settled: Option<Instant>,
    tracked: TrackedWorker,
}

impl Entry {
    pub(crate) fn new(endpoint: EndpointId, tracked: TrackedWorker) -> Self {
        Self {
            endpoint,
            pod: None,
            life: Life::Connecting,
            about: About::default(),
            detail: String::new(),
            causes: Vec::new(),
            deadline: None,
            leaving: None,
            awaited: None,
            ejected: None,
            connections: None,
            occupants: BTreeMap::new(),
            suspects: BTreeSet::new(),
            doubted: BTreeSet::new(),
            over: false,
            failures: VecDeque::new(),
            settled: None,
            tracked,
        }
    }

    /// A worker that does not tell its version has that of its pod.
    pub(crate) fn set_about(&mut self, mut about: About) {
        let labelled = self.pod.as_ref().and_then(|pod| pod.version.as_deref());
        if let Some(version) = labelled.filter(|_| about.version.is_empty()) {
            about.version = version.into();
        }
        self.tracked.set_version(&about.version);
        self.about = about;
    }

    /// True where that is news.
    pub(crate) fn set_pod(&mut self, pod: Option<&Arc<Pod>>) -> bool {
        if self.pod.as_ref() == pod {
            return false;
        }
        self.pod = pod.cloned();
        let about = std::mem::take(&mut self.about);
        self.set_about(about);
        true
    }

    /// Brings the gauge up to date; after every change.
    pub(crate) fn count(&mut self, now: Instant) {
        self.tracked.set_state(match self.state(now) {
            WorkerState::Connecting => Label::Connecting,
            WorkerState::Ready => Label::Ready,
            WorkerState::Draining { .. } => Label::Draining,
            WorkerState::Lost => Label::Lost,
            WorkerState::Ejected { .. } => Label::Ejected,
            WorkerState::Incompatible => Label::Incompatible,
        });
    }

    pub(crate) fn state(&self, now: Instant) -> WorkerState {
        match self.life {
            Life::Lost => WorkerState::Lost,
            Life::Incompatible => WorkerState::Incompatible,
            Life::Connecting if self.causes.is_empty() => WorkerState::Connecting,
            Life::Connecting | Life::Described if !self.causes.is_empty() => {
                WorkerState::Draining {
                    left: self.deadline.map(|at| at.saturating_duration_since(now)),
                }
            }
            Life::Connecting | Life::Described => match self.ejected {
                Some(until) if until > now => WorkerState::Ejected {
                    left: until.saturating_duration_since(now),
                },
                _ => WorkerState::Ready,
            },
        }
    }

    pub(crate) fn draining(&self) -> bool {
        !self.causes.is_empty() && self.life == Life::Described
    }

    /// Whether its sessions may wait for a newcomer: it drains for less than `within`, and lives for
    /// more than `hurry` as far as is known.
    pub(crate) fn has_patience(&self, within: Duration, hurry: Duration, now: Instant) -> bool {
        self.leaving.is_some_and(|(since, _)| now < since + within)
            && self.deadline.is_none_or(|at| at > now + hurry)
    }

    /// Whether it is being connected to, with good hope.
    pub(crate) fn is_near(&self, now: Instant) -> bool {
        self.life == Life::Connecting && self.awaited.is_some_and(|until| now < until)
    }

    /// Why its sessions leave, for the engine.
    pub(crate) fn move_reason(&self) -> MoveReason {
        match self.causes[..] {
            [] => MoveReason::Rollout,
            [Cause::Operator] => MoveReason::Operator,
            _ => MoveReason::Drain,
        }
    }

    /// Where a session that leaves it comes from.
    pub(crate) fn home(&self) -> Home {
        let rollout = self.pod.as_ref().and_then(|pod| pod.rollout.as_ref());
        Home {
            version: Arc::clone(&self.about.version),
            reads: self.about.reads.clone(),
            writes: self.about.writes,
            deployment: rollout.map(|rollout| Arc::clone(&rollout.deployment)),
        }
    }

    pub(crate) fn candidate<'a>(
        &'a self,
        worker: WorkerId,
        session: SessionId,
        versions: &Versions,
        now: Instant,
    ) -> Candidate<'a> {
        let state = self.state(now);
        let ejected = matches!(state, WorkerState::Ejected { .. });
        let fit = ejected || state == WorkerState::Ready;
        Candidate {
            worker,
            unfit: (!fit).then_some(state.as_str()),
            ejected,
            runs: self.life == Life::Described,
            version: &self.about.version,
            rank: versions.rank(&self.about.version),
            rollout: self.pod.as_ref().and_then(|pod| pod.rollout.as_ref()),
            reads: &self.about.reads,
            writes: self.about.writes,
            aside: false,
            capacity: self.about.capacity,
            sessions: self.occupants.len(),
            others: self.suspicion_of_others(session),
        }
    }

    pub(crate) fn enter(&mut self, place: PlaceId, occupant: Occupant) {
        self.suspect(occupant.session, place, occupant.suspicion);
        self.occupants.insert(place, occupant);
    }

    fn suspect(&mut self, session: SessionId, place: PlaceId, suspicion: Suspicion) {
        self.suspects.remove(&(session, place));
        self.doubted.remove(&(session, place));
        match suspicion {
            Suspicion::None => false,
            Suspicion::Doubt => self.doubted.insert((session, place)),
            Suspicion::Suspect => self.suspects.insert((session, place)),
        };
    }

    fn suspicion_of_others(&self, session: SessionId) -> Suspicion {
        let has_other =
            |of: &BTreeSet<(SessionId, PlaceId)>| of.iter().any(|(other, _)| *other != session);
        if has_other(&self.suspects) {
            Suspicion::Suspect
        } else if has_other(&self.doubted) {
            Suspicion::Doubt
        } else {
            Suspicion::None
        }
    }

    pub(crate) fn leave(&mut self, place: PlaceId) -> Option<Occupant> {
        let occupant = self.occupants.remove(&place)?;
        self.suspect(occupant.session, place, Suspicion::None);
        Some(occupant)
    }

    /// The session of a place is under less suspicion than it was.
    pub(crate) fn clear(&mut self, place: PlaceId, left: Suspicion) {
        if let Some(occupant) = self.occupants.get_mut(&place) {
            occupant.suspicion = left;
            let session = occupant.session;
            self.suspect(session, place, left);
        }
    }

    /// Notes that an attachment of `session` failed. True where that is one distinct session too
    /// many: the worker is now set aside.
    pub(crate) fn failed(&mut self, session: SessionId, now: Instant, eject: &Eject) -> bool {
        self.failures
            .retain(|(at, of)| now.saturating_duration_since(*at) < eject.within && *of != session);
        self.failures.push_back((now, session));
        let many = usize::try_from(eject.sessions).unwrap_or(usize::MAX).max(1);
        if self.failures.len() < many {
            return false;
        }
        self.failures.clear();
        self.ejected = Some(now + eject.r#for);
        true
    }

    pub(crate) fn status(&self, id: WorkerId, now: Instant) -> WorkerStatus {
        WorkerStatus {
            id,
            address: self
                .connections
                .as_ref()
                .map_or(self.endpoint.address, |reached| reached.address()),
            version: self.about.version.to_string(),
            state: self.state(now),
            detail: self.detail.clone(),
            reads: self.about.reads.clone(),
            writes: self.about.writes,
            sessions: self.occupants.len(),
            capacity: self.about.capacity,
            leave: self.leaving.map(|(since, began_with)| Leave {
                since: now.saturating_duration_since(since),
                began_with,
                by_operator: self.causes.contains(&Cause::Operator),
            }),
            pod: self.pod.clone(),
        }
    }
}
