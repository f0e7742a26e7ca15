//! Malformed commits: each rule by its name. A refused commit has no effect at all.

use bytes::Bytes;
use holdline_session::{Command, Commit, Epoch, FromWorker, HangupCause, Seq};

use super::rig::{Rig, cancel, close, ms, open, puts, send, set};

/// A session with small limits, one uncommitted input (seq 2) delivered, and state `k`.
fn small() -> (Rig, Epoch) {
    let (mut rig, epoch) = Rig::running(|limits| {
        limits.commands = 4;
        limits.timers = 2;
        limits.timer_max = ms(60_000);
        limits.state_bytes = 64;
        limits.state_keys = 2;
        limits.key_bytes = 8;
        limits.value_bytes = 32;
    });
    rig.commit_all(epoch, puts(1, 1, &[("k", "v")]));
    rig.control("hello");
    rig.take();
    (rig, epoch)
}

fn with(through: u64, commands: Vec<Command>) -> Commit {
    Commit {
        through: Seq(through),
        schema: 1,
        commands,
        ..Commit::default()
    }
}

/// The commit is refused under that name, whole; its input comes again, and the next worker finds
/// all as it was.
fn refused(rule: &str, mut commit: Commit) {
    let (mut rig, epoch) = small();
    commit
        .commands
        .insert(0, send("caller", "must not be heard"));
    rig.commit_all(epoch, commit);
    let outs = rig.take();
    match outs.hangup(epoch) {
        Some(HangupCause::Refused { rule: named, .. }) => assert_eq!(named, rule),
        other => panic!("{rule}: {other:?}"),
    }
    assert!(outs.sends().is_empty() && outs.closes().is_empty() && outs.dials().is_empty());
    assert_eq!(outs.losses(), ["refused"]);
    let next = outs.seeks()[0].epoch;
    rig.offer(next);
    rig.said(next, FromWorker::Accept);
    let outs = rig.take();
    let attach = outs.attach(next).unwrap();
    assert_eq!(attach.state, [("k".to_owned(), Bytes::from_static(b"v"))]);
    assert!(attach.timers.is_empty());
    assert_eq!(outs.seqs(next), [2]);
}

#[test]
fn a_position_is_neither_behind_nor_ahead() {
    refused("behind", with(0, vec![]));
    refused("ahead", with(3, vec![]));
}

#[test]
fn commands_are_counted_and_named() {
    refused("too_many_commands", with(2, vec![cancel("a"); 4]));
    refused("bad_name", with(2, vec![send("", "x")]));
    refused("bad_name", with(2, vec![close(&"n".repeat(129))]));
    refused("bad_name", with(2, vec![open("model", "")]));
    refused("bad_name", with(2, vec![open("", "openai")]));
    refused("bad_name", with(2, vec![set("", ms(1), 0)]));
    refused("bad_name", with(2, vec![cancel("")]));
}

#[test]
fn timers_are_counted_and_bounded() {
    refused("timer_too_long", with(2, vec![set("a", ms(60_001), 0)]));
    let three = vec![set("a", ms(1), 0), set("b", ms(1), 0), set("c", ms(1), 0)];
    refused("too_many_timers", with(2, three));
}

#[test]
fn timers_are_counted_as_they_would_stand_not_as_they_are_named() {
    let (mut rig, epoch) = small();
    let same = vec![set("a", ms(9), 0), set("a", ms(8), 1), set("b", ms(9), 0)];
    rig.commit_all(epoch, with(1, same));
    let swap = vec![cancel("a"), set("c", ms(9), 0)];
    rig.commit_all(epoch, with(1, swap));
    assert!(rig.take().losses().is_empty());
    let names: Vec<_> = rig
        .view()
        .timers
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn state_keeps_its_bounds() {
    refused("bad_key", puts(2, 1, &[("", "x")]));
    refused("bad_key", puts(2, 1, &[("ninechars", "x")]));
    refused("value_too_large", puts(2, 1, &[("k", &"x".repeat(33))]));
    let long = "x".repeat(31);
    refused(
        "state_too_large",
        puts(2, 1, &[("k", &long), ("kk", &long)]),
    );
    refused("too_many_keys", puts(2, 1, &[("a", "x"), ("b", "x")]));
    refused("schema_change", puts(2, 2, &[("k", "x")]));
    let whole = Commit {
        replace_state: true,
        ..puts(2, 2, &[("a", "x"), ("b", "x"), ("c", "x")])
    };
    refused("too_many_keys", whole);
}

#[test]
fn a_state_exactly_at_its_bounds_is_taken() {
    let (mut rig, epoch) = small();
    let value = "x".repeat(32);
    let rest = "y".repeat(64 - 33 - 8);
    rig.commit_all(epoch, puts(1, 1, &[("k", &value), ("eightlng", &rest)]));
    assert!(rig.take().losses().is_empty());
    let swap = Commit {
        delete: vec!["k".to_owned()],
        ..puts(1, 1, &[("q", &value)])
    };
    rig.commit_all(epoch, swap);
    assert!(rig.take().losses().is_empty());
    assert_eq!(rig.view().state.len(), 2);
}

#[test]
fn words_out_of_place_end_the_attachment_too() {
    for (rule, word) in [
        ("released_unasked", FromWorker::Released),
        ("answer_repeated", FromWorker::Accept),
    ] {
        let (mut rig, epoch) = small();
        rig.said(epoch, word);
        match rig.take().hangup(epoch) {
            Some(HangupCause::Refused { rule: named, .. }) => assert_eq!(named, rule),
            other => panic!("{rule}: {other:?}"),
        }
    }
}
