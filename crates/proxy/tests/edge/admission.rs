//! Callers who do not become calls.

use std::time::Duration;

use tokio::time::Instant;

use crate::support::{Bench, Edge, Shape, refused_upgrade};

const TWILIO: &str = "profile: twilio, signature: off, start_timeout: 300ms";

#[tokio::test]
async fn a_twilio_caller_without_start_is_closed_and_never_a_session() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        route: TWILIO,
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let began = Instant::now();
    let mut caller = edge.call().await;
    caller
        .say(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#)
        .await;
    edge.until("/sessions", |body| body.contains(r#""phase": "starting""#))
        .await;
    assert!(caller.hear_close().await.is_some());
    assert!(began.elapsed() >= Duration::from_millis(300));
    edge.idle().await;
    let metrics = edge.get("/metrics").await.body;
    assert!(
        metrics.contains("holdline_sessions_started_total 0"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_twilio_call_is_found_by_its_call_sid_and_its_parameters_stay_hidden() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        route: TWILIO,
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = edge.call().await;
    let start = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":
        {"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],
        "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
        "customParameters":{"name":"Mrs Private"}}}"#;
    caller.say(start).await;
    assert_eq!(caller.hear_text().await, format!("1 v1 {start}"));
    let session = edge.get("/sessions/CA1").await;
    assert_eq!(session.status, 200);
    assert!(
        session.body.contains(r#""call_sid": "CA1""#),
        "{}",
        session.body
    );
    assert!(!session.body.contains("Private"), "{}", session.body);
}

#[tokio::test]
async fn one_call_more_than_allowed_is_told_to_come_again() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        more: "limits: {sessions: 1}\ndrain: {retry_after: 7s}",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let caller = edge.call().await;
    let refused = refused_upgrade(edge.callers, "/call").await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 7"), "{}", refused.head);
    caller.hang_up().await;
    edge.idle().await;
    edge.call().await.hang_up().await;
}
