//! A worker stops reading some of its calls. They share a connection with all others, which must
//! not notice.

use std::{io, time::Duration};

use rustix::process::Signal;

use super::{Finding, micros, started};
use crate::{
    load::{FRAME, Load, Traffic},
    subject::{Bench, EdgeBuild, Ground, PATH},
};

/// How many are not read.
const STALLED: u32 = 20;
/// How long until as much is under way to them as may be.
const FILLING: Duration = Duration::from_secs(6);
/// So that the edge does not give them up meanwhile.
const PATIENT: &str = "session: {progress_timeout: 1m}\n";

/// Does it; `window` is how long the others are then watched.
///
/// # Errors
/// If the edge does not serve all calls, or loses one.
pub(crate) fn run(
    build: &EdgeBuild,
    ground: &Ground,
    calls: u32,
    window: Duration,
) -> io::Result<Vec<Finding>> {
    let stalled = STALLED.to_string();
    let (bench, mut load) = started(build, ground, PATIENT, &["--stall", &stalled])?;
    let findings = stall(&bench, &mut load, calls, window);
    findings.map_err(|error| bench.edge.blame(&error))
}

fn stall(bench: &Bench, load: &mut Load, calls: u32, window: Duration) -> io::Result<Vec<Finding>> {
    load.connect(calls, bench.entry, PATH)?;
    load.begin(Traffic::Callers);
    load.run(Duration::from_secs(1))?;
    bench.fleet.signal(0, Signal::USR1)?;
    load.run(FILLING)?;
    let window = load.run(window)?;
    let others = f64::from(calls.saturating_sub(STALLED));
    let expected = others * window.lasted.as_secs_f64() / FRAME.as_secs_f64();
    let harmed = load.up.behind().saturating_sub(STALLED as usize);
    Ok(vec![
        (
            "others_served_percent",
            100.0 * window.up.len() as f64 / expected,
        ),
        ("harmed_calls", harmed as f64),
        ("up_p99_us", micros(window.up.percentile(99.0))),
        ("up_worst_us", micros(window.up.worst())),
        ("up_late_frames", window.up.late() as f64),
    ])
}
