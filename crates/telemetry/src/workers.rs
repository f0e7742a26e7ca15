//! Metrics of workers, by state and version.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{IntCounter, IntGauge};

use crate::{
    RolloutRule, WorkerState,
    register::{Counters, Gauges, Register},
    words::{CONNECT, EJECTED, LOADED, POOL, RULE, RULED, VERSION, WORKER_STATE},
};

/// Versions of a pool told apart at once; the rest share the label value `other`.
const VERSIONS_MAX: usize = 16;

/// Longest version that becomes a label value, in bytes.
const VERSION_BYTES_MAX: usize = 64;

const OTHER: &str = "other";

/// Of workers that have not described themselves, or do not tell a version.
const NONE: &str = "";

/// Metrics of workers.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    states: Gauges,
    rules: Arc<Rules>,
    ejections: Counters,
    /// Workers that turned out to need what this edge or its configuration has not.
    pub incompatible: IntCounter,
    connect_failures: Counters,
    /// Connections made to workers.
    pub connections: IntCounter,
    /// Searches for workers (DNS...) that failed; what was known stays.
    pub discovery_failures: IntCounter,
    discovery_failing: IntGauge,
    /// Sessions that were told to leave a draining worker.
    pub moves: IntCounter,
    tls_reloads: Counters,
}

impl WorkerMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        register.about("Workers");
        Self {
            states: register.gauges(
                "holdline_workers",
                "Workers of each pool by state and version.",
                &[POOL, WORKER_STATE, VERSION],
            ),
            rules: Arc::new(Rules {
                counts: register.gauges(
                    "holdline_rollout_rules",
                    "Rollout rules in force: versions with a weight, pins, disabled versions; 1 for each of the other rules that holds.",
                    &[POOL, RULE],
                ),
                weights: register.gauges(
                    "holdline_rollout_weight",
                    "Shares of calls by version, where a rule gives them one.",
                    &[POOL, RULED],
                ),
                told: Mutex::default(),
            }),
            ejections: register.counters(
                "holdline_worker_ejections_total",
                "Workers set aside, by why.",
                &[EJECTED],
            ),
            incompatible: register.counter(
                "holdline_workers_incompatible_total",
                "Workers that need what this edge or its configuration has not.",
            ),
            connect_failures: register.counters(
                "holdline_worker_connect_failures_total",
                "Workers that could not be connected to or described, by why.",
                &[CONNECT],
            ),
            connections: register.counter(
                "holdline_worker_connections_total",
                "Connections made to workers.",
            ),
            discovery_failures: register.counter(
                "holdline_discovery_failures_total",
                "Searches for workers that failed.",
            ),
            discovery_failing: register.gauge(
                "holdline_discovery_failing",
                "Pools whose workers cannot be searched for at present; those that are known stay.",
            ),
            moves: register.counter(
                "holdline_worker_moves_total",
                "Sessions that were told to leave a draining worker.",
            ),
            tls_reloads: register.counters(
                "holdline_worker_tls_reloads_total",
                "Attempts to load changed certificates of the way to workers.",
                &[LOADED],
            ),
        }
    }

    /// These rules are in force in a pool: how many of each, and the shares of versions.
    pub fn rules<'v>(
        &self,
        pool: &str,
        counts: &[(RolloutRule, usize)],
        weights: impl Iterator<Item = (&'v str, u32)>,
    ) {
        self.rules.set(pool, counts, weights);
    }

    /// A pool's workers cannot be searched for, for as long as the handle lives.
    #[must_use]
    pub fn discovery_fails(&self) -> Failing {
        self.discovery_failing.inc();
        Failing(self.discovery_failing.clone())
    }

    /// The workers of a pool. From now on it is told that none of them is ready, too.
    #[must_use]
    pub fn pool(&self, name: &str) -> PoolWorkers {
        let states = States {
            pool: name.to_owned(),
            gauge: self.states.clone(),
            versions: Mutex::default(),
        };
        states.add(WorkerState::Ready, NONE, 0);
        PoolWorkers(Arc::new(states))
    }

    /// A worker was set aside.
    pub fn ejected(&self, why: &'static str) {
        self.ejections.of(&[why]).inc();
    }

    /// Changed certificates were loaded, or not.
    pub fn tls_reloaded(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.tls_reloads.of(&[result]).inc();
    }

    /// A worker could not be connected to or described.
    pub fn connect_failed(&self, why: &'static str) {
        self.connect_failures.of(&[why]).inc();
    }
}

/// One pool in the gauge `holdline_discovery_failing`; dropping it takes the pool out.
#[derive(Debug)]
pub struct Failing(IntGauge);

impl Drop for Failing {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// One pool in the gauge `holdline_workers`.
#[derive(Clone, Debug)]
pub struct PoolWorkers(Arc<States>);

impl PoolWorkers {
    /// Counts one worker for as long as the handle lives. Before `Describe` its version is `""`.
    #[must_use]
    pub fn track(&self, version: &str, state: WorkerState) -> TrackedWorker {
        let version = self.0.enter(version);
        self.0.add(state, &version, 1);
        TrackedWorker {
            states: Arc::clone(&self.0),
            version,
            state,
        }
    }
}

/// One worker in the gauge `holdline_workers`; dropping it takes the worker out.
#[derive(Debug)]
pub struct TrackedWorker {
    states: Arc<States>,
    version: Arc<str>,
    state: WorkerState,
}

impl TrackedWorker {
    /// The worker is now in this state.
    pub fn set_state(&mut self, state: WorkerState) {
        self.states.add(self.state, &self.version, -1);
        self.states.add(state, &self.version, 1);
        self.state = state;
    }

    /// The worker now has this version: it described itself, or was replaced in its place.
    pub fn set_version(&mut self, version: &str) {
        self.states.add(self.state, &self.version, -1);
        self.states.leave(&self.version);
        self.version = self.states.enter(version);
        self.states.add(self.state, &self.version, 1);
    }
}

impl Drop for TrackedWorker {
    fn drop(&mut self) {
        self.states.add(self.state, &self.version, -1);
        self.states.leave(&self.version);
    }
}

/// The gauge, and which versions of a pool have a label value of their own: those of living workers, so
/// that the deploys of a week do not use them up.
#[derive(Debug)]
struct States {
    pool: String,
    gauge: Gauges,
    versions: Mutex<BTreeMap<Arc<str>, usize>>,
}

impl States {
    fn add(&self, state: WorkerState, version: &str, by: i64) {
        let labels = [&*self.pool, state.as_str(), version];
        self.gauge.of(&labels).add(by);
    }

    /// The label value of a version, held until [`States::leave`].
    fn enter(&self, version: &str) -> Arc<str> {
        if version == NONE {
            return NONE.into();
        }
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let own = version != OTHER
            && version.len() <= VERSION_BYTES_MAX
            && (versions.contains_key(version) || versions.len() < VERSIONS_MAX);
        let label: Arc<str> = if own { version.into() } else { OTHER.into() };
        if own {
            *versions.entry(Arc::clone(&label)).or_default() += 1;
        }
        label
    }

    fn leave(&self, label: &str) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = versions.get_mut(label) else {
            return;
        };
        *count -= 1;
        if *count == 0 {
            versions.remove(label);
            for state in WorkerState::ALL {
                self.gauge.forget(&[&self.pool, state.as_str(), label]);
            }
        }
    }
}

/// The gauges of rollout rules, and which weights of which pool are told.
#[derive(Debug)]
struct Rules {
    counts: Gauges,
    weights: Gauges,
    told: Mutex<BTreeMap<String, Vec<String>>>,
}

impl Rules {
    fn set<'v>(
        &self,
        pool: &str,
        counts: &[(RolloutRule, usize)],
        weights: impl Iterator<Item = (&'v str, u32)>,
    ) {
        for (rule, count) in counts {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            self.counts.of(&[pool, rule.as_str()]).set(count);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for version in told.remove(pool).unwrap_or_default() {
            self.weights.forget(&[pool, &version]);
        }
        let mut versions = Vec::new();
        for (version, weight) in weights {
            self.weights.of(&[pool, version]).set(weight.into());
            versions.push(version.to_owned());
        }
        told.insert(pool.to_owned(), versions);
    }
}
