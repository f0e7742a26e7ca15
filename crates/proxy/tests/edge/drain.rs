//! The edge's own end.

use holdline_proxy::Phase;

use crate::support::{Bench, Edge, Shape, refused_upgrade};

const DEADLINE: &str = "holdline_drain_deadline_timestamp_seconds";

#[tokio::test]
async fn a_draining_edge_takes_calls_for_a_while_then_refuses_and_waits_for_the_last() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        more: "drain: {lame_duck: 1s, deadline: 60s, notice: 10s, retry_after: 5s}",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut before = edge.call().await;
    assert_eq!(edge.get("/readyz").await.status, 200);
    let started = edge.metric("holdline_start_time_seconds").await;
    assert_eq!(edge.metric(DEADLINE).await, 0);

    edge.control.drain();
    edge.reaches(Phase::LameDuck).await;
    // An alert comes before it: afterwards there is nobody to be asked.
    let deadline = edge.metric(DEADLINE).await;
    assert!(
        (started + 60..started + 80).contains(&deadline),
        "{deadline}"
    );
    let unready = edge.get("/readyz").await;
    assert_eq!(unready.status, 503);
    assert_eq!(unready.body, "draining: lame_duck\n");
    let mut late = edge.call().await;
    assert_eq!(late.ask("late").await, "1 v1 late");

    edge.reaches(Phase::Refusing).await;
    let refused = refused_upgrade(edge.callers, "/call").await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 5"), "{}", refused.head);
    assert_eq!(edge.get("/livez").await.status, 200);
    assert_eq!(before.ask("before").await, "1 v1 before");
    assert_eq!(late.ask("still").await, "2 v1 still");

    before.hang_up().await;
    assert_eq!(late.ask("alone").await, "3 v1 alone");
    late.hang_up().await;
    let report = edge.ended().await;
    assert_eq!((report.cut, report.aborted), (0, 0));
}

#[tokio::test]
async fn workers_are_told_before_the_deadline_and_calls_are_closed_at_it() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        more: "drain: {lame_duck: 0s, deadline: 1s, notice: 900ms}",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = edge.call().await;
    caller.ask("hello").await;
    edge.control.drain();
    assert_eq!(caller.hear_text().await, "deadline near");
    let close = caller.hear_close().await.unwrap();
    assert_eq!(u16::from(close.code), 1001);
    let report = edge.ended().await;
    assert_eq!((report.cut, report.aborted), (1, 0));
    assert!(report.drained_in.as_millis() >= 1_000, "{report:?}");
}

#[tokio::test]
async fn a_second_wish_ends_calls_at_once_and_those_that_are_just_starting() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        route: "profile: twilio, signature: off, start_timeout: 60s",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut starting = edge.call().await;
    edge.until("/sessions", |body| body.contains("starting"))
        .await;
    edge.control.drain();
    edge.control.close();
    starting.hear_close().await;
    assert_eq!(edge.ended().await.cut, 1);
}

#[tokio::test]
async fn an_idle_edge_is_gone_after_its_lame_duck() {
    let shape = Shape {
        more: "drain: {lame_duck: 0s}",
        ..Shape::default()
    };
    let edge = Edge::start_at(&["127.0.0.1:1".to_owned()], shape).await;
    edge.control.drain();
    let report = edge.ended().await;
    assert_eq!((report.cut, report.aborted), (0, 0));
}

#[tokio::test]
async fn an_edge_that_is_dropped_takes_its_calls_with_it() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    let mut caller = edge.call().await;
    caller.ask("hello").await;
    drop(edge);
    assert!(caller.hear_close().await.is_none());
}
