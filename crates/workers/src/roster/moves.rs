//! Who is to leave a worker, and when: because the worker drains, or because a rollout rule wants it.
//!
//! Both are told one session at a time, so that the shell can pace them, and nobody is told to leave
//! who would find nothing better.

use std::time::Duration;

use holdline_config::Existing;
use holdline_session::{Suspicion, WorkerId};
use tokio::time::Instant;

use super::{
    NEWCOMER_WITHIN, Roster,
    entry::{Entry, Life, Occupant, PlaceId},
    pick::{Wish, is_better},
};

/// A session that was told to leave and is still there is told again after so long.
pub(super) const REMIND_AFTER: Duration = Duration::from_secs(5);

/// With less time than this left, sessions wait for nobody.
pub(super) const HURRY: Duration = Duration::from_secs(3);

/// That the rules want no session elsewhere is believed for so long, unless a worker or a rule changes.
pub(crate) const SETTLED: Duration = Duration::from_secs(5);
/// What keeps a draining worker's sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Leaving {
    /// Sessions that are there.
    pub(crate) sessions: usize,
    /// Time until the worker is gone.
    pub(crate) left: Option<Duration>,
    /// All are to go now, whatever the pace.
    pub(crate) at_once: bool,
}

/// Why sessions are to leave a worker that does not drain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Urge {
    /// Its version is disabled.
    Disabled,
    /// Its version is set aside.
    Aside,
    /// A better version may be there.
    Eager,
}

impl Roster {
    /// What a worker still holds that is to leave it; `None` where that is nothing.
    pub(crate) fn leaving(&self, worker: WorkerId, now: Instant) -> Option<Leaving> {
        let entry = self.workers.get(&worker)?;
        let urge = self.urge(entry, now);
        let recently = |at: Instant| now.saturating_duration_since(at) < SETTLED;
        let settled = urge != Some(Urge::Disabled) && entry.settled.is_some_and(recently);
        let leaving = entry.draining() || (urge.is_some() && !settled);
        (leaving && (entry.draining() || !entry.occupants.is_empty())).then(|| Leaving {
            sessions: entry.occupants.len(),
            left: entry.deadline.map(|at| at.saturating_duration_since(now)),
            at_once: urge == Some(Urge::Disabled),
        })
    }

    /// Tells one session of a worker to leave, because the worker drains or a rule wants it. False
    /// where none is left to be told, or none would be better off elsewhere, or soon will be.
    pub(crate) fn move_one(&mut self, worker: WorkerId, now: Instant) -> bool {
        let Some(entry) = self.workers.get(&worker) else {
            return false;
        };
        if entry.has_patience(NEWCOMER_WITHIN, HURRY, now) && self.newcomers_are_near(now) {
            return false;
        }
        let place = self.next_to_move(worker, entry, now);
        let Some(entry) = self.workers.get_mut(&worker) else {
            return false;
        };
        let reason = entry.move_reason();
        let Some(occupant) = place.and_then(|place| entry.occupants.get_mut(&place)) else {
            entry.settled = Some(now);
            return false;
        };
        occupant.told = Some(now);
        occupant.signals.tell_move(reason);
        self.metrics.moves.inc();
        true
    }

    /// A session that was not told of late and has a better place.
    fn next_to_move(&self, worker: WorkerId, entry: &Entry, now: Instant) -> Option<PlaceId> {
        let must = entry.draining() || self.urge(entry, now) == Some(Urge::Disabled);
        let home = entry.home();
        let due = |occupant: &Occupant| {
            occupant.attached
                && occupant
                    .told
                    .is_none_or(|at| now.saturating_duration_since(at) >= REMIND_AFTER)
        };
        let mut refused: Option<(u32, Suspicion)> = None;
        entry.occupants.iter().find_map(|(place, occupant)| {
            let kind = (occupant.schema, occupant.suspicion);
            // Who wants the same as one that found nothing finds nothing either.
            if !due(occupant) || refused == Some(kind) {
                return None;
            }
            let wish = Wish {
                session: occupant.session,
                attributes: &occupant.attributes,
                rules: &self.rules,
                home: Some(&home),
                schema: occupant.schema,
                avoid: Some(worker),
                planned: true,
                suspicion: occupant.suspicion,
                failed: &[],
                tried: &[],
            };
            let Ok(chosen) = self.pick(&wish, None, now) else {
                refused = Some(kind);
                return None;
            };
            let goes = if must {
                !self.is_kept(entry, chosen, now)
            } else {
                self.is_better(chosen, worker, &wish, now)
            };
            goes.then_some(*place)
        })
    }

    /// Whether sessions of a draining worker stay with it to the last, rather than go to `chosen`,
    /// because that is of another version.
    fn is_kept(&self, entry: &Entry, chosen: WorkerId, now: Instant) -> bool {
        let other = self
            .workers
            .get(&chosen)
            .is_some_and(|chosen| chosen.about.version != entry.about.version);
        self.rules.existing == Existing::Pinned
            && other
            && !self.rules.is_disabled(&entry.about.version)
            && entry.deadline.is_none_or(|at| at > now + HURRY)
    }

    fn is_better(
        &self,
        chosen: WorkerId,
        current: WorkerId,
        wish: &Wish<'_>,
        now: Instant,
    ) -> bool {
        let candidate = |id| {
            let entry = self.workers.get(&id)?;
            Some(self.candidate(id, entry, wish.session, None, now))
        };
        match (candidate(chosen), candidate(current)) {
            (Some(chosen), Some(current)) => is_better(&chosen, &current, wish),
            _ => false,
        }
    }

    /// What the rules have against sessions staying with this worker.
    fn urge(&self, entry: &Entry, now: Instant) -> Option<Urge> {
        let version = &entry.about.version;
        let set_aside = &self.rules.rollout.set_aside;
        if entry.life != Life::Described {
            None
        } else if self.rules.is_disabled(version) {
            Some(Urge::Disabled)
        } else if self.record.is_aside(version, None, now, set_aside) {
            Some(Urge::Aside)
        } else {
            (self.rules.existing == Existing::Eager).then_some(Urge::Eager)
        }
    }

    fn newcomers_are_near(&self, now: Instant) -> bool {
        self.unready || self.workers.values().any(|entry| entry.is_near(now))
    }
}
