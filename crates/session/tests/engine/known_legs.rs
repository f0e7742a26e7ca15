//! What a worker that takes a session up is told of its legs: as they were at the last commit,
//! because the inputs to come begin there.

use holdline_session::{
    Attach, Attributes, Class, Event, Fault, InputKind, LegRef, LegState, Session, Snapshot,
};

use super::rig::{Rig, caller, close, model, open, send};

/// Each leg as `name#incarnation state`, with the stream that it names, where it names one.
fn told(attach: &Attach) -> Vec<String> {
    let one = |leg: &holdline_session::LegView| {
        let stream = leg.attributes.get("stream_sid");
        let stream = stream.map_or(String::new(), |stream| format!(" {stream}"));
        format!("{}#{} {:?}{stream}", leg.name, leg.incarnation, leg.state)
    };
    attach.legs.iter().map(one).collect()
}

/// The worker is lost, and the next one attached: what that one is told.
fn next(rig: &mut Rig, epoch: holdline_session::Epoch) -> (holdline_session::Epoch, Attach) {
    rig.lose(epoch);
    let epoch = rig.attach();
    let outs = rig.take();
    let attach = outs.attach(epoch).unwrap();
    (epoch, attach)
}

fn stream(name: &str) -> Attributes {
    Attributes::from([("stream_sid".to_owned(), name.to_owned())])
}

#[test]
fn a_caller_who_came_back_is_told_of_where_the_inputs_say_so() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.frame(model(), Class::Control, "for the first stream");
    rig.closed(caller(), Fault::Network);
    rig.feed(Event::CallerReplaced {
        attributes: stream("MZ2"),
    });
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Open"]);
    rig.commit_each(epoch, 4);
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Awaited", "model#1 Open"]);
    rig.commit(epoch, 5);
    let (_, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#2 Open MZ2", "model#1 Open"]);
}

#[test]
fn the_first_worker_is_told_of_the_beginning_however_late_it_comes() {
    let mut rig = Rig::dialling(&["model"], |_| {});
    rig.feed(Event::LegOpened {
        leg: model(),
        attributes: stream("none"),
    });
    rig.closed(model(), Fault::Peer);
    let epoch = rig.attach();
    let outs = rig.take();
    let attach = outs.attach(epoch).unwrap();
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Connecting"]);
    assert!(matches!(
        outs.kinds(epoch)[1..],
        [InputKind::LegOpened { .. }, InputKind::LegClosed { .. }]
    ));
    rig.commit(epoch, 3);
    let (_, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open"]);
}

#[test]
fn what_a_commit_opened_or_closed_is_part_of_it() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![open("model", "openai")]);
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Connecting"]);
    rig.feed(Event::LegOpened {
        leg: model(),
        attributes: stream("M"),
    });
    // It closes what has opened meanwhile, and will hear of that later.
    rig.commit_with(epoch, 1, vec![close("model")]);
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Closing"]);
    rig.commit(epoch, 2);
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Closing M"]);
    rig.closed(model(), Fault::None);
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Closing M"]);
    // Whoever opens it again has a new opening, whose predecessor's end is still to be told.
    rig.commit_with(epoch, 2, vec![open("model", "openai")]);
    let (epoch, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#2 Connecting"]);
    rig.commit(epoch, 3);
    let (_, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Open", "model#2 Connecting"]);
}

#[test]
fn an_end_that_a_worker_asked_for_closes_all_that_is_told() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    let end = holdline_session::Command::EndSession {
        reason: "enough".to_owned(),
        hand_back: false,
    };
    rig.commit_with(epoch, 2, vec![end]);
    let (_, attach) = next(&mut rig, epoch);
    assert_eq!(told(&attach), ["caller#1 Closing", "model#1 Closing"]);
}

#[test]
fn a_snapshot_holds_them() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.feed(Event::CallerReplaced {
        attributes: stream("MZ2"),
    });
    rig.commit_with(epoch, 2, vec![send("model", "hi")]);
    let bytes = rig.session.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&bytes).unwrap();
    rig.session = Session::restore(snapshot, rig.limits.clone(), rig.now);
    rig.feed(Event::Tick);
    let epoch = rig.attach();
    let attach = rig.take().attach(epoch).unwrap();
    assert_eq!(told(&attach), ["caller#1 Open", "model#1 Open"]);
    let now = rig.view().legs;
    assert!(
        now.iter()
            .any(|leg| leg.state == LegState::Open && LegRef::new("caller", 2).name == leg.name)
    );
}
