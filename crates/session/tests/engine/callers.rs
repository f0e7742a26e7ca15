//! The caller's leg: hanging up, being lost, coming back.

use holdline_session::{Attributes, Class, EndReason, Event, Fault, InputKind, LegRef, LegState};

use super::rig::{Rig, caller, model, ms, send};

fn back(rig: &mut Rig) {
    let attributes = Attributes::from([("stream_sid".to_owned(), "MZ2".to_owned())]);
    rig.feed(Event::CallerReplaced { attributes });
}

#[test]
fn a_stop_ends_the_session_as_an_ordinary_hang_up() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.frame(caller(), Class::Stop, "stop");
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(EndReason::CallerHungUp));
    assert_eq!(outs.seqs(epoch), [3], "the worker hears the stop itself");
    assert_eq!(outs.closes(), [(caller(), 1000), (model(), 1000)]);
}

#[test]
fn a_close_says_by_its_fault_why_the_session_ends() {
    for (fault, reason) in [
        (Fault::None, EndReason::CallerHungUp),
        (Fault::Peer, EndReason::CallerProtocol),
    ] {
        let (mut rig, _) = Rig::running(|_| {});
        rig.closed(caller(), fault);
        assert_eq!(rig.take().ending(), Some(reason));
    }
    let (mut rig, _) = Rig::running(|limits| limits.resume_window = ms(0));
    rig.closed(caller(), Fault::Network);
    assert_eq!(rig.take().ending(), Some(EndReason::CallerLost));
}

#[test]
fn a_caller_lost_without_stop_is_awaited_and_its_return_is_an_input() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![send("caller", "unheard")]);
    rig.take();
    rig.closed(caller(), Fault::Network);
    let kinds = rig.take().kinds(epoch);
    assert!(matches!(
        &kinds[..],
        [InputKind::LegClosed {
            unsent_frames: 1,
            ..
        }]
    ));
    assert_eq!(
        rig.session.leg_state(&caller().name),
        Some(LegState::Awaited)
    );
    rig.commit_with(epoch, 2, vec![send("caller", "into the void")]);
    assert!(rig.take().sends().is_empty());
    rig.commit(epoch, 3);
    rig.advance(ms(14_999));
    rig.take();
    back(&mut rig);
    let outs = rig.take();
    assert!(outs.closes().is_empty(), "there is no old socket");
    assert!(outs.kinds(epoch).iter().any(|kind| matches!(
        kind,
        InputKind::LegReplaced { old, new, unsent_frames: 0, .. } if (old.0, new.0) == (1, 2)
    )));
    let through = rig.view().last.0;
    let next = rig.view().attachment.unwrap().epoch;
    rig.commit_with(next, through, vec![send("caller", "welcome back")]);
    assert_eq!(rig.take().sends(), ["caller#2:welcome back"]);
    assert_eq!(rig.session.account().resumes, 1);
}

#[test]
fn a_caller_that_does_not_come_back_in_time_ends_the_session() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.closed(caller(), Fault::Network);
    rig.commit(epoch, 2);
    rig.advance(ms(14_999));
    assert_eq!(rig.view().ending, None);
    rig.advance(ms(1));
    let outs = rig.take();
    assert_eq!(outs.ending(), Some(EndReason::CallerLost));
    assert!(outs.closes().is_empty());
    assert!(matches!(
        outs.kinds(epoch)[..],
        [
            ..,
            InputKind::SessionEnded {
                reason: EndReason::CallerLost,
                fault: Fault::Network,
                ..
            }
        ]
    ));
}

#[test]
fn a_second_stream_of_the_call_wins_while_the_old_socket_lives() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![send("caller", "unheard")]);
    for incarnation in 2..4 {
        rig.take();
        back(&mut rig);
        let outs = rig.take();
        let old = LegRef::new("caller", incarnation - 1);
        assert_eq!(outs.closes(), [(old.clone(), 1000)]);
        let unsent = u64::from(incarnation == 2);
        assert!(matches!(
            outs.kinds(epoch)[..],
            [InputKind::LegReplaced { unsent_frames, .. }] if unsent_frames == unsent
        ));
        rig.frame(old.clone(), Class::Control, "ghost");
        rig.closed(old, Fault::Network);
        assert!(rig.take().inputs(epoch).is_empty());
        rig.frame(LegRef::new("caller", incarnation), Class::Control, "me");
        assert_eq!(rig.take().inputs(epoch).len(), 1);
    }
    assert_eq!(rig.view().ending, None);
}

#[test]
fn a_commit_held_by_the_old_socket_goes_to_the_new_one() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 3);
    rig.commit_with(epoch, 1, vec![send("caller", "slow")]);
    rig.commit_with(epoch, 1, vec![send("caller", "held")]);
    rig.take();
    back(&mut rig);
    assert_eq!(rig.take().sends(), ["caller#2:held"]);
}

#[test]
fn a_caller_whose_socket_takes_nothing_is_given_up_without_a_wait_for_its_return() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 3);
    rig.commit_with(epoch, 1, vec![send("caller", "slow")]);
    rig.advance(ms(10_000));
    assert_eq!(rig.take().closes(), [(caller(), 1011)]);
    rig.closed(caller(), Fault::Network);
    assert_eq!(rig.take().ending(), Some(EndReason::CallerLost));
}

#[test]
fn a_return_after_the_end_began_changes_nothing() {
    let (mut rig, _) = Rig::running(|_| {});
    rig.frame(caller(), Class::Stop, "stop");
    let before = rig.view().last;
    back(&mut rig);
    assert_eq!(rig.view().last, before);
}
