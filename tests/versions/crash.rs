//! A canary whose process is gone as soon as a call is attached, and which is started again and again.

use std::{collections::BTreeSet, process::Stdio};

use tokio::{sync::oneshot, task::JoinHandle};

use super::line::{Counting, Line, words};
use crate::support::soon;

const SHARES: &str = "weights: {v1: 90, v2: 10}";
/// Nothing but its share keeps calls from the canary.
const BY_SHARE_ALONE: &str = "set_aside: {sessions: 1000, within: 30s, probe_after: 1s}";
const AT_THREE: &str = "set_aside: {sessions: 3, within: 30s, probe_after: 1s}";
/// The same, and nothing is tried again while a test lasts.
const FOR_GOOD: &str = "set_aside: {sessions: 3, within: 60s, probe_after: 10m}";
const SESSIONS: usize = 3;
/// Calls that stand with the version that works, all the while.
const BYSTANDERS: usize = 5;
/// Calls that meet a canary that is ready, one after the other.
const CALLS: usize = 100;
/// So many of them are the canary's share.
const SHARE: usize = CALLS / 10;
/// By share alone it touches as many as chance gives it. The bound is the number that a draw of 100 with a
/// chance of a tenth exceeds once in a million (27, by the binomial distribution).
const SHARE_AT_MOST: usize = 27;
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

/// The same with a canary that is ready: nothing but the rules keeps the call from it.
async fn call_beside_canary(line: &Line) {
    line.is(CANARY, "ready").await;
    assert_eq!(short_call(line).await, "v1");
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
        call_beside_canary(&line).await;
        for bystander in &mut bystanders {
            assert_eq!(bystander.asks().await, "v1");
        }
    }
    let by_share = touched(&line).len();
    assert!(by_share <= SHARE_AT_MOST, "{by_share} of {CALLS} calls");

    line.rules(&rules(AT_THREE)).await;
    let calling = async {
        while line.lines(SET_ASIDE).is_empty() {
            assert_eq!(short_call(&line).await, "v1");
        }
    };
    soon("the version to be set aside", calling).await;
    let enough = touched(&line).len();
    assert!(enough > by_share, "it is set aside for what it does");
    assert!(enough <= by_share + SESSIONS, "and no later");
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

/// The bound is a number, not a chance: `set_aside.sessions` calls touch the canary, and none after them,
/// however long the deploy lasts. Of the calls of this test that is less than a third of its share.
#[tokio::test]
async fn a_version_that_is_set_aside_for_crashing_has_touched_less_than_its_share() {
    let line = Line::start(3, &format!("rollout: {{{SHARES}, {FOR_GOOD}}},")).await;
    let _workers = [line.worker(0, &["v1"]).await, line.worker(1, &["v1"]).await];
    let (stop, crashing) = crash_loop(&line);
    let mut calls = 0;
    let calling = async {
        while line.lines(SET_ASIDE).is_empty() || calls < CALLS {
            call_beside_canary(&line).await;
            calls += 1;
        }
    };
    soon("the version to be set aside", calling).await;
    assert_eq!(touched(&line).len(), SESSIONS, "of {calls} calls");
    const { assert!(SESSIONS * 3 < SHARE) };

    let ended = line.told("call ended", calls).await;
    assert_eq!(
        words(&ended, "reason"),
        ["caller_hung_up".to_owned()].into()
    );
    stop.send(()).unwrap();
    crashing.await.unwrap();
}
