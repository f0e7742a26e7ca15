//! What a commit does, and what becomes of commands that the world no longer allows.

use holdline_session::{
    AttachReason, Command, Commit, DropReason, Dropped, FromWorker, Incarnation, InputKind,
    LegName, LegRef, Report, Seq,
};

use super::rig::{Rig, caller, close, ms, open, puts, send};

#[test]
fn a_new_session_seeks_a_worker_and_attaches_it_with_nothing_but_the_caller() {
    let mut rig = Rig::new();
    let seek = rig.take().seeks().remove(0);
    assert_eq!((seek.reason, seek.schema), (AttachReason::New, 0));
    assert!(!seek.planned && seek.suspect.is_none() && seek.avoid.is_none());
    rig.offer(seek.epoch);
    rig.said(seek.epoch, FromWorker::Accept);
    let outs = rig.take();
    let attach = outs.attach(seek.epoch).unwrap();
    assert_eq!(attach.next_seq, Seq(1));
    assert!(attach.state.is_empty() && attach.timers.is_empty());
    assert_eq!(attach.legs.len(), 1);
    let opened = outs.kinds(seek.epoch);
    assert!(matches!(&opened[..], [InputKind::LegOpened { leg, .. }] if *leg == caller()));
}

#[test]
fn a_frame_becomes_an_input_and_its_commit_becomes_a_send() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("hello");
    assert_eq!(rig.take().seqs(epoch), [2]);
    rig.commit_with(
        epoch,
        2,
        vec![send("caller", "hi"), send("caller", "again")],
    );
    let outs = rig.take();
    assert_eq!(outs.sends(), ["caller#1:hi", "caller#1:again"]);
    let first = outs.reports().find_map(|report| match report {
        Report::Committed { inputs, received } => Some((*inputs, *received)),
        _ => None,
    });
    assert_eq!(first, Some((1, rig.now)));
}

#[test]
fn a_commit_may_repeat_the_position_as_a_result_from_outside_does() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![send("caller", "looked it up")]);
    assert_eq!(rig.take().sends(), ["caller#1:looked it up"]);
    assert_eq!(rig.view().committed, Seq(1));
}

#[test]
fn the_worker_is_told_how_many_of_its_commits_count_even_in_silence() {
    let (mut rig, epoch) = Rig::running(|_| {});
    for _ in 0..64 {
        rig.commit(epoch, 1);
    }
    let told = rig.take().0.iter().any(|out| {
        matches!(out, holdline_session::Output::ToWorker {
            message: holdline_session::ToWorker::Inputs { inputs, applied }, ..
        } if inputs.is_empty() && *applied > 16)
    });
    assert!(told);
}

#[test]
fn commands_that_the_world_no_longer_allows_come_back_as_inputs_and_the_rest_applies() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.legs = 3);
    let stale = Command::Send {
        leg: LegName::new("caller"),
        incarnation: Some(Incarnation(0)),
        payload: super::rig::text("to the past"),
    };
    rig.commit_with(
        epoch,
        2,
        vec![
            send("caller", "first"),
            open("other", "no such upstream"),
            open("model", "openai"),
            open("caller", "openai"),
            send("ghost", "boo"),
            stale,
            open("third", "openai"),
            open("fourth", "openai"),
            close("ghost"),
            send("caller", "last"),
        ],
    );
    let outs = rig.take();
    assert_eq!(outs.sends(), ["caller#1:first", "caller#1:last"]);
    assert_eq!(outs.dials(), [LegRef::new("third", 1)]);
    let dropped: Vec<_> = outs
        .kinds(epoch)
        .into_iter()
        .map(|kind| match kind {
            InputKind::Dropped(Dropped {
                through,
                index,
                reason,
                ..
            }) => {
                assert_eq!(through, Seq(2));
                (index, reason)
            }
            other => panic!("not a dropped command: {other:?}"),
        })
        .collect();
    let expected = [
        (1, DropReason::UnknownUpstream),
        (2, DropReason::NameInUse),
        (3, DropReason::NameInUse),
        (4, DropReason::LegGone),
        (5, DropReason::IncarnationGone),
        (7, DropReason::TooManyLegs),
        (8, DropReason::LegGone),
    ];
    assert_eq!(dropped, expected);
    assert_eq!(rig.session.account().commands_dropped, 7);
}

#[test]
fn state_goes_from_worker_to_worker_as_of_the_last_commit() {
    let (mut rig, first) = Rig::running(|_| {});
    rig.control("a");
    rig.commit_all(first, puts(2, 3, &[("turn", "1"), ("name", "Ann")]));
    rig.control("b");
    let mut change = puts(3, 3, &[("turn", "2")]);
    change.delete = vec!["name".to_owned()];
    rig.commit_all(first, change);
    rig.control("c");
    rig.lose(first);
    let second = rig.attach();
    let attach = rig.take().attach(second).unwrap();
    let state: Vec<_> = attach
        .state
        .iter()
        .map(|(key, value)| (key.as_str(), &value[..]))
        .collect();
    assert_eq!(state, [("turn", &b"2"[..])]);
    assert_eq!((attach.schema, attach.next_seq), (3, Seq(4)));
}

#[test]
fn a_schema_changes_with_the_whole_state_and_deletions_come_before_puts() {
    let (mut rig, epoch) = Rig::running(|_| {});
    let mut both = puts(1, 1, &[("a", "new")]);
    both.delete = vec!["a".to_owned(), "b".to_owned()];
    rig.commit_all(epoch, puts(1, 1, &[("a", "old"), ("b", "old")]));
    rig.commit_all(epoch, both);
    assert_eq!(rig.view().state, [("a".to_owned(), 3)]);
    let whole = Commit {
        replace_state: true,
        ..puts(1, 2, &[("z", "26")])
    };
    rig.commit_all(epoch, whole);
    assert_eq!(rig.view().state, [("z".to_owned(), 2)]);
    assert!(rig.take().losses().is_empty());
}

#[test]
fn a_state_near_its_limit_is_said_once_until_it_has_shrunk() {
    let (mut rig, epoch) = Rig::running(|limits| limits.state_bytes = 100);
    let near = |rig: &mut Rig| {
        let notices = rig.take().kinds(epoch);
        notices
            .iter()
            .filter(|kind| matches!(kind, InputKind::Notice(_)))
            .count()
    };
    let fill = |rig: &mut Rig, size: usize| {
        let value = "x".repeat(size - 1);
        let through = rig.view().last.0;
        rig.commit_all(epoch, puts(through, 0, &[("k", &value)]));
    };
    fill(&mut rig, 79);
    assert_eq!(near(&mut rig), 0);
    fill(&mut rig, 80);
    assert_eq!(near(&mut rig), 1);
    fill(&mut rig, 95);
    fill(&mut rig, 75);
    fill(&mut rig, 90);
    assert_eq!(near(&mut rig), 0);
    fill(&mut rig, 60);
    fill(&mut rig, 85);
    assert_eq!(near(&mut rig), 1);
    assert!(rig.take().losses().is_empty());
    rig.advance(ms(1));
}
