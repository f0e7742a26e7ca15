//! What there is to scrape: for the page of metrics, and for tests that dashboards and alerts ask for
//! nothing else.

use std::fmt::Write as _;

use crate::{Label, Values};

/// One metric.
#[derive(Clone, Debug)]
pub struct Described {
    /// What it tells of, as a heading.
    pub about: &'static str,
    /// Its name; those of a histogram's series have `_bucket`, `_sum` or `_count` behind it.
    pub name: &'static str,
    /// How it goes.
    pub kind: Kind,
    /// Its help.
    pub help: &'static str,
    /// Its labels, without `le`.
    pub labels: &'static [Label],
}

/// How a metric goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Up, from zero.
    Counter,
    /// Up and down.
    Gauge,
    /// Counts by upper bounds.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl Described {
    /// What a value of it counts or measures.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        if name.ends_with("_timestamp_seconds") || name.ends_with("_start_time_seconds") {
            "seconds since 1970"
        } else if name.ends_with("_seconds") {
            "seconds"
        } else if name.ends_with("_bytes") {
            "bytes"
        } else {
            "number"
        }
    }
}

/// The page of all metrics, in Markdown.
#[must_use]
pub fn page(all: &[Described]) -> String {
    let mut page = HEAD.to_owned();
    let mut about = "";
    for metric in all {
        if metric.about != about {
            about = metric.about;
            // Writing to a string cannot fail, here and below.
            let _ = write!(
                page,
                "\n## {about}\n\n| metric | type, unit | labels | what it tells |\n|---|---|---|---|\n"
            );
        }
        let Described {
            name, kind, help, ..
        } = metric;
        let (kind, unit) = (kind.as_str(), metric.unit());
        let labels: Vec<_> = metric.labels.iter().map(told).collect();
        let labels = labels.join("<br>");
        let _ = writeln!(page, "| `{name}` | {kind}, {unit} | {labels} | {help} |");
    }
    page
}

fn told(label: &Label) -> String {
    match label.values {
        Values::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            format!("`{}`: {}", label.name, words.join(", "))
        }
        Values::Bounded(by) => format!("`{}`: {by}", label.name),
    }
}

const HEAD: &str = "\
# Metrics

The edge serves them at `/metrics` of the admin port, in Prometheus' text format. Names, units and
labels stay as they are within a major version. No label holds anything that a caller or a model
chose, so nobody outside can add a series.

What is counted is there from the start, at 0, in every combination of labels that can come: `rate()` and
`increase()` see the first count of a new edge, too. Of `holdline_leg_closes_total` alone, with hundreds of
combinations, most begin with their first count.

What they tell is held against others' counts: a test scrapes an edge while all of its workers are
replaced under talking calls, and each scrape lies between what the simulated callers and the simulated
model had counted before it and after it; when the calls are over, all are equal (`metrics::scrapes`).

What a deploy looks like is on the Grafana dashboard in the chart (`metrics.grafanaDashboard`), and
what to do about each alert in [runbooks](runbooks/README.md).

This page is made from the code: `HOLDLINE_REGENERATE=1 cargo test -p holdline-telemetry`.
";
