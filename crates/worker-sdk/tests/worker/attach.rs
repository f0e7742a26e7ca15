//! Offers, and what a session begins with.

use holdline_wire::v1::{
    self, input::Kind, serve_request::Message as Request, serve_response::Message,
};
use holdline_worker::Description;
use tonic::Code;

use crate::{
    edge::{Served, Stream, entry, frame, fresh, input, puts, texts, with_state},
    script::Script,
};

fn binary(seq: u64) -> v1::Input {
    let frame = v1::Frame {
        leg: "caller".to_owned(),
        incarnation: 1,
        payload: Some(v1::frame::Payload::Binary(b"?".as_slice().into())),
    };
    input(seq, Kind::Frame(frame))
}

#[tokio::test]
async fn the_handler_knows_the_call() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach_as(7, fresh()).await;

    stream.inputs(vec![frame(1, "facts\nwhen")]).await;

    let expected = format!("{}/1 7 CA1 MZ1", crate::edge::SESSION);
    let commit = stream.commit().await;
    assert_eq!(texts(&commit), [expected, "1700000000000001".to_owned()]);
    assert_eq!((commit.through_seq, commit.state_schema), (1, 1));
}

#[tokio::test]
async fn state_in_several_parts_is_one_state() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.offer(1, 1).await;
    assert_eq!(stream.hear().await, Message::Accept(v1::Accept {}));

    let mut first = with_state(&[("a", b"1")], 5);
    first.more_state = true;
    let second = v1::Attach {
        state: vec![entry("name", b"\"held\"".as_slice())],
        more_state: true,
        ..v1::Attach::default()
    };
    let last = v1::Attach {
        state: vec![entry("z", b"2".as_slice())],
        ..v1::Attach::default()
    };
    for part in [first, second, last] {
        stream.say(Request::Attach(part)).await;
    }
    stream.inputs(vec![binary(5)]).await;

    let commit = stream.commit().await;
    assert_eq!(texts(&commit), ["held"]);
    assert_eq!(commit.through_seq, 5);
    assert!(commit.put.is_empty() && commit.delete.is_empty());
}

#[tokio::test]
async fn a_state_larger_than_its_limit_is_not_gathered() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.offer(1, 1).await;
    assert_eq!(stream.hear().await, Message::Accept(v1::Accept {}));

    let part = || v1::Attach {
        state: vec![entry("a", vec![0; 600 << 10])],
        more_state: true,
        ..fresh()
    };
    stream.say(Request::Attach(part())).await;
    stream.say(Request::Attach(part())).await;

    assert_eq!(stream.status().await.0, Code::FailedPrecondition);
}

#[tokio::test]
async fn a_schema_that_is_not_read_is_refused_for_good() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.offer(1, 9).await;
    let Message::Reject(reject) = stream.hear().await else {
        panic!("accepted");
    };
    assert!(!reject.retry);
    assert!(reject.reason.contains("schema 9"), "{}", reject.reason);
    assert_eq!(stream.hear_any().await.unwrap(), None);
}

#[tokio::test]
async fn a_full_worker_rejects_until_a_session_leaves() {
    let mut script = Script::new();
    script.description = Description::new("small").max_sessions(1);
    let served = Served::start(script).await;
    let first = served.attach(fresh()).await;

    let mut second = served.offer(2, 0).await;
    let Message::Reject(reject) = second.hear().await else {
        panic!("accepted");
    };
    assert!(reject.retry, "{}", reject.reason);

    drop(first);
    // The place is free once the worker has seen the hang-up.
    crate::edge::soon("a free place", async {
        while !matches!(served.offer(3, 0).await.hear().await, Message::Accept(_)) {}
    })
    .await;
}

#[tokio::test]
async fn another_schema_replaces_all_keys_in_one_commit() {
    let mut script = Script::new();
    script.description = Description::new("2").schemas([1, 2], 2);
    let served = Served::start(script).await;
    let mut stream = served
        .attach(with_state(&[("name", b"\"held\""), ("old", b"1")], 3))
        .await;

    let commit = stream.commit().await;
    assert_eq!((commit.through_seq, commit.state_schema), (2, 2));
    assert!(commit.replace_state);
    let keys: Vec<_> = puts(&commit).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["converted", "name", "old"]);

    stream.inputs(vec![frame(3, "put old 2")]).await;
    let commit = stream.commit().await;
    assert!(!commit.replace_state);
    assert_eq!(puts(&commit), [("old", "\"2\"".to_owned())]);
}

#[tokio::test]
async fn words_out_of_order_end_the_stream() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.stream().await;
    stream.say(Request::Attach(fresh())).await;
    assert_eq!(stream.status().await.0, Code::FailedPrecondition);

    let mut stream = served.attach(fresh()).await;
    stream
        .inputs(vec![frame(1, "put a 1"), frame(1, "put b 1")])
        .await;
    assert_eq!(puts(&stream.commit().await), [("a", "\"1\"".to_owned())]);
    assert_eq!(stream.status().await.0, Code::FailedPrecondition);
}

/// Offers a session that may make its worker fail, and tells the answer.
async fn offered(served: &Served, session: &str, suspect_through: u64) -> (Stream, Message) {
    let mut stream = served.stream().await;
    stream
        .say(Request::Offer(v1::Offer {
            session_id: session.to_owned(),
            epoch: 4,
            state_schema: 0,
            attributes: [].into(),
            suspect_through,
            doubt_through: 0,
        }))
        .await;
    let answer = stream.hear().await;
    (stream, answer)
}

#[tokio::test]
async fn one_session_under_suspicion_at_a_time_until_it_has_shown_that_it_does_no_harm() {
    let served = Served::start(Script::new()).await;
    let offered = async |session, through| offered(&served, session, through).await;
    let (mut first, answer) = offered("first", 1).await;
    assert_eq!(answer, Message::Accept(v1::Accept {}));
    let (_, answer) = offered("second", 9).await;
    let Message::Reject(reject) = answer else {
        panic!("two suspects at one worker");
    };
    assert!(reject.retry, "{}", reject.reason);
    let (_, answer) = offered("innocent", 0).await;
    assert_eq!(answer, Message::Accept(v1::Accept {}));

    first.say(Request::Attach(fresh())).await;
    first.inputs(vec![frame(1, "to caller hello")]).await;
    assert_eq!(first.commit().await.through_seq, 1);
    // The commit may still be lost with the worker: only the edge knows that it took effect.
    let (_, answer) = offered("second", 9).await;
    assert!(matches!(answer, Message::Reject(_)), "{answer:?}");
    let inputs = vec![frame(2, "to caller hello again")];
    let told = v1::Inputs { inputs, applied: 1 };
    first.say(Request::Inputs(told)).await;
    assert_eq!(first.commit().await.through_seq, 2);
    let (_, answer) = offered("second", 9).await;
    assert_eq!(answer, Message::Accept(v1::Accept {}));
}

#[tokio::test]
async fn what_a_session_under_suspicion_left_behind_is_waited_for() {
    let served = Served::start(Script::new()).await;
    let (mut first, _) = offered(&served, "first", 9).await;
    first.say(Request::Attach(fresh())).await;
    first.inputs(vec![frame(1, "to caller hello")]).await;
    first.commit().await;
    first
        .say(Request::Release(v1::Release { within_us: 500_000 }))
        .await;
    assert_eq!(first.hear().await, Message::Released(v1::Released {}));
    // Its last commit may not have arrived, and would be lost with this worker.
    let (_, answer) = offered(&served, "second", 9).await;
    assert!(matches!(answer, Message::Reject(_)), "{answer:?}");
    drop(first);
    while let (_, Message::Reject(_)) = offered(&served, "second", 9).await {}
}
