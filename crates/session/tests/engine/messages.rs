//! How inputs travel: which message carries which of them, and when a worker is told in an
//! otherwise empty one how many of its commits count.

use holdline_session::{Epoch, Output, ToWorker};

use super::rig::{Outs, Rig, puts};

/// Messages of inputs to a worker: how many inputs each carries, and the commits it tells of.
fn messages(outs: &Outs, epoch: Epoch) -> Vec<(usize, u64)> {
    let messages = outs.0.iter().filter_map(|out| match out {
        Output::ToWorker {
            epoch: to,
            message: ToWorker::Inputs { inputs, applied },
        } if *to == epoch => Some((inputs.len(), *applied)),
        _ => None,
    });
    messages.collect()
}

#[test]
fn a_message_takes_as_many_inputs_as_fit() {
    let (mut rig, epoch) = Rig::running(|limits| limits.message_bytes = 684);
    rig.lose(epoch);
    for _ in 0..7 {
        rig.control(&"x".repeat(100));
    }
    let next = rig.attach();
    assert_eq!(messages(&rig.take(), next), [(3, 0), (3, 0), (1, 0)]);
}

#[test]
fn sixteen_commits_that_nothing_else_tells_of_are_told_of_at_once() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("a");
    rig.take();
    for told in [17, 33] {
        for _ in 0..15 {
            rig.commit(epoch, 1);
        }
        assert!(messages(&rig.take(), epoch).is_empty());
        rig.commit(epoch, 1);
        assert_eq!(messages(&rig.take(), epoch), [(0, told)]);
    }
}

#[test]
fn inputs_tell_of_commits_on_their_way_and_nothing_is_said_twice() {
    let (mut rig, epoch) = Rig::running(|_| {});
    for _ in 0..10 {
        rig.commit(epoch, 1);
    }
    rig.control("a");
    assert_eq!(messages(&rig.take(), epoch), [(1, 11)]);
    for _ in 0..15 {
        rig.commit(epoch, 1);
    }
    assert!(messages(&rig.take(), epoch).is_empty());
    rig.control("b");
    assert_eq!(messages(&rig.take(), epoch), [(1, 26)]);
}

#[test]
fn an_input_that_comes_with_the_sixteenth_commit_carries_the_word_itself() {
    let (mut rig, epoch) = Rig::running(|limits| limits.window_inputs = 1);
    rig.control("a");
    rig.control("waits for the window");
    for _ in 0..14 {
        rig.commit(epoch, 1);
    }
    rig.take();
    rig.commit(epoch, 1);
    rig.commit(epoch, 2);
    assert_eq!(messages(&rig.take(), epoch), [(1, 17)]);
}

#[test]
fn a_state_that_shrank_to_exactly_seventy_percent_is_still_near_its_limit() {
    let (mut rig, epoch) = Rig::running(|limits| limits.state_bytes = 100);
    let mut notices = Vec::new();
    for size in [80, 70, 80, 69, 80] {
        rig.take();
        let value = "x".repeat(size - 1);
        let through = rig.view().last.0;
        rig.commit_all(epoch, puts(through, 0, &[("k", &value)]));
        notices.push(messages(&rig.take(), epoch).len());
    }
    assert_eq!(notices, [1, 0, 0, 0, 1]);
}
