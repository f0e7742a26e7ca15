//! Wall clocks that differ from worker to worker, and the edge's, which jumps.
//!
//! The machine's own clock is left alone: the processes are told other times by libfaketime, which
//! leaves the monotonic clock as it is, as a step of the wall clock does.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::time::sleep;

use crate::{Row, Settings, faults::kills::kill, trial::Trial};

/// Jumps in a run of its own.
const USUAL: u32 = 6;
/// The offsets that the edge's clock jumps to, one after the other.
const JUMPS: [&str; 6] = ["+400d", "-26h", "+3h", "-400d", "+5s", "+0"];
/// The workers' offsets, by slot.
const OFFSETS: [&str; 4] = ["+5h", "-26h", "+0", "-700d"];
/// The library looks at its file so often, in seconds; and as long as that the jump may take.
const LOOKS_EVERY: u64 = 1;
/// A day, in seconds.
const DAY: u64 = 86_400;

/// Runs it.
///
/// # Errors
/// If it cannot be done; without libfaketime it says how to get it.
pub(crate) async fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    let library = library()?;
    let library = library.to_string_lossy();
    let folder = tempfile::tempdir()?;
    let dial = folder.path().join("offset");
    fs::write(&dial, "+0")?;
    let variables = |more: [(&str, String); 2]| {
        let common = [
            ("LD_PRELOAD", library.to_string()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        let all = common.into_iter().chain(more);
        all.map(|(name, value)| (name.to_owned(), value))
            .collect::<Vec<_>>()
    };
    let begun = Trial::begin(settings, |plan| {
        plan.edge_env = variables([
            (
                "FAKETIME_TIMESTAMP_FILE",
                dial.to_string_lossy().into_owned(),
            ),
            ("FAKETIME_CACHE_DURATION", LOOKS_EVERY.to_string()),
        ]);
        for (lodging, offset) in plan.slots.iter_mut().zip(OFFSETS.iter().cycle()) {
            lodging.env = variables([
                ("FAKETIME", (*offset).to_owned()),
                ("FAKETIME_NO_CACHE", "0".to_owned()),
            ]);
        }
    });
    let mut trial = begun.await?;
    let mut rounds = settings.rounds(USUAL);
    let mut jumps = JUMPS.iter().cycle();
    while rounds.another() {
        let Some(offset) = jumps.next() else { break };
        let since = Instant::now();
        fs::write(&dial, offset)?;
        sleep(Duration::from_secs(LOOKS_EVERY)).await;
        kill(&mut trial).await?;
        sleep(Duration::from_millis(500)).await;
        trial.fault_since(since);
        trial.tell(&format!("the edge's clock is at {offset}"));
    }
    let seen = days(&trial.folder().join("edge.log"))?;
    let mut row = trial.finish(&[]).await?.row("clock jump", rounds.done);
    row.note(format!("days from today in the edge's log: {seen:?}"));
    row.expect(seen.iter().any(|day| *day > 300), || {
        "the edge's log shows no other day: its clock did not jump".to_owned()
    });
    Ok(vec![row])
}

/// Where Debian puts the library.
fn library() -> io::Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib")?
        .flatten()
        .map(|entry| entry.path());
    let mut candidates = folders.map(|folder| folder.join("faketime/libfaketime.so.1"));
    candidates.find(|path| path.is_file()).ok_or_else(|| {
        io::Error::other(
            "the library libfaketime is not there (Debian: apt-get install libfaketime)",
        )
    })
}

/// On which days, counted from today, lines of a log were written.
fn days(log: &Path) -> io::Result<Vec<i64>> {
    let today = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
        / DAY;
    let text = fs::read_to_string(log)?;
    let mut days: Vec<_> = text
        .lines()
        .filter_map(|line| {
            let time = line.split_once("\"timestamp\":\"")?.1.split('"').next()?;
            let time = humantime::parse_rfc3339_weak(time).ok()?;
            let day = time.duration_since(UNIX_EPOCH).ok()?.as_secs() / DAY;
            Some(i64::try_from(day).ok()? - i64::try_from(today).ok()?)
        })
        .collect();
    days.sort_unstable();
    days.dedup();
    Ok(days)
}
