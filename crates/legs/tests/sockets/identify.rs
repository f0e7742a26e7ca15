//! Who calls, over a real socket.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use holdline_legs::identify;
use holdline_session::{Class, Fault};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, Edge, PATIENCE, close, closed, frame, listener, patiently, twilio};

const CONNECTED: &str = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;
const START: &str = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"CA1"}}"#;

async fn say(client: &mut Client, messages: &[&str]) {
    for message in messages {
        client.send(Message::text(*message)).await.unwrap();
    }
}

/// The code and reason of the close frame that the client gets.
async fn told(client: &mut Client) -> (u16, String) {
    loop {
        match patiently(client.next()).await.unwrap().unwrap() {
            Message::Close(Some(frame)) => return (frame.code.into(), frame.reason.to_string()),
            Message::Close(None) => return (1005, String::new()),
            _ => {}
        }
    }
}

#[tokio::test]
async fn frames_up_to_start_are_kept_and_junk_is_counted() {
    let mut edge = Edge::start(listener(vec![twilio()])).await;
    let (mut socket, mut client) = edge.connected("/media").await;
    let media = r#"{"event":"media","media":{"payload":"////"}}"#;
    say(&mut client, &[CONNECTED, "junk", media, START, media]).await;

    let identity = identify(&mut socket, PATIENCE).await.unwrap();
    assert_eq!(identity.attributes["call_sid"], "CA1");
    let payloads: Vec<_> = identity
        .frames
        .iter()
        .map(|f| f.payload.bytes().clone())
        .collect();
    assert_eq!(payloads, [CONNECTED, START]);
    // What came behind `start` is still in the socket.
    assert_eq!(frame(&mut socket).await.class, Class::Media { ms: 0 });
    edge.counted("holdline_leg_malformed_frames_total{leg=\"caller\"} 2")
        .await;
}

#[tokio::test]
async fn a_caller_without_start_is_closed() {
    let mut edge = Edge::start(listener(vec![twilio()])).await;
    let (mut socket, mut client) = edge.connected("/media").await;
    say(&mut client, &[CONNECTED, "junk"]).await;
    let told = tokio::spawn(async move { told(&mut client).await });
    let error = identify(&mut socket, Duration::from_millis(100))
        .await
        .unwrap_err();
    assert_eq!(error.why, "timeout");
    assert_eq!(
        error.close,
        close(1008, "no start message in time", Fault::Peer)
    );
    assert_eq!(
        told.await.unwrap(),
        (1008, "no start message in time".to_owned())
    );
}

#[tokio::test]
async fn a_caller_who_leaves_before_start_was_nobody() {
    let mut edge = Edge::start(listener(vec![twilio()])).await;
    let (mut socket, client) = edge.connected("/media").await;
    drop(client);
    let error = identify(&mut socket, PATIENCE).await.unwrap_err();
    assert_eq!((error.why, error.close.code), ("closed", 1006));
}

#[tokio::test]
async fn another_start_and_binary_end_the_leg() {
    let mut edge = Edge::start(listener(vec![twilio()])).await;
    let second = Message::text(START.replace("CA1", "CA2"));
    let cases = [
        (second, 1002, "second start"),
        (
            Message::binary(vec![1, 2, 3]),
            1003,
            "Media Streams messages are text",
        ),
    ];
    for (message, code, reason) in cases {
        let (mut socket, mut client) = edge.connected("/media").await;
        say(&mut client, &[START, START]).await;
        identify(&mut socket, PATIENCE).await.unwrap();
        client.send(message).await.unwrap();
        let told = tokio::spawn(async move { told(&mut client).await });
        assert_eq!(closed(&mut socket).await, close(code, reason, Fault::Peer));
        assert_eq!(told.await.unwrap(), (code, reason.to_owned()));
    }
    edge.counted("holdline_leg_malformed_frames_total{leg=\"caller\"} 4")
        .await;
}
