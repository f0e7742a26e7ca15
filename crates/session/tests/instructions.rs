//! Instructions that a frame costs the engine, counted by callgrind.
//!
//! Times on a shared machine say nothing of a change by a tenth; instructions do, and they are the same
//! for everybody. The example `frames`, built as it is released, runs twice, with few frames and with
//! many: the difference belongs to the frames alone. What costs more than the figure in
//! `instructions.txt` is to be found out here, and what costs less is to stay so.
#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A count may differ from the figure by this part of it: the C library has other functions for other
/// processors.
const TOLERANCE: f64 = 0.05;
const FEW: u64 = 500;
const MANY: u64 = 2_500;

#[test]
fn a_frame_costs_as_much_as_before() {
    let engine = release_example("frames");
    let counted = (count(&engine, MANY) - count(&engine, FEW)) / (MANY - FEW);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/instructions.txt");
    if std::env::var_os("HOLDLINE_REGENERATE").is_some() {
        std::fs::write(&file, format!("{counted}\n")).unwrap();
        return;
    }
    let figure = std::fs::read_to_string(&file).unwrap();
    let figure: u64 = figure.trim().parse().unwrap();
    let change = counted as f64 / figure as f64 - 1.0;
    assert!(
        change.abs() <= TOLERANCE,
        "a frame costs the engine {counted} instructions; it was {figure}: {:+.1} %. If that is meant, \
         `HOLDLINE_REGENERATE=1 cargo test -p holdline-session --test instructions` makes it the new \
         figure, for the commit to show",
        100.0 * change
    );
}

/// All instructions of a run with so many frames.
fn count(engine: &Path, frames: u64) -> u64 {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let out = folder.join(format!("callgrind.{frames}"));
    let ended = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(engine)
        .arg(frames.to_string())
        .stderr(Stdio::null())
        .status()
        .expect("valgrind counts; `apt-get install valgrind` brings it");
    assert!(ended.success());
    let text = std::fs::read_to_string(&out).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.unwrap().parse().unwrap()
}

/// An example that was built as it is released.
fn release_example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(3).unwrap();
    let path = path.join("release/examples").join(name);
    assert!(
        path.exists(),
        "{} is not there: `cargo build --release -p holdline-session --example {name}` makes it",
        path.display()
    );
    path
}
