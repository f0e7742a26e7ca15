//! Which opening of a leg is meant, and what becomes of a caller's place when the call ends.

use holdline_session::{
    Attributes, Command, DropReason, EndReason, Epoch, Event, Fault, Incarnation, InputKind,
    LegName,
};

use super::rig::{Rig, caller, model, open, text};

/// Sends to an opening of the caller's leg: whether it was sent, or why not.
fn try_send(rig: &mut Rig, epoch: Epoch, incarnation: u32) -> Result<(), DropReason> {
    rig.take();
    let send = Command::Send {
        leg: LegName::new(LegName::CALLER),
        incarnation: Some(Incarnation(incarnation)),
        payload: text("hello"),
    };
    rig.commit_with(epoch, rig.view().committed.0, vec![send]);
    let outs = rig.take();
    let dropped = outs.kinds(epoch).into_iter().find_map(|kind| match kind {
        InputKind::Dropped(dropped) => Some(dropped),
        _ => None,
    });
    match dropped {
        Some(dropped) => {
            assert!(outs.sends().is_empty());
            assert_eq!(dropped.leg.incarnation, Incarnation(incarnation));
            Err(dropped.reason)
        }
        None => {
            assert_eq!(outs.sends(), [format!("caller#{incarnation}:hello")]);
            Ok(())
        }
    }
}

#[test]
fn a_command_reaches_the_opening_that_it_names_and_no_other() {
    let (mut rig, epoch) = Rig::running(|_| {});
    assert_eq!(try_send(&mut rig, epoch, 1), Ok(()));
    assert_eq!(
        try_send(&mut rig, epoch, 2),
        Err(DropReason::LegGone),
        "there is none yet"
    );
    rig.feed(Event::CallerReplaced {
        attributes: Attributes::default(),
    });
    assert_eq!(
        try_send(&mut rig, epoch, 1),
        Err(DropReason::IncarnationGone)
    );
    assert_eq!(try_send(&mut rig, epoch, 2), Ok(()));
    assert_eq!(try_send(&mut rig, epoch, 3), Err(DropReason::LegGone));
}

#[test]
fn nothing_is_sent_to_a_leg_that_closes() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![super::rig::close("caller")]);
    assert_eq!(try_send(&mut rig, epoch, 1), Err(DropReason::LegGone));
}

#[test]
fn an_end_does_not_wait_for_a_caller_who_has_no_socket() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.closed(caller(), Fault::Network);
    rig.feed(Event::End {
        reason: EndReason::Operator,
        detail: String::new(),
    });
    let kinds = rig.take().kinds(epoch);
    assert!(matches!(
        kinds[..],
        [InputKind::LegClosed { .. }, InputKind::SessionEnded { .. }]
    ));
}

#[test]
fn a_worker_that_comes_while_a_call_ends_is_told_of_the_legs_that_are_left() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.closed(caller(), Fault::None);
    rig.commit(epoch, 3);
    rig.lose(epoch);
    let next = rig.attach();
    let legs = rig.take().attach(next).unwrap().legs;
    let names: Vec<_> = legs.into_iter().map(|leg| leg.name).collect();
    assert_eq!(names, [model().name]);
}

#[test]
fn a_name_that_was_closed_may_be_opened_again_though_no_new_one_may() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.legs = 2);
    for name in 0..14 {
        rig.closed(model(), Fault::Peer);
        let name = format!("leg{name}");
        let last = rig.view().last.0;
        rig.commit_with(epoch, last, vec![open(&name, "openai")]);
        rig.closed(holdline_session::LegRef::new(&name, 1), Fault::Peer);
    }
    rig.take();
    let last = rig.view().last.0;
    rig.commit_with(
        epoch,
        last,
        vec![open("one more", "openai"), open("model", "openai")],
    );
    let outs = rig.take();
    assert_eq!(outs.dials(), [holdline_session::LegRef::new("model", 2)]);
}
