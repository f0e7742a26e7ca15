//! Four hours on the phone, and what a model gone mad could do to the state.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::world::{World, added, created, delta, done, function_call, mark, transcript};

/// A turn of each side every fifteen seconds.
const TURNS: u64 = 4 * 3_600 / 15;

#[test]
fn four_hours_of_talk_stay_within_a_quarter_of_a_mebibyte() {
    let mut world = World::greeted();
    let mut largest = 0;
    for turn in 0..TURNS {
        let ms = 10_000 + turn * 15_000;
        let (user, agent, response) = (
            format!("U{turn:026}"),
            format!("A{turn:026}"),
            format!("R{turn:026}"),
        );
        let words = "and then we went there, which was nice. "
            .repeat(3 + usize::try_from(turn % 11).unwrap());
        world.model(
            ms,
            &json!({"type": "input_audio_buffer.speech_started", "item_id": user}),
        );
        world.model(
            ms + 4_000,
            &json!({"type": "input_audio_buffer.speech_stopped", "item_id": user}),
        );
        world.model(ms + 4_001, &added(&user, "user"));
        world.model(ms + 4_100, &created(&response));
        world.model(ms + 4_200, &added(&agent, "assistant"));
        for part in 0..8 {
            world.model(
                ms + 4_300 + part,
                &json!({
                    "type": "response.output_audio_transcript.delta",
                    "response_id": response, "item_id": agent, "delta": "and then ",
                }),
            );
            world.model(ms + 4_400 + part, &delta(&response, &agent, 250));
        }
        world.model(ms + 4_500, &json!({
            "type": "conversation.item.input_audio_transcription.completed", "item_id": user, "transcript": words,
        }));
        world.model(ms + 4_600, &transcript(&agent, &words));
        if turn % 40 == 0 {
            world.model(
                ms + 4_650,
                &function_call(&response, &format!("call_{turn}"), "book_slot", "{}"),
            );
        }
        world.model(ms + 4_700, &done(&response, "completed"));
        // Every other answer is interrupted by the next turn.
        if turn % 2 == 0 {
            let name = format!("g{}:{agent}:2000", turn / 2);
            world.caller(ms + 6_500, &mark(&name));
        }
        largest = largest.max(world.state_bytes());
    }
    assert!(largest < 256 << 10, "{largest}");
    assert!(
        largest > 64 << 10,
        "{largest}: that is not what four hours leave"
    );
}

#[test]
fn names_and_words_without_end_leave_the_state_bounded() {
    let mut world = World::greeted();
    let long = "\u{1}x".repeat(64 << 10);
    for round in 0..40 {
        let id = format!("{round}{long}");
        world.model(5_000, &created(&id));
        world.model(5_001, &added(&id, "assistant"));
        world.model(5_002, &json!({
            "type": "response.output_audio_transcript.delta", "response_id": "R", "item_id": id, "delta": long,
        }));
        world.model(5_003, &delta(&id, &id, 20));
        world.model(5_004, &transcript(&id, &long));
        world.model(5_005, &function_call(&id, &id, &long, &long));
        world.caller(
            5_006,
            &json!({"event": "start", "streamSid": id, "start": {"callSid": id}}),
        );
        world.model(5_007, &done("other", "completed"));
    }
    assert!(world.state_bytes() < 512 << 10, "{}", world.state_bytes());
    assert!(
        world.largest_value() < 256 << 10,
        "{}",
        world.largest_value()
    );
}
