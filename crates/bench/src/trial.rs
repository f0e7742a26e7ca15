//! Trials: a subject is started, put under load, measured, and ended.

pub(crate) mod handoff;
pub(crate) mod instructions;
pub(crate) mod memory;
pub(crate) mod stalled;
pub(crate) mod voice;
pub(crate) mod watched;

use std::{io, time::Duration};

use crate::{
    load::{Delays, Load, Traffic, Window},
    proc,
    subject::{Bench, EdgeBuild, Ground, PATH, Rig, Subject},
};

/// How long the load runs before it is measured: connections, caches and allocators settle.
const SETTLE: Duration = Duration::from_secs(1);
/// Longest wait for frames that are still under way at the end.
const REST: Duration = Duration::from_secs(10);

/// A metric, its name ending with its unit, and its value.
pub(crate) type Finding = (&'static str, f64);

/// A load that goes on in one way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steady {
    pub(crate) traffic: Traffic,
    pub(crate) calls: u32,
    /// How long it is measured.
    pub(crate) window: Duration,
}

impl Steady {
    /// Runs it.
    ///
    /// # Errors
    /// If the subject does not serve all calls.
    pub(crate) fn run(self, subject: &Subject, ground: &Ground) -> io::Result<Vec<Finding>> {
        let mut load = Load::new(ground.model_tls())?;
        let rig = subject.start(ground, &mut load)?;
        let findings = self.measure(&rig, &mut load);
        findings.map_err(|error| rig.blame(error))
    }

    fn measure(self, rig: &Rig, load: &mut Load) -> io::Result<Vec<Finding>> {
        load.connect(self.calls, rig.entry, PATH)?;
        load.begin(self.traffic);
        load.run(SETTLE)?;
        let before = Cost::so_far(rig)?;
        let window = load.run(self.window)?;
        let cost = Cost::so_far(rig)?.since(&before);
        load.finish(REST)?;
        Ok(findings(load, &window, &cost))
    }
}

/// An edge that is ready for calls, with `sections` in its configuration and one worker with `options`.
fn started(
    build: &EdgeBuild,
    ground: &Ground,
    sections: &str,
    options: &[&str],
) -> io::Result<(Bench, Load)> {
    let mut load = Load::new(ground.model_tls())?;
    let mut bench = Bench::start(build, ground, load.model()?, sections, options)?;
    bench.ready(&mut load)?;
    Ok((bench, load))
}

/// CPU times.
struct Cost {
    tested: Duration,
    beside: Duration,
    /// Of the load.
    own: Duration,
}

impl Cost {
    fn so_far(rig: &Rig) -> io::Result<Self> {
        Ok(Self {
            tested: rig.cpu()?,
            beside: rig.cpu_beside()?,
            own: proc::own_cpu()?,
        })
    }

    fn since(self, before: &Self) -> Self {
        Self {
            tested: self.tested - before.tested,
            beside: self.beside - before.beside,
            own: self.own - before.own,
        }
    }
}

fn findings(load: &Load, window: &Window, cost: &Cost) -> Vec<Finding> {
    let frames = window.frames().max(1) as f64;
    let share = |cpu: Duration| 100.0 * cpu.as_secs_f64() / window.lasted.as_secs_f64();
    let mut findings = vec![
        ("cpu_us_per_frame", micros(cost.tested) / frames),
        ("cpu_percent", share(cost.tested)),
    ];
    findings.extend(delays("up", &window.up));
    if window.down.len() > 0 {
        findings.extend(delays("down", &window.down));
    }
    if cost.beside > Duration::ZERO {
        findings.push(("beside_us_per_frame", micros(cost.beside) / frames));
    }
    let missing = load.up.missing() + load.down.missing();
    let unordered = load.up.unordered + load.down.unordered;
    findings.extend([
        ("frames_per_s", frames / window.lasted.as_secs_f64()),
        ("missing_frames", missing as f64),
        ("unordered_frames", unordered as f64),
        ("load_percent", share(cost.own)),
        ("load_late_p99_us", micros(window.own.percentile(99.0))),
    ]);
    findings
}

fn delays(direction: &str, delays: &Delays) -> [Finding; 4] {
    let names = match direction {
        "up" => ["up_p50_us", "up_p99_us", "up_worst_us", "up_late_frames"],
        _ => [
            "down_p50_us",
            "down_p99_us",
            "down_worst_us",
            "down_late_frames",
        ],
    };
    let values = [
        micros(delays.percentile(50.0)),
        micros(delays.percentile(99.0)),
        micros(delays.worst()),
        delays.late() as f64,
    ];
    std::array::from_fn(|index| (names[index], values[index]))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
