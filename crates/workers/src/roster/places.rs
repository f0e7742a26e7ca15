//! Places with workers: chosen, taken, and given back.

use std::sync::Arc;

use holdline_session::{AttachReason, Attributes, Seek, SessionId, Suspicion, WorkerId};
use tokio::time::Instant;

use super::{
    Roster,
    entry::{Entry, Occupant, PlaceId},
    pick::{Candidate, NoPlace, Wish, pick},
    rules::Home,
};
use crate::{connections::Connections, signals::Signals};

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
    /// With this session a version that is set aside is tried again.
    pub(crate) trial: bool,
}

impl Roster {
    /// Chooses a worker and takes a place with it.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) fn reserve(
        &mut self,
        session: SessionId,
        attributes: &Arc<Attributes>,
        seek: &Seek,
        tried: &[WorkerId],
        now: Instant,
    ) -> Result<Reserved, NoPlace> {
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
        let unusable = || NoPlace {
            words: "the chosen worker has no connection".to_owned(),
            crowded: false,
        };
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
        let version = Arc::clone(&entry.about.version);
        let trial = probe.is_some() && self.record.entered(&version, session, now);
        Ok(Reserved {
            worker,
            place,
            version,
            connections,
            signals,
            trial,
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

    /// The worker committed something for a session, whose state is of this schema since.
    pub(crate) fn committed(&mut self, worker: WorkerId, place: PlaceId, schema: u32) {
        let entry = self.workers.get_mut(&worker);
        if let Some(occupant) = entry.and_then(|entry| entry.occupants.get_mut(&place)) {
            occupant.committed = true;
            occupant.schema = schema;
        }
    }

    /// The place is free. Returns the version where the session was its trial, and went well.
    pub(crate) fn release(
        &mut self,
        worker: WorkerId,
        place: PlaceId,
        now: Instant,
    ) -> Option<Arc<str>> {
        let entry = self.workers.get_mut(&worker)?;
        let version = Arc::clone(&entry.about.version);
        let taken_back = entry.leave(place).is_some_and(|occupant| {
            let (session, well) = (occupant.session, occupant.committed);
            self.record.left(&version, session, well, now)
        });
        self.forget_if_over(worker);
        taken_back.then_some(version)
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

    pub(super) fn pick(
        &self,
        wish: &Wish<'_>,
        probe: Option<SessionId>,
        now: Instant,
    ) -> Result<WorkerId, NoPlace> {
        let workers = self.workers.iter();
        pick(
            workers.map(|(id, entry)| self.candidate(*id, entry, wish.session, probe, now)),
            wish,
        )
    }

    pub(super) fn candidate<'a>(
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
}
