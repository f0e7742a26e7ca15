//! The disk that all logs go to is full, and later is not.
//!
//! The edge and every worker get a small disk of their own, on which their log and their working
//! folder are. It is made inside a mount namespace of the process, so that it ends with it.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use holdline_testkit::process::Process;
use tokio::time::sleep;

use crate::{
    Row, Settings,
    faults::{freeze::freeze, kills::kill},
    trial::Trial,
};

/// Rounds in a run of its own: fill, damage, empty.
const USUAL: u32 = 5;
/// Kills while the disks are full, and the log lines of as many handoffs.
const KILLS: u32 = 2;
/// A freeze that moves calls.
const FROZEN: Duration = Duration::from_millis(1_600);
/// Makes the disk, goes there, and becomes the program, whose output is on the disk.
const SCRIPT: &str =
    "mount -t tmpfs -o size=256k tmpfs \"$0\" && cd \"$0\" && exec \"$@\" >>log 2>&1";
/// Longest wait for the edge's log after the disk has room again.
const LOGS_WITHIN: Duration = Duration::from_secs(20);
/// In this field of its log the edge tells how many lines were lost.
const LOST: &str = "\"lines_lost\":";

/// Runs it.
///
/// # Errors
/// If it cannot be done; without the rights it says so.
pub(crate) async fn run(settings: &Settings) -> io::Result<Vec<Row>> {
    let point = tempfile::tempdir()?;
    let point = point.path();
    can_mount(point)?;
    let begun = Trial::begin(settings, |plan| {
        plan.edge_prefix = prefix(point);
        for lodging in &mut plan.slots {
            lodging.prefix = prefix(point);
        }
    });
    let mut trial = begun.await?;
    let mut rounds = settings.rounds(USUAL);
    let mut silent = 0;
    while rounds.another() {
        let since = Instant::now();
        let filled = fill_all(&trial, point)?;
        trial.tell(&format!("{} disks are full", filled.len()));
        for _ in 0..KILLS {
            kill(&mut trial).await?;
            // The new process has an empty disk: fill that too.
            fill_all(&trial, point)?;
        }
        freeze(&mut trial, FROZEN).await?;
        trial.fault_since(since);
        silent += u32::from(!empty_all(&mut trial, point).await?);
        trial.tell("the disks have room again");
    }
    let outcome = trial.finish(&[]).await?;
    let lost = outcome.metrics.sum("holdline_log_lines_lost");
    let mut row = outcome.row("full disk", rounds.done);
    row.note(format!("{lost} lines of the edge's log were lost"));
    row.expect(silent == 0, || {
        format!("{silent} times the edge did not tell of lost lines when its disk had room")
    });
    Ok(vec![row])
}

fn prefix(point: &Path) -> Vec<OsString> {
    let words = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--",
        "sh",
        "-c",
        SCRIPT,
    ];
    let mut prefix: Vec<OsString> = words.map(OsString::from).into();
    prefix.push(point.into());
    prefix
}

fn can_mount(point: &Path) -> io::Result<()> {
    let prefix = prefix(point);
    let tried = std::process::Command::new(&prefix[0])
        .args(&prefix[1..])
        .arg("true")
        .output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        _ => Err(io::Error::other(
            "a disk of its own for a process needs root, and the program `unshare` \
             (Debian: apt-get install util-linux)",
        )),
    }
}

/// The disk of a process, seen from outside.
fn disk(process: &Process, point: &Path) -> PathBuf {
    let root = format!(
        "/proc/{}/root{}",
        process.pid().as_raw_nonzero(),
        point.display()
    );
    PathBuf::from(root)
}

/// Fills every disk to the last byte; those that are full stay so.
fn fill_all(trial: &Trial, point: &Path) -> io::Result<Vec<PathBuf>> {
    let workers = (0..trial.stage.len()).filter_map(|slot| trial.stage.worker(slot));
    let disks: Vec<_> = workers
        .chain([trial.stage.edge()])
        .map(|process| disk(process, point))
        .collect();
    for disk in &disks {
        fill(disk)?;
    }
    Ok(disks)
}

fn fill(disk: &Path) -> io::Result<()> {
    let mut filler = File::options()
        .append(true)
        .create(true)
        .open(disk.join("filler"))?;
    let block = [0_u8; 4_096];
    let mut size = block.len();
    while size > 0 {
        match filler.write(&block[..size]) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => size /= 2,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes room on every disk, and moves calls so that there is something to log; whether the edge
/// then logs, and tells that lines were lost.
async fn empty_all(trial: &mut Trial, point: &Path) -> io::Result<bool> {
    let disks = fill_all(trial, point)?;
    for disk in &disks {
        // The logs as well: those of many calls would soon fill the disk by themselves.
        File::options()
            .write(true)
            .open(disk.join("log"))?
            .set_len(0)?;
        fs::remove_file(disk.join("filler"))?;
    }
    let log = disk(trial.stage.edge(), point).join("log");
    kill(trial).await?;
    let patience = Instant::now() + LOGS_WITHIN;
    while !fs::read_to_string(&log)?.contains(LOST) {
        if Instant::now() > patience {
            return Ok(false);
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}
