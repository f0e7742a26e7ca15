//! A call that kills its workers is found out and kept apart; a call that is merely unlucky is not.

use std::time::Duration;

use holdline_session::{
    EndReason, Epoch, Event, Fault, FromWorker, HangupCause, InputKind, MoveReason, Report, Seek,
    Seq, Session, Snapshot, Suspicion,
};

use super::rig::{Rig, caller, ms, send};

/// Loses the worker, attaches the next, and says what that one was handed first.
fn again(rig: &mut Rig, epoch: &mut Epoch) -> Vec<u64> {
    rig.lose(*epoch);
    if rig.view().ending.is_none() {
        rig.take();
        // The seek was taken above: find its number in the view of the next epoch.
        *epoch = epoch.next();
        rig.offer(*epoch);
        rig.said(*epoch, FromWorker::Accept);
    }
    let outs = rig.take();
    outs.seqs(*epoch)
}

#[test]
fn after_a_loss_inputs_come_one_at_a_time_and_a_second_loss_at_one_of_them_is_a_strike() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
    for word in ["a", "b", "c"] {
        rig.control(word);
    }
    assert_eq!(
        again(&mut rig, &mut epoch),
        [2],
        "any of the three may have been the cause"
    );
    assert_eq!(rig.view().strikes, 0);
    rig.lose(epoch);
    let outs = rig.take();
    assert!(outs.says(&Report::Strike { strikes: 1 }));
    let seek = &outs.seeks()[0];
    assert_eq!(seek.suspect, Some(Seq(2)), "kept apart from other suspects");
    assert_eq!(seek.doubt, Some(Seq(4)));
    epoch = seek.epoch;
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    assert_eq!(rig.take().seqs(epoch), [2]);
}

#[test]
fn after_a_strike_the_next_worker_is_sought_anew_and_after_a_pause() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.strike_pause = ms(100));
    rig.control("a");
    again(&mut rig, &mut epoch);
    let reason = MoveReason::Drain;
    rig.feed(Event::Move { epoch, reason });
    let target = rig.sought();
    rig.offer(target);
    rig.said(target, FromWorker::Accept);
    rig.lose(epoch);
    let outs = rig.take();
    assert!(outs.says(&Report::Strike { strikes: 1 }));
    assert_eq!(outs.hangup(target), Some(HangupCause::Done));
    assert_eq!(rig.view().link, "vacant");
    rig.advance(ms(99));
    assert!(rig.take().seeks().is_empty());
    rig.advance(ms(1));
    assert_eq!(rig.take().seeks()[0].suspect, Some(Seq(2)));
}

#[test]
fn suspects_are_apart_from_each_other_and_from_those_in_doubt() {
    let [none, doubt, suspect] = [Suspicion::None, Suspicion::Doubt, Suspicion::Suspect];
    for (one, other) in [(suspect, suspect), (suspect, doubt), (doubt, suspect)] {
        assert!(one.is_apart_from(other), "{one:?} {other:?}");
    }
    for (one, other) in [
        (doubt, doubt),
        (suspect, none),
        (none, suspect),
        (none, none),
    ] {
        assert!(!one.is_apart_from(other), "{one:?} {other:?}");
    }
}

#[test]
fn a_seek_says_how_far_its_session_is_suspected() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
    rig.control("a");
    let suspicion = |rig: &mut Rig, epoch: &mut Epoch| {
        rig.lose(*epoch);
        let seek = rig.take().seeks()[0].clone();
        *epoch = seek.epoch;
        rig.offer(*epoch);
        rig.said(*epoch, FromWorker::Accept);
        seek.suspicion()
    };
    assert_eq!(suspicion(&mut rig, &mut epoch), Suspicion::Doubt);
    assert_eq!(suspicion(&mut rig, &mut epoch), Suspicion::Suspect);
    rig.commit(epoch, 2);
    rig.take();
    assert_eq!(suspicion(&mut rig, &mut epoch), Suspicion::None);
}

#[test]
fn progress_clears_the_strikes_but_care_is_taken_until_the_inputs_in_doubt_are_behind() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
    for word in ["a", "b", "c"] {
        rig.control(word);
    }
    again(&mut rig, &mut epoch);
    assert_eq!(again(&mut rig, &mut epoch), [2]);
    assert_eq!(rig.view().strikes, 1);
    rig.commit(epoch, 2);
    assert_eq!(rig.view().strikes, 0);
    rig.control("d");
    rig.control("e");
    let outs = rig.take();
    let left = Suspicion::Doubt;
    assert!(outs.says(&Report::Cleared { epoch, left }), "as is said");
    assert_eq!(outs.seqs(epoch), [3], "the others are still in doubt");
    rig.commit(epoch, 3);
    let outs = rig.take();
    assert_eq!(outs.seqs(epoch), [4]);
    assert!(
        !outs
            .reports()
            .any(|report| matches!(report, Report::Cleared { .. }))
    );
    rig.commit(epoch, 4);
    let outs = rig.take();
    let left = Suspicion::None;
    assert!(outs.says(&Report::Cleared { epoch, left }));
    assert_eq!(outs.seqs(epoch), [5, 6], "no input is in doubt any more");
}

#[test]
fn a_worker_hears_at_once_that_a_session_is_no_suspect_any_more() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
    rig.control("a");
    again(&mut rig, &mut epoch);
    rig.commit(epoch, 2);
    let outs = rig.take();
    assert_eq!(outs.applied(epoch), [1], "though nothing follows");
    // Who is under no suspicion hears it with what comes next.
    rig.commit_with(epoch, 2, vec![send("caller", "more")]);
    assert!(rig.take().applied(epoch).is_empty());
}

#[test]
fn every_worker_that_failed_is_named_until_there_is_progress() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
    rig.control("a");
    again(&mut rig, &mut epoch);
    again(&mut rig, &mut epoch);
    rig.lose(epoch);
    let seek = rig.take().seeks()[0].clone();
    let workers: Vec<_> = seek.failed.iter().map(|(worker, _)| worker.0).collect();
    assert_eq!(workers, [epoch.0 - 2, epoch.0 - 1, epoch.0]);
    epoch = seek.epoch;
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.commit(epoch, 2);
    rig.take();
    rig.lose(epoch);
    let seek = rig.take().seeks()[0].clone();
    assert!(
        seek.failed.is_empty(),
        "an idle worker's end is nobody's failure"
    );
}

#[test]
fn a_poison_input_deep_in_a_batch_is_found_without_killing_a_worker_for_each_input_before_it() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    for word in 0..50 {
        rig.control(&word.to_string());
    }
    let poison = 41;
    let mut deaths = 0;
    while rig.view().ending.is_none() {
        // The worker commits at the end of what it was handed at once, or dies in its middle.
        let outs = rig.take().seqs(epoch);
        if outs.contains(&poison) || outs.is_empty() {
            deaths += 1;
            rig.lose(epoch);
            if rig.view().ending.is_none() {
                epoch = rig.attach();
            }
        } else {
            rig.commit(epoch, *outs.last().unwrap());
        }
    }
    assert_eq!(deaths, 3, "as many as poison_limit allows");
    assert_eq!(rig.view().committed.0, poison - 1);
    assert_eq!(rig.take().ending(), Some(EndReason::Poisoned));
}

#[test]
fn at_the_limit_the_session_ends_alone_and_kills_no_further_worker() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 3);
    rig.control("boom");
    again(&mut rig, &mut epoch);
    again(&mut rig, &mut epoch);
    rig.lose(epoch);
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(EndReason::Poisoned));
    assert!(outs.seeks().is_empty());
    assert_eq!(outs.closes(), [(caller(), 1011)]);
    rig.closed(caller(), Fault::None);
    let outs = rig.take();
    assert!(outs.finished() && outs.seeks().is_empty());
    // The fatal input, the caller's close, and the end itself.
    assert!(outs.says(&Report::EndLost { inputs: 3 }));
}

#[test]
fn who_is_found_out_while_it_ends_kills_no_further_worker_in_another_process_either() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 3);
    rig.control("boom");
    again(&mut rig, &mut epoch);
    again(&mut rig, &mut epoch);
    let (reason, detail) = (EndReason::Operator, String::new());
    rig.feed(Event::End { reason, detail });
    rig.lose(epoch);
    assert!(rig.take().seeks().is_empty());
    let bytes = rig.session.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&bytes).unwrap();
    rig.session = Session::restore(snapshot, rig.limits.clone(), rig.now);
    rig.advance(ms(1_000));
    assert!(rig.take().seeks().is_empty());
}

#[test]
fn a_target_that_waits_is_spared_when_the_limit_is_reached() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    rig.control("boom");
    again(&mut rig, &mut epoch);
    again(&mut rig, &mut epoch);
    rig.said(epoch, FromWorker::Draining { within: None });
    let target = rig.attach();
    rig.lose(epoch);
    let outs = rig.take();
    assert!(outs.hangup(target).is_some() && outs.attach(target).is_none());
    assert_eq!(outs.ending(), Some(EndReason::Poisoned));
}

/// Lets the search for a worker fail, every 50 ms for so long. Is the seek that follows.
fn sought_in_vain(rig: &mut Rig, wait: Duration, crowded: bool) -> Seek {
    let mut seek = rig.take().seeks()[0].clone();
    let mut waited = Duration::ZERO;
    while waited < wait {
        rig.feed(Event::SeekFailed {
            epoch: seek.epoch,
            reason: "2 workers: 1 draining, 1 with another suspect session".to_owned(),
            crowded,
        });
        rig.advance(ms(50));
        waited += ms(50);
        seek = rig.take().seeks()[0].clone();
    }
    seek
}

/// A worker takes the session.
fn taken(rig: &mut Rig, seek: &Seek) -> Epoch {
    rig.offer(seek.epoch);
    rig.said(seek.epoch, FromWorker::Accept);
    seek.epoch
}

/// A session that waits so long for isolation, has its first strike, and has lost its worker.
fn struck(isolation_wait: Duration) -> Rig {
    let (mut rig, mut epoch) = Rig::running(|limits| {
        limits.isolation_wait = isolation_wait;
        limits.seek_min = ms(50);
        limits.seek_max = ms(50);
    });
    rig.control("boom");
    again(&mut rig, &mut epoch);
    rig.lose(epoch);
    rig
}

#[test]
fn a_call_that_kills_ends_at_the_limit_however_long_its_next_workers_are_in_coming() {
    let (mut rig, mut epoch) = Rig::running(|limits| {
        limits.isolation_wait = ms(200);
        limits.seek_min = ms(50);
        limits.seek_max = ms(50);
    });
    rig.control("boom");
    let mut deaths = 0;
    while rig.view().ending.is_none() {
        deaths += 1;
        assert!(deaths <= 3, "one more than poison_limit allows");
        rig.lose(epoch);
        if rig.view().ending.is_none() {
            let seek = sought_in_vain(&mut rig, ms(1_000), false);
            epoch = taken(&mut rig, &seek);
        }
    }
    assert_eq!(rig.take().ending(), Some(EndReason::Poisoned));
}

#[test]
fn time_without_any_worker_does_not_count_as_time_without_a_place_apart() {
    let mut rig = struck(ms(200));
    let seek = sought_in_vain(&mut rig, ms(150), true);
    assert!(seek.suspect.is_some());
    rig.feed(Event::SeekFailed {
        epoch: seek.epoch,
        reason: "no worker is known".to_owned(),
        crowded: false,
    });
    rig.advance(ms(50));
    let seek = sought_in_vain(&mut rig, ms(150), true);
    assert!(seek.suspect.is_some(), "the other suspect went with it");
    rig.feed(Event::SeekFailed {
        epoch: seek.epoch,
        reason: "1 worker: 1 with another suspect session".to_owned(),
        crowded: true,
    });
    rig.advance(ms(50));
    assert!(rig.take().seeks()[0].suspect.is_none());
}

#[test]
fn a_worker_that_has_no_room_for_a_suspect_now_denies_it_a_place_and_an_edge_that_was_away_does_not()
 {
    let turned_down = |rig: &mut Rig, epoch, retry| {
        rig.offer(epoch);
        let reason = "another session may make workers fail".to_owned();
        rig.said(epoch, FromWorker::Reject { reason, retry });
        rig.advance(ms(50));
        rig.take().seeks()[0].clone()
    };
    for (retry, turns, away, apart) in [
        (true, 6, 0, false),
        (true, 3, 1_000, true),
        (false, 9, 0, true),
    ] {
        let mut rig = struck(ms(300));
        let mut epoch = rig.take().seeks()[0].epoch;
        for _ in 1..turns {
            epoch = turned_down(&mut rig, epoch, retry).epoch;
        }
        rig.freeze(ms(away));
        let seek = turned_down(&mut rig, epoch, retry);
        assert_eq!(seek.suspect.is_some(), apart, "{retry} {turns} {away}");
    }
}

/// Lets the search for a worker fail until the session may go to any, and attaches it there.
fn placed_anyway(rig: &mut Rig, wait: Duration) -> Epoch {
    let mut epoch = rig.take().seeks()[0].epoch;
    let mut waited = Duration::ZERO;
    while waited < wait {
        rig.feed(Event::SeekFailed {
            epoch,
            reason: "1 worker: 1 with another suspect session".to_owned(),
            crowded: true,
        });
        assert!(rig.take().seeks().is_empty());
        rig.advance(ms(50));
        waited += ms(50);
        let seek = rig.take().seeks()[0].clone();
        assert_eq!(seek.suspect.is_some(), waited < wait, "after {waited:?}");
        epoch = seek.epoch;
    }
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    epoch
}

#[test]
fn where_a_suspect_cannot_be_kept_apart_it_goes_anywhere_and_no_loss_there_is_held_against_it() {
    let (mut rig, mut epoch) = Rig::running(|limits| {
        limits.isolation_wait = ms(200);
        limits.seek_min = ms(50);
        limits.seek_max = ms(50);
    });
    rig.control("slow for all");
    again(&mut rig, &mut epoch);
    rig.lose(epoch);
    for _ in 0..9 {
        epoch = placed_anyway(&mut rig, ms(200));
        assert_eq!(rig.take().seqs(epoch), [2]);
        rig.lose(epoch);
        assert_eq!((rig.view().ending, rig.view().strikes), (None, 1));
    }
    // The same loss where it was kept apart is the verdict.
    epoch = rig.take().seeks()[0].epoch;
    rig.offer(epoch);
    rig.said(epoch, FromWorker::Accept);
    rig.lose(epoch);
    assert_eq!(rig.take().ending(), Some(EndReason::Poisoned));
}

#[test]
fn no_session_is_ended_for_losses_while_it_was_not_kept_apart_however_low_the_limit() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 1);
    rig.control("boom");
    again(&mut rig, &mut epoch);
    again(&mut rig, &mut epoch);
    assert_eq!(rig.view().ending, None);
    rig.lose(epoch);
    assert_eq!(rig.take().ending(), Some(EndReason::Poisoned));
}

/// Waits until the worker is given up, at `patience` and not before, and attaches the next.
fn outwaited(rig: &mut Rig, epoch: &mut Epoch, patience: u64) {
    rig.advance(ms(patience - 1));
    assert!(rig.take().hangup(*epoch).is_none(), "before {patience} ms");
    rig.advance(ms(1));
    let outs = rig.take();
    assert_eq!(outs.hangup(*epoch), Some(HangupCause::Stuck));
    *epoch = outs.seeks()[0].epoch;
    rig.offer(*epoch);
    rig.said(*epoch, FromWorker::Accept);
}

#[test]
fn each_worker_in_a_row_gets_more_time_up_to_four_times_as_much() {
    let (mut rig, mut epoch) = Rig::running(|limits| {
        limits.poison_limit = 9;
        limits.hold_after = None;
    });
    rig.control("slow for all");
    for patience in [1_000, 2_000, 4_000, 4_000] {
        outwaited(&mut rig, &mut epoch, patience);
    }
    // Who made progress is like new to the next.
    rig.commit(epoch, 2);
    rig.lose(epoch);
    let epoch = &mut rig.take().seeks()[0].epoch.clone();
    rig.offer(*epoch);
    rig.said(*epoch, FromWorker::Accept);
    rig.control("slow again");
    outwaited(&mut rig, epoch, 1_000);
}

#[test]
fn who_got_more_time_and_gets_on_for_long_is_held_to_the_usual_time_again() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    rig.control("slow once");
    outwaited(&mut rig, &mut epoch, 1_000);
    rig.commit(epoch, 2);
    rig.advance(ms(8_999));
    rig.control("soon");
    rig.commit(epoch, 3);
    rig.control("slow");
    rig.advance(ms(1_000));
    assert!(rig.take().hangup(epoch).is_none());
    rig.commit(epoch, 4);
    rig.control("now it is ten seconds");
    rig.advance(ms(1));
    rig.commit(epoch, 5);
    rig.control("slow again");
    outwaited(&mut rig, &mut epoch, 1_000);
}

#[test]
fn those_who_failed_it_last_are_remembered() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.isolation_wait = ms(0));
    rig.control("boom");
    for losses in 1..6 {
        rig.lose(epoch);
        let seek = sought_in_vain(&mut rig, ms(50), true);
        assert_eq!(seek.failed.len(), losses.min(3));
        epoch = taken(&mut rig, &seek);
    }
}

#[test]
fn a_loop_of_kills_never_poisons_a_call_that_is_idle() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 2);
    for _ in 0..20 {
        rig.advance(ms(1_500));
        assert!(again(&mut rig, &mut epoch).is_empty());
    }
    assert_eq!((rig.view().ending, rig.view().strikes), (None, 0));
}

#[test]
fn a_loop_of_kills_never_poisons_a_call_that_progresses() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    for turn in 0..20 {
        rig.control("more");
        rig.control("and more");
        rig.commit(epoch, turn + 2);
        again(&mut rig, &mut epoch);
    }
    assert_eq!(rig.view().ending, None);
}

#[test]
fn a_slow_call_that_goes_on_a_little_between_kills_is_no_poison() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    for word in 0..50 {
        rig.control(&word.to_string());
    }
    for through in 2..40 {
        again(&mut rig, &mut epoch);
        rig.commit(epoch, through);
    }
    assert_eq!((rig.view().ending, rig.view().strikes), (None, 0));
}

#[test]
fn inputs_that_a_waiting_commit_covers_did_no_harm() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.leg_high = 3);
    rig.commit_with(epoch, 1, vec![send("caller", "slow to be written")]);
    rig.control("a");
    for _ in 0..9 {
        rig.commit_with(epoch, 2, vec![send("caller", "waits")]);
        again(&mut rig, &mut epoch);
    }
    assert_eq!((rig.view().ending, rig.view().strikes), (None, 0));
}

#[test]
fn a_state_that_kills_whoever_reads_it_is_poison_though_nothing_is_outstanding() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    for _ in 0..3 {
        again(&mut rig, &mut epoch);
    }
    let outs = rig.take();
    assert!(
        outs.inputs(epoch)
            .iter()
            .all(|input| !matches!(input.kind, InputKind::Gap(_)))
    );
    assert_eq!(rig.view().ending, None);
    rig.lose(epoch);
    assert_eq!(rig.take().ending(), Some(EndReason::Poisoned));
}

#[test]
fn a_call_whose_state_alone_kills_is_kept_apart_from_other_suspects() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    for _ in 0..2 {
        again(&mut rig, &mut epoch);
    }
    rig.lose(epoch);
    let outs = rig.take();
    assert!(outs.says(&Report::Strike { strikes: 1 }));
    assert!(outs.seeks()[0].suspect.is_some());
}
