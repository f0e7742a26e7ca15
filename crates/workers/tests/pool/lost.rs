//! Workers that are gone without a word.

use std::time::{Duration, Instant};

use holdline_session::Loss;
use holdline_workers::StreamEvent;

use crate::{
    fake::{Fake, version},
    harness::{Edge, next, settings, soon},
};

#[tokio::test]
async fn a_killed_worker_is_seen_at_once_by_all_its_sessions() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let (mut one, _call) = edge.attach(&mut fake, 1).await;
    let (mut two, _other_call) = edge.attach(&mut fake, 2).await;
    let start = Instant::now();
    let address = fake.kill();
    for stream in [&mut one, &mut two] {
        let event = next(stream).await;
        assert!(
            matches!(event, StreamEvent::Lost(Loss::Disconnected { .. })),
            "{event:?}"
        );
    }
    // Far below the keepalive's four seconds, far above what it takes.
    assert!(start.elapsed() < Duration::from_secs(1));
    edge.until_state(address, "connecting").await;
    assert!(!edge.pool.ready());
}

#[tokio::test]
async fn whoever_answers_on_the_same_address_is_another_worker() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let (mut stream, _call) = edge.attach(&mut fake, 1).await;
    let first = stream.worker();
    let address = fake.kill();
    assert!(matches!(next(&mut stream).await, StreamEvent::Lost(_)));
    let mut again = Fake::start_at(version("v2"), address);
    edge.until_ready(1).await;
    drop(stream);
    let (stream, _call) = edge.attach(&mut again, 1).await;
    assert_ne!(stream.worker(), first);
    assert_eq!(stream.version(), "v2");
    assert_eq!(edge.pool.workers().len(), 1);
}

#[tokio::test]
async fn a_frozen_worker_is_lost_when_its_keepalive_is_not_answered() {
    let mut fake = Fake::start(version("v1"));
    let mut quick = settings(vec![fake.address]);
    quick.keepalive.interval = Duration::from_millis(50);
    quick.keepalive.timeout = Duration::from_millis(300);
    let edge = Edge::start(quick);
    edge.until_ready(1).await;
    let (mut stream, _call) = edge.attach(&mut fake, 1).await;
    let _thaw = fake.freeze();
    let event = next(&mut stream).await;
    assert!(
        matches!(event, StreamEvent::Lost(Loss::Disconnected { .. })),
        "{event:?}"
    );
    soon(
        edge.pool
            .until(|workers| workers[0].state.as_str() != "ready"),
    )
    .await;
}

#[tokio::test]
async fn a_worker_that_cannot_be_reached_stays_connecting_and_says_why() {
    let address = Fake::start(version("v1")).kill();
    let edge = Edge::start(settings(vec![address]));
    let words = "no worker fits: 1 worker: 1 connecting";
    edge.until_state(address, "connecting").await;
    assert_eq!(edge.seek(1).await.unwrap_err().to_string(), words);
    let _fake = Fake::start_at(version("v1"), address);
    edge.until_ready(1).await;
}

#[tokio::test]
async fn a_session_sought_in_the_moment_of_death_goes_to_another_worker() {
    let mut fakes = vec![Fake::start(version("v1")), Fake::start(version("v1"))];
    let edge = Edge::with(&fakes.iter().collect::<Vec<_>>()).await;
    let thaw = fakes[1].freeze();
    // Half of these are offered to the frozen worker, which then dies.
    let mut streams = Vec::new();
    for session in 0..8 {
        streams.push(edge.seek(session).await.unwrap());
    }
    let dead = fakes.remove(1);
    drop(thaw);
    let address = dead.kill().to_string();
    let mut lost = 0;
    for stream in streams
        .iter_mut()
        .filter(|stream| stream.address() == address)
    {
        lost += usize::from(matches!(next(stream).await, StreamEvent::Lost(_)));
    }
    assert_eq!(lost, 4);
    edge.until_ready(1).await;
    for session in 10..20 {
        let stream = edge.seek(session).await.unwrap();
        assert_ne!(stream.address(), address);
    }
}
