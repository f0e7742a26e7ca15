//! A session as data: the same call goes on in another process.

use holdline_session::{
    AttachReason, EndReason, Fault, InputKind, Limits, Seq, Session, Snapshot, SnapshotError,
};

use super::rig::{Rig, caller, ms, puts, send, set};

/// Through bytes and back, as another process would.
fn reborn(rig: &mut Rig) {
    let bytes = rig.session.snapshot().to_bytes().unwrap();
    let snapshot = Snapshot::from_bytes(&bytes).unwrap();
    assert_eq!(snapshot, rig.session.snapshot());
    rig.session = Session::restore(snapshot, rig.limits.clone(), rig.now);
    rig.feed(holdline_session::Event::Tick);
}

#[test]
fn a_restored_session_attaches_anew_under_a_higher_epoch_and_replays() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.commit_all(epoch, puts(2, 4, &[("k", "v")]));
    rig.commit_all(
        epoch,
        holdline_session::Commit {
            through: Seq(2),
            schema: 4,
            commands: vec![set("t", ms(100), 9), send("model", "unwritten")],
            ..Default::default()
        },
    );
    rig.control("uncommitted");
    rig.take();
    reborn(&mut rig);
    let seek = rig.take().seeks().remove(0);
    assert!(seek.epoch > epoch.next());
    assert_eq!((seek.reason, seek.schema), (AttachReason::Resume, 4));
    rig.commit_with(epoch, 3, vec![send("caller", "from the past")]);
    assert!(rig.take().sends().is_empty());
    rig.offer(seek.epoch);
    rig.said(seek.epoch, holdline_session::FromWorker::Accept);
    let outs = rig.take();
    let attach = outs.attach(seek.epoch).unwrap();
    assert_eq!(attach.timers, [("t".to_owned(), ms(100), 9)]);
    assert_eq!((attach.state.len(), attach.legs.len()), (1, 2));
    assert_eq!(outs.seqs(seek.epoch), [3]);
    assert_eq!(rig.view().unwritten_bytes, [0, 9]);
    assert_eq!(rig.session.account().replayed, 1);
}

#[test]
fn strikes_waits_and_ends_survive_too() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("boom");
    rig.lose(epoch);
    let next = rig.attach();
    rig.lose(next);
    reborn(&mut rig);
    assert_eq!(rig.view().strikes, 1);
    rig.attach();
    rig.closed(caller(), Fault::Network);
    reborn(&mut rig);
    rig.take();
    rig.advance(ms(15_000));
    assert_eq!(rig.take().ending(), Some(EndReason::CallerLost));
}

#[test]
fn a_poisoned_session_kills_no_worker_after_it_was_restored_either() {
    let (mut rig, mut epoch) = Rig::running(|_| {});
    rig.control("boom");
    for _ in 0..2 {
        rig.lose(epoch);
        epoch = rig.attach();
    }
    rig.lose(epoch);
    assert_eq!(rig.take().ending(), Some(EndReason::Poisoned));
    reborn(&mut rig);
    rig.advance(ms(1_000));
    assert!(rig.take().seeks().is_empty());
    rig.closed(caller(), Fault::None);
    assert!(rig.take().finished());
}

#[test]
fn a_gap_that_a_worker_of_the_old_process_had_received_is_loss_for_the_next() {
    let (mut rig, epoch) = Rig::running(|limits| limits.log_frames = 2);
    for _ in 0..4 {
        rig.media("x");
    }
    assert_eq!(rig.take().seqs(epoch), [2, 3, 4, 5]);
    reborn(&mut rig);
    let next = rig.attach();
    assert!(matches!(rig.take().kinds(next)[0], InputKind::Gap(_)));
    rig.commit(next, 5);
    assert_eq!(rig.take().media_lost(), [(2, 3)]);
}

#[test]
fn a_session_keeps_what_it_has_where_the_new_limits_are_smaller() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_all(epoch, puts(1, 1, &[("k", "a long value")]));
    let mut two = puts(1, 1, &[]);
    two.commands = vec![set("a", ms(500), 1), set("b", ms(500), 1)];
    rig.commit_all(epoch, two);
    rig.limits = Limits {
        state_bytes: 4,
        state_keys: 0,
        timers: 1,
        legs: 0,
        ..Limits::default()
    };
    reborn(&mut rig);
    let next = rig.attach();
    rig.take();
    rig.commit_all(next, puts(1, 1, &[]));
    assert!(
        rig.take().losses().is_empty(),
        "what stands is no fault of the worker"
    );
}

#[test]
fn damaged_bytes_are_refused_and_never_believed() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_frames = 4);
    rig.commit_all(epoch, puts(2, 1, &[("k", "v")]));
    rig.commit_with(epoch, 2, vec![]);
    for _ in 0..6 {
        rig.media("hello");
    }
    let bytes = rig.session.snapshot().to_bytes().unwrap();
    assert!(matches!(
        Snapshot::from_bytes(&[]),
        Err(SnapshotError::Empty)
    ));
    let mut other = bytes.clone();
    other[0] = 99;
    assert!(matches!(
        Snapshot::from_bytes(&other),
        Err(SnapshotError::Layout { found: 99 })
    ));
    for length in 1..bytes.len() {
        assert!(
            Snapshot::from_bytes(&bytes[..length]).is_err(),
            "cut at {length}"
        );
    }
    for at in 1..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            assert!(
                Snapshot::from_bytes(&damaged).is_err(),
                "bit {bit} of byte {at}"
            );
        }
    }
}
