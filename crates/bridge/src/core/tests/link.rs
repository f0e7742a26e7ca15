//! The model's leg: slow, lost, refused, and told again what went before.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::world::{
    Input, UNAUTHORIZED, World, YAML, created, delta, done, function_call, media, transcript,
};
use crate::{
    core::{Note, Refusal, Timer},
    state::ModelLeg,
};

fn updated() -> Value {
    json!({"type": "session.updated"})
}

#[test]
fn a_leg_that_the_edge_does_not_dial_is_opened() {
    let mut world = World::unattached(YAML).without_model_leg();
    world.attach();
    assert_eq!(world.timer(Timer::Model), Some(0));
    world.put(0, &Input::Fired(Timer::Model));
    assert!(world.opened());
    assert_eq!(world.model_types(), ["session.update"]);
}

#[test]
fn a_dial_that_failed_before_anybody_attached_is_not_the_loss_of_the_next() {
    let mut world = World::unattached(YAML).without_model_leg();
    world.attach();
    assert!(!world.opened(), "what happened before comes first");
    world.put(1, &Input::ModelClosed(1, 0));
    assert_eq!(world.actions, []);
    world.put(2, &Input::Fired(Timer::Model));
    assert!(world.opened());
    world.put(3, &Input::ModelClosed(1, 0));
    assert_eq!(world.actions, [], "of the past");
    world.put(200, &Input::ModelOpened(2));
    world.model(300, &updated());
    assert_eq!(world.model_types(), ["response.create"], "the greeting");
    world.put(400, &Input::ModelClosed(2, 1_006));
    assert!(world.opened());
}

#[test]
fn a_leg_that_came_and_went_before_anybody_attached_is_opened_once() {
    let mut world = World::unattached(YAML).without_model_leg();
    world.attach();
    world.put(1, &Input::ModelOpened(1));
    assert!(!world.opened());
    world.put(2, &Input::ModelClosed(1, 1_006));
    assert!(world.opened());
    world.put(200, &Input::ModelOpened(2));
    assert_eq!(world.actions, []);
    world.model(300, &updated());
    assert_eq!(world.model_types(), ["response.create"], "the greeting");
}

#[test]
fn a_leg_in_the_way_is_adopted_once_it_opens() {
    let mut world = World::new();
    world.put(100, &Input::ModelClosed(1, 0));
    assert!(world.opened());
    for ms in [200, 300, 400] {
        world.put(ms, &Input::Refused(Refusal::NameInUse));
    }
    world.put(500, &Input::ModelOpened(2));
    assert!(!world.opened());
    assert_eq!(world.model_types(), ["session.update"]);
    world.model(600, &updated());
    assert_eq!(world.model_types(), ["response.create"], "the greeting");
    // One more loss is the second, whatever was refused before.
    world.put(700, &Input::ModelClosed(2, 1_006));
    assert_eq!(world.timer(Timer::Model), Some(250));
}

#[test]
fn a_leg_that_stays_in_the_way_ends_the_call() {
    let mut world = World::new();
    world.put(100, &Input::ModelClosed(1, 0));
    let mut ms = 200;
    while world.ended().is_none() {
        if world.opened() {
            world.put(ms, &Input::Refused(Refusal::NameInUse));
        }
        ms += world.timer(Timer::Model).unwrap();
        world.put(ms, &Input::Fired(Timer::Model));
    }
    assert_eq!(ms, 20_000, "when there was no model for so long");
}

#[test]
fn the_greeting_waits_for_the_settings_and_comes_once() {
    let mut world = World::new();
    world.put(185, &Input::ModelOpened(1));
    assert!(world.model_heard().is_empty());
    world.model(298, &updated());
    assert_eq!(
        world.model_heard()[0]["response"]["instructions"],
        "Greet the caller."
    );
    world.model(300, &updated());
    assert!(world.model_heard().is_empty());
}

#[test]
fn without_a_greeting_the_caller_speaks_first() {
    let mut world = World::with("instructions: Listen.\ngreeting: off");
    world.model(298, &updated());
    assert!(world.model_heard().is_empty());
}

#[test]
fn a_lost_model_is_opened_at_once_and_told_what_was_said() {
    let mut world = World::answering();
    world.model(
        8_300,
        &json!({
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "U1", "transcript": "A cleaning on Tuesday.",
        }),
    );
    world.model(8_400, &transcript("A2", "We have eleven fifteen."));
    world.model(8_500, &done("R2", "completed"));
    world.put(9_000, &Input::ModelClosed(1, 1_006));
    assert!(world.opened());
    let told = world.model_heard();
    let turns =
        |at: usize| &told[at]["session"]["audio"]["input"]["turn_detection"]["create_response"];
    assert_eq!(turns(0), &json!(false));
    assert_eq!(turns(told.len() - 1), &json!(true));
    let said: Vec<_> = told[1..told.len() - 1]
        .iter()
        .map(|item| {
            (
                item["item"]["role"].as_str().unwrap(),
                item["item"]["content"][0]["text"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(said[0].0, "system");
    assert_eq!(
        said[1..],
        [
            ("assistant", "Hi, Blue Door Dental, how can I help?"),
            ("user", "A cleaning on Tuesday."),
            ("assistant", "We have eleven fifteen."),
        ]
    );
    // The caller's audio goes on behind it, and nobody is greeted again.
    world.put(9_020, &media(9_020));
    assert_eq!(world.model_types(), ["input_audio_buffer.append"]);
    world.model(9_300, &updated());
    world.model(9_301, &updated());
    assert!(world.model_heard().is_empty(), "nothing was owed");
}

#[test]
fn an_answer_that_was_lost_is_owed() {
    let mut world = World::answering();
    world.put(8_500, &Input::ModelClosed(1, 1_011));
    world.model(9_300, &updated());
    assert!(world.model_heard().is_empty(), "the history is not yet in");
    world.model(9_301, &updated());
    assert_eq!(world.model_types(), ["response.create"]);
}

#[test]
fn items_of_a_lost_session_are_not_cut_in_the_new_one() {
    let mut world = World::answering();
    world.put(8_500, &Input::ModelClosed(1, 1_006));
    world.model(9_300, &updated());
    world.model(9_301, &updated());
    world.model(9_400, &json!({"type": "input_audio_buffer.speech_started"}));
    assert_eq!(world.caller_heard()[0]["event"], "clear");
    assert!(
        !world
            .model_types()
            .contains(&"conversation.item.truncate".to_owned())
    );
}

#[test]
fn a_function_that_answers_after_the_loss_is_told_to_the_new_session() {
    let mut world = World::greeted();
    world.model(5_000, &created("R3"));
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    world.model(5_120, &done("R3", "completed"));
    world.put(5_200, &Input::ModelClosed(1, 1_006));
    assert!(
        world
            .model_heard()
            .iter()
            .any(|told| told["item"]["type"] == "function_call")
    );
    world.put(5_300, &Input::ToolDone(0, "booked"));
    assert!(world.model_heard().is_empty());
    world.model(5_400, &updated());
    world.model(5_401, &updated());
    assert_eq!(
        world.model_types(),
        ["conversation.item.create", "response.create"]
    );
    assert_eq!(world.model_heard()[0]["item"]["output"], "booked");
}

#[test]
fn a_model_that_stays_away_is_given_up_after_growing_waits() {
    let mut world = World::new();
    let (mut waits, mut ms, mut incarnation) = (Vec::new(), 0, 1);
    loop {
        world.put(ms, &Input::ModelClosed(incarnation, 0));
        if let Some(wait) = world.timer(Timer::Model).filter(|_| !world.opened()) {
            waits.push(wait);
            ms += wait;
            world.put(ms, &Input::Fired(Timer::Model));
        }
        if let Some(reason) = world.ended() {
            assert!(reason.contains("no model for 20s"), "{reason}");
            break;
        }
        assert!(world.opened());
        incarnation += 1;
        ms += 10;
    }
    assert_eq!(waits[..7], [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
    assert_eq!(ms, 20_000);
    world.put(ms + 1, &media(20));
    assert!(world.model_heard().is_empty());
}

#[test]
fn a_model_that_comes_and_never_says_anything_whole_is_given_up() {
    let mut world = World::new();
    let (mut ms, mut incarnation) = (0, 1);
    while world.ended().is_none() {
        // Ready each time, so that it is never away for long.
        world.model(ms + 100, &updated());
        world.model(ms + 200, &updated());
        world.put(ms + 300, &Input::ModelClosed(incarnation, 1_011));
        ms += 1_000;
        if let Some(wait) = world.timer(Timer::Model).filter(|_| !world.opened()) {
            ms += wait;
            world.put(ms, &Input::Fired(Timer::Model));
        }
        incarnation += 1;
    }
    assert!(world.ended().unwrap().contains("10 times in a row"));
}

#[test]
fn a_model_that_is_lost_now_and_then_is_never_too_often() {
    let mut world = World::greeted();
    for round in 0..20u32 {
        let ms = 10_000 + u64::from(round) * 60_000;
        world.put(ms, &Input::ModelClosed(round + 1, 1_001));
        assert!(world.opened(), "round {round}");
        world.model(ms + 300, &updated());
        world.model(ms + 301, &updated());
        world.model(ms + 5_000, &created("R"));
        world.model(ms + 5_100, &done("R", "completed"));
    }
}

#[test]
fn a_model_that_refuses_the_session_ends_the_call() {
    for code in [3_000, 4_000, UNAUTHORIZED] {
        let mut world = World::new();
        world.put(300, &Input::ModelClosed(1, code));
        assert!(world.ended().unwrap().contains(&code.to_string()));
    }
    let mut world = World::new();
    world.model(
        300,
        &json!({"type": "error", "error": {"code": "invalid_voice", "event_id": "hl-setup"}}),
    );
    assert!(world.ended().unwrap().contains("invalid_voice"));
}

#[test]
fn an_upstream_that_the_edge_does_not_know_ends_the_call() {
    let mut world = World::new();
    world.put(300, &Input::Refused(Refusal::UnknownUpstream));
    assert!(world.ended().unwrap().contains("model.upstream"));
}

#[test]
fn a_model_that_never_gets_ready_is_replaced_under_the_other_name() {
    let mut world = World::new();
    assert_eq!(world.timer(Timer::Model), Some(6_000));
    world.put(6_000, &Input::Fired(Timer::Model));
    let lost = |note: &Note| matches!(note, Note::ModelLost { .. });
    assert!(world.notes().any(lost));
    assert_eq!(world.closed_leg(), Some(ModelLeg::First));
    assert_eq!(world.opened_leg(), Some(ModelLeg::Second));
    world.put(6_010, &Input::ModelClosed(1, 1_000));
    assert_eq!(world.actions, [], "the old one has closed at last");
    // Both names in use: what is being closed has to be waited for.
    world.put(12_000, &Input::Fired(Timer::Model));
    assert_eq!(world.timer(Timer::Model), Some(250));
    world.put(12_250, &Input::Fired(Timer::Model));
    assert_eq!(world.opened_leg(), Some(ModelLeg::First));
    world.put(12_260, &Input::Refused(Refusal::NameInUse));
    assert_eq!(world.timer(Timer::Model), Some(6_000));
    world.put(12_270, &media(12_270));
    assert!(world.model_heard().is_empty(), "it takes no more frames");
    world.put(12_400, &Input::ModelClosed(1, 1_000));
    assert!(world.opened(), "the old one has closed at last");
}

#[test]
fn a_model_leg_for_which_there_is_no_room_is_asked_for_again_later() {
    let mut world = World::new();
    world.put(100, &Input::ModelClosed(1, 0));
    world.put(200, &Input::Refused(Refusal::TooManyLegs));
    assert_eq!(world.timer(Timer::Model), Some(250));
    world.put(450, &Input::Fired(Timer::Model));
    assert!(world.opened());
}

#[test]
fn a_leg_that_opens_while_it_is_being_closed_is_not_adopted() {
    let mut world = World::new();
    world.put(15_000, &Input::Fired(Timer::Model));
    world.put(15_001, &Input::ModelOpened(1));
    assert_eq!(world.actions, []);
}

#[test]
fn a_model_that_does_not_answer_is_asked_and_then_replaced() {
    let mut world = World::greeted();
    world.model(5_000, &json!({"type": "input_audio_buffer.speech_started"}));
    world.model(6_000, &json!({"type": "input_audio_buffer.speech_stopped"}));
    assert_eq!(world.timer(Timer::Reply), Some(8_000));
    world.put(14_000, &Input::Fired(Timer::Reply));
    assert_eq!(world.model_types(), ["response.create"]);
    world.put(22_000, &Input::Fired(Timer::Reply));
    assert!(
        world
            .notes()
            .any(|note| matches!(note, Note::ModelLost { .. }))
    );
}

#[test]
fn a_model_that_falls_silent_in_an_answer_is_replaced() {
    let mut world = World::greeted();
    world.model(5_000, &created("R3"));
    assert_eq!(world.timer(Timer::Reply), Some(8_000));
    world.model(9_000, &delta("R3", "A3", 200));
    world.put(13_000, &Input::Fired(Timer::Reply));
    assert_eq!(world.timer(Timer::Reply), Some(4_000), "it spoke since");
    world.put(17_000, &Input::Fired(Timer::Reply));
    assert!(world.opened());
    let second: Vec<_> = world.heard_on(ModelLeg::Second);
    assert_eq!(second[0]["type"], "session.update");
}

#[test]
fn a_response_that_failed_is_asked_for_again_after_a_while() {
    let mut world = World::greeted();
    world.model(5_000, &created("R3"));
    world.model(5_100, &done("R3", "failed"));
    assert!(world.model_heard().is_empty());
    assert_eq!(world.timer(Timer::Reply), Some(1_000));
    world.put(6_100, &Input::Fired(Timer::Reply));
    assert_eq!(world.model_types(), ["response.create"]);
}

#[test]
fn the_model_of_a_call_that_is_over_is_not_opened_again() {
    let mut world = World::answering();
    world.caller(9_000, &json!({"event": "stop", "streamSid": "MZ5f"}));
    world.put(9_001, &Input::CallerLost);
    assert!(world.actions.is_empty());
    world.put(9_001, &Input::ModelClosed(1, 1_000));
    assert!(
        world
            .actions
            .iter()
            .all(|action| matches!(action, crate::core::Action::CancelTimer(_)))
    );
}

#[test]
fn a_model_that_was_lost_while_the_caller_was_is_opened_when_they_are_back() {
    let mut world = World::answering();
    world.put(9_000, &Input::CallerLost);
    world.put(9_500, &Input::ModelClosed(1, 1_006));
    assert!(!world.opened());
    world.put(12_000, &Input::CallerReplaced("MZnew"));
    assert!(world.opened());
    world.model(12_300, &updated());
    world.model(12_301, &updated());
    assert_eq!(
        world.model_types(),
        ["response.create"],
        "they were cut off"
    );
}
