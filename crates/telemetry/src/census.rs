//! Sessions by what they do and by how old they are, counted when a scraper asks: nothing of it is
//! kept up to date for a frame.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus::Gauge;

use crate::{
    AgeRange, SessionState,
    register::{Gauges, Register},
    words::{AGE, STATE},
};

/// Who is on the line at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Census {
    states: [i64; SessionState::ALL.len()],
    ages: [i64; AgeRange::ALL.len()],
    oldest: Duration,
    log_age: Duration,
}

impl Census {
    /// One session more: what it does, how old it is, and how old the oldest input is that it keeps to
    /// replay.
    pub fn note(&mut self, state: SessionState, age: Duration, log_age: Duration) {
        self.states[state as usize] += 1;
        self.ages[AgeRange::of(age) as usize] += 1;
        self.oldest = self.oldest.max(age);
        self.log_age = self.log_age.max(log_age);
    }
}

type Ask = Box<dyn Fn() -> Census + Send + Sync>;

/// The gauges that a census fills.
#[derive(Clone)]
pub(crate) struct CensusMetrics {
    states: Gauges,
    ages: Gauges,
    oldest: Gauge,
    log_age: Gauge,
    ask: Arc<OnceLock<Ask>>,
}

impl CensusMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            states: register.gauges(
                "holdline_sessions",
                "Sessions by what they do; `starting` is one of whom nobody has said yet who calls, `held` one without a worker.",
                &[STATE],
            ),
            ages: register.gauges(
                "holdline_sessions_by_age",
                "Sessions by the time since their caller's socket was accepted.",
                &[AGE],
            ),
            oldest: register.float_gauge(
                "holdline_session_oldest_age_seconds",
                "Age of the oldest session; 0 without any.",
            ),
            log_age: register.float_gauge(
                "holdline_session_log_age_seconds",
                "Age of the oldest input that any session keeps to replay; 0 without any.",
            ),
            ask: Arc::default(),
        }
    }

    /// From now on this is asked. For the first caller only.
    pub(crate) fn watch(&self, ask: impl Fn() -> Census + Send + Sync + 'static) {
        // Where somebody is asked already, nothing changes.
        let _ = self.ask.set(Box::new(ask));
    }

    /// Brings the gauges up to date.
    pub(crate) fn take(&self) {
        let census = self.ask.get().map_or_else(Census::default, |ask| ask());
        for (state, count) in SessionState::ALL.iter().zip(census.states) {
            self.states.of(&[state.as_str()]).set(count);
        }
        for (age, count) in AgeRange::ALL.iter().zip(census.ages) {
            self.ages.of(&[age.as_str()]).set(count);
        }
        self.oldest.set(census.oldest.as_secs_f64());
        self.log_age.set(census.log_age.as_secs_f64());
    }
}

impl fmt::Debug for CensusMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CensusMetrics").finish_non_exhaustive()
    }
}
