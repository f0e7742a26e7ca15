//! One attachment, from the offer to its end.

use bytes::Bytes;
use holdline_session::{Command, Commit, FromWorker, LegName, Loss, Payload, Seq, ToWorker};
use holdline_wire::v1::{self, frame, input, send, serve_request, serve_response::Message};
use holdline_workers::{StreamEvent, WorkerStream};
use tonic::Status;

use crate::{
    fake::{Call, Fake, version},
    harness::{Edge, frame as frame_of, next, soon},
};

#[tokio::test]
async fn a_session_is_offered_attached_fed_committed_and_released() {
    let mut fake = Fake::start(version("v7"));
    let edge = Edge::with(&[&fake]).await;
    let mut stream = edge.seek(255).await.unwrap();
    let mut call = soon(fake.call()).await;
    let offer = soon(call.accept()).await;
    assert_eq!(offer.session_id, format!("{:032x}", 255));
    assert_eq!(offer.attributes["call_sid"], "CA255");
    assert_eq!(next(&mut stream).await, said(FromWorker::Accept));
    assert_eq!(stream.version(), "v7");

    stream.send(crate::harness::attach());
    stream.send(frame_of(1, "hello"));
    let serve_request::Message::Attach(attach) = soon(call.next()).await else {
        panic!("not attached");
    };
    assert_eq!(attach.limits.unwrap().max_uncommitted_inputs, 256);
    assert_eq!(
        frame_text(soon(call.next()).await),
        (1, Bytes::from("hello"))
    );

    call.say(Message::Commit(echo(1, "hello"))).await;
    let commit = Commit {
        through: Seq(1),
        schema: 1,
        commands: vec![Command::Send {
            leg: LegName::new("caller"),
            incarnation: None,
            payload: Payload::Text(Bytes::from("hello")),
        }],
        ..Commit::default()
    };
    assert_eq!(next(&mut stream).await, said(FromWorker::Commit(commit)));

    let within = std::time::Duration::from_millis(500);
    stream.send(ToWorker::Release { within });
    let release = v1::Release { within_us: 500_000 };
    assert_eq!(
        soon(call.next()).await,
        serve_request::Message::Release(release)
    );
    call.say(Message::Released(v1::Released {})).await;
    assert_eq!(next(&mut stream).await, said(FromWorker::Released));
    drop(call);
    assert_eq!(next(&mut stream).await, StreamEvent::Lost(Loss::Ended));
}

#[tokio::test]
async fn a_rejection_is_told_with_its_words() {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let mut stream = edge.seek(1).await.unwrap();
    let call = soon(fake.call()).await;
    let reject = v1::Reject {
        reason: "busy".to_owned(),
        retry: true,
    };
    call.say(Message::Reject(reject)).await;
    let reason = "busy".to_owned();
    let reject = FromWorker::Reject {
        reason,
        retry: true,
    };
    assert_eq!(next(&mut stream).await, said(reject));
}

#[tokio::test]
async fn a_server_that_opens_its_side_late_is_no_obstacle() {
    let mut script = version("v1");
    script.late_headers = true;
    let mut fake = Fake::start(script);
    let edge = Edge::with(&[&fake]).await;
    let mut stream = edge.seek(1).await.unwrap();
    let mut call = soon(fake.call()).await;
    soon(call.accept()).await;
    fake.open_streams();
    assert_eq!(next(&mut stream).await, said(FromWorker::Accept));
}

#[tokio::test]
async fn what_cannot_be_understood_ends_the_attachment_by_name() {
    let (_fake, _edge, mut stream, call) = attached().await;
    call.say(Message::Commit(v1::Commit {
        through_seq: 3,
        commands: vec![v1::Command { command: None }],
        ..v1::Commit::default()
    }))
    .await;
    let StreamEvent::Lost(Loss::Malformed { what }) = next(&mut stream).await else {
        panic!("not refused");
    };
    assert!(what.starts_with("commit through 3, command 0"), "{what}");
}

#[tokio::test]
async fn a_status_is_the_workers_failure_and_comes_after_what_was_said_before() {
    let (_fake, _edge, mut stream, call) = attached().await;
    call.say(Message::Commit(echo(1, "last"))).await;
    let status = Status::internal("handler panicked");
    call.outgoing.send(Err(status)).await.unwrap();
    assert!(matches!(next(&mut stream).await, StreamEvent::Message(_)));
    let status = "Internal: handler panicked".to_owned();
    assert_eq!(
        next(&mut stream).await,
        StreamEvent::Lost(Loss::Failed { status })
    );
}

#[tokio::test]
async fn a_worker_that_says_more_than_allowed_in_one_message_fails() {
    let (_fake, _edge, mut stream, call) = attached().await;
    let value = Bytes::from(vec![0; 3 << 20]);
    let key = "large".to_owned();
    call.say(Message::Commit(v1::Commit {
        put: vec![v1::StateEntry { key, value }],
        ..v1::Commit::default()
    }))
    .await;
    let StreamEvent::Lost(Loss::Failed { status }) = next(&mut stream).await else {
        panic!("not refused");
    };
    assert!(status.contains("too large"), "{status}");
}

#[tokio::test]
async fn dropping_the_stream_hangs_up_and_frees_the_place() {
    let (_fake, edge, stream, mut call) = attached().await;
    assert_eq!(edge.pool.workers()[0].sessions, 1);
    drop(stream);
    assert_eq!(edge.pool.workers()[0].sessions, 0);
    // The attach that was sent, then the end or a reset.
    soon(async {
        while let Ok(Some(_)) = call.incoming.message().await {}
        call.outgoing.closed().await;
    })
    .await;
}

async fn attached() -> (Fake, Edge, WorkerStream, Call) {
    let mut fake = Fake::start(version("v1"));
    let edge = Edge::with(&[&fake]).await;
    let (stream, call) = edge.attach(&mut fake, 1).await;
    (fake, edge, stream, call)
}

fn said(message: FromWorker) -> StreamEvent {
    StreamEvent::Message(message)
}

fn echo(through_seq: u64, text: &'static str) -> v1::Commit {
    let send = v1::Send {
        leg: "caller".to_owned(),
        incarnation: 0,
        payload: Some(send::Payload::Text(Bytes::from_static(text.as_bytes()))),
    };
    v1::Commit {
        through_seq,
        state_schema: 1,
        commands: vec![v1::Command {
            command: Some(v1::command::Command::Send(send)),
        }],
        ..v1::Commit::default()
    }
}

fn frame_text(message: serve_request::Message) -> (u64, Bytes) {
    let serve_request::Message::Inputs(mut inputs) = message else {
        panic!("not inputs: {message:?}");
    };
    let input = inputs.inputs.remove(0);
    match input.kind {
        Some(input::Kind::Frame(v1::Frame {
            payload: Some(frame::Payload::Text(text)),
            ..
        })) => (input.seq, text),
        other => panic!("not a text frame: {other:?}"),
    }
}
