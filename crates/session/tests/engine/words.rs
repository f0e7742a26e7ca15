//! Words and numbers that people, logs and dashboards see: a contract too, so none changes unseen.

use bytes::Bytes;
use holdline_session::{
    AttachReason, EndReason, Epoch, Fault, LegName, LegRef, MoveReason, Payload, Seq, SessionId,
    Time,
};

use super::rig::text;

#[test]
fn labels_of_metrics_stay_as_they_are() {
    let moves = [MoveReason::Drain, MoveReason::Rollout, MoveReason::Operator];
    assert_eq!(
        moves.map(MoveReason::as_str),
        ["drain", "rollout", "operator"]
    );
    let attaches = [
        AttachReason::New,
        AttachReason::Handoff,
        AttachReason::Recovery,
        AttachReason::Resume,
    ];
    assert_eq!(
        attaches.map(AttachReason::as_str),
        ["new", "handoff", "recovery", "resume"]
    );
    let faults = [
        Fault::None,
        Fault::Peer,
        Fault::Network,
        Fault::Edge,
        Fault::Worker,
        Fault::Config,
    ];
    assert_eq!(
        faults.map(Fault::as_str),
        ["none", "peer", "network", "edge", "worker", "config"]
    );
}

#[test]
fn every_end_has_its_word_and_its_fault() {
    let expected = [
        ("caller_hung_up", Fault::None),
        ("caller_lost", Fault::Network),
        ("worker", Fault::None),
        ("handed_back", Fault::None),
        ("gave_up", Fault::Worker),
        ("poisoned", Fault::Worker),
        ("log_overflow", Fault::Peer),
        ("edge_deadline", Fault::Edge),
        ("operator", Fault::None),
        ("superseded", Fault::None),
        ("caller_protocol", Fault::Peer),
    ];
    let ends = EndReason::ALL.map(|reason| (reason.as_str(), reason.fault()));
    assert_eq!(ends, expected);
}

#[test]
fn ids_and_times_read_as_they_are_written() {
    let id = SessionId(0xab);
    assert_eq!(id.to_string(), "000000000000000000000000000000ab");
    assert_eq!(format!("{id:?}"), id.to_string());
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(
        (Seq(7).to_string(), Epoch(8).to_string()),
        ("7".to_owned(), "8".to_owned())
    );
    let leg = LegRef::new(LegName::MODEL, 2);
    assert_eq!(leg.to_string(), "model#2");
    assert_eq!(format!("{:?}", leg.name), "model");
    assert_eq!(Time(1_000_002).to_string(), "1.000002");
}

#[test]
fn a_payload_shows_its_kind_and_its_length_and_not_what_people_said() {
    assert_eq!(format!("{:?}", text("secret")), "text[6]");
    let silence = Payload::Binary(Bytes::new());
    assert_eq!(format!("{silence:?}"), "binary[0]");
    assert!(silence.is_empty() && !text("secret").is_empty());
}

#[test]
fn names_of_legs_are_in_the_order_of_their_letters() {
    let names = ["caller", "extra", "model", "second"].map(LegName::new);
    assert!(names.is_sorted());
    assert!(names[3] > names[0]);
}
