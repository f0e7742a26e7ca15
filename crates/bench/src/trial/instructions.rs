//! Instructions of a frame's whole way through the edge, counted by callgrind; with the dashboard open,
//! too.
//!
//! The whole edge runs under valgrind, and each caller has one frame under way, so that no frame shares
//! its way with another. Counted is the thread of the calls: the admin port has one of its own, and what
//! it does there depends on the clock, which valgrind's slowness does not slow down. Of a run with many
//! frames one with few is subtracted: the difference belongs to the frames.

use std::{collections::BTreeMap, fs, io, path::Path, time::Duration};

use rustix::process::Signal;

use super::{Finding, started, watched};
use crate::{
    load::{Load, Traffic},
    subject::{Bench, EdgeBuild, Ground, PATH},
};

const FEW: u64 = 500;
const MANY: u64 = 2_500;
/// A program under valgrind is fifty times slower; nobody is to be given up for that.
const SECTIONS: &str = "session: {progress_timeout: 1m}\n\
                        drain: {lame_duck: 0s, deadline: 5s, notice: 1s}\n";
/// How long the edge may take to end.
const ENDING: Duration = Duration::from_secs(60);

/// Counts with this many calls.
///
/// # Errors
/// If valgrind is not there, or the edge does not serve all calls.
pub(crate) fn alone(build: &EdgeBuild, ground: &Ground, calls: u32) -> io::Result<Vec<Finding>> {
    let frame = frame(build, ground, calls, false)?;
    Ok(vec![("frame_instructions", frame)])
}

/// Counts with this many calls, with the dashboard open and without.
///
/// # Errors
/// As [`alone`], and if the edge's admin port does not answer.
pub(crate) fn watched(build: &EdgeBuild, ground: &Ground, calls: u32) -> io::Result<Vec<Finding>> {
    let alone = frame(build, ground, calls, false)?;
    let watched = frame(build, ground, calls, true)?;
    Ok(vec![
        ("frame_instructions", alone),
        ("watched_instructions", watched),
        ("watched_ratio", watched / alone),
    ])
}

/// What one frame costs.
fn frame(build: &EdgeBuild, ground: &Ground, calls: u32, watched: bool) -> io::Result<f64> {
    let few = count(build, ground, calls, FEW, watched)?;
    let many = count(build, ground, calls, MANY, watched)?;
    let more = many.iter().map(|(thread, count)| {
        let before = few.get(thread).copied().unwrap_or_default();
        count.saturating_sub(before)
    });
    // What the frames cost is more than what anything else does meanwhile.
    let most = more.max().unwrap_or_default();
    Ok(most as f64 / (MANY - FEW) as f64)
}

/// Instructions of each thread in a run with so many frames.
fn count(
    build: &EdgeBuild,
    ground: &Ground,
    calls: u32,
    frames: u64,
    watched: bool,
) -> io::Result<BTreeMap<String, u64>> {
    let folder = tempfile::tempdir_in(&ground.folder)?;
    let out = folder.path().join("threads");
    let build = EdgeBuild {
        under: vec![
            "valgrind".to_owned(),
            "--tool=callgrind".to_owned(),
            "--separate-threads=yes".to_owned(),
            format!("--callgrind-out-file={}", out.display()),
        ],
        ..build.clone()
    };
    let (mut bench, mut load) = started(&build, ground, SECTIONS, &[])?;
    let talked = talk(&bench, &mut load, calls, frames, watched);
    talked.map_err(|error| bench.edge.blame(&error))?;
    // Its calls are gone with the load, so it ends at once.
    drop(load);
    bench.edge.end(Signal::TERM, ENDING)?;
    threads(folder.path())
}

fn talk(bench: &Bench, load: &mut Load, calls: u32, frames: u64, watched: bool) -> io::Result<()> {
    load.connect(calls, bench.entry, PATH)?;
    let page = if watched {
        Some(watched::open(bench.admin, load)?)
    } else {
        None
    };
    load.begin(Traffic::OneByOne);
    load.run_frames(frames)?;
    page.map_or(Ok(()), |page| page.close())
}

/// What callgrind wrote: a file for each thread, its number behind the name.
fn threads(folder: &Path) -> io::Result<BTreeMap<String, u64>> {
    let mut threads = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path())?;
        let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
        if let Some(total) = total.and_then(|total| total.trim().parse().ok()) {
            threads.insert(entry.file_name().to_string_lossy().into_owned(), total);
        }
    }
    if threads.is_empty() {
        return Err(io::Error::other("callgrind has counted nothing"));
    }
    Ok(threads)
}
