//! A log that its reader does not read holds up nobody.

use std::fs;

use crate::support::{Caller, EdgeProcess, WorkerProcess, raw_edge_config};

/// At the level `trace` each of these makes the edge say some hundred bytes: together many times what
/// a pipe holds.
const MESSAGES: usize = 500;

#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_no_call() {
    let worker = WorkerProcess::verbatim().await;
    let folder = tempfile::tempdir().unwrap();
    let file = raw_edge_config(folder.path(), [worker.address].into_iter());
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}log: {{level: trace}}\n")).unwrap();
    // From here on its log is not read.
    let mut edge = EdgeProcess::of(&file).await;
    let mut caller = Caller::connect(edge.callers).await;
    for number in 0..MESSAGES {
        let said = number.to_string();
        caller.say(&said).await;
        assert_eq!(caller.hear().await, said);
    }
    caller.hang_up().await;
    // What there was room for is there, in order. The rest is not waited for for long.
    edge.logged("call began").await;
    assert!(edge.terminate().await.success());
}
