//! All metrics of one edge.

use prometheus::{PullingGauge, Registry, TextEncoder};

use crate::{
    AdminMetrics, AttachmentMetrics, BuildMetrics, DrainMetrics, LegMetrics, PodMetrics,
    SessionMetrics, WorkerMetrics, logging, register::Register,
};

/// All metrics of one edge. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    /// Upgrades, frames, closes, dials.
    pub legs: LegMetrics,
    /// Sessions, their logs, what was lost.
    pub sessions: SessionMetrics,
    /// How sessions get from worker to worker.
    pub attachments: AttachmentMetrics,
    /// Workers and connections to them.
    pub workers: WorkerMetrics,
    /// The edge's own end.
    pub drain: DrainMetrics,
    /// The operator's port.
    pub admin: AdminMetrics,
    /// The pod that the edge runs in.
    pub pod: PodMetrics,
    /// Which build, which configuration.
    pub build: BuildMetrics,
}

impl Metrics {
    /// All metrics at zero, in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let register = Register(&registry);
        register.asked(
            "holdline_log_lines_lost",
            "Lines of the log that could not be written, since the process began.",
            || logging::lost_lines() as f64,
        );
        Self {
            legs: LegMetrics::new(&register),
            sessions: SessionMetrics::new(&register),
            attachments: AttachmentMetrics::new(&register),
            workers: WorkerMetrics::new(&register),
            drain: DrainMetrics::new(&register),
            admin: AdminMetrics::new(&register),
            pod: PodMetrics::new(&register),
            build: BuildMetrics::new(&register),
            registry,
        }
    }

    /// Adds how many tasks live in the process, asked of `count` whenever a scraper asks. For the
    /// first caller only.
    pub fn watch_tasks(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        let count = Box::new(move || count() as f64);
        let gauge = PullingGauge::new("holdline_tasks", "Tasks that live in this process.", count);
        // The name is a good one. Where it is taken, somebody else counts already.
        let _ = gauge.and_then(|gauge| self.registry.register(Box::new(gauge)));
    }

    /// All metrics in Prometheus' text format, version 0.0.4, sorted by name.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only for families without a name; there is none.
        let _ = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_are_counted_when_they_are_asked_for() {
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("holdline_tasks"));
        metrics.watch_tasks(|| 7);
        metrics.watch_tasks(|| 9);
        assert!(metrics.render().contains("\nholdline_tasks 7\n"));
    }
}
