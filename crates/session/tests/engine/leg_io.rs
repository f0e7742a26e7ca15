//! Legs: openings, out-buffers, slow readers and closes.

use holdline_session::{
    Attributes, Close, Command, Commit, Event, Fault, Incarnation, InputKind, LegName, LegRef,
    LegState, Output, Report,
};

use super::rig::{Rig, caller, close, model, ms, open, puts, send};

#[test]
fn a_leg_that_connects_takes_frames_and_says_when_it_is_open() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(
        epoch,
        1,
        vec![open("model", "openai"), send("model", "hello")],
    );
    let outs = rig.take();
    assert_eq!(outs.dials(), [model()]);
    assert_eq!(outs.sends(), ["model#1:hello"]);
    assert_eq!(
        rig.session.leg_state(&model().name),
        Some(LegState::Connecting)
    );
    let attributes = Attributes::from([("id".to_owned(), "s1".to_owned())]);
    rig.feed(Event::LegOpened {
        leg: model(),
        attributes: attributes.clone(),
    });
    let opened = InputKind::LegOpened {
        leg: model(),
        attributes,
    };
    assert_eq!(rig.take().kinds(epoch), [opened]);
}

#[test]
fn a_dial_that_fails_is_an_input_that_says_what_was_not_sent() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(
        epoch,
        1,
        vec![open("model", "openai"), send("model", "hello")],
    );
    rig.take();
    let close = Close {
        code: 0,
        reason: "refused".to_owned(),
        fault: Fault::Network,
        dial_failed: true,
    };
    rig.feed(Event::LegClosed {
        leg: model(),
        close: close.clone(),
    });
    let closed = InputKind::LegClosed {
        leg: model(),
        close,
        unsent_frames: 1,
    };
    assert_eq!(rig.take().kinds(epoch), [closed]);
    assert_eq!(
        rig.view().ending,
        None,
        "only the caller's leg ends a session"
    );
    rig.commit_with(epoch, 2, vec![open("model", "openai")]);
    assert_eq!(rig.take().dials(), [LegRef::new("model", 2)]);
}

#[test]
fn what_an_older_opening_still_says_is_ignored() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    rig.closed(model(), Fault::Peer);
    rig.commit_with(epoch, 3, vec![open("model", "openai")]);
    rig.take();
    rig.frame(model(), holdline_session::Class::Control, "ghost");
    rig.written(model(), 5, 50);
    rig.closed(model(), Fault::Peer);
    rig.feed(Event::LegOpened {
        leg: model(),
        attributes: Attributes::default(),
    });
    assert!(rig.take().inputs(epoch).is_empty());
    let old = Command::Send {
        leg: LegName::new("model"),
        incarnation: Some(Incarnation(1)),
        payload: super::rig::text("x"),
    };
    rig.commit_with(epoch, 3, vec![old]);
    let outs = rig.take();
    assert!(outs.sends().is_empty());
    assert_eq!(outs.inputs(epoch).len(), 1);
}

#[test]
fn a_leg_over_its_high_mark_holds_the_next_commit_that_writes_to_it_and_no_other() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.leg_high = 10);
    rig.commit_with(epoch, 2, vec![send("caller", "eleven char")]);
    rig.commit_with(epoch, 2, vec![send("model", "free")]);
    assert_eq!(rig.take().sends().len(), 2);
    rig.commit_with(epoch, 2, vec![send("model", "one"), send("caller", "two")]);
    assert!(rig.take().sends().is_empty(), "a commit is one step");
    assert!(!rig.session.hears(epoch));
    rig.written(caller(), 1, 11);
    assert_eq!(rig.take().sends(), ["model#1:one", "caller#1:two"]);
    assert!(rig.session.hears(epoch));
}

#[test]
fn a_commit_held_when_its_worker_dies_was_never_made() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 10);
    rig.commit_with(epoch, 1, vec![send("caller", "eleven char")]);
    rig.control("question");
    let answer = Commit {
        commands: vec![send("caller", "answer")],
        ..puts(2, 0, &[("answered", "yes")])
    };
    rig.commit_all(epoch, answer);
    rig.take();
    rig.lose(epoch);
    let next = rig.attach();
    rig.written(caller(), 1, 11);
    let outs = rig.take();
    assert!(outs.attach(next).unwrap().state.is_empty());
    assert!(outs.sends().is_empty());
    assert_eq!(outs.seqs(next), [2]);
}

#[test]
fn a_second_commit_that_the_shell_should_not_have_taken_is_refused() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 1);
    rig.commit_with(epoch, 1, vec![send("caller", "slow")]);
    rig.commit_with(epoch, 1, vec![send("caller", "waits")]);
    rig.commit(epoch, 1);
    assert_eq!(rig.take().losses(), ["refused"]);
}

#[test]
fn a_leg_that_takes_nothing_for_too_long_is_closed_and_the_commit_goes_on_without_it() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.leg_high = 10);
    rig.commit_with(epoch, 2, vec![send("model", "eleven char")]);
    rig.commit_with(epoch, 2, vec![send("model", "held"), send("caller", "too")]);
    rig.advance(ms(6_000));
    rig.written(model(), 0, 0);
    rig.take();
    rig.advance(ms(9_999));
    assert!(
        rig.take().closes().is_empty(),
        "a write starts the wait anew"
    );
    rig.advance(ms(1));
    let outs = rig.take();
    assert!(outs.says(&Report::WriteTimeout { leg: model() }));
    assert_eq!(outs.closes(), [(model(), 1011)]);
    assert_eq!(outs.sends(), ["caller#1:too"]);
    assert!(matches!(&outs.kinds(epoch)[..], [InputKind::Dropped(_)]));
    rig.closed(model(), Fault::Peer);
    let closed = rig.take().kinds(epoch);
    assert!(matches!(
        closed[..],
        [InputKind::LegClosed {
            unsent_frames: 1,
            ..
        }]
    ));
}

#[test]
fn closing_flushes_first_and_a_shell_that_never_answers_is_not_waited_for() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    let long = Command::CloseLeg {
        leg: LegName::new("model"),
        incarnation: None,
        code: 4000,
        reason: "ü".repeat(100),
    };
    rig.commit_with(
        epoch,
        2,
        vec![send("model", "bye"), long, send("model", "no")],
    );
    let outs = rig.take();
    assert_eq!(outs.sends(), ["model#1:bye"]);
    let closing = outs.0.iter().find_map(|out| match out {
        Output::CloseLeg {
            code,
            reason,
            within,
            ..
        } => Some((*code, reason.len(), *within)),
        _ => None,
    });
    assert_eq!(
        closing,
        Some((4000, 122, ms(2_000))),
        "cut between characters"
    );
    rig.commit(epoch, 3);
    rig.advance(ms(2_500));
    let kinds = rig.take().kinds(epoch);
    assert!(matches!(
        &kinds[..],
        [InputKind::LegClosed {
            unsent_frames: 1,
            ..
        }]
    ));
}

#[test]
fn a_leg_closed_while_it_connects_never_opens() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.commit_with(epoch, 1, vec![open("model", "openai"), close("model")]);
    assert_eq!(rig.take().closes(), [(model(), 1000)]);
    rig.feed(Event::LegOpened {
        leg: model(),
        attributes: Attributes::default(),
    });
    assert!(rig.take().inputs(epoch).is_empty());
    rig.closed(model(), Fault::None);
    assert_eq!(rig.take().inputs(epoch).len(), 1);
}

#[test]
fn a_connecting_leg_with_a_full_buffer_holds_commits_until_it_opens_or_fails() {
    for opens in [true, false] {
        let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 3);
        rig.commit_with(
            epoch,
            1,
            vec![open("model", "openai"), send("model", "four")],
        );
        rig.commit_with(epoch, 1, vec![send("model", "next")]);
        rig.take();
        assert!(!rig.session.hears(epoch));
        if opens {
            rig.feed(Event::LegOpened {
                leg: model(),
                attributes: Attributes::default(),
            });
            rig.written(model(), 1, 4);
            assert_eq!(rig.take().sends(), ["model#1:next"]);
        } else {
            rig.closed(model(), Fault::Network);
            assert!(rig.take().sends().is_empty());
        }
        assert!(rig.session.hears(epoch));
    }
}

#[test]
fn a_session_uses_only_so_many_leg_names_in_its_life() {
    let (mut rig, epoch) = Rig::running(|limits| limits.legs = 2);
    let mut opened = 0;
    for name in 0..40 {
        let name = format!("leg{name}");
        rig.commit_with(epoch, rig.view().last.0, vec![open(&name, "openai")]);
        opened += rig.take().dials().len();
        rig.closed(LegRef::new(&name, 1), Fault::Network);
    }
    assert_eq!(opened, 15, "16 names with the caller's");
}
