//! Metrics of the edge as a whole: which build, which configuration, how far its end has come, what
//! its pod is worth, what became of spans.

use prometheus::IntGauge;

use crate::{
    DrainPhase,
    register::{Counters, Gauges, Register},
    words::{ADMIN, BUILD, CUT, FINGERPRINT, LOADED, PHASE, RELOADED, SPANS},
};

/// How far the edge's own end has come.
#[derive(Clone, Debug)]
pub struct DrainMetrics {
    phase: Gauges,
    /// When what is left will be closed, in seconds since 1970; 0: the edge does not drain.
    pub deadline: IntGauge,
    cut: Counters,
}

impl DrainMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        register.about("The edge's own end");
        let drain = Self {
            phase: register.gauges(
                "holdline_drain_phase",
                "1 for the phase that the edge is in, 0 for the others.",
                &[PHASE],
            ),
            deadline: register.gauge(
                "holdline_drain_deadline_timestamp_seconds",
                "When an edge that drains closes the calls that are left, in seconds since 1970; 0 while it does not drain.",
            ),
            cut: register.counters(
                "holdline_drain_cut_sessions_total",
                "Sessions that outlived the drain's deadline: ended in good order, or aborted because they did not end. Counted when the last of them is over, which a scrape seldom sees.",
                &[CUT],
            ),
        };
        drain.set_phase(DrainPhase::Serving);
        drain
    }

    /// At the deadline so many sessions were ended, and of these so many had to be aborted.
    pub fn cut(&self, ended: usize, aborted: usize) {
        let ended = ended.saturating_sub(aborted);
        for (how, count) in [("ended", ended), ("aborted", aborted)] {
            if count > 0 {
                self.cut.of(&[how]).inc_by(count as u64);
            }
        }
    }

    /// The edge is now in this phase.
    pub fn set_phase(&self, phase: DrainPhase) {
        for each in DrainPhase::ALL {
            let gauge = self.phase.of(&[each.as_str()]);
            gauge.set(i64::from(*each == phase));
        }
    }
}

/// The operator's port.
#[derive(Clone, Debug)]
pub struct AdminMetrics {
    refused: Counters,
}

impl AdminMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        register.about("The process");
        Self {
            refused: register.counters(
                "holdline_admin_refused_total",
                "Requests to the admin port that were refused, by why.",
                &[ADMIN],
            ),
        }
    }

    /// A request was refused.
    pub fn refused(&self, why: &'static str) {
        self.refused.of(&[why]).inc();
    }
}

/// The pod that the edge runs in.
#[derive(Clone, Debug)]
pub struct PodMetrics {
    cost_writes: Counters,
}

impl PodMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            cost_writes: register.counters(
                "holdline_pod_deletion_cost_writes_total",
                "Attempts to write the number of sessions as the pod's deletion cost.",
                &[LOADED],
            ),
        }
    }

    /// The deletion cost was written, or could not be.
    pub fn cost_written(&self, ok: bool) {
        let result = if ok { "ok" } else { "failed" };
        self.cost_writes.of(&[result]).inc();
    }
}

/// Which build runs, with which configuration.
#[derive(Clone, Debug)]
pub struct BuildMetrics {
    /// When the edge began, in seconds since 1970.
    pub started: IntGauge,
    info: Gauges,
    config: Gauges,
    loaded: IntGauge,
    reloads: Counters,
}

impl BuildMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            started: register.gauge(
                "holdline_start_time_seconds",
                "When the edge began, in seconds since 1970.",
            ),
            info: register.gauges(
                "holdline_build_info",
                "1, with the version of this build as a label.",
                &[BUILD],
            ),
            config: register.gauges(
                "holdline_config_info",
                "1, with the fingerprint of the configuration in force as a label.",
                &[FINGERPRINT],
            ),
            loaded: register.gauge(
                "holdline_config_loaded_timestamp_seconds",
                "When the configuration in force was loaded, in seconds since 1970.",
            ),
            reloads: register.counters(
                "holdline_config_reloads_total",
                "Configurations that were read again: taken up, or refused.",
                &[RELOADED],
            ),
        }
    }

    /// Tells the version of this build.
    pub fn set_version(&self, version: &'static str) {
        self.info.reset();
        self.info.of(&[version]).set(1);
    }

    /// Tells which configuration is in force since when, in seconds since 1970.
    pub fn config_loaded(&self, fingerprint: &str, unix_seconds: i64) {
        self.config.reset();
        self.config.of(&[fingerprint]).set(1);
        self.loaded.set(unix_seconds);
    }

    /// The configuration was read again, and taken up or not.
    pub fn config_reloaded(&self, ok: bool) {
        let result = if ok { "ok" } else { "refused" };
        self.reloads.of(&[result]).inc();
    }
}

/// What became of spans.
#[derive(Clone, Debug)]
pub struct SpanMetrics {
    spans: Counters,
}

impl SpanMetrics {
    pub(crate) fn new(register: &Register<'_>) -> Self {
        Self {
            spans: register.counters(
                "holdline_spans_total",
                "Spans of calls, by what became of them: sent to the collector, not taken by it, or dropped because too many were waiting.",
                &[SPANS],
            ),
        }
    }

    /// So many spans were `sent`, `failed` or `dropped`.
    pub fn count(&self, result: &'static str, spans: u64) {
        self.spans.of(&[result]).inc_by(spans);
    }
}
