//! Timers: set and cancelled by commits, kept by the edge.

use holdline_session::{Epoch, Event, InputKind};

use super::rig::{Outs, Rig, cancel, ms, set};

/// Timers that fired, as name, tag and staleness.
fn fires(outs: &Outs, epoch: Epoch) -> Vec<(String, u64, bool)> {
    let fires = outs.kinds(epoch).into_iter().filter_map(|kind| match kind {
        InputKind::TimerFired { name, tag, stale } => Some((name, tag, stale)),
        _ => None,
    });
    fires.collect()
}

fn fired(name: &str, tag: u64, stale: bool) -> (String, u64, bool) {
    (name.to_owned(), tag, stale)
}

#[test]
fn timers_fire_when_due_in_order_and_once() {
    let (mut rig, epoch) = Rig::running(|_| {});
    let all = vec![
        set("c", ms(20), 3),
        set("b", ms(10), 2),
        set("a", ms(20), 1),
    ];
    rig.commit_with(epoch, 1, all);
    rig.advance(ms(9));
    assert!(fires(&rig.take(), epoch).is_empty());
    rig.freeze(ms(50));
    let expected = [
        fired("b", 2, false),
        fired("a", 1, false),
        fired("c", 3, false),
    ];
    assert_eq!(fires(&rig.take(), epoch), expected);
    rig.advance(ms(500));
    assert!(fires(&rig.take(), epoch).is_empty());
}

#[test]
fn a_timer_set_again_or_cancelled_does_not_fire_as_it_was() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![set("a", ms(10), 1), set("b", ms(10), 1)]);
    rig.commit_with(
        epoch,
        1,
        vec![set("a", ms(30), 2), cancel("b"), cancel("none")],
    );
    rig.advance(ms(29));
    assert!(fires(&rig.take(), epoch).is_empty());
    rig.advance(ms(1));
    assert_eq!(fires(&rig.take(), epoch), [fired("a", 2, false)]);
}

#[test]
fn a_fire_that_waits_in_the_log_is_stale_once_its_timer_is_cancelled_or_set_again() {
    let (mut rig, epoch) = Rig::running(|limits| limits.window_inputs = 1);
    let three = vec![
        set("a", ms(10), 1),
        set("b", ms(10), 1),
        set("c", ms(10), 1),
    ];
    rig.commit_with(epoch, 1, three);
    rig.control("keeps the window full");
    rig.advance(ms(10));
    rig.take();
    rig.commit_with(epoch, 2, vec![cancel("a"), set("b", ms(50), 2)]);
    let mut seen = Vec::new();
    for through in 3..6 {
        seen.extend(fires(&rig.take(), epoch));
        rig.commit(epoch, through);
    }
    assert_eq!(
        seen,
        [
            fired("a", 1, true),
            fired("b", 1, true),
            fired("c", 1, false)
        ]
    );
    rig.advance(ms(50));
    assert_eq!(fires(&rig.take(), epoch), [fired("b", 2, false)]);
}

#[test]
fn a_fire_whose_own_commit_sets_the_timer_again_leaves_the_new_one_alone() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![set("beat", ms(10), 1)]);
    rig.advance(ms(10));
    rig.commit_with(epoch, 2, vec![set("beat", ms(10), 2)]);
    rig.advance(ms(10));
    assert_eq!(
        fires(&rig.take(), epoch),
        [fired("beat", 1, false), fired("beat", 2, false)]
    );
}

#[test]
fn timers_run_on_while_no_worker_is_there_and_the_next_one_is_told_of_all() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(
        epoch,
        1,
        vec![set("soon", ms(10), 1), set("later", ms(100), 2)],
    );
    rig.lose(epoch);
    let next = rig.sought();
    rig.advance(ms(40));
    rig.take();
    rig.offer(next);
    rig.said(next, holdline_session::FromWorker::Accept);
    let outs = rig.take();
    let timers = outs.attach(next).unwrap().timers;
    assert_eq!(
        timers,
        [
            ("later".to_owned(), ms(60), 2),
            ("soon".to_owned(), ms(0), 1)
        ]
    );
    assert_eq!(fires(&outs, next), [fired("soon", 1, false)]);
}

#[test]
fn a_fire_that_was_not_committed_comes_again_and_may_have_become_stale() {
    let (mut rig, first) = Rig::running(|_| {});
    rig.commit_with(first, 1, vec![set("a", ms(10), 1)]);
    rig.control("before the fire");
    rig.advance(ms(10));
    assert_eq!(fires(&rig.take(), first), [fired("a", 1, false)]);
    rig.commit_with(first, 2, vec![cancel("a")]);
    rig.lose(first);
    let second = rig.attach();
    let outs = rig.take();
    assert!(
        outs.attach(second).unwrap().timers.is_empty(),
        "it was cancelled"
    );
    assert_eq!(fires(&outs, second), [fired("a", 1, true)]);
}

#[test]
fn a_timer_of_no_time_fires_at_the_next_look() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![set("now", ms(0), 1)]);
    assert_eq!(rig.session.next_wake(), Some(rig.now));
    rig.feed(Event::Tick);
    assert_eq!(fires(&rig.take(), epoch), [fired("now", 1, false)]);
}

#[test]
fn no_timer_outlives_the_end() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![set("a", ms(10), 1)]);
    let reason = holdline_session::EndReason::Operator;
    rig.feed(Event::End {
        reason,
        detail: String::new(),
    });
    rig.commit_with(epoch, 1, vec![set("b", ms(10), 1)]);
    rig.advance(ms(100));
    assert!(fires(&rig.take(), epoch).is_empty());
}
