//! Frames through a worker and back.

use tokio_tungstenite::tungstenite::Message;

use crate::support::{Bench, Edge, Shape};

#[tokio::test]
async fn frames_go_through_a_worker_and_come_back_in_order() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    let mut caller = edge.call().await;
    for number in 1..=200 {
        caller.say(&format!("frame {number}")).await;
    }
    for number in 1..=200 {
        assert_eq!(
            caller.hear_text().await,
            format!("{number} v1 frame {number}")
        );
    }
    caller.say_bytes(&[0, 255, 128]).await;
    assert_eq!(caller.hear().await, Message::binary(vec![0, 255, 128]));
    caller.hang_up().await;

    edge.idle().await;
    let metrics = edge.get("/metrics").await.body;
    for line in [
        r#"holdline_sessions_started_total 1"#,
        r#"holdline_sessions_active 0"#,
        r#"holdline_sessions_ended_total{fault="none",reason="caller_hung_up"} 1"#,
        r#"holdline_leg_frames_total{direction="in",leg="caller"} 201"#,
        r#"holdline_leg_frames_total{direction="out",leg="caller"} 201"#,
        r#"holdline_attachments_total{reason="new"} 1"#,
    ] {
        assert!(metrics.contains(line), "no `{line}` in:\n{metrics}");
    }
}

#[tokio::test]
async fn what_is_said_before_any_worker_is_there_is_not_lost() {
    // The address is taken, but nobody serves there yet.
    let place = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    let edge = Edge::start_at(&[address.to_string()], Shape::default()).await;
    let mut caller = edge.call().await;
    caller.say("early").await;
    edge.until_call(|body| body.contains(r#""last": 2"#)).await;
    drop(place);
    let _worker = Bench::start_at("v1", address).await;
    assert_eq!(caller.hear_text().await, "1 v1 early");
}

#[tokio::test]
async fn a_worker_may_end_the_call() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    let mut caller = edge.call().await;
    caller.say("end all is said").await;
    let close = caller.hear_close().await.unwrap();
    assert_eq!(u16::from(close.code), 1000);
    edge.until("/metrics", |body| {
        body.contains(r#"holdline_sessions_ended_total{fault="none",reason="worker"} 1"#)
    })
    .await;
}
