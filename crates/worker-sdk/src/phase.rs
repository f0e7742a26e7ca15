//! Where this process is on its way out, and how many sessions it still has.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, time::Instant};

/// What the process does with sessions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Takes them.
    Serving,
    /// Keeps those that it has until they are moved away, or until then.
    Draining {
        /// The end of the grace.
        until: Instant,
    },
    /// The grace is over: all streams end.
    Over,
}

/// Admits sessions and counts them. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Gate {
    phase: watch::Sender<Phase>,
    open: Arc<watch::Sender<usize>>,
    watched: Watched,
}

/// The sessions here that may make their worker fail, by name; one may stand here twice for as long
/// as its former stream winds down.
type Watched = Arc<Mutex<Vec<(String, Degree)>>>;

/// How far a session is suspected of making its workers fail.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Degree {
    /// A worker was lost with its next input, and that input with others'.
    Doubt,
    /// That happened again: the session is kept apart from all who could be to blame as well.
    Suspect,
}

/// The place of one session; freed when dropped.
pub(crate) struct Place(Arc<watch::Sender<usize>>);

/// One session is under suspicion here; dropped with it.
pub(crate) struct Suspicion {
    session: String,
    degree: Degree,
    suspect_through: u64,
    doubt_through: u64,
    /// How far each commit went that the edge has not said to be applied.
    unapplied: VecDeque<u64>,
    /// Commits that it has.
    applied: u64,
    watched: Watched,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            open: Arc::new(watch::Sender::new(0)),
            watched: Watched::default(),
        }
    }

    /// A place, or in words why there is none for now. `max` 0: as many as come.
    pub(crate) fn admit(&self, max: u32) -> Result<Place, &'static str> {
        if *self.phase.borrow() != Phase::Serving {
            return Err("this worker is draining");
        }
        let admitted = self.open.send_if_modified(|open| {
            let free = max == 0 || *open < max as usize;
            *open += usize::from(free);
            free
        });
        if !admitted {
            return Err("this worker has as many sessions as it takes");
        }
        Ok(Place(Arc::clone(&self.open)))
    }

    /// Room for a session that may make its worker fail, as its offer says; `None` where that says
    /// nothing of the kind. Suspects are not beside each other, nor beside one in doubt, so that
    /// nobody is ended for what another did.
    pub(crate) fn admit_suspect(
        &self,
        offer: &holdline_wire::v1::Offer,
    ) -> Result<Option<Suspicion>, &'static str> {
        let degree = match (offer.suspect_through, offer.doubt_through) {
            (0, 0) => return Ok(None),
            (0, _) => Degree::Doubt,
            _ => Degree::Suspect,
        };
        let mut watched = locked(&self.watched);
        let clashes = |(other, of): &(String, Degree)| {
            *other != offer.session_id && degree.max(*of) == Degree::Suspect
        };
        if watched.iter().any(clashes) {
            return Err("this worker has another session that may make workers fail");
        }
        watched.push((offer.session_id.clone(), degree));
        Ok(Some(Suspicion {
            session: offer.session_id.clone(),
            degree,
            suspect_through: offer.suspect_through,
            doubt_through: offer.doubt_through,
            unapplied: VecDeque::new(),
            applied: 0,
            watched: Arc::clone(&self.watched),
        }))
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(crate) fn phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(crate) fn open(&self) -> usize {
        *self.open.borrow()
    }

    /// Waits until no session is left, at most until then. Says whether none is. Cancel safe.
    pub(crate) async fn emptied(&self, until: Instant) -> bool {
        let mut open = self.open.subscribe();
        let empty = open.wait_for(|open| *open == 0);
        tokio::time::timeout_at(until, empty).await.is_ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Suspicion {
    /// Notes a commit that goes out, of all inputs up to this one.
    pub(crate) fn committed(&mut self, through: u64) {
        self.unapplied.push_back(through);
    }

    /// What is left of it where the edge has applied so many commits. Not before: a commit that goes
    /// down with its worker has cleared nobody.
    pub(crate) fn after(mut self, applied: u64) -> Option<Self> {
        let mut through = 0;
        while self.applied < applied {
            through = self.unapplied.pop_front()?;
            self.applied += 1;
        }
        if through >= self.suspect_through.max(self.doubt_through) {
            return None;
        }
        if through >= self.suspect_through && self.degree == Degree::Suspect {
            let mut watched = locked(&self.watched);
            if let Some(place) = self.place_in(&watched) {
                watched[place].1 = Degree::Doubt;
            }
            drop(watched);
            self.degree = Degree::Doubt;
        }
        Some(self)
    }

    fn place_in(&self, watched: &[(String, Degree)]) -> Option<usize> {
        let own = |(other, of): &(String, Degree)| *other == self.session && *of == self.degree;
        watched.iter().position(own)
    }
}

impl Drop for Suspicion {
    fn drop(&mut self) {
        let mut watched = locked(&self.watched);
        if let Some(place) = self.place_in(&watched) {
            watched.swap_remove(place);
        }
    }
}

/// Nothing under this lock can panic; were it so, the list would still be whole.
fn locked(watched: &Watched) -> std::sync::MutexGuard<'_, Vec<(String, Degree)>> {
    watched.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Phase {
    /// Time until the process must be gone. `None` while it serves.
    pub(crate) fn remaining(self) -> Option<Duration> {
        match self {
            Self::Serving => None,
            Self::Draining { until } => Some(until.saturating_duration_since(Instant::now())),
            Self::Over => Some(Duration::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn offer(session: &str, suspect_through: u64, doubt_through: u64) -> holdline_wire::v1::Offer {
        holdline_wire::v1::Offer {
            session_id: session.to_owned(),
            suspect_through,
            doubt_through,
            ..Default::default()
        }
    }

    #[test]
    fn one_suspect_at_a_time_however_often_it_comes() {
        let gate = Gate::new();
        let first = gate.admit_suspect(&offer("a", 2, 3)).unwrap();
        assert!(gate.admit_suspect(&offer("b", 7, 7)).is_err());
        let again = gate.admit_suspect(&offer("a", 2, 3)).unwrap();
        drop(first);
        assert!(gate.admit_suspect(&offer("b", 7, 7)).is_err());
        drop(again);
        assert!(gate.admit_suspect(&offer("b", 7, 7)).is_ok());
    }

    #[test]
    fn no_suspect_beside_one_in_doubt_whichever_comes_first() {
        let gate = Gate::new();
        let doubted = [offer("a", 0, 3), offer("b", 0, 9)].map(|of| gate.admit_suspect(&of));
        assert!(doubted.iter().all(|of| matches!(of, Ok(Some(_)))));
        assert!(gate.admit_suspect(&offer("c", 7, 7)).is_err());
        drop(doubted);
        let suspect = gate.admit_suspect(&offer("c", 7, 7)).unwrap();
        assert!(gate.admit_suspect(&offer("a", 0, 3)).is_err());
        assert!(gate.admit_suspect(&offer("d", 0, 0)).unwrap().is_none());
        drop(suspect);
    }

    #[test]
    fn what_is_handled_and_applied_lessens_suspicion() {
        let gate = Gate::new();
        let mut suspect = gate.admit_suspect(&offer("a", 2, 4)).unwrap().unwrap();
        for through in [1, 2, 2, 4] {
            suspect.committed(through);
        }
        let suspect = suspect.after(1).unwrap();
        assert!(gate.admit_suspect(&offer("b", 0, 3)).is_err());
        let doubted = suspect.after(2).unwrap().after(3).unwrap();
        assert!(gate.admit_suspect(&offer("b", 0, 3)).is_ok());
        assert!(gate.admit_suspect(&offer("c", 3, 3)).is_err());
        assert!(doubted.after(4).is_none());
        assert!(gate.admit_suspect(&offer("c", 3, 3)).is_ok());
    }
}
