//! The caller's audio: unchanged, complete, and silence where some is missing.

#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::world::{Input, World, YAML, audio, media};
use crate::core::{Note, Timer};

fn silence(world: &World) -> Option<usize> {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let heard = world.model_heard();
    let audio = heard.first()?["audio"].as_str()?.to_owned();
    let bytes = BASE64_STANDARD.decode(audio).unwrap();
    bytes
        .iter()
        .all(|&byte| byte == 0xFF)
        .then_some(bytes.len() / 8)
}

#[test]
fn audio_follows_the_settings_even_before_the_model_is_there() {
    let mut world = World::new();
    assert_eq!(world.model_types(), ["session.update"]);
    world.put(20, &media(20));
    assert_eq!(
        world.model_heard(),
        [json!({"type": "input_audio_buffer.append", "audio": audio(20)})]
    );
}

#[test]
fn audio_with_another_spelling_is_the_same_audio() {
    let mut world = World::new();
    world.put(
        20,
        &Input::Caller(format!(
            r#"{{ "media": {{"payload": "{}"}}, "event": "media" }}"#,
            audio(20)
        )),
    );
    assert_eq!(world.model_heard()[0]["audio"], audio(20));
}

#[test]
fn a_jump_of_the_timestamps_is_filled_up_to_the_bound() {
    let mut world = World::new();
    world.put(20, &media(20));
    world.put(1_040, &media(1_040));
    assert_eq!(silence(&world), Some(1_000));
    assert_eq!(world.model_heard().len(), 2);
    world.put(99_000, &media(99_000));
    assert_eq!(silence(&world), Some(10_000));
}

#[test]
fn media_that_the_edge_had_to_drop_is_filled_too() {
    let mut world = World::new();
    world.put(20, &media(20));
    world.put(2_000, &Input::Gap(1_960));
    assert_eq!(silence(&world), Some(1_960));
    world.put(2_000, &media(2_000));
    assert_eq!(world.model_heard().len(), 1, "the gap is not filled twice");
}

#[test]
fn filling_can_be_switched_off() {
    let mut world = World::with(&format!("{YAML}\nsilence: {{fill_max: off}}"));
    world.put(20, &media(20));
    world.put(9_040, &media(9_040));
    assert_eq!(world.model_heard().len(), 1);
}

#[test]
fn a_caller_who_falls_silent_without_media_is_heard_to_be_silent() {
    let mut world = World::greeted();
    world.put(5_200, &media(5_200));
    world.model(5_220, &json!({"type": "input_audio_buffer.speech_started"}));
    assert_eq!(world.timer(Timer::Quiet), Some(750));
    world.put(5_800, &media(5_800));
    world.put(5_970, &Input::Fired(Timer::Quiet));
    assert!(world.model_heard().is_empty());
    assert_eq!(world.timer(Timer::Quiet), Some(580));
    world.put(6_550, &Input::Fired(Timer::Quiet));
    assert_eq!(silence(&world), Some(1_000));
    assert!(
        world
            .notes()
            .any(|note| matches!(note, Note::SilenceSent { ms: 1_000 }))
    );
    assert_eq!(world.timer(Timer::Quiet), Some(1_000));
    // The media comes back after 1.5 s: only half a second is still missing.
    world.put(7_320, &media(7_320));
    assert_eq!(silence(&world), Some(500));
}

#[test]
fn silence_is_not_sent_for_ever_nor_to_a_silent_caller() {
    let mut world = World::greeted();
    world.put(6_000, &Input::Fired(Timer::Quiet));
    assert!(world.actions.is_empty());
    world.model(7_000, &json!({"type": "input_audio_buffer.speech_started"}));
    for second in 0..100 {
        world.put(8_000 + second * 1_000, &Input::Fired(Timer::Quiet));
    }
    assert!(world.actions.is_empty());
}

#[test]
fn a_hook_changes_the_audio_of_its_direction() {
    let mut world = World::with(&format!("{YAML}\naudio: {{to_model: {{mute: true}}}}"));
    world.put(20, &media(20));
    assert_eq!(silence(&world), Some(20));
}

#[test]
fn the_old_session_of_a_new_stream_is_no_gap() {
    let mut world = World::new();
    world.put(20, &media(9_000));
    world.put(900, &Input::CallerReplaced("MZnew"));
    world.put(920, &media(20_000));
    assert_eq!(world.model_heard().len(), 1);
}
