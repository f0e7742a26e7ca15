//! What is in a commit, and where a batch is cut.

use holdline_wire::v1::{
    self, command::Command, input::Kind, serve_request::Message as Request, serve_response::Message,
};
use prost::Message as _;
use tonic::Code;

use crate::{
    edge::{Served, frame, fresh, input, puts, texts, with_state},
    script::Script,
};

#[tokio::test]
async fn all_inputs_of_a_message_make_one_commit() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    let inputs = (1..=50).map(|seq| frame(seq, &format!("say {seq}")));
    stream.inputs(inputs.collect()).await;

    let commit = stream.commit().await;
    assert_eq!(commit.through_seq, 50);
    let expected: Vec<_> = (1..=50).map(|seq| seq.to_string()).collect();
    assert_eq!(texts(&commit), expected);
}

#[tokio::test]
async fn a_commit_carries_only_what_changed() {
    let served = Served::start(Script::new()).await;
    let attach = with_state(&[("a", b"\"1\""), ("b", b"\"1\""), ("c", b"\"1\"")], 1);
    let mut stream = served.attach(attach).await;

    let script = "put a 2\nput a 3\nput b 1\ndelete c\nput d 1\ndelete d\ndelete never";
    stream.inputs(vec![frame(1, script)]).await;
    let commit = stream.commit().await;
    assert_eq!(puts(&commit), [("a", "\"3\"".to_owned())]);
    assert_eq!(commit.delete, ["c"]);

    // There and back again is no change.
    stream
        .inputs(vec![frame(2, "put a 4"), frame(3, "put a 3")])
        .await;
    let commit = stream.commit().await;
    assert_eq!(commit.through_seq, 3);
    assert!(commit.put.is_empty() && commit.delete.is_empty());
}

#[tokio::test]
async fn a_batch_is_cut_between_inputs_before_it_outgrows_a_message() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    let inputs = (1..=12).map(|seq| frame(seq, &format!("blob 300000\nput seq {seq}")));
    stream.inputs(inputs.collect()).await;

    let (mut through, mut sent, mut commits) = (0, 0, 0);
    while through < 12 {
        let commit = stream.commit().await;
        assert!(commit.encoded_len() <= 1 << 20, "{}", commit.encoded_len());
        sent += texts(&commit).len() as u64;
        commits += 1;
        through = commit.through_seq;
        assert_eq!(sent, through, "an input was cut in two");
        assert_eq!(puts(&commit), [("seq", format!("\"{through}\""))]);
    }
    assert!(commits < 12, "every input had a commit of its own");
}

#[tokio::test]
async fn a_frame_larger_than_a_message_travels_by_itself() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    let script = "blob 3000000\nput after 1";
    stream
        .inputs(vec![frame(1, "put before 1"), frame(2, script)])
        .await;

    let commit = stream.commit().await;
    assert_eq!(commit.through_seq, 1);
    assert_eq!(puts(&commit), [("before", "\"1\"".to_owned())]);
    let commit = stream.commit().await;
    assert_eq!(commit.through_seq, 2);
    assert_eq!(texts(&commit)[0].len(), 3_000_000);
    assert_eq!(puts(&commit), [("after", "\"1\"".to_owned())]);
}

#[tokio::test]
async fn more_than_a_message_for_one_input_is_the_workers_error() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    stream
        .inputs(vec![frame(1, "say first"), frame(2, "blobs 5 300000")])
        .await;

    assert_eq!(texts(&stream.commit().await), ["first"]);
    let (code, words) = stream.status().await;
    assert_eq!(code, Code::Internal);
    assert!(words.contains("1048576"), "{words}");
}

#[tokio::test]
async fn commands_are_counted_for_a_commit() {
    let served = Served::start(Script::new()).await;
    let mut attach = fresh();
    attach.limits.as_mut().unwrap().max_commands_per_commit = 10;
    let mut stream = served.attach(attach).await;

    let inputs = (1..=4).map(|seq| frame(seq, "blobs 6 1")).collect();
    stream.inputs(inputs).await;
    for seq in 1..=4 {
        let commit = stream.commit().await;
        assert_eq!((commit.through_seq, commit.commands.len()), (seq, 6));
    }
    stream.inputs(vec![frame(5, "blobs 11 1")]).await;
    assert_eq!(stream.status().await.0, Code::Internal);
}

#[tokio::test]
async fn frames_go_to_the_opening_that_the_handler_knows() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    let opened = v1::LegOpened {
        leg: "model".to_owned(),
        incarnation: 4,
        ..v1::LegOpened::default()
    };
    stream
        .inputs(vec![
            frame(1, "say x\nopen model openai\nto model early"),
            input(2, Kind::LegOpened(opened)),
            frame(3, "to model late"),
        ])
        .await;

    let commit = stream.commit().await;
    let sent: Vec<_> = commit
        .commands
        .iter()
        .filter_map(|command| match command.command.as_ref()? {
            Command::Send(send) => Some((send.leg.as_str(), send.incarnation)),
            _ => None,
        })
        .collect();
    // The third is what the script says of `LegOpened`.
    assert_eq!(
        sent,
        [("caller", 1), ("model", 0), ("caller", 1), ("model", 4)]
    );
}

#[tokio::test]
async fn release_comes_after_the_last_commit() {
    let served = Served::start(Script::new()).await;
    let mut stream = served.attach(fresh()).await;
    stream.inputs(vec![frame(1, "say a")]).await;
    stream.inputs(vec![frame(2, "say b")]).await;
    stream
        .say(Request::Release(v1::Release { within_us: 500_000 }))
        .await;

    assert_eq!(stream.commit().await.through_seq, 1);
    assert_eq!(stream.commit().await.through_seq, 2);
    assert_eq!(stream.hear().await, Message::Released(v1::Released {}));
    drop(stream.outgoing);
}
