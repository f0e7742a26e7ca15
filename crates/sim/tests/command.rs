//! The command as people use it: exit status, the log that a failing seed leaves, and its replay.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

fn sim(args: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_holdline-sim"))
        .args(args)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A directory of this test's own, empty.
fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// The log of the first seed that a planted bug breaks.
fn broken_log(name: &str) -> String {
    let directory = directory(name);
    let logs = directory.to_str().unwrap();
    let args = [
        "run",
        "--seeds",
        "50",
        "--plant",
        "command-lost",
        "--logs",
        logs,
    ];
    let (code, out, _) = sim(&args);
    assert_eq!(code, Some(1), "{out}");
    let log = fs::read_dir(&directory).unwrap().next().unwrap().unwrap();
    assert!(out.contains(&log.path().display().to_string()), "{out}");
    log.path().to_str().unwrap().to_owned()
}

#[test]
fn a_run_prints_its_coverage_and_succeeds() {
    let (code, out, _) = sim(&["run", "--seeds", "20", "--from", "7"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("%  fault: worker crashes"), "{out}");
    assert!(out.contains("20 seeds in"), "{out}");
    assert!(out.contains("0 violations"), "{out}");
}

#[test]
fn a_failing_seed_leaves_a_log_that_replays_line_by_line() {
    let log = broken_log("replays");
    let (code, out, _) = sim(&["replay", &log]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("same as in the file, line by line"), "{out}");
    assert!(out.contains("VIOLATION: "), "{out}");
    let (code, out, _) = sim(&["replay", &log, "--until", "30", "--all"]);
    assert_eq!(code, Some(0), "the first steps are good: {out}");
    assert!(out.contains("same as in the file"), "{out}");
    assert!(out.contains(": 30 steps"), "{out}");
    assert!(
        out.contains("s0@e"),
        "the calls are shown as they are then: {out}"
    );
}

#[test]
fn a_log_that_was_changed_is_not_called_the_same() {
    let log = broken_log("changed");
    let text = fs::read_to_string(&log).unwrap();
    fs::write(&log, text.replacen("comes in", "came in", 1)).unwrap();
    let (_, out, _) = sim(&["replay", &log]);
    assert!(out.contains("written by another build"), "{out}");
    fs::write(&log, "once upon a time\n").unwrap();
    let (code, _, err) = sim(&["replay", &log]);
    assert_eq!(code, Some(2));
    assert!(err.contains("this is no event log"), "{err}");
}

#[test]
fn one_seed_tells_its_story() {
    let (code, out, _) = sim(&["seed", "3"]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("s0 comes in"), "{out}");
    assert!(out.contains("every promise was kept"), "{out}");
}
