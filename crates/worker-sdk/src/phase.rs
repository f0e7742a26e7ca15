//! Where this process is on its way out, and how many sessions it still has.

use std::{
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
    suspects: Suspects,
}

/// The sessions here that may make their worker fail, by name; one may stand here twice for as long
/// as its former stream winds down.
type Suspects = Arc<Mutex<Vec<String>>>;

/// The place of one session; freed when dropped.
pub(crate) struct Place(Arc<watch::Sender<usize>>);

/// One session is under suspicion here; dropped when it is cleared or gone.
pub(crate) struct Suspicion {
    session: String,
    suspects: Suspects,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            open: Arc::new(watch::Sender::new(0)),
            suspects: Suspects::default(),
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

    /// Room for a session that may make its worker fail: none while another such session is here,
    /// so that it takes no innocent one with it that has failed before.
    pub(crate) fn admit_suspect(&self, session: &str) -> Result<Suspicion, &'static str> {
        let mut suspects = locked(&self.suspects);
        if suspects.iter().any(|other| other != session) {
            return Err("this worker has another session that may make workers fail");
        }
        let session = session.to_owned();
        suspects.push(session.clone());
        let suspects = Arc::clone(&self.suspects);
        Ok(Suspicion { session, suspects })
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

impl Drop for Suspicion {
    fn drop(&mut self) {
        let mut suspects = locked(&self.suspects);
        if let Some(place) = suspects.iter().position(|other| *other == self.session) {
            suspects.swap_remove(place);
        }
    }
}

/// Nothing under this lock can panic; were it so, the list would still be whole.
fn locked(suspects: &Suspects) -> std::sync::MutexGuard<'_, Vec<String>> {
    suspects.lock().unwrap_or_else(PoisonError::into_inner)
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

    #[test]
    fn one_suspect_at_a_time_however_often_it_comes() {
        let gate = Gate::new();
        let first = gate.admit_suspect("a").unwrap();
        assert!(gate.admit_suspect("b").is_err());
        let again = gate.admit_suspect("a").unwrap();
        drop(first);
        assert!(gate.admit_suspect("b").is_err());
        drop(again);
        assert!(gate.admit_suspect("b").is_ok());
    }
}
