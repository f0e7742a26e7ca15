//! All metrics of one edge.

use std::sync::Arc;

use prometheus::{PullingGauge, Registry, TextEncoder};

use crate::{
    AdminMetrics, AttachmentMetrics, BuildMetrics, Described, DrainMetrics, Kind, LegMetrics,
    PodMetrics, SessionMetrics, SpanMetrics, WorkerMetrics, logging, register::Register,
};

const TASKS: &str = "holdline_tasks";
const TASKS_HELP: &str = "Tasks that live in this process.";

/// All metrics of one edge. Cheap to clone; clones count together.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    catalogue: Arc<[Described]>,
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
    /// What became of spans.
    pub spans: SpanMetrics,
}

impl Metrics {
    /// All metrics at zero, in a registry of their own.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let register = Register::new(&registry);
        let (sessions, attachments) = (
            SessionMetrics::new(&register),
            AttachmentMetrics::new(&register),
        );
        let (workers, legs) = (WorkerMetrics::new(&register), LegMetrics::new(&register));
        let drain = DrainMetrics::new(&register);
        let admin = AdminMetrics::new(&register);
        let (pod, build) = (PodMetrics::new(&register), BuildMetrics::new(&register));
        let spans = SpanMetrics::new(&register);
        register.asked(
            "holdline_log_lines_lost",
            "Lines of the log that could not be written, since the process began.",
            || logging::lost_lines() as f64,
        );
        register.describe(Kind::Gauge, TASKS, TASKS_HELP, &[]);
        let catalogue = register.into_catalogue().into();
        Self {
            registry,
            catalogue,
            legs,
            sessions,
            attachments,
            workers,
            drain,
            admin,
            pod,
            build,
            spans,
        }
    }

    /// What there is to scrape.
    #[must_use]
    pub fn catalogue(&self) -> &[Described] {
        &self.catalogue
    }

    /// Adds how many tasks live in the process, asked of `count` whenever a scraper asks. For the
    /// first caller only.
    pub fn watch_tasks(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        let count = Box::new(move || count() as f64);
        let gauge = PullingGauge::new(TASKS, TASKS_HELP, count);
        // The name is a good one. Where it is taken, somebody else counts already.
        let _ = gauge.and_then(|gauge| self.registry.register(Box::new(gauge)));
    }

    /// All metrics in Prometheus' text format, version 0.0.4, sorted by name.
    #[must_use]
    pub fn render(&self) -> String {
        self.sessions.count();
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
