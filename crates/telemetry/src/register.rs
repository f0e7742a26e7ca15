//! One place that makes metrics and registers them.

use prometheus::{
    Counter, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, PullingGauge, Registry, core::Collector,
};

/// Names and labels are constants of this crate: making and registering one fails only if a name is
/// malformed or taken twice, which every test of this crate would show.
const CONSTANT: &str = "metric names are well-formed and unique";

/// Makes metrics and adds them to a registry.
pub(crate) struct Register<'a>(pub(crate) &'a Registry);

impl Register<'_> {
    pub(crate) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn float_counter(&self, name: &str, help: &str) -> Counter {
        self.add(Counter::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels).expect(CONSTANT))
    }

    pub(crate) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels).expect(CONSTANT))
    }

    pub(crate) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(options).expect(CONSTANT))
    }

    pub(crate) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(HistogramVec::new(options, labels).expect(CONSTANT))
    }

    /// A gauge whose value is asked for whenever a scraper asks.
    pub(crate) fn asked(&self, name: &str, help: &str, value: fn() -> f64) {
        self.add(PullingGauge::new(name, help, Box::new(value)).expect(CONSTANT));
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.0
            .register(Box::new(collector.clone()))
            .expect(CONSTANT);
        collector
    }
}
