//! What is counted over a session's life, and what people may see of it: numbers that a bill, a
//! dashboard or a search for a fault stands on.

use holdline_session::{
    AttachReason, Attributes, Class, EndReason, Event, Fault, FromWorker, LegName, LegState, Seq,
    SessionId,
};

use super::rig::{Rig, caller, model, ms, open, puts, send, set};

#[test]
fn each_direction_of_each_leg_is_counted_apart() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    for words in ["a", "bcd"] {
        rig.media(words);
        rig.frame(model(), Class::Control, &words.repeat(10));
    }
    let all = vec![
        send("caller", "four"),
        send("caller", "five5"),
        send("model", "sixsix"),
        send("model", "seven77"),
    ];
    rig.commit_with(epoch, 6, all);
    rig.written(caller(), 2, 9);
    rig.written(model(), 1, 6);
    let account = rig.session.account();
    let (caller, outbound) = (account.caller, account.outbound);
    assert_eq!((caller.frames_in, caller.bytes_in), (2, 4));
    assert_eq!((outbound.frames_in, outbound.bytes_in), (2, 40));
    assert_eq!((caller.frames_out, caller.bytes_out), (2, 9));
    assert_eq!((outbound.frames_out, outbound.bytes_out), (2, 13));
    assert_eq!((caller.frames_written, outbound.frames_written), (2, 1));
}

#[test]
fn attachments_offers_losses_and_commits_are_counted() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("a");
    rig.commit(epoch, 2);
    rig.control("b");
    rig.commit(epoch, 99);
    for _ in 0..2 {
        let epoch = rig.sought();
        rig.take();
        rig.feed(Event::SeekFailed {
            epoch,
            reason: "none".to_owned(),
            crowded: false,
        });
        rig.advance(ms(500));
    }
    rig.attach();
    rig.commit(epoch, 2);
    let account = *rig.session.account();
    assert_eq!((account.commits, account.refused), (2, 1));
    assert_eq!((account.attachments, account.losses), (2, 1));
    assert_eq!((account.offers_failed, account.holds), (2, 1));
    assert_eq!((account.replayed, account.fenced), (1, 1));
}

#[test]
fn what_comes_from_legs_that_are_gone_or_to_a_session_that_is_ending_is_counted_as_ignored() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    let ignored = |rig: &Rig| rig.session.account().ignored_inputs;
    rig.closed(model(), Fault::Peer);
    rig.frame(model(), Class::Control, "ghost");
    assert_eq!(ignored(&rig), 1, "the leg is gone");
    rig.feed(Event::LegOpened {
        leg: model(),
        attributes: Attributes::default(),
    });
    assert_eq!(ignored(&rig), 2, "so is what opened too late");
    rig.commit_with(epoch, 3, vec![open("model", "openai")]);
    rig.frame(
        holdline_session::LegRef::new("model", 2),
        Class::Control,
        "early",
    );
    assert_eq!(ignored(&rig), 3, "a leg that connects says nothing");
    rig.feed(Event::End {
        reason: EndReason::Operator,
        detail: String::new(),
    });
    rig.feed(Event::CallerReplaced {
        attributes: Attributes::default(),
    });
    assert_eq!(ignored(&rig), 4, "nobody comes back to an end");
    rig.closed(caller(), Fault::None);
    rig.feed(Event::CallerReplaced {
        attributes: Attributes::default(),
    });
    assert_eq!(ignored(&rig), 5, "and nobody replaces who is gone");
    rig.closed(holdline_session::LegRef::new("model", 2), Fault::None);
    rig.feed(Event::DeadlineNear { remaining: ms(1) });
    assert_eq!(ignored(&rig), 6, "SessionEnded is the last input");
    assert_eq!(rig.session.account().resumes, 0);
}

#[test]
fn what_finds_no_room_while_a_session_ends_is_counted_as_ignored() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.log_frames = 4);
    rig.lose(epoch);
    rig.feed(Event::End {
        reason: EndReason::Operator,
        detail: String::new(),
    });
    let before = rig.session.account().ignored_inputs;
    for _ in 0..6 {
        rig.feed(Event::DeadlineNear { remaining: ms(1) });
    }
    assert_eq!(rig.session.account().ignored_inputs, before + 2);
    assert_eq!(rig.view().log_frames, 4);
}

#[test]
fn frames_that_a_leg_never_took_are_counted_over_all_legs_and_returns() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    let all = vec![
        send("caller", "a"),
        send("caller", "b"),
        send("model", "c"),
        send("model", "d"),
    ];
    rig.commit_with(epoch, 2, all);
    rig.written(model(), 1, 1);
    rig.closed(model(), Fault::Peer);
    assert_eq!(rig.session.account().unsent_frames, 1);
    rig.feed(Event::CallerReplaced {
        attributes: Attributes::default(),
    });
    let account = rig.session.account();
    assert_eq!((account.unsent_frames, account.resumes), (3, 1));
}

#[test]
fn a_view_says_what_a_session_holds_and_who_runs_it() {
    let (mut rig, epoch) = Rig::bridged(|limits| limits.window_inputs = 2);
    rig.commit_all(epoch, puts(2, 1, &[("turn", "12")]));
    let mut wait = puts(2, 1, &[]);
    wait.commands = vec![set("silence", ms(900), 1), send("model", "hello")];
    rig.commit_all(epoch, wait);
    rig.media("abc");
    rig.advance(ms(40));
    rig.media("defg");
    rig.media("h");
    rig.advance(ms(10));
    let view = rig.view();
    assert_eq!((view.id, rig.session.id()), (SessionId(7), SessionId(7)));
    assert_eq!((view.committed, view.last), (Seq(2), Seq(5)));
    assert_eq!((view.log_frames, view.log_bytes), (3, 8));
    assert_eq!(rig.session.log_depth(), (3, 8));
    let oldest = rig.session.log_oldest().unwrap();
    assert_eq!(rig.now.since(oldest), ms(50));
    assert_eq!(view.log_age, ms(50));
    assert_eq!(view.state, [("turn".to_owned(), 2)]);
    assert_eq!(view.timers, [("silence".to_owned(), ms(850))]);
    assert_eq!(view.unwritten_bytes, [0, 5]);
    let legs: Vec<_> = view
        .legs
        .into_iter()
        .map(|leg| (leg.name, leg.state))
        .collect();
    let open = LegState::Open;
    assert_eq!(legs, [(caller().name, open), (model().name, open)]);
    let at = view.attachment.unwrap();
    assert_eq!((at.epoch, at.reason), (epoch, AttachReason::New));
    assert_eq!(
        (at.version.as_str(), at.applied, at.outstanding),
        ("v1", 3, 2)
    );
    assert_eq!((view.strikes, view.ending), (0, None));
}

#[test]
fn a_view_names_what_the_link_to_workers_does() {
    let mut rig = Rig::new();
    let mut seen = vec![rig.view().link];
    let epoch = rig.attach();
    seen.push(rig.view().link);
    rig.said(epoch, FromWorker::Draining { within: None });
    seen.push(rig.view().link);
    let next = rig.attach();
    seen.push(rig.view().link);
    rig.lose(next);
    rig.lose(epoch);
    let last = rig.sought();
    rig.take();
    rig.feed(Event::SeekFailed {
        epoch: last,
        reason: "none".to_owned(),
        crowded: false,
    });
    seen.push(rig.view().link);
    rig.closed(caller(), Fault::None);
    rig.advance(ms(5_000));
    seen.push(rig.view().link);
    let expected = ["seeking", "live", "moving", "releasing", "vacant", "over"];
    assert_eq!(seen, expected);
    assert_eq!(rig.session.end_reason(), Some(EndReason::CallerHungUp));
}

#[test]
fn a_leg_tells_its_state_by_its_name() {
    let (mut rig, epoch) = Rig::bridged(|_| {});
    let state = |rig: &Rig, leg: &str| rig.session.leg_state(&LegName::new(leg));
    assert_eq!(state(&rig, "model"), Some(LegState::Open));
    rig.commit_with(epoch, 2, vec![super::rig::close("model")]);
    assert_eq!(state(&rig, "model"), Some(LegState::Closing));
    assert_eq!(state(&rig, "caller"), Some(LegState::Open));
    rig.closed(caller(), Fault::Network);
    assert_eq!(state(&rig, "caller"), Some(LegState::Awaited));
    assert_eq!(state(&rig, "ghost"), None);
}
