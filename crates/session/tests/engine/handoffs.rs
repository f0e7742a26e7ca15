//! Planned moves: each arrow of the link's diagram that a draining worker can take.

use holdline_session::{
    AttachReason, Epoch, Event, FromWorker, HangupCause, InputKind, MoveReason, Report, Seq,
    WorkerId,
};

use super::rig::{Rig, ms, send, set};

fn draining(rig: &mut Rig, epoch: Epoch) {
    rig.said(epoch, FromWorker::Draining { within: None });
}

/// A session whose worker drains and whose next worker is sought.
fn moving() -> (Rig, Epoch, Epoch) {
    let (mut rig, old) = Rig::running(|_| {});
    draining(&mut rig, old);
    let new = rig.sought();
    (rig, old, new)
}

/// As `moving`, but the next worker has accepted and the old one was asked to release.
fn releasing() -> (Rig, Epoch, Epoch) {
    let (mut rig, old, _) = moving();
    rig.control("before");
    let new = rig.attach();
    assert_eq!(rig.view().link, "releasing");
    (rig, old, new)
}

#[test]
fn a_planned_move_offers_first_then_releases_then_attaches_at_the_next_input() {
    let (mut rig, old, new) = moving();
    let seek = rig.take().seeks().remove(0);
    assert_eq!(seek.reason, AttachReason::Handoff);
    assert_eq!((seek.planned, seek.avoid), (true, Some(WorkerId(old.0))));
    rig.control("while it is sought");
    assert_eq!(rig.take().seqs(old), [2]);
    rig.offer(new);
    rig.said(new, FromWorker::Accept);
    assert_eq!(rig.take().released(), [old]);
    rig.control("while it lets go");
    assert!(rig.take().seqs(old).is_empty());
    rig.commit_with(old, 2, vec![send("caller", "the old one's last word")]);
    assert_eq!(rig.take().sends().len(), 1);
    rig.said(old, FromWorker::Released);
    let outs = rig.take();
    assert_eq!(outs.hangup(old), Some(HangupCause::Done));
    let attach = outs.attach(new).unwrap();
    assert_eq!(
        (attach.reason, attach.next_seq),
        (AttachReason::Handoff, Seq(3))
    );
    assert_eq!(outs.seqs(new), [3]);
    assert_eq!(rig.session.account().replayed, 0);
    assert_eq!(rig.session.account().losses, 0);
    rig.commit(new, 3);
    let since = rig.now;
    let done = Report::Recovered {
        epoch: new,
        reason: AttachReason::Handoff,
        since,
    };
    assert!(rig.take().says(&done));
}

#[test]
fn an_operator_or_a_rule_moves_a_session_as_a_drain_does() {
    let (mut rig, old) = Rig::running(|_| {});
    let reason = MoveReason::Operator;
    rig.feed(Event::Move { epoch: old, reason });
    let outs = rig.take();
    assert!(outs.says(&Report::MoveStarted { epoch: old, reason }));
    assert_eq!(outs.seeks().len(), 1);
}

#[test]
fn a_target_that_says_no_leaves_the_session_where_it_is_and_another_is_sought_later() {
    let (mut rig, old, new) = moving();
    rig.take();
    rig.offer(new);
    let reason = "full".to_owned();
    rig.said(
        new,
        FromWorker::Reject {
            reason,
            retry: true,
        },
    );
    let outs = rig.take();
    assert!(outs.hangup(new).is_some() && outs.hangup(old).is_none());
    assert_eq!(rig.view().link, "live");
    rig.control("goes on");
    assert_eq!(rig.take().seqs(old), [2]);
    rig.advance(ms(5));
    let again = rig.take().seeks();
    assert_eq!((again.len(), again[0].planned), (1, true));
}

#[test]
fn an_offer_without_an_answer_is_given_up() {
    let (mut rig, old, new) = moving();
    rig.offer(new);
    rig.take();
    rig.advance(ms(999));
    assert_eq!(rig.view().link, "moving");
    rig.advance(ms(1));
    let outs = rig.take();
    assert!(outs.hangup(new).is_some() && outs.hangup(old).is_none());
}

#[test]
fn a_target_that_drains_or_speaks_too_early_is_not_attached() {
    for word in [
        FromWorker::Draining {
            within: Some(ms(1)),
        },
        FromWorker::Released,
        FromWorker::Commit(holdline_session::Commit::default()),
    ] {
        let (mut rig, _, new) = moving();
        rig.offer(new);
        rig.said(new, word);
        assert!(rig.take().hangup(new).is_some());
        assert_eq!(rig.view().link, "live");
    }
}

#[test]
fn a_target_that_is_to_be_left_before_it_was_attached_is_left_once_it_is() {
    let mut rig = Rig::new();
    let epoch = rig.sought();
    rig.take();
    rig.offer(epoch);
    let reason = MoveReason::Drain;
    rig.feed(Event::Move { epoch, reason });
    rig.said(epoch, FromWorker::Accept);
    let outs = rig.take();
    assert!(outs.attach(epoch).is_some());
    assert!(outs.says(&Report::MoveStarted { epoch, reason }));
    assert!(outs.seeks()[0].planned);
}

#[test]
fn a_worker_lost_while_a_target_is_asked_makes_the_target_the_rescuer() {
    let (mut rig, old, new) = moving();
    rig.control("unanswered");
    rig.lose(old);
    assert_eq!(rig.view().link, "seeking");
    rig.take();
    rig.offer(new);
    rig.said(new, FromWorker::Accept);
    let outs = rig.take();
    assert_eq!(outs.attach(new).unwrap().reason, AttachReason::Recovery);
    assert_eq!(outs.seqs(new), [2]);
    assert_eq!(rig.session.account().replayed, 1);
}

#[test]
fn a_release_that_is_not_answered_fences_the_old_worker_and_replays() {
    let (mut rig, old, new) = releasing();
    rig.take();
    rig.advance(ms(500));
    let outs = rig.take();
    assert_eq!(outs.losses(), ["release"]);
    assert_eq!(outs.hangup(old), Some(HangupCause::Fenced));
    assert_eq!(outs.seqs(new), [2]);
    rig.commit_with(old, 2, vec![send("caller", "too late")]);
    rig.said(old, FromWorker::Released);
    let outs = rig.take();
    assert!(outs.sends().is_empty());
    assert_eq!(rig.session.account().fenced, 2);
}

#[test]
fn a_worker_lost_while_it_lets_go_hands_over_to_the_target_at_once() {
    let (mut rig, old, new) = releasing();
    rig.lose(old);
    let outs = rig.take();
    assert_eq!(outs.attach(new).unwrap().reason, AttachReason::Recovery);
    assert_eq!(outs.seqs(new), [2]);
    assert_eq!(rig.view().link, "live");
}

#[test]
fn a_target_lost_while_the_old_worker_lets_go_is_replaced_after_released() {
    let (mut rig, old, new) = releasing();
    rig.lose(new);
    assert_eq!(rig.view().link, "releasing");
    rig.take();
    rig.commit(old, 2);
    rig.said(old, FromWorker::Released);
    let outs = rig.take();
    let seek = &outs.seeks()[0];
    assert_eq!((seek.reason, seek.planned), (AttachReason::Handoff, false));
    assert_eq!(
        seek.avoid,
        Some(WorkerId(old.0)),
        "only if there is no other"
    );
    let third = seek.epoch;
    rig.offer(third);
    rig.said(third, FromWorker::Accept);
    assert_eq!(rig.take().attach(third).unwrap().next_seq, Seq(3));
}

#[test]
fn a_target_lost_and_then_the_old_worker_too_means_that_another_is_sought() {
    for overdue in [false, true] {
        let (mut rig, old, new) = releasing();
        rig.lose(new);
        rig.take();
        if overdue {
            rig.advance(ms(500));
        } else {
            rig.lose(old);
        }
        assert_eq!(rig.view().link, "seeking");
        let third = rig.attach();
        assert_eq!(rig.take().seqs(third), [2]);
    }
}

#[test]
fn a_move_takes_timers_and_the_held_back_inputs_along() {
    let (mut rig, old) = Rig::running(|_| {});
    rig.commit_with(old, 1, vec![set("silence", ms(100), 5)]);
    draining(&mut rig, old);
    let new = rig.attach();
    rig.advance(ms(40));
    rig.said(old, FromWorker::Released);
    let attach = rig.take().attach(new).unwrap();
    assert_eq!(attach.timers, [("silence".to_owned(), ms(60), 5)]);
    rig.advance(ms(60));
    let fired = rig.take().kinds(new);
    assert!(matches!(
        &fired[..],
        [InputKind::TimerFired {
            tag: 5,
            stale: false,
            ..
        }]
    ));
}

#[test]
fn failed_moves_do_not_slow_down_a_later_recovery() {
    let (mut rig, old, _) = moving();
    for _ in 0..8 {
        let epoch = rig.sought();
        rig.feed(Event::SeekFailed {
            epoch,
            reason: "none better".to_owned(),
            crowded: false,
        });
        rig.advance(ms(500));
    }
    rig.lose(old);
    let epoch = rig.sought();
    rig.take();
    rig.feed(Event::SeekFailed {
        epoch,
        reason: "none".to_owned(),
        crowded: false,
    });
    rig.advance(ms(5));
    assert_eq!(rig.take().seeks().len(), 1);
}

#[test]
fn an_accept_before_the_shell_said_whom_it_asked_attaches_nobody_and_the_wait_goes_on() {
    let (mut rig, _, new) = moving();
    rig.said(new, FromWorker::Accept);
    rig.advance(ms(500));
    assert!(rig.take().attach(new).is_none());
    rig.advance(ms(40_000));
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(holdline_session::EndReason::GaveUp));
}
