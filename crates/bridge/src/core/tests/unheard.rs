//! What a lost model session takes along: what it had not understood, and what was not heard of it.

#![allow(clippy::unwrap_used)]

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::world::{Input, World, YAML, added, created, delta, done, mark, media, transcript};
use crate::core::{Note, Timer};

fn updated() -> Value {
    json!({"type": "session.updated"})
}

fn started(item: &str, audio_ms: u64) -> Value {
    json!({"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": audio_ms})
}

fn stopped(item: &str, audio_ms: u64) -> Value {
    json!({"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": audio_ms})
}

/// The carrier's last message.
fn stop() -> Value {
    json!({"event": "stop", "streamSid": "MZ5f"})
}

/// Media from one moment to another.
fn talk(world: &mut World, from: u64, to: u64) {
    for ms in (from..to).step_by(20) {
        world.put(ms, &media(ms));
    }
}

/// How much audio the model was told by the last input, in ms.
fn appended_ms(world: &World) -> usize {
    let heard = world.model_heard();
    let audio = heard.iter().filter_map(|event| event["audio"].as_str());
    audio
        .map(|it| BASE64_STANDARD.decode(it).unwrap().len() / 8)
        .sum()
}

/// Items that the model was told by the last input, as role and content.
fn items(world: &World) -> Vec<(String, Value)> {
    let heard = world.model_heard();
    let items = heard.iter().filter(|event| event["item"].is_object());
    items
        .map(|event| {
            let role = event["item"]["role"].as_str().unwrap_or_default();
            (role.to_owned(), event["item"]["content"][0].clone())
        })
        .collect()
}

#[test]
fn what_is_said_while_there_is_no_model_is_heard_by_the_next() {
    let mut world = World::greeted();
    talk(&mut world, 5_000, 9_000);
    world.put(9_000, &Input::ModelClosed(1, 1_006));
    assert_eq!(appended_ms(&world), 1_000, "the last second may be news");
    talk(&mut world, 9_000, 9_500);
    // What was sent to a leg that never opens was not heard.
    world.put(9_500, &Input::ModelClosed(2, 0));
    let wait = world.timer(Timer::Model).unwrap();
    talk(&mut world, 9_500, 9_500 + wait);
    world.replace_worker();
    world.put(9_750, &Input::Fired(Timer::Model));
    assert_eq!(appended_ms(&world), 1_760);
    let heard = world.model_types();
    assert_eq!(heard.last().unwrap(), "input_audio_buffer.append");
    assert_eq!(heard[heard.len() - 3], "session.update", "answers are on");
}

#[test]
fn a_session_that_dies_young_has_not_heard_either() {
    let mut world = World::greeted();
    talk(&mut world, 5_000, 9_000);
    world.put(9_000, &Input::ModelClosed(1, 1_006));
    world.model(9_100, &updated());
    world.model(9_101, &updated());
    talk(&mut world, 9_100, 9_600);
    world.put(9_600, &Input::ModelClosed(2, 1_011));
    world.put(9_850, &Input::Fired(Timer::Model));
    assert_eq!(appended_ms(&world), 1_500);
    world.model(9_900, &updated());
    world.model(9_901, &updated());
    talk(&mut world, 10_000, 13_000);
    world.put(13_000, &Input::ModelClosed(3, 1_011));
    world.put(13_500, &Input::Fired(Timer::Model));
    assert_eq!(appended_ms(&world), 1_000, "this one had time enough");
}

#[test]
fn a_session_that_fell_silent_may_have_heard_nothing_since() {
    let mut world = World::greeted();
    talk(&mut world, 5_000, 6_000);
    world.model(6_000, &created("R2"));
    world.model(6_500, &delta("R2", "A2", 200));
    talk(&mut world, 6_000, 14_500);
    world.put(14_500, &Input::Fired(Timer::Reply));
    assert!(world.opened());
    assert_eq!(
        appended_ms(&world),
        9_000,
        "since its last sound, and a second before"
    );
}

#[test]
fn a_sentence_that_is_cut_is_heard_from_its_beginning() {
    let mut world = World::greeted();
    talk(&mut world, 0, 6_000);
    world.model(6_000, &started("U1", 2_000));
    talk(&mut world, 6_000, 8_000);
    world.put(8_000, &Input::ModelClosed(1, 1_006));
    assert_eq!(appended_ms(&world), 6_000 - 1_040 - 3_980 + 2_000 + 20);
    world.model(8_200, &updated());
    world.model(8_201, &updated());
    assert!(world.model_heard().is_empty(), "it answers by itself");
}

#[test]
fn a_sentence_without_words_yet_is_told_as_it_sounded() {
    let mut world = World::greeted();
    talk(&mut world, 0, 6_000);
    world.model(6_000, &started("U1", 5_000));
    talk(&mut world, 6_000, 7_000);
    world.model(7_000, &stopped("U1", 6_500));
    world.model(7_001, &added("U1", "user"));
    world.model(7_030, &created("R2"));
    world.model(7_300, &added("A2", "assistant"));
    world.put(7_400, &Input::ModelClosed(1, 1_011));
    let told = items(&world);
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[2].0, "user");
    assert_eq!(told[2].1["type"], "input_audio");
    let audio = told[2].1["audio"].as_str().unwrap();
    assert_eq!(BASE64_STANDARD.decode(audio).unwrap().len(), 1_500 * 8);
    assert_eq!(appended_ms(&world), 500, "and not as news once more");
    world.model(7_600, &updated());
    world.model(7_601, &updated());
    assert_eq!(world.model_types(), ["response.create"], "it is owed");
    // Once answered, it is forgotten; words would do, too.
    world.model(7_700, &created("R3"));
    world.model(7_900, &done("R3", "completed"));
    world.put(8_000, &Input::ModelClosed(2, 1_011));
    let told = items(&world);
    assert_eq!(told[2].1["type"], "input_text", "{told:?}");
}

#[test]
fn words_that_came_are_not_told_as_sound() {
    let mut world = World::greeted();
    talk(&mut world, 0, 7_000);
    world.model(7_000, &started("U1", 5_000));
    world.model(7_000, &stopped("U1", 6_500));
    world.model(
        7_100,
        &json!({
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "U1", "transcript": "Tuesday, please.",
        }),
    );
    world.put(7_400, &Input::ModelClosed(1, 1_011));
    assert_eq!(items(&world)[2].1["text"], "Tuesday, please.");
}

#[test]
fn what_cannot_be_kept_is_counted_and_asked_for_again() {
    let mut world = World::with(&format!(
        "{YAML}\nmodel: {{audio_kept: 2s, give_up: 60s, backoff_min: 5s, backoff_max: 5s}}"
    ));
    world.model(100, &updated());
    let words = json!({
        "type": "conversation.item.input_audio_transcription.completed",
        "item_id": "U0", "transcript": "Hello?",
    });
    world.model(100, &words);
    talk(&mut world, 100, 5_000);
    world.put(5_000, &Input::ModelClosed(1, 1_006));
    world.put(5_010, &Input::ModelClosed(2, 0));
    talk(&mut world, 5_000, 10_000);
    assert!(world.state_bytes() < 20_000, "{}", world.state_bytes());
    world.replace_worker();
    world.put(10_010, &Input::Fired(Timer::Model));
    // The pieces in which it is kept have 100 ms each.
    let kept = appended_ms(&world);
    assert!((2_000..2_100).contains(&kept), "{kept}");
    let preface = items(&world)[0].1["text"].as_str().unwrap().to_owned();
    assert!(preface.contains("missing"), "{preface}");
    world.model(10_200, &updated());
    world.model(10_201, &updated());
    let lost = world.notes().find_map(|note| match note {
        Note::ModelReady { unheard_ms, .. } => Some(*unheard_ms),
        _ => None,
    });
    // Two seconds before the loss, since an answer was due and did not come, and five after it.
    assert_eq!(lost.unwrap() as usize, 7_000 - kept);
}

#[test]
fn what_no_model_hears_until_the_end_is_told() {
    // A model that was there at the end has heard all of it.
    let mut world = World::greeted();
    talk(&mut world, 5_000, 9_000);
    world.caller(9_000, &stop());
    world.put(9_010, &Input::ModelClosed(1, 1_000));
    assert_eq!(world.unheard_ms(), 0);

    // None was ever there.
    let mut world = World::new();
    world.put(10, &Input::ModelClosed(1, 0));
    talk(&mut world, 20, 1_020);
    world.put(1_020, &Input::ModelClosed(2, 0));
    world.replace_worker();
    world.caller(1_030, &stop());
    assert_eq!(world.unheard_ms(), 1_000);

    // It was lost, and the next one did not confirm its settings.
    let mut world = World::greeted();
    talk(&mut world, 5_000, 9_000);
    world.put(9_000, &Input::ModelClosed(1, 1_006));
    talk(&mut world, 9_000, 9_500);
    world.caller(9_500, &stop());
    world.put(9_510, &Input::ModelClosed(2, 0));
    assert_eq!(world.unheard_ms(), 1_500, "the last second may be news");
}

#[test]
fn of_an_answer_that_is_cut_what_was_sent_counts_as_heard() {
    let mut world = World::answering();
    let words = "We have eleven fifteen on Tuesday, or two in the afternoon on Wednesday.";
    world.model(
        8_300,
        &json!({
            "type": "response.output_audio_transcript.delta", "response_id": "R2", "item_id": "A2",
            "delta": words,
        }),
    );
    world.put(8_500, &Input::ModelClosed(1, 1_006));
    let heard = "We have eleven fifteen on";
    assert_eq!(items(&world).last().unwrap().1["text"], heard);
    let preface = items(&world)[0].1["text"].as_str().unwrap().to_owned();
    assert!(preface.contains("go on where you stopped"), "{preface}");

    // The caller interrupts what is still being played of it: they have heard less.
    world.model(8_700, &updated());
    world.model(8_701, &updated());
    world.caller(8_800, &mark("g0:A2:400"));
    world.model(9_000, &json!({"type": "input_audio_buffer.speech_started"}));
    let told = world.model_heard();
    assert_eq!(told[0]["type"], "conversation.item.create");
    assert_eq!(told[0]["item"]["content"][0]["text"], "We have");
    assert_eq!(told[1]["type"], "conversation.item.delete");
    assert_eq!(told[1]["item_id"], told[0]["previous_item_id"]);
}

#[test]
fn of_an_answer_without_a_sound_nothing_was_heard() {
    let mut world = World::new();
    world.model(298, &updated());
    world.model(393, &created("R1"));
    world.model(700, &added("A1", "assistant"));
    world.model(
        705,
        &json!({
            "type": "response.output_audio_transcript.delta", "response_id": "R1", "item_id": "A1",
            "delta": "Hi, Blue Door Dental",
        }),
    );
    world.put(710, &Input::ModelClosed(1, 1_011));
    assert_eq!(world.model_types(), ["session.update"], "nothing was said");
    world.model(900, &updated());
    let asked = world.model_heard();
    assert_eq!(asked[0]["response"]["instructions"], "Greet the caller.");
    // What is whole was heard whole, even if it is still playing.
    world.model(1_000, &created("R2"));
    world.model(1_100, &delta("R2", "A2", 3_000));
    world.model(1_200, &transcript("A2", "Hi, Blue Door Dental."));
    world.model(
        1_201,
        &json!({"type": "response.output_audio.done", "item_id": "A2"}),
    );
    world.model(1_210, &done("R2", "completed"));
    world.put(1_300, &Input::ModelClosed(2, 1_011));
    assert_eq!(items(&world)[1].1["text"], "Hi, Blue Door Dental.");
}
