//! Exactly at a bound, and one step beyond it.

use holdline_session::{Commit, Epoch, LegName, Report};

use super::rig::{Rig, caller, cancel, model, ms, open, puts, send, set, text};

fn taken(rig: &mut Rig, epoch: Epoch, commit: Commit) -> bool {
    rig.commit_all(epoch, commit);
    rig.take().losses().is_empty()
}

#[test]
fn the_longest_timer_and_the_longest_names_are_taken() {
    let (mut rig, epoch) = Rig::running(|limits| limits.timer_max = ms(60_000));
    let name = "n".repeat(128);
    let mut commit = puts(1, 0, &[]);
    commit.commands = vec![
        set(&name, ms(60_000), 0),
        cancel(&name),
        send(&name, "to nobody"),
        open(&name, &name),
    ];
    assert!(taken(&mut rig, epoch, commit));
}

#[test]
fn as_many_commands_and_timers_as_allowed_are_taken() {
    let (mut rig, epoch) = Rig::running(|limits| {
        limits.commands = 2;
        limits.timers = 2;
    });
    let mut commit = puts(1, 0, &[]);
    commit.commands = vec![set("a", ms(9), 0), set("b", ms(9), 0)];
    assert!(taken(&mut rig, epoch, commit));
}

#[test]
fn a_schema_is_chosen_freely_only_while_there_is_neither_schema_nor_state() {
    let first = [puts(1, 1, &[]), puts(1, 0, &[("k", "v")])];
    for commit in first {
        let (mut rig, epoch) = Rig::running(|_| {});
        assert!(taken(&mut rig, epoch, commit));
        assert!(!taken(&mut rig, epoch, puts(1, 2, &[])));
    }
}

#[test]
fn a_full_state_takes_a_value_of_the_same_size_and_none_that_is_larger_by_a_byte() {
    let (mut rig, epoch) = Rig::running(|limits| limits.state_bytes = 10);
    let full = [("a", "1234"), ("b", "1234")];
    assert!(taken(&mut rig, epoch, puts(1, 0, &full)));
    assert!(taken(&mut rig, epoch, puts(1, 0, &[("b", "abcd")])));
    assert!(!taken(&mut rig, epoch, puts(1, 0, &[("b", "12345")])));
}

#[test]
fn a_log_deep_in_frames_leaves_outbound_legs_unread_too() {
    let (mut rig, epoch) = Rig::bridged(|limits| {
        limits.log_frames = 10;
        limits.pause_percent = 50;
    });
    rig.lose(epoch);
    for _ in 0..4 {
        rig.control("x");
    }
    assert!(rig.session.reads(&model().name));
    rig.control("x");
    assert!(!rig.session.reads(&model().name));
    assert!(rig.session.reads(&LegName::new(LegName::CALLER)));
}

#[test]
fn one_frame_larger_than_the_window_passes_behind_inputs_that_have_no_payload() {
    let (mut rig, epoch) = Rig::running(|limits| limits.window_bytes = 10);
    rig.feed(holdline_session::Event::DeadlineNear { remaining: ms(1) });
    rig.control("far more than ten bytes");
    rig.control("x");
    assert_eq!(rig.take().seqs(epoch), [2, 3]);
}

#[test]
fn a_commit_that_repeats_the_position_is_no_progress() {
    let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
    rig.control("a");
    rig.control("b");
    for _ in 0..2 {
        rig.lose(epoch);
        epoch = rig.attach();
    }
    rig.take();
    rig.commit_with(epoch, 1, vec![send("caller", "news from outside")]);
    let outs = rig.take();
    assert_eq!(outs.sends().len(), 1);
    let done = |report: &Report| matches!(report, Report::Committed { .. });
    assert!(!outs.reports().any(done), "nothing was advanced");
    assert_eq!(rig.view().strikes, 1);
    rig.lose(epoch);
    assert!(rig.take().says(&Report::Strike { strikes: 2 }));
}

#[test]
fn only_a_suspect_is_cleared() {
    let (mut rig, epoch) = Rig::running(|_| {});
    rig.control("a");
    rig.commit(epoch, 2);
    let cleared = |report: &Report| matches!(report, Report::Cleared { .. });
    assert!(!rig.take().reports().any(cleared));
}

#[test]
fn a_leg_exactly_at_its_high_mark_holds_nothing() {
    let (mut rig, epoch) = Rig::running(|limits| limits.leg_high = 4);
    for words in ["four", "more"] {
        rig.commit_with(epoch, 1, vec![send("caller", words)]);
    }
    assert_eq!(rig.take().sends().len(), 2);
    rig.commit_with(epoch, 1, vec![send("caller", "held")]);
    assert!(rig.take().sends().is_empty());
    rig.written(caller(), 1, 4);
    assert_eq!(rig.take().sends(), ["caller#1:held"]);
    assert_eq!(text("held").len(), 4);
}

#[test]
fn a_worker_that_held_the_state_for_as_long_as_progress_may_take_did_not_die_of_it() {
    for (lived, strikes) in [(ms(999), 1), (ms(1_000), 0)] {
        let (mut rig, mut epoch) = Rig::running(|limits| limits.poison_limit = 9);
        for _ in 0..3 {
            rig.lose(epoch);
            epoch = rig.attach();
            rig.advance(lived);
        }
        assert_eq!(rig.view().strikes, strikes, "after {lived:?}");
    }
}
