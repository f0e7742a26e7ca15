//! One place that makes metrics and registers them.

use std::cell::{Cell, RefCell};

use prometheus::{
    Counter, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, PullingGauge, Registry, core::Collector,
};

use crate::{Described, Kind, Label, Values, words};

/// Names and labels are constants of this crate: making and registering one fails only if a name is
/// malformed or taken twice, which every test of this crate would show.
const CONSTANT: &str = "metric names are well-formed and unique";

/// Makes metrics, adds them to a registry and remembers what they are.
pub(crate) struct Register<'a> {
    registry: &'a Registry,
    about: Cell<&'static str>,
    described: RefCell<Vec<Described>>,
}

impl<'a> Register<'a> {
    pub(crate) fn new(registry: &'a Registry) -> Self {
        Self {
            registry,
            about: Cell::new(""),
            described: RefCell::default(),
        }
    }

    /// What the metrics that follow tell of.
    pub(crate) fn about(&self, about: &'static str) {
        self.about.set(about);
    }

    pub(crate) fn into_catalogue(self) -> Vec<Described> {
        self.described.into_inner()
    }

    pub(crate) fn counter(&self, name: &'static str, help: &'static str) -> IntCounter {
        self.describe(Kind::Counter, name, help, &[]);
        self.add(IntCounter::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn float_counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.describe(Kind::Counter, name, help, &[]);
        self.add(Counter::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) -> Counters {
        self.describe(Kind::Counter, name, help, labels);
        let all = IntCounterVec::new(Opts::new(name, help), &names(labels)).expect(CONSTANT);
        let all = self.add(all);
        let counters = Counters { all, labels };
        if let [label] = labels
            && let Values::Words(words) = label.values
        {
            counters.begin(words.iter().map(|word| [*word]));
        }
        counters
    }

    pub(crate) fn gauge(&self, name: &'static str, help: &'static str) -> IntGauge {
        self.describe(Kind::Gauge, name, help, &[]);
        self.add(IntGauge::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn float_gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.describe(Kind::Gauge, name, help, &[]);
        self.add(Gauge::new(name, help).expect(CONSTANT))
    }

    pub(crate) fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) -> Gauges {
        self.describe(Kind::Gauge, name, help, labels);
        let all = IntGaugeVec::new(Opts::new(name, help), &names(labels)).expect(CONSTANT);
        let all = self.add(all);
        Gauges { all, labels }
    }

    pub(crate) fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        buckets: &[f64],
    ) -> Histogram {
        self.describe(Kind::Histogram, name, help, &[]);
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.add(Histogram::with_opts(options).expect(CONSTANT))
    }

    pub(crate) fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
        buckets: &[f64],
    ) -> Histograms {
        self.describe(Kind::Histogram, name, help, labels);
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let all = HistogramVec::new(options, &names(labels)).expect(CONSTANT);
        let all = self.add(all);
        Histograms { all, labels }
    }

    /// A gauge whose value is asked for whenever a scraper asks.
    pub(crate) fn asked(&self, name: &'static str, help: &'static str, value: fn() -> f64) {
        self.describe(Kind::Gauge, name, help, &[]);
        self.add(PullingGauge::new(name, help, Box::new(value)).expect(CONSTANT));
    }

    /// Tells of a metric that is made later, or elsewhere.
    pub(crate) fn describe(
        &self,
        kind: Kind,
        name: &'static str,
        help: &'static str,
        labels: &'static [Label],
    ) {
        self.described.borrow_mut().push(Described {
            about: self.about.get(),
            name,
            kind,
            help,
            labels,
        });
    }

    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        self.registry
            .register(Box::new(collector.clone()))
            .expect(CONSTANT);
        collector
    }
}

fn names(labels: &[Label]) -> Vec<&'static str> {
    labels.iter().map(|label| label.name).collect()
}

/// Counters that differ in their labels.
#[derive(Clone, Debug)]
pub(crate) struct Counters {
    all: IntCounterVec,
    labels: &'static [Label],
}

impl Counters {
    /// These are there from now on, at zero: a series that begins with its first count hides that
    /// one from `increase()`. Those of a single label whose values are known need no such word.
    pub(crate) fn begin<'v, const N: usize>(&self, all: impl IntoIterator<Item = [&'v str; N]>) {
        for values in all {
            let _ = self.of(&values);
        }
    }

    pub(crate) fn of(&self, values: &[&str]) -> IntCounter {
        words::expect(self.labels, values);
        self.all.with_label_values(values)
    }
}

/// Gauges that differ in their labels.
#[derive(Clone, Debug)]
pub(crate) struct Gauges {
    all: IntGaugeVec,
    labels: &'static [Label],
}

impl Gauges {
    pub(crate) fn of(&self, values: &[&str]) -> IntGauge {
        words::expect(self.labels, values);
        self.all.with_label_values(values)
    }

    /// Takes a series away. Nothing where it never was.
    pub(crate) fn forget(&self, values: &[&str]) {
        let _ = self.all.remove_label_values(values);
    }

    /// Takes all series away.
    pub(crate) fn reset(&self) {
        self.all.reset();
    }
}

/// Histograms that differ in their labels.
#[derive(Clone, Debug)]
pub(crate) struct Histograms {
    all: HistogramVec,
    labels: &'static [Label],
}

impl Histograms {
    /// As [`Counters::begin`].
    pub(crate) fn begin<'v, const N: usize>(&self, all: impl IntoIterator<Item = [&'v str; N]>) {
        for values in all {
            let _ = self.of(&values);
        }
    }

    pub(crate) fn of(&self, values: &[&str]) -> Histogram {
        words::expect(self.labels, values);
        self.all.with_label_values(values)
    }
}
