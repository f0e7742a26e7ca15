//! Unplanned ends of attachments: fencing, replay, hangs, and time that is nobody's fault.

use holdline_session::{
    AttachReason, Epoch, Event, FromWorker, HangupCause, InputKind, Loss, Notice, Report, Seq,
    WorkerId,
};

use super::rig::{Rig, caller, ms, puts, send};

#[test]
fn a_worker_killed_in_the_middle_is_replaced_and_the_uncommitted_comes_again() {
    let (mut rig, first) = Rig::running(|_| {});
    for word in ["a", "b", "c"] {
        rig.control(word);
    }
    rig.commit_all(first, puts(2, 0, &[("heard", "a")]));
    rig.take();
    rig.lose(first);
    let outs = rig.take();
    let seek = &outs.seeks()[0];
    assert_eq!(seek.reason, AttachReason::Recovery);
    assert_eq!(seek.avoid, Some(WorkerId(first.0)));
    assert!(!seek.planned && seek.suspect.is_none());
    let second = seek.epoch;
    rig.offer(second);
    rig.said(second, FromWorker::Accept);
    let outs = rig.take();
    let attach = outs.attach(second).unwrap();
    assert_eq!((attach.next_seq, attach.state.len()), (Seq(3), 1));
    assert_eq!(outs.seqs(second), [3], "one at a time");
    let replayed = outs
        .reports()
        .any(|report| matches!(report, Report::Attached { replayed: 2, .. }));
    assert!(replayed);
}

#[test]
fn every_way_to_lose_a_stream_is_named() {
    let ways = [
        (Loss::Ended, "ended"),
        (
            Loss::Failed {
                status: "internal".into(),
            },
            "stream",
        ),
        (
            Loss::Disconnected {
                cause: "reset".into(),
            },
            "connection",
        ),
        (
            Loss::Malformed {
                what: "no commit".into(),
            },
            "refused",
        ),
    ];
    for (loss, kind) in ways {
        let (mut rig, epoch) = Rig::running(|_| {});
        rig.feed(Event::StreamLost { epoch, loss });
        assert_eq!(rig.take().losses(), [kind]);
    }
}

#[test]
fn late_words_of_every_past_epoch_are_dropped_and_counted() {
    let (mut rig, first) = Rig::running(|_| {});
    rig.control("hello");
    let mut past = vec![first];
    for _ in 0..2 {
        rig.lose(*past.last().unwrap());
        past.push(rig.attach());
    }
    let current = past.pop().unwrap();
    rig.take();
    for epoch in past.iter().copied().chain([Epoch(0), Epoch(99)]) {
        rig.commit_with(epoch, 2, vec![send("caller", "ghost")]);
        rig.said(epoch, FromWorker::Released);
        rig.lose(epoch);
    }
    let outs = rig.take();
    assert!(outs.sends().is_empty() && outs.losses().is_empty());
    assert_eq!(rig.session.account().fenced, 8);
    assert_eq!(rig.view().committed, Seq(1));
    rig.commit_with(current, 2, vec![send("caller", "alive")]);
    assert_eq!(rig.take().sends(), ["caller#1:alive"]);
}

#[test]
fn a_hanging_worker_is_lost_when_no_commit_advances_in_time() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.advance(ms(10_000));
    assert!(rig.take().losses().is_empty(), "idle is not stuck");
    rig.control("hello");
    rig.advance(ms(600));
    rig.control("are you there");
    rig.commit(epoch, 1);
    rig.advance(ms(399));
    assert!(rig.take().losses().is_empty());
    rig.advance(ms(1));
    let outs = rig.take();
    assert_eq!(outs.losses(), ["stuck"]);
    assert_eq!(outs.hangup(epoch), Some(HangupCause::Stuck));
}

#[test]
fn each_advance_gives_a_busy_worker_its_time_again() {
    let (mut rig, epoch) = Rig::running(|_| {});
    for _ in 0..5 {
        rig.control("more");
    }
    for through in 2..6 {
        rig.advance(ms(900));
        rig.commit(epoch, through);
    }
    assert!(rig.take().losses().is_empty());
}

#[test]
fn time_in_which_the_edge_itself_stood_still_is_not_held_against_the_worker() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("hello");
    rig.advance(ms(100));
    rig.freeze(ms(60_000));
    assert!(rig.take().losses().is_empty());
    rig.advance(ms(500));
    assert!(rig.take().losses().is_empty());
    rig.advance(ms(500));
    assert_eq!(rig.take().losses(), ["stuck"]);
    assert!(rig.session.next_wake().is_some());
    assert!(!rig.session.hears(epoch) || rig.view().attachment.is_none());
}

#[test]
fn a_frozen_edge_gives_offers_and_releases_their_time_too() {
    let (mut rig, old) = Rig::running(|_| {});
    rig.said(old, FromWorker::Draining { within: None });
    let new = rig.sought();
    rig.offer(new);
    rig.freeze(ms(60_000));
    assert_eq!(rig.view().link, "moving");
    rig.said(new, FromWorker::Accept);
    rig.freeze(ms(60_000));
    assert_eq!(rig.view().link, "releasing");
}

#[test]
fn a_commit_that_waits_for_a_slow_leg_is_not_the_workers_delay() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 10);
    rig.commit_with(epoch, 1, vec![send("caller", "more than ten bytes")]);
    rig.control("a question");
    rig.advance(ms(900));
    // It answers from outside, without advancing: the wait for the leg must not count.
    rig.commit_with(epoch, 1, vec![send("caller", "late news")]);
    rig.advance(ms(5_000));
    assert!(rig.take().losses().is_empty());
    rig.written(caller(), 1, 19);
    assert_eq!(rig.take().sends(), ["caller#1:late news"]);
    rig.advance(ms(99));
    assert!(rig.take().losses().is_empty());
    rig.advance(ms(1));
    assert_eq!(rig.take().losses(), ["stuck"]);
}

#[test]
fn a_release_waits_for_the_commit_that_a_slow_leg_holds_back() {
    let (mut rig, old) = Rig::running(|limits| limits.leg_high = 10);
    rig.commit_with(old, 1, vec![send("caller", "more than ten bytes")]);
    rig.control("a question");
    rig.said(old, FromWorker::Draining { within: None });
    rig.attach();
    rig.commit_with(old, 2, vec![send("caller", "an answer")]);
    assert!(!rig.session.hears(old));
    rig.advance(ms(3_000));
    rig.written(caller(), 1, 19);
    assert!(rig.session.hears(old));
    rig.advance(ms(100));
    assert!(
        rig.take().losses().is_empty(),
        "it still has time to say Released"
    );
    rig.said(old, FromWorker::Released);
    assert_eq!(rig.take().hangup(old), Some(HangupCause::Done));
}

#[test]
fn a_session_without_a_worker_backs_off_holds_and_says_how_long_it_was() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.lose(epoch);
    let mut waits = Vec::new();
    for _ in 0..9 {
        let epoch = rig.sought();
        rig.take();
        let before = rig.now;
        rig.feed(Event::SeekFailed {
            epoch,
            reason: "none ready".to_owned(),
            crowded: false,
        });
        while rig.session.next_wake().is_some() && rig.view().link == "vacant" {
            rig.now = rig.session.next_wake().unwrap();
            rig.feed(Event::Tick);
        }
        waits.push(rig.now.since(before).as_millis());
    }
    assert_eq!(waits, [5, 10, 20, 40, 80, 160, 320, 500, 500]);
    let held: u128 = waits.iter().sum();
    let next = rig.attach();
    let outs = rig.take();
    let held = ms(u64::try_from(held).unwrap());
    assert!(outs.says(&Report::HoldEnded { held, audio_ms: 0 }));
    let notice = InputKind::Notice(Notice::Hold { held, audio_ms: 0 });
    assert_eq!(outs.kinds(next), [notice]);
    assert_eq!(rig.session.account().holds, 1);
}

#[test]
fn a_worker_is_never_handed_more_than_the_window_beyond_the_last_commit() {
    let (mut rig, epoch) = Rig::running(|limits| {
        limits.window_inputs = 3;
        limits.window_bytes = 10;
    });
    for word in ["a", "b", "c", "d", "e"] {
        rig.control(word);
    }
    assert_eq!(rig.take().seqs(epoch), [2, 3, 4]);
    rig.commit(epoch, 3);
    assert_eq!(rig.take().seqs(epoch), [5, 6]);
    rig.commit(epoch, 6);
    rig.control("ten bytes.");
    rig.control("x");
    assert_eq!(rig.take().seqs(epoch), [7]);
    rig.commit(epoch, 7);
    rig.control("far more than ten bytes");
    assert_eq!(rig.take().seqs(epoch), [8]);
    rig.commit(epoch, 8);
    assert_eq!(
        rig.take().seqs(epoch),
        [9],
        "one larger frame may pass alone"
    );
}

#[test]
fn what_queued_travels_together_and_is_split_at_the_message_size() {
    let (mut rig, epoch) = Rig::running(|limits| limits.message_bytes = 600);
    rig.lose(epoch);
    for _ in 0..6 {
        rig.control(&"x".repeat(100));
    }
    let next = rig.attach();
    let outs = rig.take();
    let sizes: Vec<_> = outs
        .0
        .iter()
        .filter_map(|out| match out {
            holdline_session::Output::ToWorker {
                message: holdline_session::ToWorker::Inputs { inputs, .. },
                ..
            } => Some(inputs.len()),
            _ => None,
        })
        .collect();
    assert_eq!(sizes, [2, 2, 2]);
    assert_eq!(outs.seqs(next), [2, 3, 4, 5, 6, 7]);
}
