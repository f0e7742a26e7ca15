//! Functions: when they are asked, and when the model is told.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::world::{Input, World, created, done, function_call};

fn calling() -> World {
    let mut world = World::greeted();
    world.model(5_000, &created("R3"));
    world
}

#[test]
fn the_output_waits_for_the_end_of_the_response() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    assert_eq!(world.asked().len(), 1);
    world.put(5_110, &Input::ToolDone(0, "booked"));
    assert!(world.model_heard().is_empty());
    world.model(5_120, &done("R3", "completed"));
    assert_eq!(
        world.model_types(),
        ["conversation.item.create", "response.create"]
    );
    let item = &world.model_heard()[0]["item"];
    assert_eq!(
        (&item["call_id"], &item["output"]),
        (&json!("c1"), &json!("booked"))
    );
}

#[test]
fn an_answer_is_asked_for_once_all_outputs_are_there() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    world.model(5_101, &function_call("R3", "c2", "weather", "{}"));
    world.model(5_120, &done("R3", "completed"));
    world.put(5_500, &Input::ToolDone(1, "rain"));
    assert_eq!(world.model_types(), ["conversation.item.create"]);
    world.put(5_600, &Input::ToolDone(0, "booked"));
    assert_eq!(
        world.model_types(),
        ["conversation.item.create", "response.create"]
    );
}

#[test]
fn a_call_that_is_told_in_three_events_is_one_call() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    let mut end = done("R3", "completed");
    end["response"]["output"] = json!([function_call("R3", "c1", "book_slot", "{}")["item"]]);
    world.model(5_120, &end);
    assert!(world.asked().is_empty());
    let mut only_at_the_end = done("R4", "completed");
    only_at_the_end["response"]["output"] =
        json!([function_call("R4", "c2", "weather", "{}")["item"]]);
    world.model(5_200, &only_at_the_end);
    assert_eq!(world.asked().len(), 1);
}

#[test]
fn what_cannot_be_asked_is_answered_in_words() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "fly_to_mars", "{}"));
    assert!(world.asked().is_empty());
    world.model(5_120, &done("R3", "completed"));
    assert!(
        world.model_heard()[0]["item"]["output"]
            .as_str()
            .unwrap()
            .contains("no such function")
    );
    assert_eq!(world.model_types()[1], "response.create");
}

#[test]
fn arguments_that_are_too_long_are_not_kept() {
    let mut world = calling();
    let long = format!("{{\"t\":\"{}\"}}", "x".repeat(1 << 20));
    world.model(5_100, &function_call("R3", "c1", "book_slot", &long));
    assert!(world.asked().is_empty());
    assert!(world.state_bytes() < 64 << 10);
}

#[test]
fn a_flood_of_calls_stays_bounded() {
    let mut world = calling();
    let mut asked = 0;
    for call in 0..1_000 {
        world.model(
            5_100,
            &function_call("R3", &format!("c{call}"), "book_slot", "{}"),
        );
        asked += world.asked().len();
    }
    assert!(asked <= 16, "{asked}");
    assert!(world.state_bytes() < 256 << 10);
}

#[test]
fn a_half_made_call_of_a_cancelled_response_is_not_made() {
    let mut world = calling();
    let mut half = function_call("R3", "c1", "book_slot", "{\"t\":");
    half["item"]["status"] = json!("incomplete");
    world.model(5_100, &half);
    assert!(world.asked().is_empty());
}

#[test]
fn while_the_caller_speaks_the_model_is_told_and_not_asked() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    world.model(5_120, &done("R3", "completed"));
    world.model(5_200, &json!({"type": "input_audio_buffer.speech_started"}));
    world.put(5_300, &Input::ToolDone(0, "booked"));
    assert_eq!(world.model_types(), ["conversation.item.create"]);
    let item = world.model_heard()[0]["item"]["id"].clone();
    world.model(5_350, &json!({"type": "conversation.item.added", "item": {"id": item, "type": "function_call_output"}}));
    world.model(6_000, &json!({"type": "input_audio_buffer.speech_stopped"}));
    world.model(6_030, &created("R4"));
    world.model(6_500, &done("R4", "completed"));
    assert!(
        world.model_heard().is_empty(),
        "the answer to the caller covered it"
    );
}

#[test]
fn a_response_that_began_before_it_knew_the_output_is_followed_by_another() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    world.model(5_120, &done("R3", "completed"));
    world.put(5_300, &Input::ToolDone(0, "booked"));
    // The model began by itself at the same moment, and refuses the request.
    world.model(5_310, &created("R4"));
    world.model(
        5_320,
        &json!({"type": "error", "error": {
            "code": "conversation_already_has_active_response", "event_id": "hl-ask",
        }}),
    );
    assert!(world.model_heard().is_empty());
    world.model(5_900, &done("R4", "completed"));
    assert_eq!(world.model_types(), ["response.create"]);
}

#[test]
fn a_second_result_is_not_told() {
    let mut world = calling();
    world.model(5_100, &function_call("R3", "c1", "book_slot", "{}"));
    world.model(5_120, &done("R3", "completed"));
    world.put(5_300, &Input::ToolDone(0, "booked"));
    world.put(5_400, &Input::ToolDone(0, "booked"));
    assert!(world.actions.is_empty());
}
