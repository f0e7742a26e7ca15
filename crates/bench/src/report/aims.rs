//! What was aimed at, and what came of it.

use std::fmt::Write as _;

use super::{CPU, YARDSTICK};
use crate::{
    facts::{Facts, Key},
    subject::is_rival,
};

/// An upper bound for something that was measured of the edge.
struct Aim {
    what: &'static str,
    scenario: &'static str,
    calls: u32,
    metric: &'static str,
    compared: Compared,
    bound: f64,
}

/// What a bound is for.
enum Compared {
    /// The value itself.
    Not,
    /// The ratio to another subject.
    To(&'static str),
    /// What is more than another subject's.
    Above(&'static str),
    /// The ratio to the same with so many calls.
    WithCalls(u32),
}

const fn aim(
    what: &'static str,
    (scenario, calls, metric): (&'static str, u32, &'static str),
    compared: Compared,
    bound: f64,
) -> Aim {
    Aim {
        what,
        scenario,
        calls,
        metric,
        compared,
        bound,
    }
}

const AIMS: [Aim; 26] = [
    aim(
        "CPU per frame, nginx = 1",
        ("callers", 1_000, CPU),
        Compared::To(YARDSTICK),
        1.6,
    ),
    aim(
        "CPU per frame, nginx = 1",
        ("callers", 100, CPU),
        Compared::To(YARDSTICK),
        2.2,
    ),
    aim(
        "CPU per frame, Envoy with ext_proc = 1",
        ("callers", 100, CPU),
        Compared::To("ext_proc"),
        0.6,
    ),
    aim(
        "CPU per frame, Envoy with ext_proc = 1",
        ("callers", 400, CPU),
        Compared::To("ext_proc"),
        0.6,
    ),
    aim(
        "CPU per frame at 1,000 calls, that at 100 = 1",
        ("callers", 1_000, CPU),
        Compared::WithCalls(100),
        1.0,
    ),
    aim(
        "delay added to a direct connection, median, µs",
        ("callers", 100, "up_p50_us"),
        Compared::Above("direct"),
        100.0,
    ),
    aim(
        "delay added to a direct connection, 99th percentile, µs",
        ("callers", 100, "up_p99_us"),
        Compared::Above("direct"),
        500.0,
    ),
    aim(
        "delay, 99th percentile, µs",
        ("callers", 1_000, "up_p99_us"),
        Compared::Not,
        2_000.0,
    ),
    aim(
        "frames late by more than 20 ms",
        ("callers", 1_000, "up_late_frames"),
        Compared::Not,
        0.0,
    ),
    aim(
        "frames late by more than 20 ms, to the model",
        ("both-ways", 600, "up_late_frames"),
        Compared::Not,
        0.0,
    ),
    aim(
        "frames late by more than 20 ms, to callers",
        ("both-ways", 600, "down_late_frames"),
        Compared::Not,
        0.0,
    ),
    aim(
        "memory per call, KiB",
        ("idle-memory", 500, "kib_per_call"),
        Compared::Not,
        48.0,
    ),
    aim(
        "memory per call, KiB",
        ("busy-memory", 500, "kib_per_call"),
        Compared::Not,
        80.0,
    ),
    aim(
        "last call moved after, ms",
        ("drain", 500, "moved_last_ms"),
        Compared::Not,
        1_000.0,
    ),
    aim(
        "frames late by more than 20 ms",
        ("drain", 500, "up_late_frames"),
        Compared::Not,
        0.0,
    ),
    aim(
        "last call recovered after, ms",
        ("kill", 500, "moved_last_ms"),
        Compared::Not,
        1_000.0,
    ),
    aim(
        "frames that did not arrive",
        ("kill", 500, "missing_frames"),
        Compared::Not,
        0.0,
    ),
    aim(
        "the other calls' frames late by more than 20 ms",
        ("stalled", 500, "up_late_frames"),
        Compared::Not,
        0.0,
    ),
    aim(
        "calls that did not get on, beside the 20",
        ("stalled", 500, "harmed_calls"),
        Compared::Not,
        0.0,
    ),
    aim(
        "CPU of edge and bridge per call, % of a core",
        ("voice", 100, "cpu_percent_per_call"),
        Compared::Not,
        0.35,
    ),
    aim(
        "CPU per frame with the dashboard open, without it = 1",
        ("watched", 2_000, "watched_ratio"),
        Compared::Not,
        1.1,
    ),
    aim(
        "worst answer of the dashboard's page, ms",
        ("watched", 2_000, "page_worst_ms"),
        Compared::Not,
        200.0,
    ),
    aim(
        "worst answer of /sessions, ms",
        ("watched", 2_000, "sessions_worst_ms"),
        Compared::Not,
        200.0,
    ),
    aim(
        "worst answer of /sessions?limit=2000, ms",
        ("watched", 2_000, "sessions_2000_worst_ms"),
        Compared::Not,
        200.0,
    ),
    aim(
        "worst answer of /metrics, ms",
        ("watched", 2_000, "metrics_worst_ms"),
        Compared::Not,
        200.0,
    ),
    aim(
        "instructions of a frame with the dashboard open, without it = 1",
        ("watched-instructions", 2, "watched_ratio"),
        Compared::Not,
        1.03,
    ),
];

/// A table of all aims that were measured; nothing where none was.
pub(super) fn markdown(facts: &Facts) -> String {
    let edges = edges(facts);
    let mut lines = String::new();
    for aim in &AIMS {
        let found: Vec<_> = edges.iter().map(|edge| aim.found(facts, edge)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        let cells: Vec<_> = found.into_iter().map(|found| aim.cell(found)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            lines,
            "| {}, {} calls | {} | {} | {} |",
            aim.scenario,
            aim.calls,
            aim.what,
            aim.bound,
            cells.join(" | ")
        );
    }
    if lines.is_empty() {
        return lines;
    }
    let rule = "--:|".repeat(edges.len());
    format!(
        "## What was aimed at\n\n| scenario | what | at most | {} |\n|---|---|--:|{rule}\n{lines}\n",
        edges.join(" | ")
    )
}

/// All subjects that are no rivals.
fn edges(facts: &Facts) -> Vec<&str> {
    let mut edges = Vec::new();
    for fact in &facts.0 {
        let subject = fact.subject.as_str();
        if !is_rival(subject) && !edges.contains(&subject) {
            edges.push(subject);
        }
    }
    edges
}

impl Aim {
    fn found(&self, facts: &Facts, subject: &str) -> Option<f64> {
        let key = Key {
            scenario: self.scenario,
            calls: self.calls,
            subject,
            metric: self.metric,
        };
        match self.compared {
            Compared::Not => facts.median(key),
            Compared::To(subject) => facts.ratio(key, Key { subject, ..key }),
            Compared::Above(subject) => facts.difference(key, Key { subject, ..key }),
            Compared::WithCalls(calls) => facts.ratio(key, Key { calls, ..key }),
        }
    }

    fn cell(&self, found: Option<f64>) -> String {
        let decimals = if self.bound < 10.0 && self.bound > 0.0 {
            2
        } else {
            0
        };
        match found {
            None => String::new(),
            Some(found) if found <= self.bound => format!("{found:.decimals$}"),
            Some(found) => format!("**{found:.decimals$}** (missed)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    #[test]
    fn what_is_missed_is_said_of_each_edge() {
        let fact = |subject: &str, value| Fact {
            round: 0,
            scenario: "callers".to_owned(),
            calls: 1_000,
            subject: subject.to_owned(),
            metric: CPU.to_owned(),
            value,
        };
        let facts = Facts(vec![
            fact("before", 18.0),
            fact("nginx", 9.0),
            fact("after", 13.5),
        ]);
        let text = markdown(&facts);
        assert!(text.contains("| before | after |"), "{text}");
        assert!(
            text.contains("| 1.6 | **2.00** (missed) | 1.50 |"),
            "{text}"
        );
    }
}
