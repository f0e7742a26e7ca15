//! Tables and plots of what was found out: ratios first, then what they are ratios of.

mod aims;
mod plot;

use std::fmt::Write as _;

use crate::{
    facts::{Facts, Key},
    load::LATE,
};
use plot::Line;

/// Whom others are compared with.
const YARDSTICK: &str = "nginx";
/// Stands behind what was measured of a subject that did not keep up.
const BEHIND: &str = " †";
/// The metric that is compared.
const CPU: &str = "cpu_us_per_frame";

/// What is shown of a scenario.
struct Shown {
    metric: &'static str,
    title: &'static str,
    decimals: usize,
    /// Whether there is a plot of it, too.
    plotted: bool,
}

const fn shown(metric: &'static str, title: &'static str, decimals: usize) -> Shown {
    Shown {
        metric,
        title,
        decimals,
        plotted: false,
    }
}

const fn plotted(metric: &'static str, title: &'static str, decimals: usize) -> Shown {
    Shown {
        plotted: true,
        ..shown(metric, title, decimals)
    }
}

const SHOWN: [Shown; 32] = [
    plotted(CPU, "CPU per frame, µs", 1),
    shown(
        "beside_us_per_frame",
        "CPU per frame of the worker or processor, µs",
        1,
    ),
    shown("cpu_percent", "CPU, % of a core", 1),
    shown("cpu_percent_per_call", "CPU per call, % of a core", 3),
    shown("frames_per_s", "Frames per second", 0),
    plotted("up_p50_us", "Delay from caller to model, median, µs", 0),
    plotted(
        "up_p99_us",
        "Delay from caller to model, 99th percentile, µs",
        0,
    ),
    shown("up_worst_us", "Delay from caller to model, worst, µs", 0),
    shown(
        "up_late_frames",
        "Frames to the model late by more than 20 ms",
        0,
    ),
    shown("down_p50_us", "Delay from model to caller, median, µs", 0),
    shown(
        "down_p99_us",
        "Delay from model to caller, 99th percentile, µs",
        0,
    ),
    shown("down_worst_us", "Delay from model to caller, worst, µs", 0),
    shown(
        "down_late_frames",
        "Frames to callers late by more than 20 ms",
        0,
    ),
    shown("missing_frames", "Frames that did not arrive", 0),
    shown("kib_per_call", "Resident memory per call, KiB", 1),
    shown(
        "process_mib",
        "Resident memory of the whole process, MiB",
        0,
    ),
    shown(
        "moved_last_ms",
        "Last call with the next worker after, ms",
        0,
    ),
    shown(
        "before_late_frames",
        "Frames late by more than 20 ms in the seconds before",
        0,
    ),
    shown(
        "others_served_percent",
        "Frames of the other calls that arrived, %",
        1,
    ),
    shown(
        "watched_us_per_frame",
        "CPU per frame with the dashboard open, µs",
        1,
    ),
    shown(
        "watched_ratio",
        "The same with the dashboard open, without it = 1",
        3,
    ),
    shown("page_ms", "Answer of /, median, ms", 1),
    shown("page_worst_ms", "Answer of /, worst, ms", 1),
    shown("sessions_ms", "Answer of /sessions, median, ms", 1),
    shown("sessions_worst_ms", "Answer of /sessions, worst, ms", 1),
    shown(
        "sessions_2000_ms",
        "Answer of /sessions?limit=2000, median, ms",
        1,
    ),
    shown(
        "sessions_2000_worst_ms",
        "Answer of /sessions?limit=2000, worst, ms",
        1,
    ),
    shown("metrics_ms", "Answer of /metrics, median, ms", 1),
    shown("metrics_worst_ms", "Answer of /metrics, worst, ms", 1),
    shown("frame_instructions", "Instructions of a frame's way", 0),
    shown(
        "watched_instructions",
        "Instructions with the dashboard open",
        0,
    ),
    shown(
        "load_late_p99_us",
        "How late the load itself was, 99th percentile, µs",
        0,
    ),
];

/// All tables in Markdown.
pub(crate) fn markdown(facts: &Facts) -> String {
    let rounds = facts.0.iter().map(|fact| fact.round + 1).max().unwrap_or(0);
    let mut text = format!(
        "Medians of {rounds} interleaved rounds; in brackets the smallest and the largest. Ratios are \
         medians of the ratios within a round. †: it did not keep up (1 of 100 frames was later \
         than 20 ms), so that frames went together, which makes each of them cheap.\n\n"
    );
    text += &aims::markdown(facts);
    for scenario in facts.scenarios() {
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "## {scenario}\n");
        let cell = |key: Key<'_>| {
            let to = Key {
                subject: YARDSTICK,
                ..key
            };
            Some(format!(
                "{:.2}{}",
                facts.ratio(key, to)?,
                behind(facts, key)
            ))
        };
        let title = format!("CPU per frame, as a multiple of {YARDSTICK}'s in the same round");
        table(&mut text, facts, (scenario, CPU), &title, cell);
        for shown in &SHOWN {
            let decimals = shown.decimals;
            let cell = |key: Key<'_>| {
                let (median, (low, high)) = (facts.median(key)?, facts.spread(key)?);
                let mark = if shown.metric == CPU {
                    behind(facts, key)
                } else {
                    ""
                };
                Some(format!(
                    "{median:.decimals$}{mark} ({low:.decimals$}..{high:.decimals$})"
                ))
            };
            table(
                &mut text,
                facts,
                (scenario, shown.metric),
                shown.title,
                cell,
            );
        }
    }
    text
}

/// The mark of a subject that did not keep up.
fn behind(facts: &Facts, key: Key<'_>) -> &'static str {
    let delay = Key {
        metric: "up_p99_us",
        ..key
    };
    let late = LATE.as_secs_f64() * 1e6;
    if facts.median(delay).is_some_and(|delay| delay > late) {
        BEHIND
    } else {
        ""
    }
}

/// All plots: the name of the file, and the picture.
pub(crate) fn plots(facts: &Facts) -> Vec<(String, String)> {
    let mut plots = Vec::new();
    for scenario in facts.scenarios() {
        for shown in SHOWN.iter().filter(|shown| shown.plotted) {
            let calls: Vec<_> = facts.calls(scenario, shown.metric).into_iter().collect();
            // There is no line through one point.
            if calls.len() > 1 {
                let title = format!("{}: {}", scenario, shown.title);
                let lines = lines(facts, scenario, shown.metric, &calls);
                let name = format!("{scenario}-{}.svg", shown.metric);
                plots.push((name, plot::svg(&title, &calls, &lines)));
            }
        }
    }
    plots
}

fn lines<'a>(facts: &'a Facts, scenario: &str, metric: &str, calls: &[u32]) -> Vec<Line<'a>> {
    let line = |subject| {
        let point = |(index, &calls): (usize, &u32)| {
            let key = Key {
                scenario,
                calls,
                subject,
                metric,
            };
            Some((index, facts.median(key)?))
        };
        Line {
            name: subject,
            points: calls.iter().enumerate().filter_map(point).collect(),
        }
    };
    let subjects = facts.subjects(scenario, metric);
    subjects.into_iter().map(line).collect()
}

/// A line for each subject, a column for each number of calls; nothing where no cell has a value.
fn table(
    text: &mut String,
    facts: &Facts,
    (scenario, metric): (&str, &str),
    title: &str,
    cell: impl Fn(Key<'_>) -> Option<String>,
) {
    let calls = facts.calls(scenario, metric);
    let mut lines = String::new();
    let mut any = false;
    for subject in facts.subjects(scenario, metric) {
        let _ = write!(lines, "| {subject} |");
        for &calls in &calls {
            let key = Key {
                scenario,
                calls,
                subject,
                metric,
            };
            let shown = cell(key);
            any |= shown.is_some();
            let _ = write!(lines, " {} |", shown.unwrap_or_default());
        }
        lines.push('\n');
    }
    if !any {
        return;
    }
    let heads: Vec<_> = calls.iter().map(|calls| format!("{calls} calls")).collect();
    let _ = writeln!(text, "{title}\n\n| | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|{}", "--:|".repeat(calls.len()));
    let _ = writeln!(text, "{lines}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Fact;

    fn facts() -> Facts {
        let fact = |calls, subject: &str, value| Fact {
            round: 0,
            scenario: "callers".to_owned(),
            calls,
            subject: subject.to_owned(),
            metric: CPU.to_owned(),
            value,
        };
        Facts(vec![
            fact(100, "edge", 12.0),
            fact(100, "nginx", 8.0),
            fact(1_000, "edge", 9.0),
            fact(1_000, "nginx", 7.5),
        ])
    }

    #[test]
    fn a_table_has_ratios_before_what_they_are_of() {
        let text = markdown(&facts());
        let ratios = text.find("| edge | 1.50 | 1.20 |");
        let values = text.find("| edge | 12.0 (12.0..12.0) | 9.0 (9.0..9.0) |");
        assert!(ratios.is_some() && ratios < values, "{text}");
    }

    #[test]
    fn who_does_not_keep_up_is_marked() {
        let mut facts = facts();
        facts.0.push(Fact {
            metric: "up_p99_us".to_owned(),
            value: 20_001.0,
            ..facts.0[0].clone()
        });
        let text = markdown(&facts);
        assert!(text.contains("| edge | 1.50 † | 1.20 |"), "{text}");
    }

    #[test]
    fn what_was_done_with_several_numbers_of_calls_is_plotted() {
        let plots = plots(&facts());
        let names: Vec<_> = plots.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["callers-cpu_us_per_frame.svg"]);
    }
}
