//! The caller speaks while something is being said.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::world::{Input, World, created, delta, done, mark, transcript};
use crate::state::What;

fn speech() -> serde_json::Value {
    json!({"type": "input_audio_buffer.speech_started", "item_id": "U2"})
}

#[test]
fn nothing_is_cleared_where_nothing_plays() {
    let mut world = World::greeted();
    world.model(5_220, &speech());
    assert!(world.caller_heard().is_empty());
    assert!(world.model_heard().is_empty());
}

#[test]
fn an_answer_that_is_still_being_made_is_cut_and_its_late_audio_dropped() {
    let mut world = World::answering();
    world.caller(8_721, &mark("g0:A2:400"));
    world.model(8_821, &speech());
    assert_eq!(world.caller_heard()[0]["event"], "clear");
    assert_eq!(world.model_heard()[0]["audio_end_ms"], 500);
    for late in 0..3 {
        world.model(8_830 + late, &delta("R2", "A2", 250));
        assert!(world.caller_heard().is_empty() && world.model_heard().is_empty());
    }
    world.model(8_840, &done("R2", "cancelled"));
    assert!(world.model_heard().is_empty());
    world.model(
        11_000,
        &json!({"type": "input_audio_buffer.speech_stopped"}),
    );
    world.model(11_030, &created("R3"));
    world.model(11_400, &delta("R3", "A3", 200));
    assert_eq!(world.caller_heard()[1]["mark"]["name"], "g1:A3:200");
}

#[test]
fn late_audio_of_an_item_never_heard_is_cut_at_nothing_and_once() {
    let mut world = World::answering();
    world.model(8_500, &speech());
    world.model(8_510, &delta("R2", "A2b", 250));
    assert_eq!(world.model_heard()[0]["item_id"], "A2b");
    assert_eq!(world.model_heard()[0]["audio_end_ms"], 0);
    world.model(8_520, &delta("R2", "A2b", 250));
    assert!(world.model_heard().is_empty());
}

#[test]
fn queued_items_are_cut_each_and_the_unheard_at_nothing() {
    let mut world = World::answering();
    world.model(
        8_300,
        &json!({"type": "response.output_audio.done", "item_id": "A2"}),
    );
    world.model(8_310, &delta("R2", "A2b", 1_000));
    world.model(9_221, &speech());
    let cuts: Vec<_> = world
        .model_heard()
        .iter()
        .map(|cut| {
            (
                cut["item_id"].as_str().unwrap().to_owned(),
                cut["audio_end_ms"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(cuts, [("A2".to_owned(), 1_000), ("A2b".to_owned(), 0)]);
}

#[test]
fn a_cut_is_never_longer_than_what_was_sent() {
    let mut world = World::answering();
    world.model(60_000, &speech());
    assert_eq!(world.model_heard()[0]["audio_end_ms"], 2_000);
}

#[test]
fn an_answer_heard_to_its_end_keeps_its_transcript() {
    let mut world = World::answering();
    world.model(8_600, &done("R2", "completed"));
    world.caller(10_260, &mark("g0:A2:2000"));
    world.model(10_300, &speech());
    assert!(world.caller_heard().is_empty());
    assert!(world.model_heard().is_empty());
}

#[test]
fn a_cough_costs_the_rest_of_the_answer_and_the_next_one_counts_anew() {
    let mut world = World::answering();
    world.model(9_000, &speech());
    world.caller(9_020, &mark("g0:A2:2000"));
    world.model(9_600, &json!({"type": "input_audio_buffer.speech_stopped"}));
    world.model(9_630, &created("R3"));
    world.model(10_000, &delta("R3", "A3", 1_000));
    world.model(10_300, &speech());
    assert_eq!(world.model_heard()[0]["item_id"], "A3");
    assert_eq!(world.model_heard()[0]["audio_end_ms"], 300);
}

#[test]
fn the_history_keeps_the_words_that_were_heard() {
    let mut world = World::answering();
    world.model(
        8_400,
        &transcript("A2", "one two three four five six seven"),
    );
    world.model(9_221, &speech());
    world.model(
        9_230,
        &transcript("A2", "one two three four five six seven"),
    );
    let kept = world.stored("history/00000002");
    assert!(
        kept.contains("one two three") && !kept.contains("five"),
        "{kept}"
    );
}

#[test]
fn an_answer_that_begins_while_the_caller_speaks_is_cancelled() {
    let mut world = World::new();
    world.model(298, &json!({"type": "session.updated"}));
    world.model(300, &speech());
    world.model(393, &created("R1"));
    assert_eq!(world.model_types(), ["response.cancel"]);
    world.model(700, &delta("R1", "A1", 200));
    assert!(world.caller_heard().is_empty());
}

#[test]
fn a_caller_who_comes_back_has_a_new_stream_and_is_told_the_rest() {
    let mut world = World::answering();
    world.model(8_600, &done("R2", "completed"));
    world.caller(8_721, &mark("g0:A2:400"));
    world.put(9_000, &Input::CallerReplaced("MZnew"));
    assert_eq!(
        world.model_heard()[0]["audio_end_ms"],
        400,
        "only marks count"
    );
    assert_eq!(world.model_types()[1], "response.create");
    world.model(9_100, &created("R3"));
    world.model(9_500, &delta("R3", "A3", 200));
    assert!(
        world
            .caller_heard()
            .iter()
            .all(|event| event["streamSid"] == "MZnew")
    );
    assert_eq!(world.caller_heard()[1]["mark"]["name"], "g1:A3:200");
}

#[test]
fn debug_tells_no_words() {
    let cut = What::Agent {
        words: "secret".to_owned().into(),
        cut: true,
    };
    assert!(!format!("{cut:?}").contains("secret"));
}
