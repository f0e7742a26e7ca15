//! A canary whose process is gone as soon as a call is attached, and which is started again and again.

use std::{collections::BTreeSet, process::Stdio};

use tokio::{sync::oneshot, task::JoinHandle};

use super::line::{Counting, Line, words};
use crate::support::soon;

const RULES: &str = "rollout: {weights: {v1: 90, v2: 10}, \
                     set_aside: {sessions: 3, within: 30s, probe_after: 1s}},";
/// Calls that stand with the version that works, all the while.
const BYSTANDERS: usize = 5;
/// The share of calls that the canary may have touched at most, where a few more are no wonder.
const SHARE: f64 = 0.1;
const DEVIATIONS: f64 = 5.0;
const SET_ASIDE: &str =
    "version set aside: it failed several sessions, which go to another version";
const TAKEN_BACK: &str = "version taken back: a call went well on it";
/// The canary's place.
const CANARY: usize = 2;

/// Starts the canary each time that it is gone, as a kubelet does, until it is told to stop.
fn crash_loop(line: &Line) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let mut command = line.command(CANARY, &["v2", "--crash"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (stop, mut stopped) = oneshot::channel();
    let looping = tokio::spawn(async move {
        loop {
            let mut process = command.spawn().unwrap();
            tokio::select! {
                ended = process.wait() => drop(ended.unwrap()),
                // Its port is free once it is gone for good.
                _ = &mut stopped => return process.kill().await.unwrap(),
            }
        }
    });
    (stop, looping)
}

/// A whole call, which must be answered whatever happens; tells by whom.
async fn short_call(line: &Line) -> String {
    let mut call = line.call(1).await.remove(0);
    let version = call.asks().await;
    call.hangs_up().await;
    version
}

/// Sessions that the canary took down with it.
fn touched(line: &Line) -> BTreeSet<String> {
    let canary = line.address(CANARY);
    let mut losses = line.lines("worker lost");
    losses.retain(|line| line["worker"] == *canary);
    words(&losses, "session")
}

#[tokio::test]
async fn a_version_that_crashes_at_every_call_costs_none_and_is_taken_back_when_it_works() {
    let line = Line::start(3, RULES).await;
    let _workers = [line.worker(0, &["v1"]).await, line.worker(1, &["v1"]).await];
    let mut bystanders: Vec<Counting> = line.call(BYSTANDERS).await;
    let undisturbed = words(&line.told("call began", BYSTANDERS).await, "session");
    let (stop, crashing) = crash_loop(&line);

    let mut calls = 0_u32;
    let calling = async {
        while line.lines(SET_ASIDE).is_empty() {
            assert_eq!(short_call(&line).await, "v1");
            calls += 1;
            for bystander in &mut bystanders {
                assert_eq!(bystander.asks().await, "v1");
            }
        }
    };
    soon("the version to be set aside", calling).await;
    let touched = touched(&line).len() as f64;
    let expected = f64::from(calls) * SHARE;
    let allowed = expected + DEVIATIONS * (expected * (1.0 - SHARE)).sqrt();
    // Those that set it aside may be the first that came.
    assert!(
        (1.0..=allowed.max(3.0)).contains(&touched),
        "{touched} of {calls} calls"
    );

    // What it needed is there now.
    stop.send(()).unwrap();
    crashing.await.unwrap();
    let _mended = line.worker(CANARY, &["v2"]).await;
    let calling = async {
        while line.lines(TAKEN_BACK).is_empty() {
            short_call(&line).await;
        }
    };
    soon("the version to be taken back", calling).await;
    let calling = async { while short_call(&line).await != "v2" {} };
    soon("a call of the version", calling).await;

    for mut bystander in bystanders {
        assert_eq!(bystander.asks().await, "v1");
        bystander.hangs_up().await;
    }
    let moved = words(&line.lines("handoff"), "session");
    assert!(moved.is_disjoint(&undisturbed), "{moved:?}");
    let began = line.lines("call began").len();
    let ended = line.told("call ended", began).await;
    assert_eq!(
        words(&ended, "reason"),
        ["caller_hung_up".to_owned()].into()
    );
}
