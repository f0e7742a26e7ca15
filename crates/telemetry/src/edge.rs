//! Metrics of the edge as a whole: which build, which configuration, how far its end has come, what
//! its pod is worth.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec};

use crate::{DrainPhase, register::Register};

/// How far the edge's own end has come.
#[derive(Clone, Debug)]
pub struct DrainMetrics {
    phase: IntGaugeVec,
}

impl DrainMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        let drain = Self {
            phase: register.gauges(
                "holdline_drain_phase",
                "1 for the phase that the edge is in, 0 for the others.",
                &["phase"],
            ),
        };
        drain.set_phase(DrainPhase::Serving);
        drain
    }

    /// The edge is now in this phase.
    pub fn set_phase(&self, phase: DrainPhase) {
        for each in DrainPhase::ALL {
            let gauge = self.phase.with_label_values(&[each.as_str()]);
            gauge.set(i64::from(*each == phase));
        }
    }
}

/// The operator's port.
#[derive(Clone, Debug)]
pub struct AdminMetrics {
    refused: IntCounterVec,
}

impl AdminMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            refused: register.counters(
                "holdline_admin_refused_total",
                "Requests to the admin port that were refused, by why.",
                &["why"],
            ),
        }
    }

    /// A request was refused.
    pub fn refused(&self, why: &'static str) {
        self.refused.with_label_values(&[why]).inc();
    }
}

/// The pod that the edge runs in.
#[derive(Clone, Debug)]
pub struct PodMetrics {
    cost_writes: IntCounterVec,
}

impl PodMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            cost_writes: register.counters(
                "holdline_pod_deletion_cost_writes_total",
                "Attempts to write the number of sessions as the pod's deletion cost.",
                &["result"],
            ),
        }
    }

    /// The deletion cost was written, or could not be.
    pub fn cost_written(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.cost_writes.with_label_values(&[result]).inc();
    }
}

/// Which build runs, with which configuration.
#[derive(Clone, Debug)]
pub struct BuildMetrics {
    info: IntGaugeVec,
    config: IntGaugeVec,
    loaded: IntGauge,
    reloads: IntCounterVec,
}

impl BuildMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            info: register.gauges(
                "holdline_build_info",
                "1, with the version of this build as a label.",
                &["version"],
            ),
            config: register.gauges(
                "holdline_config_info",
                "1, with the fingerprint of the configuration in force as a label.",
                &["fingerprint"],
            ),
            loaded: register.gauge(
                "holdline_config_loaded_timestamp_seconds",
                "When the configuration in force was loaded, in seconds since 1970.",
            ),
            reloads: register.counters(
                "holdline_config_reloads_total",
                "Configurations that were read again: taken up, or refused.",
                &["result"],
            ),
        }
    }

    /// Tells the version of this build.
    pub fn set_version(&self, version: &'static str) {
        self.info.reset();
        self.info.with_label_values(&[version]).set(1);
    }

    /// Tells which configuration is in force since when, in seconds since 1970.
    pub fn config_loaded(&self, fingerprint: &str, unix_seconds: i64) {
        self.config.reset();
        self.config.with_label_values(&[fingerprint]).set(1);
        self.loaded.set(unix_seconds);
    }

    /// The configuration was read again, and taken up or not.
    pub fn config_reloaded(&self, ok: bool) {
        let result = if ok { "ok" } else { "refused" };
        self.reloads.with_label_values(&[result]).inc();
    }
}
