//! Keys that the caller presses.

#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::world::{Input, World, YAML, created, delta, done};
use crate::core::Timer;

fn key(digit: &str) -> Value {
    json!({"event": "dtmf", "streamSid": "MZ5f", "dtmf": {"track": "inbound_track", "digit": digit}})
}

#[test]
fn keys_are_collected_and_told_in_words() {
    let mut world = World::greeted();
    world.caller(5_000, &key("4"));
    assert!(world.model_heard().is_empty());
    assert_eq!(world.timer(Timer::Keys), Some(1_500));
    world.caller(5_300, &key("2"));
    world.put(6_800, &Input::Fired(Timer::Keys));
    assert_eq!(
        world.model_types(),
        ["conversation.item.create", "response.create"]
    );
    let item = &world.model_heard()[0]["item"];
    assert_eq!(item["role"], "user");
    assert_eq!(item["content"][0]["text"], "The caller pressed 42.");
}

#[test]
fn the_terminator_ends_the_collection_at_once() {
    let mut world = World::greeted();
    world.caller(5_000, &key("7"));
    world.caller(5_100, &key("#"));
    assert_eq!(
        world.model_heard()[0]["item"]["content"][0]["text"],
        "The caller pressed 7."
    );
    world.caller(5_200, &key("#"));
    assert!(world.model_heard().is_empty(), "no keys, nothing to tell");
}

#[test]
fn a_key_stops_what_is_being_said() {
    let mut world = World::answering();
    world.caller(8_721, &key("1"));
    assert_eq!(
        world.model_types(),
        ["response.cancel", "conversation.item.truncate"]
    );
    assert_eq!(world.caller_heard()[0]["event"], "clear");
    world.caller(8_800, &key("#"));
    assert_eq!(
        world.model_types(),
        ["conversation.item.create"],
        "the old response is not over"
    );
    world.model(8_850, &done("R2", "cancelled"));
    assert_eq!(world.model_types(), ["response.create"]);
    world.model(8_900, &created("R3"));
    world.model(9_000, &delta("R3", "A3", 200));
    assert_eq!(world.caller_heard().len(), 2);
}

#[test]
fn keys_can_be_switched_off_or_left_without_an_answer() {
    let mut world = World::with(&format!("{YAML}\ndtmf: off"));
    world.caller(5_000, &key("1"));
    assert!(world.actions.is_empty());
    let mut world = World::with(&format!("{YAML}\ndtmf: {{respond: false, max_digits: 1}}"));
    world.model(298, &json!({"type": "session.updated"}));
    world.model(393, &created("R1"));
    world.model(400, &done("R1", "completed"));
    world.caller(5_000, &key("1"));
    assert_eq!(world.model_types(), ["conversation.item.create"]);
}

#[test]
fn what_is_no_key_is_ignored() {
    let mut world = World::greeted();
    for digit in ["", "12", "<script>"] {
        world.caller(5_000, &key(digit));
        assert!(world.actions.is_empty(), "{digit}");
    }
}
