//! Whose fault failures are: workers and versions that failed several sessions are set aside.

use std::sync::Arc;

use holdline_session::{SessionId, WorkerId};
use tokio::time::Instant;

use super::{Roster, entry::Entry};
use crate::WorkerState;

impl Roster {
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

    /// Takes back the versions whose trial is over, and tells them with the time when the next one is.
    pub(crate) fn end_trials(&mut self, now: Instant) -> (Vec<Arc<str>>, Option<Instant>) {
        let ended = self.record.end_trials(now, &self.rules.rollout.set_aside);
        if !ended.0.is_empty() {
            self.unsettle();
        }
        ended
    }
}
