//! A session is replaced before it ends, in a quiet moment.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::world::{Input, World, added, created, delta, done, mark, media, transcript};
use crate::{
    core::{Note, Refusal, Timer},
    state::ModelLeg,
};

/// When a session is old enough.
const OLD: u64 = 298 + 55 * 60_000;

fn updated() -> Value {
    json!({"type": "session.updated"})
}

fn second(input: Input) -> Input {
    Input::Second(Box::new(input))
}

/// A call whose session is old.
fn old() -> World {
    let mut world = World::greeted();
    for ms in (OLD - 2_000..OLD).step_by(20) {
        world.put(ms, &media(ms));
    }
    world.put(OLD, &Input::Fired(Timer::Rollover));
    world
}

/// From an old session to the next one, in which the caller is answered.
pub(super) fn script() -> Vec<(u64, Input)> {
    let model = |event: Value| Input::Model(event.to_string());
    let mut script = vec![
        (298, model(updated())),
        (400, model(created("R1"))),
        (500, model(added("A1", "assistant"))),
        (600, model(delta("R1", "A1", 1_000))),
        (700, model(transcript("A1", "Good morning."))),
        (800, model(done("R1", "completed"))),
        (1_700, Input::Caller(mark("g0:A1:1000").to_string())),
        (OLD, Input::Fired(Timer::Rollover)),
        (OLD + 200, second(Input::ModelOpened(1))),
        (OLD + 260, second(model(updated()))),
        (OLD + 261, second(model(updated()))),
        (OLD + 300, Input::ModelClosed(1, 1_000)),
        (OLD + 500, second(model(created("R2")))),
        (OLD + 900, second(Input::ModelClosed(1, 1_006))),
    ];
    script.extend((0..100).map(|frame| (OLD - 1_000 + frame * 20, media(frame * 20))));
    script.sort_by_key(|(ms, _)| *ms);
    script
}

#[test]
fn an_old_session_is_replaced_while_nobody_notices() {
    let mut world = old();
    assert_eq!(world.opened_leg(), Some(ModelLeg::Second));
    let told = world.heard_on(ModelLeg::Second);
    let words = &told[2]["item"]["content"][0]["text"];
    assert_eq!(words, "Hi, Blue Door Dental, how can I help?");
    assert_eq!(told.len(), 4, "settings, two items, and answers on");
    assert_eq!(world.closed_leg(), None);
    world.put(OLD + 20, &media(OLD));
    assert_eq!(world.heard_on(ModelLeg::First).len(), 1, "it still hears");
    assert!(world.heard_on(ModelLeg::Second).is_empty());

    world.put(OLD + 200, &second(Input::ModelOpened(1)));
    world.second(OLD + 260, &updated());
    assert_eq!(world.actions, []);
    world.second(OLD + 261, &updated());
    assert_eq!(world.closed_leg(), Some(ModelLeg::First));
    let heard = world.heard_on(ModelLeg::Second);
    assert_eq!(
        heard[0]["type"], "input_audio_buffer.append",
        "the last second"
    );
    assert_eq!(world.timer(Timer::Rollover), Some(55 * 60_000));
    assert!(
        world
            .notes()
            .any(|note| matches!(note, Note::RolledOver { .. }))
    );
    world.put(OLD + 280, &media(OLD + 20));
    assert_eq!(world.heard_on(ModelLeg::Second).len(), 1);
    // What the old one still has to say is of no interest, and neither is its end.
    world.model(OLD + 290, &created("R9"));
    world.put(OLD + 300, &Input::ModelClosed(1, 1_000));
    assert_eq!(world.actions, []);
}

#[test]
fn the_next_session_is_ready_before_the_caller_has_heard_all() {
    let mut world = World::greeted();
    world.model(OLD - 900, &created("R2"));
    world.model(OLD - 800, &delta("R2", "A2", 3_000));
    world.put(OLD, &Input::Fired(Timer::Rollover));
    assert!(!world.opened(), "it is still being made up");
    world.model(OLD + 10, &transcript("A2", "That would be all."));
    world.model(OLD + 20, &done("R2", "completed"));
    assert!(world.opened());
    world.second(OLD + 300, &updated());
    world.second(OLD + 301, &updated());
    assert_eq!(world.closed_leg(), None, "they are listening");
    world.caller(OLD + 2_300, &mark("g0:A2:3000"));
    assert_eq!(world.closed_leg(), Some(ModelLeg::First));
}

#[test]
fn a_caller_who_speaks_meanwhile_is_heard_by_the_old_session() {
    let mut world = old();
    world.second(OLD + 100, &updated());
    world.model(
        OLD + 120,
        &json!({"type": "input_audio_buffer.speech_started", "item_id": "U5"}),
    );
    assert_eq!(world.closed_leg(), Some(ModelLeg::Second));
    world.put(OLD + 130, &second(Input::ModelClosed(1, 1_000)));
    world.model(
        OLD + 900,
        &json!({"type": "input_audio_buffer.speech_stopped", "item_id": "U5"}),
    );
    world.model(OLD + 901, &added("U5", "user"));
    world.model(OLD + 950, &created("R5"));
    assert!(!world.opened());
    world.model(OLD + 980, &done("R5", "completed"));
    assert!(!world.opened(), "not so soon again");
    world.put(OLD + 1_200, &media(OLD + 1_200));
    assert_eq!(world.opened_leg(), Some(ModelLeg::Second));
}

#[test]
fn words_that_become_known_meanwhile_are_not_lost() {
    let mut world = old();
    world.second(OLD + 100, &updated());
    let words = json!({
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "U4", "transcript": "Thank you.",
    });
    world.model(OLD + 150, &words);
    assert_eq!(world.closed_leg(), Some(ModelLeg::Second));
}

#[test]
fn a_next_session_that_cannot_be_had_is_tried_again_and_harms_nobody() {
    let mut world = old();
    world.put(OLD + 100, &second(Input::ModelClosed(1, 1_008)));
    assert_eq!(world.ended(), None);
    world.put(OLD + 900, &media(OLD + 900));
    assert!(!world.opened());
    world.put(OLD + 1_200, &media(OLD + 1_200));
    assert!(world.opened());
    world.put(OLD + 1_210, &second(Input::Refused(Refusal::TooManyLegs)));
    world.put(OLD + 2_400, &media(OLD + 2_400));
    assert!(!world.opened(), "the waits grow");
    world.put(OLD + 3_300, &media(OLD + 3_300));
    assert!(world.opened());
    // One that never gets ready.
    world.put(OLD + 9_400, &media(OLD + 9_400));
    assert_eq!(world.closed_leg(), Some(ModelLeg::Second));
    world.put(OLD + 4 * 60_000, &Input::Fired(Timer::Rollover));
    assert_eq!(world.closed_leg(), None, "the old one is better than none");
}

#[test]
fn without_a_quiet_moment_it_is_replaced_in_time_all_the_same() {
    let mut world = World::greeted();
    world.model(
        OLD - 10,
        &json!({"type": "input_audio_buffer.speech_started", "item_id": "U5"}),
    );
    world.put(OLD, &Input::Fired(Timer::Rollover));
    assert_eq!(world.timer(Timer::Rollover), Some(4 * 60_000));
    assert!(!world.opened());
    world.put(OLD + 4 * 60_000, &Input::Fired(Timer::Rollover));
    assert_eq!(world.closed_leg(), Some(ModelLeg::First));
    assert_eq!(world.opened_leg(), Some(ModelLeg::Second));
}

#[test]
fn an_old_session_that_dies_meanwhile_is_lost_like_any_other() {
    let mut world = old();
    world.put(OLD + 50, &Input::ModelClosed(1, 1_001));
    assert_eq!(world.closed_leg(), Some(ModelLeg::Second));
    assert_eq!(world.opened_leg(), Some(ModelLeg::First));
    world.second(OLD + 60, &updated());
    assert_eq!(world.actions, []);
    world.model(OLD + 300, &updated());
    world.model(OLD + 301, &updated());
    assert_eq!(world.timer(Timer::Rollover), Some(55 * 60_000));
}

#[test]
fn it_can_be_switched_off() {
    let mut world = World::with("instructions: Listen.\nmodel: {rollover: off}");
    world.model(298, &updated());
    assert_eq!(world.timer(Timer::Rollover), None);
}
