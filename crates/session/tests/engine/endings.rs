//! Ends: legs first, then the last input, then nothing.

use holdline_session::{Command, EndReason, Event, Fault, HangupCause, InputKind, Report, Seq};

use super::rig::{Rig, caller, close, model, ms, send};

fn end(rig: &mut Rig, reason: EndReason) {
    rig.feed(Event::End {
        reason,
        detail: "said so".to_owned(),
    });
}

#[test]
fn the_last_input_comes_when_all_legs_are_closed_and_its_commit_finishes_the_session() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    end(&mut rig, EndReason::Operator);
    let outs = rig.take();
    assert_eq!(outs.closes(), [(caller(), 1001), (model(), 1001)]);
    rig.control("too late");
    rig.closed(caller(), Fault::None);
    assert!(
        rig.take()
            .kinds(epoch)
            .iter()
            .all(|kind| !matches!(kind, InputKind::SessionEnded { .. }))
    );
    rig.closed(model(), Fault::None);
    let kinds = rig.take().kinds(epoch);
    assert!(matches!(
        &kinds[..],
        [InputKind::LegClosed { .. }, InputKind::SessionEnded { reason: EndReason::Operator, detail, .. }]
            if detail == "said so"
    ));
    rig.commit(epoch, 5);
    let outs = rig.take();
    assert_eq!(outs.hangup(epoch), Some(HangupCause::Done));
    assert!(outs.finished() && rig.session.is_over());
    assert_eq!(rig.session.account().end_lost, 0);
    assert_eq!(rig.session.next_wake(), None);
    rig.control("knock");
    rig.commit_with(epoch, 5, vec![send("caller", "x")]);
    rig.feed(Event::Tick);
    assert!(rig.take().0.is_empty(), "nothing comes after the end");
}

#[test]
fn a_worker_ends_the_session_and_what_it_wants_after_that_is_dropped() {
    let (mut rig, epoch) = Rig::running(|_| {});
    let enough = Command::EndSession {
        reason: "goodbye said".to_owned(),
        hand_back: false,
    };
    rig.commit_with(
        epoch,
        1,
        vec![
            send("caller", "bye"),
            enough,
            send("caller", "one more thing"),
        ],
    );
    let outs = rig.take();
    assert_eq!(outs.sends(), ["caller#1:bye"]);
    assert_eq!(outs.ending(), Some(EndReason::Worker));
    assert!(matches!(&outs.kinds(epoch)[..], [InputKind::Dropped(_)]));
    rig.closed(caller(), Fault::None);
    rig.commit_with(epoch, 4, vec![send("caller", "still more")]);
    let outs = rig.take();
    assert!(outs.finished() && outs.sends().is_empty());
}

#[test]
fn a_worker_gives_the_caller_back_to_the_carrier() {
    let (mut rig, epoch) = Rig::running(|_| {});
    let elsewhere = Command::EndSession {
        reason: "a human takes over".to_owned(),
        hand_back: true,
    };
    rig.commit_with(epoch, 1, vec![send("caller", "one moment"), elsewhere]);
    let outs = rig.take();
    assert_eq!(outs.sends(), ["caller#1:one moment"]);
    assert_eq!(outs.ending(), Some(EndReason::HandedBack));
}

#[test]
fn closing_the_callers_leg_ends_the_session_as_the_workers_will() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![close("caller")]);
    assert_eq!(rig.view().ending, None);
    rig.closed(caller(), Fault::None);
    assert_eq!(rig.take().ending(), Some(EndReason::Worker));
}

#[test]
fn nothing_is_logged_after_the_end_and_the_first_reason_stands() {
    let (mut rig, epoch) = Rig::running(|_| {});
    end(&mut rig, EndReason::Operator);
    end(&mut rig, EndReason::EdgeDeadline);
    rig.closed(caller(), Fault::None);
    let last = rig.view().last;
    rig.feed(Event::DeadlineNear { remaining: ms(1) });
    rig.closed(caller(), Fault::None);
    rig.commit_with(epoch, 1, vec![send("caller", "dropped in silence")]);
    assert_eq!(rig.view().last, last);
    assert_eq!(rig.view().ending, Some(EndReason::Operator));
    let ends = rig.take();
    let ends = ends
        .kinds(epoch)
        .into_iter()
        .filter(|kind| matches!(kind, InputKind::SessionEnded { .. }));
    assert_eq!(ends.count(), 1);
}

#[test]
fn an_end_that_nobody_commits_is_loss_and_said_to_be() {
    let (mut rig, epoch) = Rig::running(|_| {});
    end(&mut rig, EndReason::Operator);
    rig.closed(caller(), Fault::None);
    rig.lose(epoch);
    for _ in 0..4 {
        let epoch = rig.sought();
        rig.feed(Event::SeekFailed {
            epoch,
            reason: "none".to_owned(),
            crowded: false,
        });
        rig.advance(ms(500));
    }
    rig.advance(ms(2_999));
    assert!(!rig.session.is_over());
    rig.take();
    rig.advance(ms(1));
    let outs = rig.take();
    assert!(outs.says(&Report::EndLost { inputs: 2 }));
    assert!(outs.finished());
    assert_eq!(rig.session.account().end_lost, 2);
}

#[test]
fn the_end_survives_the_loss_of_its_worker() {
    let (mut rig, epoch) = Rig::running(|_| {});
    end(&mut rig, EndReason::Operator);
    rig.closed(caller(), Fault::None);
    rig.lose(epoch);
    let next = rig.attach();
    let outs = rig.take();
    assert_eq!(outs.seqs(next), [2]);
    rig.commit_each(next, 3);
    assert!(rig.take().finished());
}

#[test]
fn without_a_worker_for_too_long_the_caller_is_handed_back() {
    let (mut rig, epoch) = Rig::running(|limits| limits.give_up = ms(3_000));
    rig.lose(epoch);
    while rig.view().ending.is_none() {
        let epoch = rig.sought();
        rig.take();
        rig.feed(Event::SeekFailed {
            epoch,
            reason: "none".to_owned(),
            crowded: false,
        });
        while rig.view().link == "vacant" && rig.view().ending.is_none() {
            rig.now = rig.session.next_wake().unwrap();
            rig.feed(Event::Tick);
        }
    }
    let since = rig.now.since(super::rig::START);
    assert_eq!(since, ms(3_000));
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(EndReason::GaveUp));
    assert_eq!(outs.closes(), [(caller(), 1013)]);
}

#[test]
fn a_leg_that_never_closes_does_not_keep_the_session() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    end(&mut rig, EndReason::Operator);
    rig.advance(ms(2_500));
    assert_eq!(rig.view().last, Seq(5));
    rig.take();
    let at = rig.view().attachment.map_or(epoch, |at| at.epoch);
    rig.commit(at, 5);
    assert!(rig.take().finished());
}

#[test]
fn the_coming_deadline_of_the_edge_is_an_input() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.feed(Event::DeadlineNear {
        remaining: ms(60_000),
    });
    let notice = InputKind::Notice(holdline_session::Notice::Deadline {
        remaining: ms(60_000),
    });
    assert_eq!(rig.take().kinds(epoch), [notice]);
}
