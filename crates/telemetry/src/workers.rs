//! Metrics of workers, by state and version.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use crate::{WorkerState, register::Register};

/// Versions told apart at once; the rest share the label value `other`.
const VERSIONS_MAX: usize = 16;

/// Longest version that becomes a label value, in bytes.
const VERSION_BYTES_MAX: usize = 64;

const OTHER: &str = "other";

/// Metrics of workers.
#[derive(Clone, Debug)]
pub struct WorkerMetrics {
    states: Arc<States>,
    ejections: IntCounterVec,
    /// Workers that turned out to need what this edge or its configuration has not.
    pub incompatible: IntCounter,
    connect_failures: IntCounterVec,
    /// Connections made to workers.
    pub connections: IntCounter,
    /// Searches for workers (DNS...) that failed; what was known stays.
    pub discovery_failures: IntCounter,
    discovery_failing: IntGauge,
    /// Sessions that were told to leave a draining worker.
    pub moves: IntCounter,
    tls_reloads: IntCounterVec,
}

impl WorkerMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            states: Arc::new(States {
                gauge: register.gauges(
                    "holdline_workers",
                    "Workers by state and version.",
                    &["state", "version"],
                ),
                versions: Mutex::default(),
            }),
            ejections: register.counters(
                "holdline_worker_ejections_total",
                "Workers set aside, by why.",
                &["why"],
            ),
            incompatible: register.counter(
                "holdline_workers_incompatible_total",
                "Workers that need what this edge or its configuration has not.",
            ),
            connect_failures: register.counters(
                "holdline_worker_connect_failures_total",
                "Workers that could not be connected to or described, by why.",
                &["why"],
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
                &["result"],
            ),
        }
    }

    /// A pool's workers cannot be searched for, for as long as the handle lives.
    #[must_use]
    pub fn discovery_fails(&self) -> Failing {
        self.discovery_failing.inc();
        Failing(self.discovery_failing.clone())
    }

    /// Counts one worker for as long as the handle lives. Before `Describe` its version is `""`.
    #[must_use]
    pub fn track(&self, version: &str, state: WorkerState) -> TrackedWorker {
        let version = self.states.enter(version);
        self.states.add(state, &version, 1);
        TrackedWorker {
            states: Arc::clone(&self.states),
            version,
            state,
        }
    }

    /// A worker was set aside.
    pub fn ejected(&self, why: &'static str) {
        self.ejections.with_label_values(&[why]).inc();
    }

    /// Changed certificates were loaded, or not.
    pub fn tls_reloaded(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.tls_reloads.with_label_values(&[result]).inc();
    }

    /// A worker could not be connected to or described.
    pub fn connect_failed(&self, why: &'static str) {
        self.connect_failures.with_label_values(&[why]).inc();
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

/// The gauge, and which versions have a label value of their own: those of living workers, so that
/// the deploys of a week do not use them up.
#[derive(Debug)]
struct States {
    gauge: IntGaugeVec,
    versions: Mutex<BTreeMap<Arc<str>, usize>>,
}

impl States {
    fn add(&self, state: WorkerState, version: &str, by: i64) {
        self.gauge
            .with_label_values(&[state.as_str(), version])
            .add(by);
    }

    /// The label value of a version, held until [`States::leave`].
    fn enter(&self, version: &str) -> Arc<str> {
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
                // Absent where no worker of this version was ever in this state.
                let _ = self.gauge.remove_label_values(&[state.as_str(), label]);
            }
        }
    }
}
