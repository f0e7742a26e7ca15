//! A new state schema: in two steps, in one, and back.

use std::collections::BTreeSet;

use super::line::{Counting, Line, words};
use crate::stage::Ending;

const CALLS: usize = 4;
/// What reads and writes the old schema alone.
const OLD: &[&str] = &["v1", "--schemas", "1/1"];
/// What reads both and still writes the old one.
const BETWEEN: &[&str] = &["v2", "--schemas", "1,2/1"];
/// What reads both and writes the new one.
const NEW: &[&str] = &["v3", "--schemas", "1,2/2"];

async fn all_reach(calls: &mut [Counting], version: &str) {
    for call in calls {
        call.reaches(version).await;
    }
}

/// Ends all calls, and says how each ended and by which ways it had moved.
async fn over(line: &Line, calls: Vec<Counting>) -> (BTreeSet<String>, Vec<u64>) {
    let count = calls.len();
    for call in calls {
        call.hangs_up().await;
    }
    let ended = line.told("call ended", count).await;
    let handoffs = ended.iter().filter_map(|line| line["handoffs"].as_u64());
    (words(&ended, "reason"), handoffs.collect())
}

fn only(word: &str) -> BTreeSet<String> {
    [word.to_owned()].into()
}

/// Reasons of all handoffs so far.
fn handoffs(line: &Line) -> BTreeSet<String> {
    words(&line.lines("handoff"), "reason")
}

#[tokio::test]
async fn in_two_steps_a_roll_back_drops_no_call() {
    let line = Line::start(4, "").await;
    let old = line.worker(0, OLD).await;
    let mut calls = line.call(CALLS).await;

    let between = line.worker(1, BETWEEN).await;
    line.retire(old).await;
    all_reach(&mut calls, "v2").await;

    let new = line.worker(2, NEW).await;
    line.retire(between).await;
    all_reach(&mut calls, "v3").await;

    let _back = line.worker(3, BETWEEN).await;
    line.retire(new).await;
    all_reach(&mut calls, "v2").await;

    let (reasons, moves) = over(&line, calls).await;
    assert_eq!(reasons, only("caller_hung_up"));
    assert_eq!(moves, [3; CALLS]);
    assert_eq!(handoffs(&line), only("handoff"), "none was lost");
}

#[tokio::test]
async fn a_way_without_return_is_taken_only_when_there_is_no_other() {
    let line = Line::start(2, "").await;
    let old = line.worker_with(0, OLD, "3s").await;
    let mut calls = line.call(CALLS).await;
    let _new = line.worker(1, NEW).await;
    old.signal(Ending::Terminate);
    let draining = line.is(0, "draining").await;
    assert_eq!(draining["sessions"], CALLS, "{draining}");
    for call in &mut calls {
        assert_eq!(
            call.asks().await,
            "v1",
            "it stays as long as its worker does"
        );
    }

    all_reach(&mut calls, "v3").await;
    let (reasons, _) = over(&line, calls).await;
    assert_eq!(reasons, only("caller_hung_up"));
    assert_eq!(handoffs(&line), only("recovery"));
}

#[tokio::test]
async fn where_that_is_allowed_each_call_that_a_roll_back_costs_is_named() {
    let line = Line::start(3, "rollout: {allow_one_way: true},").await;
    let old = line.worker(0, OLD).await;
    let mut calls = line.call(CALLS).await;
    let new = line.worker_with(1, NEW, "1s").await;
    line.retire(old).await;
    all_reach(&mut calls, "v3").await;
    assert_eq!(handoffs(&line), only("handoff"));

    let _back = line.worker(2, OLD).await;
    new.signal(Ending::Terminate);
    for call in calls {
        call.until_let_go().await;
    }
    let named = line
        .told("call given up: no worker could take it", CALLS)
        .await;
    for line in &named {
        assert_eq!(line["level"], "WARN", "{line}");
        let why = line["why"].as_str().unwrap();
        assert!(why.contains("cannot read schema 2"), "{why}");
    }
    let began = line.lines("call began");
    assert_eq!(words(&named, "session"), words(&began, "session"));
    let mut fresh = line.call(1).await.remove(0);
    assert_eq!(fresh.asks().await, "v1");
}
