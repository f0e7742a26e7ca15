//! Versions that are set aside, because they failed several sessions.
//!
//! Sessions are counted, not losses: one call that brings its own trouble fails again and again
//! wherever it is put. A session counts against a version that refused or mangled it, and against
//! one whose worker was lost before it had committed anything for it: what crashes at every attach
//! shows itself in that way. After a while one new session tries the version; if it stays well, the
//! version is as good as any.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use holdline_config::SetAside;
use holdline_session::SessionId;
use tokio::time::Instant;

/// Failures remembered for one version; more would not be asked for in earnest.
const FAILURES_MAX: usize = 1_024;

/// Versions remembered.
const VERSIONS_MAX: usize = 64;

/// How versions have fared.
#[derive(Debug, Default)]
pub(crate) struct Record {
    failures: BTreeMap<Arc<str>, VecDeque<(Instant, SessionId)>>,
    aside: BTreeMap<Arc<str>, State>,
}

/// ```text
/// Out ──a new session tries it──► Trying ──it stays well──► (forgotten)
///  ▲                                │
///  └────────it fails, or leaves─────┘
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Out { until: Instant },
    Trying { session: SessionId, since: Instant },
}

impl Record {
    /// Whether sessions are to go elsewhere. `probe`: a session that may try the version.
    pub(crate) fn is_aside(
        &self,
        version: &str,
        probe: Option<SessionId>,
        now: Instant,
        rules: &SetAside,
    ) -> bool {
        match self.aside.get(version) {
            None => false,
            Some(State::Out { until }) => probe.is_none() || now < *until,
            Some(State::Trying { session, since }) => {
                probe != Some(*session) && now < *since + rules.within
            }
        }
    }

    /// The version failed a session. True where it is now set aside. `alternative`: another version
    /// takes sessions; without one, nothing is set aside.
    pub(crate) fn failed(
        &mut self,
        version: &Arc<str>,
        session: SessionId,
        now: Instant,
        rules: &SetAside,
        alternative: bool,
    ) -> bool {
        let until = now + rules.probe_after;
        match self.aside.get(version).copied() {
            Some(State::Out { .. }) => return false,
            Some(State::Trying { session: by, since }) if now < since + rules.within => {
                if by == session {
                    self.aside.insert(Arc::clone(version), State::Out { until });
                }
                return by == session;
            }
            Some(State::Trying { .. }) => {
                self.aside.remove(version);
            }
            None => {}
        }
        make_room(&mut self.failures, version);
        let failures = self.failures.entry(Arc::clone(version)).or_default();
        failures
            .retain(|(at, of)| now.saturating_duration_since(*at) < rules.within && *of != session);
        if failures.len() == FAILURES_MAX {
            failures.pop_front();
        }
        failures.push_back((now, session));
        let many = usize::try_from(rules.sessions).unwrap_or(FAILURES_MAX);
        if failures.len() < many.clamp(1, FAILURES_MAX) || !alternative {
            return false;
        }
        failures.clear();
        make_room(&mut self.aside, version);
        self.aside.insert(Arc::clone(version), State::Out { until });
        true
    }

    /// A new session got a place with the version. True where it tries it, because that is due.
    pub(crate) fn entered(&mut self, version: &str, session: SessionId, now: Instant) -> bool {
        let state = self.aside.get_mut(version);
        let due = state.filter(|state| matches!(state, State::Out { until } if *until <= now));
        due.is_some_and(|state| {
            *state = State::Trying {
                session,
                since: now,
            };
            true
        })
    }

    /// A session left the version without a failure; `well`: it got something done there. True where
    /// the version is taken back for that.
    pub(crate) fn left(
        &mut self,
        version: &str,
        session: SessionId,
        well: bool,
        now: Instant,
    ) -> bool {
        let Some(state) = self.aside.get_mut(version) else {
            return false;
        };
        if !matches!(state, State::Trying { session: by, .. } if *by == session) {
            return false;
        }
        if well {
            self.aside.remove(version);
        } else {
            *state = State::Out { until: now };
        }
        well
    }

    /// Takes back the versions whose trial is over, and tells them with the time when the next one is.
    pub(crate) fn end_trials(
        &mut self,
        now: Instant,
        rules: &SetAside,
    ) -> (Vec<Arc<str>>, Option<Instant>) {
        let mut next = None;
        let passed = self.aside.extract_if(.., |_, state| match state {
            State::Out { .. } => false,
            State::Trying { since, .. } => {
                let end = *since + rules.within;
                if now < end {
                    next = next.into_iter().chain([end]).min();
                }
                end <= now
            }
        });
        let passed = passed.map(|(version, _)| version).collect();
        (passed, next)
    }
}

/// Keeps the number of versions bounded: one that is new takes the place of any other.
fn make_room<T>(versions: &mut BTreeMap<Arc<str>, T>, version: &Arc<str>) {
    if versions.len() >= VERSIONS_MAX && !versions.contains_key(version) {
        versions.pop_first();
    }
}

#[cfg(test)]
mod tests;
