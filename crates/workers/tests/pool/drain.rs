//! Workers that go, and sessions that are told to.

use std::{
    future::poll_fn,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use holdline_session::{FromWorker, MoveReason};
use holdline_wire::v1::{self, serve_response::Message};
use holdline_workers::{StreamEvent, WorkerStream};

use crate::{
    fake::{Fake, version},
    harness::{Edge, attach, next, settings, soon},
};

/// Messages that say the same again; fewer than the fake queues for a stream.
const FLOOD: usize = 60;
const MOVE: StreamEvent = StreamEvent::Move(MoveReason::Drain);

#[tokio::test]
async fn not_serving_moves_all_sessions_to_a_worker_that_serves() {
    let (old, new) = (Fake::start(version("v1")), Fake::start(version("v2")));
    let edge = two(&old, &new).await;
    let (mut on_old, mut on_new) = split(&edge, &old, 20).await;
    old.set_health(false);
    for stream in &mut on_old {
        assert_eq!(next(stream).await, MOVE);
    }
    assert!(on_new.iter_mut().all(still));
    assert_eq!(edge.seek(99).await.unwrap().version(), "v2");
    old.set_health(true);
    edge.until_state(old.address, "ready").await;
}

#[tokio::test]
async fn sessions_of_a_draining_worker_leave_as_soon_as_there_is_a_better_place() {
    let mut old = Fake::start(version("v1"));
    let later = Fake::start(version("v2"));
    let new_address = later.kill();
    let edge = Edge::start(settings(vec![old.address, new_address]));
    edge.until_ready(1).await;
    let (mut stream, _call) = edge.attach(&mut old, 1).await;
    old.set_health(false);
    edge.until_state(old.address, "draining").await;
    assert!(still(&mut stream));
    let _new = Fake::start_at(version("v2"), new_address);
    assert_eq!(next(&mut stream).await, MOVE);
    let found = edge.seek(2).await.unwrap();
    assert_eq!(found.version(), "v2");
}

#[tokio::test]
async fn go_away_is_seen_on_a_quiet_connection_and_the_stream_lives_on() {
    let mut old = Fake::start(version("v1"));
    let edge = Edge::start(settings(vec![old.address]));
    edge.until_ready(1).await;
    let (mut stream, call) = edge.attach(&mut old, 1).await;
    old.go_away();
    // The old worker drains; its address is tried anew and answers no more.
    soon(edge.pool.until(|workers| {
        let states: Vec<_> = workers.iter().map(|worker| worker.state.as_str()).collect();
        states == ["draining", "connecting"]
    }))
    .await;
    call.say(Message::Commit(v1::Commit::default())).await;
    assert!(matches!(
        next(&mut stream).await,
        StreamEvent::Message(FromWorker::Commit(_))
    ));
}

#[tokio::test]
async fn go_away_moves_sessions() {
    let (old, new) = (Fake::start(version("v1")), Fake::start(version("v1")));
    let edge = two(&old, &new).await;
    let (mut on_old, mut on_new) = split(&edge, &old, 8).await;
    old.go_away();
    for stream in &mut on_old {
        assert_eq!(next(stream).await, MOVE);
    }
    assert!(on_new.iter_mut().all(still));
}

#[tokio::test]
async fn draining_on_one_stream_moves_every_session_of_that_worker() {
    let mut old = Fake::start(version("v1"));
    let edge = Edge::start(settings(vec![old.address]));
    edge.until_ready(1).await;
    let (mut one, call) = edge.attach(&mut old, 1).await;
    let (mut other, _other_call) = edge.attach(&mut old, 2).await;
    call.say(Message::Draining(v1::Draining { within_us: 0 }))
        .await;
    soon(poll_fn(|cx| {
        let polled = one.poll_event(cx, true);
        assert!(
            polled.is_pending(),
            "told before there is a place: {polled:?}"
        );
        match edge.pool.workers()[0].state.as_str() {
            "draining" => std::task::Poll::Ready(()),
            _ => std::task::Poll::Pending,
        }
    }))
    .await;
    assert!(still(&mut other));
    assert!(!edge.pool.ready());
}

#[tokio::test]
async fn draining_in_answer_to_an_offer_is_told() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let mut stream = edge.seek(1).await.unwrap();
    let call = soon(fake.call()).await;
    call.say(Message::Draining(v1::Draining { within_us: 7 }))
        .await;
    let within = Some(Duration::from_micros(7));
    assert_eq!(
        next(&mut stream).await,
        StreamEvent::Message(FromWorker::Draining { within })
    );
}

#[tokio::test]
async fn an_operator_moves_sessions_and_the_pace_is_kept() {
    let (old, new) = (Fake::start(version("v1")), Fake::start(version("v1")));
    let mut slow = settings(vec![old.address, new.address]);
    slow.handoffs_per_second = 50;
    let edge = Edge::start(slow);
    edge.until_ready(2).await;
    let (mut streams, _) = split(&edge, &old, 40).await;
    let worker = streams[0].worker();
    let start = Instant::now();
    assert!(edge.pool.drain(worker, None));
    let moves = streams.iter_mut().map(next);
    let moved = soon(join_all(moves)).await;
    assert!(
        moved
            .iter()
            .all(|event| *event == StreamEvent::Move(MoveReason::Operator))
    );
    // The first at once, the others 20 ms apart.
    let shortest = Duration::from_millis(20) * (u32::try_from(moved.len()).unwrap() - 2);
    assert!(start.elapsed() >= shortest, "{:?}", start.elapsed());
    assert_eq!(edge.metrics.workers.moves.get(), moved.len() as u64);
}

#[tokio::test]
async fn little_time_left_overrides_the_pace() {
    let (old, new) = (Fake::start(version("v1")), Fake::start(version("v1")));
    let mut slow = settings(vec![old.address, new.address]);
    slow.handoffs_per_second = 1;
    let edge = Edge::start(slow);
    edge.until_ready(2).await;
    let (mut streams, _) = split(&edge, &old, 40).await;
    let worker = streams[0].worker();
    assert!(edge.pool.drain(worker, Some(Duration::from_millis(900))));
    // At the configured pace this would take twenty seconds.
    let moved = soon(join_all(streams.iter_mut().map(next))).await;
    assert_eq!(moved.len(), 20);
}

#[tokio::test]
async fn nobody_knows_a_worker_that_was_never_there() {
    let edge = Edge::start(settings(Vec::new()));
    assert!(!edge.pool.drain(holdline_session::WorkerId(77), None));
}

async fn two(one: &Fake, other: &Fake) -> Edge {
    Edge::with(&[one, other]).await
}

/// Sessions attached wherever they were sent; those on `fake` first.
async fn split(edge: &Edge, fake: &Fake, sessions: u128) -> (Vec<WorkerStream>, Vec<WorkerStream>) {
    let mut streams = Vec::new();
    for session in 0..sessions {
        let mut stream = edge.seek(session).await.unwrap();
        stream.send(attach());
        streams.push(stream);
    }
    streams
        .into_iter()
        .partition(|stream| stream.address() == fake.address.to_string())
}

fn still(stream: &mut WorkerStream) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    stream.poll_event(&mut cx, true).is_pending()
}

/// A worker that says nothing but that it drains must not keep its sessions' other news from them.
#[tokio::test]
async fn a_flood_of_draining_does_not_hold_up_the_session() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let (mut stream, call) = edge.attach(&mut fake, 1).await;
    for _ in 0..FLOOD {
        let draining = v1::Draining { within_us: 1_000 };
        call.say(Message::Draining(draining)).await;
    }
    call.say(Message::Released(v1::Released {})).await;
    let mut polls = 0;
    let event = soon(poll_fn(|cx| {
        polls += 1;
        stream.poll_event(cx, true)
    }));
    assert_eq!(event.await, StreamEvent::Message(FromWorker::Released));
    // A few messages at a time.
    assert!(polls >= FLOOD / 8, "{polls} polls for {FLOOD} messages");
}
