//! Many streams beside each other.

use std::future::poll_fn;

use bytes::Bytes;
use holdline_session::{FromWorker, Loss, Seq};
use holdline_wire::v1::{self, serve_request, serve_response::Message};
use holdline_workers::StreamEvent;
use tokio::runtime::Builder;

use crate::{
    fake::{Fake, version},
    harness::{Edge, frame, next, request, settings, soon},
};

#[tokio::test]
async fn a_limit_of_streams_leads_to_further_connections() {
    let mut script = version("v1");
    script.streams_max = Some(3);
    let mut fake = Fake::start(script);
    let edge = Edge::with(&[&fake]).await;
    let mut attachments = Vec::new();
    for session in 0..10 {
        attachments.push(edge.attach(&mut fake, session).await);
    }
    // Three streams each, one of them the health watch.
    assert_eq!(edge.metrics.workers.connections.get(), 4);
    assert_eq!(edge.pool.workers()[0].sessions, 10);
    attachments.clear();
    drop(edge.attach(&mut fake, 99).await);
    assert_eq!(edge.metrics.workers.connections.get(), 4);
}

#[tokio::test]
async fn as_many_streams_share_a_connection_as_its_window_can_bear() {
    let mut fake = Fake::start(version("v1"));
    let mut narrow = settings(vec![fake.address]);
    narrow.connection_window = holdline_config::ByteSize::kib(64 * 5);
    let edge = Edge::start(narrow);
    edge.until_ready(1).await;
    let mut attachments = Vec::new();
    for session in 0..9 {
        attachments.push(edge.attach(&mut fake, session).await);
    }
    assert_eq!(edge.metrics.workers.connections.get(), 2);
}

#[tokio::test]
async fn each_thread_has_a_connection_of_its_own() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let _here = edge.attach(&mut fake, 1).await;
    let elsewhere = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut streams = Vec::new();
    for session in 2..=3 {
        let seek = edge.pool.seek(request(session));
        streams.push(elsewhere.spawn(seek).await.unwrap().unwrap());
    }
    assert_eq!(edge.metrics.workers.connections.get(), 2);
    elsewhere.shutdown_background();
}

#[tokio::test]
async fn twenty_unread_streams_leave_the_others_unharmed() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let mut unread = Vec::new();
    for session in 0..20 {
        let (stream, call) = edge.attach(&mut fake, session).await;
        unread.push((stream, flood(call.outgoing.clone()), call));
    }
    let (mut stream, mut call) = edge.attach(&mut fake, 100).await;
    // Each of the twenty has more to say than its window holds, and is polled but not read.
    for (stream, ..) in &mut unread {
        let event = poll_fn(|cx| std::task::Poll::Ready(stream.poll_event(cx, false))).await;
        assert!(event.is_pending(), "{event:?}");
    }
    assert!(matches!(
        soon(call.next()).await,
        serve_request::Message::Attach(_)
    ));
    for seq in 1..=200 {
        stream.send(frame(seq, "ping"));
        let serve_request::Message::Inputs(_) = soon(call.next()).await else {
            panic!("not inputs");
        };
        let through_seq = seq;
        call.say(Message::Commit(v1::Commit {
            through_seq,
            ..v1::Commit::default()
        }))
        .await;
        let StreamEvent::Message(FromWorker::Commit(commit)) = next(&mut stream).await else {
            panic!("no commit");
        };
        assert_eq!(commit.through, Seq(seq));
    }
    for (stream, flood, _call) in &mut unread {
        assert!(!flood.is_finished(), "it was held back");
        assert!(matches!(next(stream).await, StreamEvent::Message(_)));
    }
}

#[tokio::test]
async fn a_large_frame_passes_in_both_directions() {
    let mut script = version("v1");
    script.description.max_message_bytes = 4 << 20;
    let mut fake = Fake::start(script);
    let edge = Edge::with(&[&fake]).await;
    let (mut stream, call) = edge.attach(&mut fake, 1).await;
    let large = Bytes::from(vec![b'x'; 1 << 20]);
    let send = v1::Send {
        leg: "model".to_owned(),
        incarnation: 0,
        payload: Some(v1::send::Payload::Binary(large.clone())),
    };
    call.say(Message::Commit(v1::Commit {
        commands: vec![v1::Command {
            command: Some(v1::command::Command::Send(send)),
        }],
        ..v1::Commit::default()
    }))
    .await;
    let StreamEvent::Message(FromWorker::Commit(commit)) = next(&mut stream).await else {
        panic!("no commit");
    };
    let [holdline_session::Command::Send { payload, .. }] = &commit.commands[..] else {
        panic!("not one send");
    };
    assert_eq!(payload.bytes(), &large);
}

#[tokio::test]
async fn a_worker_that_does_not_read_loses_the_session_when_the_queue_is_full() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let (mut stream, _call) = edge.attach(&mut fake, 1).await;
    let _thaw = fake.freeze();
    // Far more than the window that the engine would keep to, and than HTTP/2 takes unread.
    let unread: &str = "unread".repeat(200).leak();
    for seq in 1..=1_000 {
        stream.send(frame(seq, unread));
    }
    let StreamEvent::Lost(Loss::Failed { status }) = next(&mut stream).await else {
        panic!("not lost");
    };
    assert!(status.contains("does not read"), "{status}");
}

fn flood(
    outgoing: tokio::sync::mpsc::Sender<Result<v1::ServeResponse, tonic::Status>>,
) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        let entry = v1::StateEntry {
            key: "k".to_owned(),
            value: Bytes::from(vec![0; 32 << 10]),
        };
        let commit = v1::Commit {
            put: vec![entry],
            ..v1::Commit::default()
        };
        let message = Some(Message::Commit(commit));
        let response = v1::ServeResponse { message };
        while outgoing.send(Ok(response.clone())).await.is_ok() {}
    })
}

/// As much as the SDK may put into one commit: everything up to `message_bytes`, and one frame.
#[tokio::test]
async fn the_largest_commit_that_is_allowed_is_understood() {
    let mut script = version("v1");
    script.description.max_message_bytes = 64 << 20;
    let mut fake = Fake::start(script);
    let edge = Edge::with(&[&fake]).await;
    let (mut stream, call) = edge.attach(&mut fake, 1).await;
    let megabyte = Bytes::from(vec![7; 1 << 20]);
    let send = v1::Send {
        leg: "model".to_owned(),
        incarnation: 0,
        payload: Some(v1::send::Payload::Binary(megabyte.clone())),
    };
    let command = v1::Command {
        command: Some(v1::command::Command::Send(send)),
    };
    let entry = v1::StateEntry {
        key: "half".to_owned(),
        value: megabyte.slice(..(1 << 20) - 64),
    };
    let commit = v1::Commit {
        through_seq: 0,
        state_schema: 1,
        commands: vec![command],
        put: vec![entry],
        ..v1::Commit::default()
    };
    call.say(Message::Commit(commit)).await;
    let event = next(&mut stream).await;
    assert!(
        matches!(event, StreamEvent::Message(FromWorker::Commit(_))),
        "{event:?}"
    );
}
