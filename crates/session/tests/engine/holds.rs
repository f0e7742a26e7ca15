//! Sessions without a worker: what their callers hear, and how long that is borne.

use holdline_session::{
    Attributes, EndReason, Event, Fault, FromWorker, InputKind, LegRef, Notice, Output, Report,
    Session, Snapshot,
};

use super::rig::{Outs, Rig, caller, ms, send};

/// Pieces of hold sound.
fn pieces(outs: &Outs) -> Vec<u64> {
    let pieces = outs.0.iter().filter_map(|out| match out {
        Output::HoldSound { piece, .. } => Some(*piece),
        _ => None,
    });
    pieces.collect()
}

/// The shell's word that the caller's socket took pieces of hold sound.
fn taken(rig: &mut Rig, leg: LegRef, sound: u64) {
    rig.feed(Event::LegWritten {
        leg,
        frames: 0,
        bytes: 0,
        sound,
    });
}

/// As `Rig::advance`, with a socket that takes all at once.
fn listen(rig: &mut Rig, by: u64) -> Vec<u64> {
    let mut heard = Vec::new();
    for _ in 0..by {
        rig.advance(ms(1));
        let new = pieces(&rig.take());
        if !new.is_empty() {
            taken(rig, caller(), new.len() as u64);
        }
        heard.extend(new);
    }
    heard
}

/// A worker is lost, and no other is found.
fn held() -> Rig {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.lose(epoch);
    rig
}

#[test]
fn a_held_caller_hears_the_sound_in_real_time_until_a_worker_comes() {
    let mut rig = held();
    let lost_at = rig.now;
    assert!(listen(&mut rig, 1_999).is_empty(), "two seconds are borne");
    rig.advance(ms(1));
    assert_eq!(pieces(&rig.take()), [0, 1], "40 ms ahead and no more");
    taken(&mut rig, caller(), 2);
    let heard = listen(&mut rig, 1_000);
    assert_eq!(heard, (2..52).collect::<Vec<_>>());
    let view = rig.view();
    assert_eq!((view.link, view.ending), ("seeking", None));
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    let outs = rig.take();
    let audio_ms = (52 + pieces(&outs).len() as u64) * 20;
    let held = rig.now.since(lost_at);
    let notice = Notice::Hold { held, audio_ms };
    assert_eq!(outs.kinds(epoch), [InputKind::Notice(notice)]);
    assert!(outs.says(&Report::HoldEnded { held, audio_ms }));
    assert!(listen(&mut rig, 500).is_empty(), "it stops at once");
    assert_eq!(rig.session.account().hold_ms, audio_ms);
}

#[test]
fn a_second_hold_begins_anew() {
    let mut rig = held();
    listen(&mut rig, 2_100);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.commit(epoch, 2);
    rig.lose(epoch);
    let more = pieces(&rig.take()).len() as u64;
    taken(&mut rig, caller(), more);
    let heard = listen(&mut rig, 2_050);
    assert_eq!(heard, [0, 1, 2, 3]);
}

#[test]
fn what_an_edge_did_not_say_in_time_is_not_made_up_for() {
    let mut rig = held();
    listen(&mut rig, 2_000);
    for late in [100, 5_000] {
        rig.freeze(ms(late));
        let outs = rig.take();
        assert_eq!(pieces(&outs).len(), 2, "after {late} ms");
        taken(&mut rig, caller(), 2);
    }
}

#[test]
fn a_caller_whose_socket_takes_nothing_is_not_flooded() {
    let mut rig = held();
    rig.advance(ms(3_000));
    assert_eq!(pieces(&rig.take()), [0, 1, 2, 3]);
    rig.advance(ms(1_000));
    assert!(pieces(&rig.take()).is_empty());
    taken(&mut rig, caller(), 1);
    assert_eq!(pieces(&rig.take()), [4]);
    rig.closed(caller(), Fault::Network);
    rig.advance(ms(100));
    assert!(pieces(&rig.take()).is_empty(), "nobody is there");
    rig.feed(Event::CallerReplaced {
        attributes: Attributes::new(),
    });
    let outs = rig.take();
    let legs: Vec<_> = outs
        .0
        .iter()
        .filter_map(|out| match out {
            Output::HoldSound { leg, piece } => Some((leg.clone(), *piece)),
            _ => None,
        })
        .collect();
    let back = LegRef::new("caller", 2);
    assert_eq!(legs, [(back.clone(), 5), (back, 6)]);
}

#[test]
fn unwritten_words_of_a_worker_come_first() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 3);
    rig.commit_with(epoch, 1, vec![send("caller", "long")]);
    rig.lose(epoch);
    rig.advance(ms(2_500));
    assert!(pieces(&rig.take()).is_empty());
    rig.written(caller(), 1, 4);
    assert_eq!(pieces(&rig.take()), [0, 1]);
}

#[test]
fn the_sound_is_no_command_that_was_not_written() {
    let mut rig = held();
    rig.advance(ms(2_000));
    rig.closed(caller(), Fault::Peer);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    let kinds = rig.take().kinds(epoch);
    assert!(kinds.iter().any(|kind| matches!(
        kind,
        InputKind::LegClosed {
            unsent_frames: 0,
            ..
        }
    )));
}

#[test]
fn where_there_is_to_be_no_sound_there_is_none() {
    let (mut rig, epoch) = Rig::running(|limits| limits.hold_after = None);
    rig.lose(epoch);
    assert!(listen(&mut rig, 5_000).is_empty());
}

#[test]
fn an_edge_that_was_away_gives_up_as_much_later() {
    let (mut rig, epoch) = Rig::running(|limits| limits.hold_after = None);
    rig.lose(epoch);
    rig.advance(ms(20_000));
    rig.freeze(ms(60_000));
    rig.advance(ms(9_500));
    assert_eq!(rig.view().ending, None);
    // What it may not notice of an absence is a quarter of a second.
    rig.advance(ms(500));
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(EndReason::GaveUp));
    assert_eq!(outs.closes(), [(caller(), 1013)]);
}

#[test]
fn an_edge_that_was_away_awaits_a_lost_caller_as_much_longer() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.closed(caller(), Fault::Network);
    rig.commit(epoch, 2);
    rig.advance(ms(10_000));
    rig.freeze(ms(60_000));
    rig.advance(ms(4_700));
    assert_eq!(rig.view().ending, None);
    rig.advance(ms(300));
    assert_eq!(rig.take().ending(), Some(EndReason::CallerLost));
}

#[test]
fn a_hold_goes_on_in_another_process() {
    let mut rig = held();
    listen(&mut rig, 2_200);
    let bytes = rig.session.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&bytes).unwrap();
    rig.session = Session::restore(snapshot, rig.limits.clone(), rig.now);
    rig.advance(ms(20));
    assert_eq!(pieces(&rig.take()), [12]);
}

/// A worker comes after so many milliseconds, and is lost after as many more without a commit.
fn comes_and_goes(rig: &mut Rig, after: u64, stays: u64) {
    listen(rig, after);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.take();
    rig.advance(ms(stays));
    rig.lose(epoch);
}

/// A session at which workers fail, and that is never ended for that.
fn failing() -> Rig {
    let (mut rig, epoch) = Rig::running(|limits| {
        limits.poison_limit = 1_000;
        limits.seek_max = ms(5);
        limits.offer_timeout = ms(5);
    });
    rig.control("a question");
    rig.lose(epoch);
    rig
}

#[test]
fn workers_that_come_and_go_without_a_commit_are_no_service_and_the_caller_is_handed_back() {
    let mut rig = failing();
    let lost_at = rig.now;
    while rig.view().ending.is_none() {
        comes_and_goes(&mut rig, 1_500, 500);
        assert!(rig.now.since(lost_at) <= ms(32_000), "dead air for ever");
    }
    assert_eq!(rig.take().ending(), Some(EndReason::GaveUp));
    assert!(rig.now.since(lost_at) >= ms(30_000));
}

#[test]
fn nobody_is_given_up_while_a_worker_has_the_call() {
    let mut rig = failing();
    listen(&mut rig, 29_500);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.advance(ms(900));
    assert_eq!(rig.view().ending, None);
    rig.take();
    rig.lose(epoch);
    assert_eq!(rig.take().ending(), Some(EndReason::GaveUp));
}

#[test]
fn a_worker_that_gets_something_done_or_has_nothing_to_do_is_service() {
    for idle in [false, true] {
        let mut rig = failing();
        comes_and_goes(&mut rig, 25_000, 500);
        let epoch = rig.sought_again();
        rig.offer(epoch);
        rig.said(epoch, FromWorker::Accept);
        rig.commit_each(epoch, rig.view().last.0);
        rig.take();
        if idle {
            // The next finds nothing in the log, and is lost at what comes then.
            rig.lose(epoch);
            let next = rig.attach();
            rig.control("another question");
            rig.lose(next);
        } else {
            rig.lose(epoch);
        }
        rig.take();
        assert!(listen(&mut rig, 1_999).is_empty(), "two seconds are borne");
        rig.advance(ms(27_900));
        assert_eq!(rig.view().ending, None);
    }
}

#[test]
fn the_sound_goes_on_where_a_worker_came_and_went_and_each_time_without_one_is_told_by_itself() {
    let mut rig = failing();
    listen(&mut rig, 1_500);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.advance(ms(400));
    let lost_at = rig.now;
    rig.lose(epoch);
    rig.take();
    let since = u64::try_from(lost_at.since(super::rig::START).as_millis()).unwrap();
    assert!(listen(&mut rig, 2_000 - since - 1).is_empty());
    assert_eq!(listen(&mut rig, 21), [0, 1, 2]);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    let outs = rig.take();
    let held = rig.now.since(lost_at);
    let audio_ms = 60;
    assert!(outs.says(&Report::HoldEnded { held, audio_ms }));
    rig.lose(epoch);
    assert_eq!(pieces(&rig.take()), [0, 1], "it was interrupted, no more");
}

#[test]
fn patience_with_workers_that_come_and_go_is_not_tried_by_the_edges_own_absence() {
    let mut rig = failing();
    listen(&mut rig, 20_000);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.freeze(ms(60_000));
    rig.lose(epoch);
    rig.advance(ms(9_500));
    assert_eq!(rig.view().ending, None);
    rig.advance(ms(700));
    assert_eq!(rig.take().ending(), Some(EndReason::GaveUp));
}

#[test]
fn patience_with_a_worker_that_got_nothing_done_goes_on_in_another_process() {
    let mut rig = failing();
    listen(&mut rig, 20_000);
    let epoch = rig.sought_again();
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    let bytes = rig.session.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&bytes).unwrap();
    rig.session = Session::restore(snapshot, rig.limits.clone(), rig.now);
    rig.advance(ms(9_500));
    assert_eq!(rig.view().ending, None);
    rig.advance(ms(500));
    assert_eq!(rig.take().ending(), Some(EndReason::GaveUp));
}
