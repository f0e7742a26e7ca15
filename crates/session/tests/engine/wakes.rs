//! When the engine asks to be called again: exactly when something is due, so that a shell may
//! sleep until then, and what it makes of a shell that comes later.

use holdline_session::{Event, Fault, FromWorker, InputKind};

use super::rig::{Rig, caller, close, model, ms, send, set};

/// In how many milliseconds the engine wants to be called.
fn wake_in(rig: &Rig) -> Option<u128> {
    let wake = rig.session.next_wake();
    wake.map(|at| at.since(rig.now).as_millis())
}

#[test]
fn an_idle_session_asks_for_nothing() {
    let (rig, _) = Rig::bridged(|_| {});
    assert_eq!(wake_in(&rig), None);
}

#[test]
fn the_nearest_of_what_a_session_waits_for_is_asked_for() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.leg_high = 3);
    let all = vec![set("timer", ms(12_000), 1), send("caller", "slow")];
    rig.commit_with(epoch, 2, all);
    assert_eq!(wake_in(&rig), Some(10_000), "the write time-out");
    rig.commit_with(epoch, 2, vec![close("model")]);
    assert_eq!(wake_in(&rig), Some(2_500), "the close and its grace");
    rig.closed(model(), Fault::None);
    rig.commit(epoch, 3);
    rig.written(caller(), 1, 4);
    assert_eq!(wake_in(&rig), Some(12_000), "the timer");
}

#[test]
fn a_lost_caller_and_an_end_are_looked_at_again_when_their_time_is_over() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.closed(caller(), Fault::Network);
    rig.commit(epoch, 2);
    assert_eq!(wake_in(&rig), Some(100), "to notice its own absence");
    rig.advance(ms(15_000));
    rig.take();
    // The end is outstanding, and the worker is waited for.
    assert_eq!(wake_in(&rig), Some(100));
}

#[test]
fn a_worker_that_is_waited_for_is_looked_at_often_and_at_last_when_it_is_overdue() {
    let (mut rig, _) = Rig::running(|_| {});
    rig.control("hello");
    let mut wakes = Vec::new();
    while rig.view().attachment.is_some() {
        wakes.push(wake_in(&rig).unwrap());
        rig.now = rig.session.next_wake().unwrap();
        rig.feed(Event::Tick);
    }
    assert_eq!(wakes, [100; 10]);
    assert_eq!(rig.take().losses(), ["stuck"]);
}

#[test]
fn an_offer_and_a_release_are_overdue_at_their_time() {
    let (mut rig, old) = Rig::running(|limits| {
        limits.offer_timeout = ms(90);
        limits.release_timeout = ms(70);
    });
    rig.said(old, FromWorker::Draining { within: None });
    assert_eq!(wake_in(&rig), Some(90));
    rig.advance(ms(50));
    let new = rig.sought();
    rig.offer(new);
    assert_eq!(
        wake_in(&rig),
        Some(90),
        "an offer's time begins when it is sent"
    );
    rig.said(new, FromWorker::Accept);
    assert_eq!(wake_in(&rig), Some(70));
}

#[test]
fn a_close_is_given_its_time_again_after_the_edge_stood_still() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.commit_with(epoch, 2, vec![close("model")]);
    rig.control("keeps the engine looking at its clock");
    rig.take();
    rig.freeze(ms(3_000));
    assert!(rig.take().inputs(epoch).is_empty());
    rig.commit(epoch, 3);
    rig.advance(ms(2_399));
    assert!(rig.take().inputs(epoch).is_empty());
    rig.advance(ms(1));
    let kinds = rig.take().kinds(epoch);
    assert!(matches!(&kinds[..], [InputKind::LegClosed { leg, .. }] if *leg == model()));
}

#[test]
fn a_slow_leg_is_given_its_time_again_after_the_edge_stood_still() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 3);
    rig.commit_with(epoch, 1, vec![send("caller", "slow")]);
    rig.control("keeps the engine looking at its clock");
    rig.take();
    rig.freeze(ms(11_000));
    assert!(rig.take().closes().is_empty());
    rig.commit(epoch, 2);
    rig.advance(ms(9_899));
    assert!(rig.take().closes().is_empty());
    rig.advance(ms(1));
    assert_eq!(rig.take().closes(), [(caller(), 1011)]);
}

#[test]
fn a_shell_that_is_merely_busy_is_no_reason_to_forgive_anyone() {
    let (mut rig, _) = Rig::running(|_| {});
    rig.control("hello");
    rig.advance(ms(950));
    // Asked for at 1,000 ms, called a hair before 50 ms more: the worker is stuck all the same.
    rig.freeze(ms(99));
    assert_eq!(rig.take().losses(), ["stuck"]);
}

#[test]
fn what_lies_unread_after_the_edge_stood_still_is_read_before_anyone_is_blamed() {
    let (mut rig, _) = Rig::running(|_| {});
    rig.control("hello");
    rig.advance(ms(950));
    rig.freeze(ms(3_000));
    rig.advance(ms(49));
    assert!(rig.take().losses().is_empty());
    rig.advance(ms(1));
    assert_eq!(rig.take().losses(), ["stuck"]);
}

#[test]
fn an_end_is_overdue_at_its_time_and_not_because_the_edge_stood_still() {
    let (mut rig, _) = Rig::running(|limits| limits.end_timeout = ms(600));
    rig.closed(caller(), Fault::None);
    rig.freeze(ms(5_000));
    assert!(!rig.session.is_over());
    rig.advance(ms(450));
    assert_eq!(wake_in(&rig), Some(50));
    rig.advance(ms(49));
    assert!(!rig.session.is_over());
    rig.advance(ms(1));
    assert!(rig.take().finished());
}

#[test]
fn a_session_that_seeks_no_worker_any_more_is_not_looked_at_for_one() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    rig.control("boom");
    for _ in 0..2 {
        rig.lose(epoch);
        epoch = rig.attach();
    }
    rig.lose(epoch);
    assert_eq!(
        rig.take().ending(),
        Some(holdline_session::EndReason::Poisoned)
    );
    assert_eq!(wake_in(&rig), Some(2_500), "only its leg is waited for");
}
