//! An edge that is not running for a while: a stopped process, a suspended machine.

use std::time::Duration;

use crate::support::{Caller, EdgeProcess, WorkerProcess};

/// Longer than `progress_timeout`, shorter than what a keepalive gives a connection.
const PAUSE: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn the_time_it_was_away_is_not_held_against_its_workers() {
    let worker = WorkerProcess::start("v1").await;
    let mut edge = EdgeProcess::start(&[&worker]).await;
    let mut caller = Caller::connect(edge.callers).await;
    caller.say("before").await;
    assert_eq!(caller.hear().await, "1 v1 before");

    edge.signal("STOP").await;
    for number in 0..50 {
        caller.say(&format!("meanwhile {number}")).await;
    }
    // What is tested is that time passes.
    tokio::time::sleep(PAUSE).await;
    edge.signal("CONT").await;
    for number in 0..50 {
        let expected = format!("{} v1 meanwhile {number}", number + 2);
        assert_eq!(caller.hear().await, expected);
    }
    caller.hang_up().await;
    let ended = edge.logged("call ended").await;
    assert_eq!(ended["losses"], 0);
    assert_eq!(ended["attachments"], 1);
}
