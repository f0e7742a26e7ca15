//! A new state schema: in two steps, in one, and back.

use std::collections::BTreeSet;

use super::line::{Counting, Line, call_sid, reaches, until_closed, words};
use crate::stage::Ending;

const CALLS: usize = 4;
/// Number of a call of Twilio's beside them: such a call has a name that the carrier knows, too.
const OF_TWILIO: usize = 1;
const EARLY: &str = "calls with state will not go to this version";
const HELD: &str = "no worker can be had: the call is held";
const GIVEN_UP: &str = "call given up: no worker could take it";
/// What keeps calls from a version.
const NO_WAY_BACK: &str = "writes schema 2, which no other version reads";
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

/// Waits until every call so far has its warning with this message, and that says why.
async fn all_named(line: &Line, message: &str, why: &str) {
    let began = line.lines("call began");
    let named = line.told(message, began.len()).await;
    for line in &named {
        assert_eq!(line["level"], "WARN", "{line}");
        assert!(line["why"].as_str().unwrap().contains(why), "{line}");
    }
    assert_eq!(words(&named, "session"), words(&began, "session"));
    assert!(words(&named, "call_sid").contains(&call_sid(OF_TWILIO)));
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

/// Nothing is left of the release that the calls come from, but it reads what the next one writes.
#[tokio::test]
async fn in_two_steps_the_loss_of_the_last_old_worker_drops_no_call() {
    let line = Line::holding(2, "", "60s").await;
    let mut between = line.worker(0, BETWEEN).await;
    let mut calls = line.call(CALLS).await;
    between.end(Ending::Kill).await;
    line.told(HELD, CALLS).await;
    let _new = line.worker(1, NEW).await;
    all_reach(&mut calls, "v3").await;
    let (reasons, _) = over(&line, calls).await;
    assert_eq!(reasons, only("caller_hung_up"));
    assert_eq!(handoffs(&line), only("recovery"));
}

#[tokio::test]
async fn a_way_without_return_is_refused_and_each_call_that_ends_for_it_is_named() {
    let line = Line::start(2, "").await;
    let mut old = line.worker(0, OLD).await;
    let mut calls = line.call(CALLS).await;
    let (of_twilio, _) = line.twilio(OF_TWILIO, "acme").await;
    let _new = line.worker(1, NEW).await;
    let told = line.told(EARLY, 1).await;
    assert_eq!(words(&told, "version"), only("v3"));
    old.signal(Ending::Terminate);
    let draining = line.is(0, "draining").await;
    assert_eq!(draining["sessions"], CALLS + 1, "{draining}");
    for call in &mut calls {
        let version = call.asks().await;
        assert_eq!(version, "v1", "it stays as long as its worker does");
    }

    // Its grace is over.
    old.end(Ending::Kill).await;
    for call in calls {
        call.until_let_go().await;
    }
    until_closed(of_twilio).await;
    for message in [HELD, GIVEN_UP] {
        all_named(&line, message, NO_WAY_BACK).await;
    }
    let ended = line.told("call ended", CALLS + 1).await;
    assert_eq!(words(&ended, "reason"), only("gave_up"));
    assert_eq!(words(&ended, "fault"), only("worker"));
    assert_eq!(handoffs(&line), BTreeSet::new());
    let mut fresh = line.call(1).await.remove(0);
    assert_eq!(fresh.asks().await, "v3", "it has no state to lose");
}

#[tokio::test]
async fn calls_that_are_held_for_it_go_on_when_the_way_is_allowed() {
    let line = Line::holding(2, "", "60s").await;
    let mut old = line.worker(0, OLD).await;
    let mut calls = line.call(CALLS).await;
    let (mut of_twilio, _) = line.twilio(OF_TWILIO, "acme").await;
    let _new = line.worker(1, NEW).await;
    old.end(Ending::Kill).await;
    all_named(&line, HELD, NO_WAY_BACK).await;

    line.rules("rollout: {allow_one_way: true},").await;
    all_reach(&mut calls, "v3").await;
    reaches(&mut of_twilio, OF_TWILIO, "v3").await;
    let (reasons, _) = over(&line, calls).await;
    assert_eq!(reasons, only("caller_hung_up"));
    assert_eq!(handoffs(&line), only("recovery"));
}

#[tokio::test]
async fn where_that_is_allowed_each_call_that_a_roll_back_costs_is_named() {
    let line = Line::start(3, "rollout: {allow_one_way: true},").await;
    let old = line.worker(0, OLD).await;
    let mut calls = line.call(CALLS).await;
    let (mut of_twilio, _) = line.twilio(OF_TWILIO, "acme").await;
    let new = line.worker_with(1, NEW, "1s").await;
    line.retire(old).await;
    all_reach(&mut calls, "v3").await;
    // Its state is of the old schema until it says something.
    reaches(&mut of_twilio, OF_TWILIO, "v3").await;
    assert_eq!(handoffs(&line), only("handoff"));

    let _back = line.worker(2, OLD).await;
    new.signal(Ending::Terminate);
    for call in calls {
        call.until_let_go().await;
    }
    until_closed(of_twilio).await;
    all_named(&line, GIVEN_UP, "cannot read schema 2").await;
    let mut fresh = line.call(1).await.remove(0);
    assert_eq!(fresh.asks().await, "v1");
}
