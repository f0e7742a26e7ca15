//! A call that nobody listens to slows down by itself, and no other with it.

use std::time::Duration;

use holdline_wire::v1::{self, serve_request::Message as Request};

use crate::{
    edge::{Served, frame, fresh, texts},
    script::Script,
};

#[tokio::test]
async fn inputs_are_read_only_while_commits_find_room() {
    let served = Served::start(Script::new()).await;
    let mut stalled = served.attach(fresh()).await;
    let mut other = served.attach(fresh()).await;

    // 1,000 of these are 4 MB of inputs, far over the window, and would be 200 MB of commits.
    let script = format!("blob 200000\nput pad {}", "x".repeat(4_000));
    let mut said = 0;
    while said < 1_000 {
        let inputs = vec![frame(said + 1, &script)];
        let request = v1::ServeRequest {
            message: Some(Request::Inputs(v1::Inputs { inputs, applied: 0 })),
        };
        let stall = Duration::from_millis(500);
        match tokio::time::timeout(stall, stalled.outgoing.send(request)).await {
            Ok(sent) => sent.unwrap(),
            Err(_) => break,
        }
        said += 1;
    }
    assert!(said < 1_000, "the worker read on though its commits waited");

    other.inputs(vec![frame(1, "say on")]).await;
    assert_eq!(texts(&other.commit().await), ["on"]);
    for seq in 1..=said {
        let commit = stalled.commit().await;
        assert_eq!((commit.through_seq, texts(&commit).len()), (seq, 1));
    }
}
