//! A canary whose process is gone as soon as a call is attached, and which is started again and again.

use std::{collections::BTreeSet, process::Stdio};

use tokio::{sync::oneshot, task::JoinHandle};

use super::line::{Counting, Line, words};
use crate::support::soon;

const SHARES: &str = "weights: {v1: 90, v2: 10}";
/// Nothing but its share keeps calls from the canary.
const BY_SHARE_ALONE: &str = "set_aside: {sessions: 1000, within: 30s, probe_after: 1s}";
const AT_THREE: &str = "set_aside: {sessions: 3, within: 30s, probe_after: 1s}";
/// Calls that stand with the version that works, all the while.
const BYSTANDERS: usize = 5;
/// Calls that meet a canary that is ready, the share of them that it may touch, and by how many standard
/// deviations it may be more: beyond that is one run in a million.
const CALLS: u32 = 60;
const SHARE: f64 = 0.1;
const DEVIATIONS: f64 = 5.0;
const SET_ASIDE: &str =
    "version set aside: it failed several sessions, which go to another version";
const TRIED_AGAIN: &str = "version tried again";
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
    let rules = |set_aside| format!("rollout: {{{SHARES}, {set_aside}}},");
    let line = Line::start(3, &rules(BY_SHARE_ALONE)).await;
    let _workers = [line.worker(0, &["v1"]).await, line.worker(1, &["v1"]).await];
    let mut bystanders: Vec<Counting> = line.call(BYSTANDERS).await;
    let undisturbed = words(&line.told("call began", BYSTANDERS).await, "session");
    let (stop, crashing) = crash_loop(&line);

    for _ in 0..CALLS {
        line.is(CANARY, "ready").await;
        assert_eq!(short_call(&line).await, "v1");
        for bystander in &mut bystanders {
            assert_eq!(bystander.asks().await, "v1");
        }
    }
    let expected = f64::from(CALLS) * SHARE;
    let allowed = expected + DEVIATIONS * (expected * (1.0 - SHARE)).sqrt();
    let by_share = touched(&line).len();
    assert!(by_share as f64 <= allowed, "{by_share} of {CALLS} calls");

    line.rules(&rules(AT_THREE)).await;
    let calling = async {
        while line.lines(SET_ASIDE).is_empty() {
            assert_eq!(short_call(&line).await, "v1");
        }
    };
    soon("the version to be set aside", calling).await;
    let enough = touched(&line).len();
    assert!(enough > by_share, "it is set aside for what it does");
    let trying = async {
        while line.lines(TRIED_AGAIN).is_empty() {
            assert_eq!(short_call(&line).await, "v1");
        }
    };
    soon("the version to be tried again", trying).await;
    let tried = line.lines(TRIED_AGAIN).len();
    assert!(
        touched(&line).len() <= enough + tried,
        "only those that try it"
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
