//! A short form of each fault of `holdline-chaos`: whole processes, few calls, every frame judged.
//!
//! The command is the judge: its exit status says whether the promise was kept. Here it is only
//! started, and asked for the numbers that a run of it must show.

use std::{path::Path, process::Output};

use tokio::process::Command;

use crate::support::example;

/// Does a fault to three calls; gives what it said.
async fn chaos(fault: &str, options: &[&str]) -> String {
    let output = run(fault, options, Path::new(env!("CARGO_BIN_EXE_holdline"))).await;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (table, words) = (said(&output.stdout), said(&output.stderr));
    assert!(
        output.status.success(),
        "{fault}: {}\n{table}{words}",
        output.status
    );
    format!("{table}{words}")
}

async fn run(fault: &str, options: &[&str], holdline: &Path) -> Output {
    let program = example("holdline-chaos");
    Command::new(&program)
        .arg(fault)
        .args(["--calls", "3", "--holdline"])
        .arg(holdline)
        .args(options)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap_or_else(|error| {
            let build = "cargo build -p holdline --example holdline-chaos";
            panic!(
                "cannot run {}: {error}; `{build}` makes it",
                program.display()
            )
        })
}

#[tokio::test]
async fn ten_workers_killed() {
    chaos("kills", &["--repeat", "10"]).await;
}

#[tokio::test]
async fn workers_frozen_and_back_again() {
    let said = chaos("freeze", &["--repeat", "2"]).await;
    assert!(!said.contains("given up for standing still: 0"), "{said}");
}

#[tokio::test]
async fn a_bad_network_and_a_worker_cut_off() {
    chaos("partition", &["--repeat", "1"]).await;
}

#[tokio::test]
async fn full_disks() {
    chaos("disk", &["--repeat", "1"]).await;
}

#[tokio::test]
async fn more_callers_than_descriptors() {
    chaos("descriptors", &["--repeat", "1"]).await;
}

#[tokio::test]
async fn workers_out_of_memory_and_an_edge_within_its_bound() {
    chaos("memory", &["--repeat", "1"]).await;
}

#[tokio::test]
async fn clocks_that_jump() {
    chaos("clock", &["--repeat", "2"]).await;
}

#[tokio::test]
async fn a_call_that_kills_its_workers() {
    chaos("poison", &["--repeat", "1"]).await;
}

#[tokio::test]
async fn a_call_that_kills_its_workers_where_the_next_are_long_in_coming() {
    let options = [
        "--repeat",
        "1",
        "--workers",
        "2",
        "--restart-after",
        "1500ms",
    ];
    chaos("poison", &options).await;
}

#[tokio::test]
async fn calls_come_and_go_and_nothing_stays() {
    let options = ["--for", "8s", "--shortest", "2", "--longest", "4"];
    chaos("churn", &options).await;
}

#[tokio::test]
async fn what_cannot_be_done_is_not_taken_for_kept() {
    let output = run("kills", &[], Path::new("/nowhere/holdline")).await;
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(words.contains("cargo build --bin holdline"), "{words}");
}
