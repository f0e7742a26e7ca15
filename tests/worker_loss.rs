//! Worker processes that die or are replaced in the middle of a call.

use std::time::Duration;

use tokio::time::interval;

use crate::support::{Caller, EdgeProcess, WorkerProcess};

const FRAMES: usize = 100;

/// Which of two workers serves a new call, told by its first answer.
async fn serving(caller: &mut Caller, workers: &mut [WorkerProcess; 2]) -> String {
    caller.say("who").await;
    let answer = caller.hear().await;
    let version = answer
        .strip_prefix("1 ")
        .unwrap()
        .strip_suffix(" who")
        .unwrap();
    if version == "b" {
        workers.swap(0, 1);
    }
    version.to_owned()
}

async fn hear_all(caller: &mut Caller) -> Vec<String> {
    let mut versions = Vec::new();
    for number in 1..=FRAMES {
        let answer = caller.hear().await;
        let words: Vec<_> = answer.splitn(3, ' ').collect();
        assert_eq!(words[0], (number + 1).to_string(), "{answer}");
        assert_eq!(words[2], format!("frame {number}"));
        versions.push(words[1].to_owned());
    }
    versions.dedup();
    versions
}

#[tokio::test]
async fn a_worker_killed_in_mid_call_is_not_noticed_by_the_caller() {
    let mut workers = [
        WorkerProcess::start("a").await,
        WorkerProcess::start("b").await,
    ];
    let mut edge = EdgeProcess::start(&[&workers[0], &workers[1]]).await;
    let mut caller = Caller::connect(edge.callers).await;
    let first = serving(&mut caller, &mut workers).await;

    let mut clock = interval(Duration::from_millis(5));
    for number in 1..=FRAMES {
        clock.tick().await;
        caller.say(&format!("frame {number}")).await;
        if number == FRAMES / 2 {
            workers[0].kill().await;
        }
    }
    let versions = hear_all(&mut caller).await;
    assert!(versions.len() == 2 && versions[0] == first, "{versions:?}");

    let began = edge.logged("call began").await;
    let handoff = edge.logged("handoff").await;
    assert_eq!(handoff["session"], began["session"]);
    assert_eq!(handoff["reason"], "recovery");
    assert_eq!(handoff["from"], workers[0].address.to_string());
    assert_eq!(handoff["to"], workers[1].address.to_string());
    assert_eq!(handoff["version"], versions[1].as_str());
    let number = |name: &str| handoff[name].as_u64().unwrap();
    let gap = number("first_commit_unix_us") - number("since_unix_us");
    assert_eq!(number("gap_us"), gap);

    caller.hang_up().await;
    let ended = edge.logged("call ended").await;
    assert_eq!(ended["reason"], "caller_hung_up");
    assert_eq!(ended["caller_frames_in"], FRAMES + 1);
    assert_eq!(ended["caller_frames_written"], FRAMES + 1);
    assert_eq!(ended["handoffs"], 1);
    assert_eq!(edge.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn a_worker_that_is_replaced_ends_with_its_call_moved() {
    let mut workers = [
        WorkerProcess::start("a").await,
        WorkerProcess::start("b").await,
    ];
    let mut edge = EdgeProcess::start(&[&workers[0], &workers[1]]).await;
    let mut caller = Caller::connect(edge.callers).await;
    let first = serving(&mut caller, &mut workers).await;
    for number in 1..=FRAMES {
        caller.say(&format!("frame {number}")).await;
        if number == FRAMES / 2 {
            assert_eq!(workers[0].terminate().await.code(), Some(0));
        }
    }
    let versions = hear_all(&mut caller).await;
    assert!(versions.len() == 2 && versions[0] == first, "{versions:?}");
    let handoff = edge.logged("handoff").await;
    assert_eq!(
        (&handoff["reason"], &handoff["kind"]),
        (&"handoff".into(), &"drain".into())
    );
    caller.hang_up().await;
    assert_eq!(edge.terminate().await.code(), Some(0));
}
