//! `existing: pinned`: calls stay with the version that they have, for as long as a worker of it is there.

use super::line::{Counting, Line, words};

const CALLS: usize = 4;

/// Every call is answered by this version.
async fn all_stay(calls: &mut [Counting], version: &str) {
    for call in calls {
        assert_eq!(call.asks().await, version);
    }
}

#[tokio::test]
async fn pinned_calls_move_within_their_version_while_new_ones_go_to_the_newest() {
    let line = Line::start(4, "existing: pinned,").await;
    let first = line.worker(0, &["v1"]).await;
    let mut calls = line.call(CALLS).await;
    let old = words(&line.told("call began", CALLS).await, "session");
    let second = line.worker(1, &["v1"]).await;
    let _newer = line.worker(2, &["v2"]).await;

    // Whoever leaves a worker that ends goes to the other one of its version, which ends as well in time.
    line.retire(first).await;
    all_stay(&mut calls, "v1").await;
    let mut newcomers = line.call(1).await;
    all_stay(&mut newcomers, "v2").await;
    let _third = line.worker(3, &["v1"]).await;
    line.retire(second).await;
    all_stay(&mut calls, "v1").await;
    all_stay(&mut newcomers, "v2").await;

    let moved = line.lines("handoff");
    assert_eq!(moved.len(), 2 * CALLS, "each call twice: {moved:?}");
    assert_eq!(words(&moved, "session"), old);
    for call in calls.into_iter().chain(newcomers) {
        call.hangs_up().await;
    }
    let ended = line.told("call ended", CALLS + 1).await;
    assert_eq!(
        words(&ended, "reason"),
        ["caller_hung_up".to_owned()].into()
    );
}
