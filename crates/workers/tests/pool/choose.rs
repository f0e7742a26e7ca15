//! Which worker gets a session, and which gets none.

use futures_util::future::join_all;
use holdline_session::{HangupCause, Loss};
use holdline_workers::{SeekError, StreamEvent, WorkerState};
use tonic::Status;

use crate::{
    fake::{Fake, version},
    harness::{Edge, next, request, settings, soon},
};

#[tokio::test]
async fn a_crowd_spreads_evenly() {
    let fakes: Vec<_> = (0..4).map(|_| Fake::start(version("v1"))).collect();
    let edge = Edge::with(&fakes.iter().collect::<Vec<_>>()).await;
    let seeks = (0..100).map(|session| edge.pool.seek(request(session)));
    let streams = soon(join_all(seeks)).await;
    assert!(streams.iter().all(Result::is_ok));
    let sessions: Vec<_> = edge.pool.workers().iter().map(|it| it.sessions).collect();
    assert_eq!(sessions, [25; 4]);
}

#[tokio::test]
async fn a_full_worker_takes_no_more_until_one_leaves() {
    let mut script = version("v1");
    script.description.max_sessions = 2;
    let fake = Fake::start(script);
    let edge = Edge::with(&[&fake]).await;
    let first = edge.seek(1).await.unwrap();
    let _second = edge.seek(2).await.unwrap();
    assert!(!edge.pool.ready());
    let words = "no worker fits: 1 worker: 1 full";
    assert_eq!(edge.seek(3).await.unwrap_err().to_string(), words);
    drop(first);
    assert!(edge.seek(3).await.is_ok());
}

#[tokio::test]
async fn no_worker_is_chosen_that_cannot_read_the_state() {
    let fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let mut unreadable = request(1);
    unreadable.seek.schema = 4;
    let error = soon(edge.pool.seek(unreadable)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no worker fits: 1 worker: 1 cannot read schema 4"
    );
}

#[tokio::test]
async fn an_incompatible_worker_is_no_candidate_and_says_why() {
    let mut script = version("v2");
    script.description.max_message_bytes = 1_000;
    let small = Fake::start(script);
    let edge = Edge::start(settings(vec![small.address]));
    edge.until_state(small.address, "incompatible").await;
    let status = edge.pool.workers().remove(0);
    assert!(
        status.detail.contains("raise the worker's limit"),
        "{}",
        status.detail
    );
    assert_eq!(edge.metrics.workers.incompatible.get(), 1);
    assert!(!edge.pool.ready());
    assert!(
        matches!(edge.seek(1).await, Err(SeekError::NoneFits { why, crowded: false }) if why == "1 worker: 1 incompatible")
    );
}

#[tokio::test]
async fn a_worker_that_fails_several_sessions_is_set_aside() {
    let (mut bad, good) = (Fake::start(version("v1")), Fake::start(version("v1")));
    let edge = Edge::with(&[&bad, &good]).await;
    let mut kept = Vec::new();
    for session in 0..10 {
        let mut stream = edge.seek(session).await.unwrap();
        if stream.address() == good.address.to_string() {
            kept.push(stream);
            continue;
        }
        let call = soon(bad.call()).await;
        call.outgoing
            .send(Err(Status::unknown("bug")))
            .await
            .unwrap();
        let event = next(&mut stream).await;
        assert!(
            matches!(event, StreamEvent::Lost(Loss::Failed { .. })),
            "{event:?}"
        );
    }
    assert_eq!(
        kept.len(),
        7,
        "three failed, and then nobody was sent there"
    );
    assert!(
        edge.metrics
            .render()
            .contains("holdline_worker_ejections_total{why=\"sessions_failed\"} 1")
    );
}

#[tokio::test]
async fn sessions_that_the_engine_gives_up_count_against_a_worker_and_others_do_not() {
    let (bad, good) = (Fake::start(version("v2")), Fake::start(version("v2")));
    let edge = Edge::with(&[&bad, &good]).await;
    let ready = || {
        let workers = edge.pool.workers();
        let ready = workers.iter().filter(|it| it.state == WorkerState::Ready);
        ready.count()
    };
    for session in 0..10 {
        let stream = edge.seek(session).await.unwrap();
        stream.hang_up(&HangupCause::Done);
    }
    assert_eq!(ready(), 2);
    // The last of them stays, whatever becomes of its sessions.
    for session in 0..20 {
        let stream = edge.seek(session).await.unwrap();
        stream.hang_up(&HangupCause::Stuck);
    }
    assert_eq!(ready(), 1);
}

#[tokio::test]
async fn with_nobody_there_the_words_say_so() {
    let edge = Edge::start(settings(Vec::new()));
    let words = "no worker fits: no worker is known";
    assert_eq!(edge.seek(1).await.unwrap_err().to_string(), words);
}
