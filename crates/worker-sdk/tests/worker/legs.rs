//! Which opening of a leg a message is for.

use holdline_wire::v1::{self, command::Command, input::Kind};

use crate::{
    edge::{Served, frame, fresh, input},
    script::Script,
};

/// Openings that a commit's messages to a leg name.
fn addressed(commit: &v1::Commit, leg: &str) -> Vec<u32> {
    let sends = commit
        .commands
        .iter()
        .filter_map(|command| match command.command.as_ref()? {
            Command::Send(send) if send.leg == leg => Some(send.incarnation),
            _ => None,
        });
    sends.collect()
}

fn leg(name: &str, incarnation: u32) -> v1::Leg {
    v1::Leg {
        name: name.to_owned(),
        incarnation,
        state: v1::LegState::Open.into(),
        ..v1::Leg::default()
    }
}

#[tokio::test]
async fn what_is_sent_after_an_opening_was_asked_for_is_not_for_the_one_that_closes() {
    let served = Served::start(Script::new()).await;
    let mut attach = fresh();
    attach.legs.push(leg("model", 1));
    let mut stream = served.attach(attach).await;

    let script = "to model one\nclose model\nopen model main\nto model two";
    stream.inputs(vec![frame(1, script)]).await;
    assert_eq!(addressed(&stream.commit().await, "model"), [1, 0]);

    // A message to the old one that came too late changes nothing.
    let dropped = v1::Dropped {
        leg: "model".to_owned(),
        incarnation: 1,
        reason: v1::DropReason::LegGone.into(),
        ..v1::Dropped::default()
    };
    let opened = v1::LegOpened {
        leg: "model".to_owned(),
        incarnation: 2,
        ..v1::LegOpened::default()
    };
    stream
        .inputs(vec![
            input(2, Kind::Dropped(dropped)),
            frame(3, "to model three"),
        ])
        .await;
    let mut seen = Vec::new();
    while seen.is_empty() {
        seen = addressed(&stream.commit().await, "model");
    }
    assert_eq!(seen, [0]);
    stream
        .inputs(vec![
            input(4, Kind::LegOpened(opened)),
            frame(5, "to model four"),
        ])
        .await;
    let mut seen = Vec::new();
    while seen.is_empty() {
        seen = addressed(&stream.commit().await, "model");
    }
    assert_eq!(seen, [2]);
}

#[tokio::test]
async fn answers_to_a_caller_who_has_moved_on_are_not_for_their_new_socket() {
    let served = Served::start(Script::new()).await;
    let mut attach = fresh();
    attach.legs = vec![leg("caller", 1)];
    let mut stream = served.attach(attach).await;

    stream.inputs(vec![frame(1, "say before")]).await;
    assert_eq!(addressed(&stream.commit().await, "caller"), [1]);

    let replaced = v1::LegReplaced {
        leg: "caller".to_owned(),
        old_incarnation: 1,
        incarnation: 2,
        ..v1::LegReplaced::default()
    };
    stream
        .inputs(vec![input(2, Kind::LegReplaced(replaced))])
        .await;
    assert_eq!(addressed(&stream.commit().await, "caller"), [2]);
}
