//! A full worker is drained, or killed, while all its calls speak.
//!
//! Both workers leave a letter in every frame, so that the model's side of the load sees, without
//! asking anybody, when each call was with the next worker, and how late which frame became.

use std::{io, time::Duration};

use rustix::process::Signal;

use super::{Finding, REST, micros, started};
use crate::{
    load::{Load, Traffic},
    subject::{Bench, EdgeBuild, Ground, PATH},
};

/// How long the load runs before.
const BEFORE: Duration = Duration::from_secs(2);
/// How long it is looked at afterwards.
const AFTERWARDS: Duration = Duration::from_secs(4);
/// What the two workers are called.
const LABELS: [&str; 2] = ["a", "b"];

/// How the first worker goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// SIGTERM.
    Drained,
    /// `kill -9`.
    Killed,
}

/// Does it with this many calls on the worker that goes.
///
/// # Errors
/// If the edge does not serve all calls, or loses one.
pub(crate) fn run(
    build: &EdgeBuild,
    ground: &Ground,
    calls: u32,
    way: Way,
) -> io::Result<Vec<Finding>> {
    let (mut bench, mut load) = started(build, ground, "", &["--label", LABELS[0]])?;
    let findings = hand_over(&mut bench, &mut load, calls, way);
    findings.map_err(|error| bench.edge.blame(&error))
}

fn hand_over(bench: &mut Bench, load: &mut Load, calls: u32, way: Way) -> io::Result<Vec<Finding>> {
    load.connect(calls, bench.entry, PATH)?;
    bench.fleet.start(1, &["--label", LABELS[1]])?;
    bench.fleet.ready(1, load)?;
    load.begin(Traffic::Callers);
    let before = load.run(BEFORE)?;
    let at = load.now();
    let signal = match way {
        Way::Drained => Signal::TERM,
        Way::Killed => Signal::KILL,
    };
    bench.fleet.signal(0, signal)?;
    let window = load.run(AFTERWARDS)?;
    load.finish(REST)?;

    let reached: Vec<_> = load.up.reached(LABELS[1].as_bytes()[0]).collect();
    let moved: Vec<_> = reached
        .iter()
        .flatten()
        .map(|&on| on.saturating_sub(at))
        .collect();
    let last = Duration::from_nanos(moved.iter().copied().max().unwrap_or(0));
    Ok(vec![
        ("moved_last_ms", last.as_secs_f64() * 1e3),
        ("not_moved_calls", (reached.len() - moved.len()) as f64),
        ("up_worst_us", micros(window.up.worst())),
        ("up_late_frames", window.up.late() as f64),
        ("before_worst_us", micros(before.up.worst())),
        ("before_late_frames", before.up.late() as f64),
        ("missing_frames", load.up.missing() as f64),
        ("unordered_frames", load.up.unordered as f64),
    ])
}
