//! The log at its limits: what is dropped, what is said of it, and what counts as loss.

use holdline_session::{Class, EndReason, Event, Fault, Frame, InputKind, Output, Report, Seq};

use super::rig::{Rig, as_gap, caller, model, ms, send, text};

/// No worker, and a log that takes four frames.
fn starved() -> (Rig, holdline_session::Epoch) {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 4);
    rig.lose(epoch);
    let next = rig.sought();
    rig.take();
    (rig, next)
}

fn accept(rig: &mut Rig, epoch: holdline_session::Epoch) {
    rig.offer(epoch);
    rig.said(epoch, holdline_session::FromWorker::Accept);
}

#[test]
fn the_oldest_media_becomes_one_growing_gap_and_control_stays() {
    let (mut rig, next) = starved();
    rig.media("a");
    rig.media("bb");
    rig.control("mark");
    for word in ["c", "d", "e", "f"] {
        rig.media(word);
    }
    assert_eq!(rig.take().media_dropped(), [2, 3, 5]);
    accept(&mut rig, next);
    let outs = rig.take();
    assert_eq!(outs.seqs(next), [3, 4, 5, 6, 7, 8]);
    let kinds = outs.kinds(next);
    let gap = as_gap(&kinds[0]).unwrap();
    assert_eq!((gap.first, gap.last), (Seq(2), Seq(3)));
    let size = (gap.size.frames, gap.size.bytes, gap.size.media_ms);
    assert_eq!(size, (2, 3, 40));
    assert!(matches!(&kinds[1], InputKind::Frame { .. }));
    let other = as_gap(&kinds[2]).unwrap();
    assert_eq!((other.first, other.last), (Seq(5), Seq(5)));
    rig.commit(next, 8);
    assert_eq!(rig.take().media_lost(), [(2, 3), (5, 5)]);
    let account = rig.session.account();
    assert_eq!((account.media_dropped, account.media_lost), (3, 3));
}

#[test]
fn a_position_inside_a_gap_is_legal_and_splits_what_is_lost() {
    let (mut rig, next) = starved();
    for word in ["a", "b", "c", "d", "e", "f", "g"] {
        rig.media(word);
    }
    accept(&mut rig, next);
    assert_eq!(rig.take().seqs(next), [4, 5, 6, 7, 8]);
    rig.commit(next, 2);
    assert_eq!(rig.take().media_lost(), [(2, 2)]);
    rig.lose(next);
    let third = rig.attach();
    let outs = rig.take();
    assert_eq!(outs.attach(third).unwrap().next_seq, Seq(3));
    let kinds = outs.kinds(third);
    let rest = as_gap(&kinds[0]).unwrap();
    assert_eq!(
        (rest.first, rest.last, rest.size.frames),
        (Seq(3), Seq(4), 2)
    );
    rig.commit(third, 4);
    assert_eq!(rig.take().media_lost(), [(3, 4)]);
    assert_eq!(rig.session.account().media_lost, 3);
}

#[test]
fn media_that_the_committing_worker_had_received_is_not_lost_though_it_was_dropped() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 4);
    for _ in 0..6 {
        rig.media("x");
    }
    let outs = rig.take();
    assert_eq!(outs.seqs(epoch), [2, 3, 4, 5, 6, 7]);
    assert_eq!(outs.media_dropped(), [2, 3]);
    rig.commit(epoch, 7);
    assert!(rig.take().media_lost().is_empty());
    assert_eq!(rig.session.account().media_dropped, 2);
}

#[test]
fn media_that_only_a_lost_worker_had_received_is_lost_when_it_is_committed() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 4);
    for _ in 0..6 {
        rig.media("x");
    }
    rig.lose(epoch);
    let next = rig.attach();
    let outs = rig.take();
    assert_eq!(outs.seqs(next), [3]);
    assert!(as_gap(&outs.kinds(next)[0]).is_some());
    rig.commit(next, 3);
    assert_eq!(rig.take().media_lost(), [(2, 3)]);
}

#[test]
fn media_that_was_received_does_not_join_a_gap_that_was_received_as_a_gap() {
    let (mut rig, next) = starved();
    for _ in 2..=6 {
        rig.media("x");
    }
    accept(&mut rig, next);
    rig.media("x");
    let outs = rig.take();
    assert_eq!(outs.media_dropped(), [2, 3]);
    assert_eq!(outs.seqs(next), [2, 3, 4, 5, 6, 7]);
    rig.commit(next, 7);
    assert_eq!(rig.take().media_lost(), [(2, 2)]);
}

#[test]
fn a_gap_does_not_grow_over_what_was_delivered() {
    let (mut rig, epoch) = Rig::running(|limits| {
        limits.log_frames = 4;
        limits.window_inputs = 2;
    });
    for _ in 0..8 {
        rig.media("x");
    }
    let outs = rig.take();
    assert_eq!(
        outs.seqs(epoch),
        [2, 3],
        "dropping frees no window: the worker still has them"
    );
    rig.commit(epoch, 3);
    let outs = rig.take();
    assert!(outs.media_lost().is_empty());
    let kinds = outs.kinds(epoch);
    assert_eq!(as_gap(&kinds[0]).unwrap().first, Seq(4));
    rig.commit(epoch, outs.seqs(epoch)[1]);
    assert_eq!(rig.take().media_lost(), [(4, 5)]);
}

#[test]
fn old_media_is_dropped_by_its_age_alone() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_age = ms(1_000));
    rig.lose(epoch);
    rig.media("old");
    rig.control("old too");
    rig.advance(ms(500));
    rig.media("young");
    rig.advance(ms(501));
    rig.take();
    rig.media("new");
    assert_eq!(rig.take().media_dropped(), [2]);
}

#[test]
fn control_frames_alone_end_the_session_by_name() {
    let (mut rig, _) = starved();
    for _ in 0..4 {
        rig.control("mark");
    }
    assert_eq!(rig.view().ending, None);
    rig.control("one too many");
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(EndReason::LogOverflow));
    assert_eq!(rig.view().last, Seq(6), "it is kept all the same");
}

#[test]
fn media_that_finds_the_log_full_of_control_is_dropped_itself_and_ends_nothing() {
    let (mut rig, next) = starved();
    for _ in 0..4 {
        rig.control("mark");
    }
    rig.media("no room");
    rig.media("nor for this");
    let outs = rig.take();
    assert_eq!(outs.ending(), None);
    assert_eq!(outs.media_dropped(), [6, 7]);
    accept(&mut rig, next);
    let outs = rig.take();
    assert_eq!(outs.seqs(next), [2, 3, 4, 5, 7]);
    rig.commit(next, 7);
    assert_eq!(rig.take().media_lost(), [(6, 7)]);
}

#[test]
fn a_gap_that_was_delivered_does_not_grow_by_media_for_which_there_is_no_room() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 4);
    for _ in 0..4 {
        rig.control("mark");
    }
    rig.media("no room");
    rig.media("nor for this");
    let outs = rig.take();
    assert_eq!(outs.seqs(epoch), [2, 3, 4, 5, 6, 7]);
    for (kind, seq) in outs.kinds(epoch)[4..].iter().zip([6, 7]) {
        let gap = as_gap(kind).unwrap();
        assert_eq!((gap.first, gap.last), (Seq(seq), Seq(seq)));
    }
    rig.commit(epoch, 7);
    assert_eq!(rig.take().media_lost(), [(6, 6), (7, 7)]);
}

#[test]
fn one_huge_frame_enters_an_empty_log_and_the_callers_voice_goes_on() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_bytes = 100);
    rig.frame(model(), Class::Control, &"x".repeat(1_000));
    assert_eq!(rig.view().log_bytes, 1_000);
    rig.media("hello");
    assert_eq!(rig.take().ending(), None);
    rig.commit(epoch, rig.view().last.0);
    assert_eq!(rig.view().log_bytes, 0);
}

#[test]
fn control_frames_after_a_huge_one_have_half_of_the_log() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_bytes = 100);
    rig.lose(epoch);
    rig.frame(model(), Class::Control, &"x".repeat(1_000));
    for _ in 0..4 {
        rig.control(&"y".repeat(12));
    }
    rig.media("v");
    rig.frame(model(), Class::Control, &"x".repeat(1_000));
    assert_eq!(rig.take().ending(), None, "the newest always enters");
    assert_eq!(rig.view().log_bytes, 2_049);
    rig.control("one too many");
    let outs = rig.take();
    assert_eq!(outs.media_dropped(), [8], "media goes first");
    assert_eq!(outs.ending(), Some(EndReason::LogOverflow));
}

#[test]
fn media_dropped_for_an_input_that_finds_no_room_in_the_end_is_told_too() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_bytes = 100);
    rig.lose(epoch);
    rig.frame(model(), Class::Control, &"x".repeat(1_000));
    for _ in 0..4 {
        rig.control(&"y".repeat(12));
    }
    rig.media("v");
    rig.frame(model(), Class::Control, &"x".repeat(1_000));
    rig.feed(Event::End {
        reason: EndReason::Operator,
        detail: "enough".to_owned(),
    });
    rig.take();
    rig.closed(caller(), Fault::None);
    assert_eq!(rig.take().media_dropped(), [8]);
    assert_eq!(rig.session.account().media_dropped, 1);
}

/// Why and by whose fault the session ends.
fn blamed(outs: &super::rig::Outs) -> Option<(EndReason, Fault)> {
    outs.reports().find_map(|report| match report {
        Report::Ending { reason, fault, .. } => Some((*reason, *fault)),
        _ => None,
    })
}

#[test]
fn a_log_full_of_commands_that_could_not_be_done_is_the_workers_fault() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 9);
    for _ in 0..4 {
        rig.control("mark");
    }
    rig.commit_with(epoch, 1, vec![send("ghost", "boo"); 5]);
    assert_eq!(rig.take().ending(), None, "four and five");
    let mut other = rig.session.clone();
    rig.commit_with(epoch, 1, vec![send("ghost", "boo")]);
    let outs = rig.take();
    assert_eq!(blamed(&outs), Some((EndReason::LogOverflow, Fault::Worker)));
    rig.closed(caller(), Fault::None);
    assert!(rig.take().kinds(epoch).iter().any(|kind| matches!(
        kind,
        InputKind::SessionEnded {
            fault: Fault::Worker,
            ..
        }
    )));
    // One more of the caller's own tips it as well, and is not to blame.
    let mut out = Vec::new();
    let payload = text("mark");
    let frame = Frame {
        class: Class::Control,
        payload,
    };
    let leg = caller();
    other.handle(rig.now, Event::Frame { leg, frame }, &mut out);
    let blame = blamed(&super::rig::Outs(out));
    assert_eq!(
        blame,
        Some((EndReason::LogOverflow, Fault::Peer)),
        "five of ten"
    );
}

#[test]
fn outbound_legs_are_left_unread_while_the_log_is_deep_and_the_caller_never() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_bytes = 100);
    rig.lose(epoch);
    let (caller_leg, model_leg) = (caller().name, model().name);
    rig.media(&"x".repeat(49));
    assert!(rig.session.reads(&model_leg));
    rig.media("x");
    assert!(!rig.session.reads(&model_leg));
    assert!(rig.session.reads(&caller_leg));
    let next = rig.attach();
    rig.commit(next, 4);
    assert!(rig.session.reads(&model_leg));
}

#[test]
fn model_media_is_never_dropped() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_frames = 4);
    rig.lose(epoch);
    for _ in 0..4 {
        rig.frame(model(), Class::Media { ms: 20 }, "audio");
    }
    rig.media("voice");
    assert_eq!(rig.take().media_dropped(), [7]);
}

#[test]
fn very_long_playing_times_are_counted_and_split_without_overflow() {
    let (mut rig, next) = starved();
    for _ in 0..40 {
        rig.frame(caller(), Class::Media { ms: u32::MAX }, "x");
    }
    accept(&mut rig, next);
    rig.take();
    rig.commit(next, 20);
    let lost = rig.take();
    let gap = lost.0.iter().find_map(|out| match out {
        Output::Report(Report::MediaLost(gap)) => Some(gap.clone()),
        _ => None,
    });
    assert_eq!(gap.unwrap().size.media_ms, 19 * u64::from(u32::MAX));
}
