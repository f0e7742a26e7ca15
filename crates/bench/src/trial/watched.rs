//! What looking costs: how long the admin port takes to answer while it has many calls, and what a frame
//! costs more while somebody has the dashboard open.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use super::{Finding, REST, SETTLE, micros, started};
use crate::{
    load::{Load, Traffic},
    page::{Page, get},
    subject::{Bench, EdgeBuild, Ground, PATH},
};

/// How often each of them is asked for.
const LOOKS: usize = 20;
/// How long the load runs between two looks at a thread of ours.
const STRETCH: Duration = Duration::from_millis(20);
/// What is asked for, and the names of what is found: median and worst.
const ASKED: [(&str, [&str; 2]); 4] = [
    ("/", ["page_ms", "page_worst_ms"]),
    ("/sessions", ["sessions_ms", "sessions_worst_ms"]),
    (
        "/sessions?limit=2000",
        ["sessions_2000_ms", "sessions_2000_worst_ms"],
    ),
    ("/metrics", ["metrics_ms", "metrics_worst_ms"]),
];

/// Does it; what a frame costs is measured three times for `window`: without the page, with it, and
/// without it again.
///
/// # Errors
/// If the edge does not serve all calls, or does not answer.
pub(crate) fn run(
    build: &EdgeBuild,
    ground: &Ground,
    calls: u32,
    window: Duration,
) -> io::Result<Vec<Finding>> {
    let (bench, mut load) = started(build, ground, "", &[])?;
    let findings = watch(&bench, &mut load, calls, window);
    findings.map_err(|error| bench.edge.blame(&error))
}

fn watch(bench: &Bench, load: &mut Load, calls: u32, window: Duration) -> io::Result<Vec<Finding>> {
    load.connect(calls, bench.entry, PATH)?;
    load.begin(Traffic::Sparse);
    load.run(SETTLE)?;
    let before = cost(bench, load, window)?;
    let page = open(bench.admin, load)?;
    let watched = cost(bench, load, window)?;
    page.close()?;
    let after = cost(bench, load, window)?;
    let alone = f64::midpoint(before, after);
    let mut findings = vec![
        ("cpu_us_per_frame", alone),
        ("watched_us_per_frame", watched),
        ("watched_ratio", watched / alone),
    ];
    let admin = bench.admin;
    let asked = beside(load, move || ASKED.map(|(path, _)| times(admin, path)))?;
    for ((_, names), times) in ASKED.iter().zip(asked) {
        findings.extend(names.iter().copied().zip(times?));
    }
    load.finish(REST)?;
    findings.push(("missing_frames", load.up.missing() as f64));
    Ok(findings)
}

/// Opens the page, and waits until all is shown.
pub(super) fn open(admin: SocketAddr, load: &mut Load) -> io::Result<Page> {
    let page = beside(load, move || Page::open(admin))??;
    while !page.is_there() {
        load.run(STRETCH)?;
    }
    Ok(page)
}

/// Does this on a thread of its own while the load goes on.
fn beside<T: Send + 'static>(
    load: &mut Load,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let working = thread::spawn(work);
    while !working.is_finished() {
        load.run(STRETCH)?;
    }
    working.join().map_err(|_| io::Error::other("a panic"))
}

/// CPU time of the edge per frame, in microseconds.
fn cost(bench: &Bench, load: &mut Load, window: Duration) -> io::Result<f64> {
    let before = bench.edge.cpu()?;
    let window = load.run(window)?;
    let cost = bench.edge.cpu()? - before;
    Ok(micros(cost) / window.frames().max(1) as f64)
}

/// How long answers take, in milliseconds: median and worst.
fn times(admin: SocketAddr, path: &str) -> io::Result<[f64; 2]> {
    let mut times = Vec::new();
    for _ in 0..LOOKS {
        let asked = Instant::now();
        get(admin, path)?;
        times.push(micros(asked.elapsed()) / 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok([times[LOOKS / 2], times[LOOKS - 1]])
}
