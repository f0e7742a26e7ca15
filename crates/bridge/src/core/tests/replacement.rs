//! A worker may be replaced between any two inputs, and nobody notices.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::{
    dialogue::recording,
    world::{Input, World, YAML, done, media},
};
use crate::core::Action;

/// All commands of the recording, where the worker is replaced before the inputs chosen.
fn commands(script: &[(u64, Input)], replaced: impl Fn(usize) -> bool) -> Vec<Vec<Action>> {
    let mut world = World::new();
    let mut all = Vec::new();
    for (position, (ms, input)) in script.iter().enumerate() {
        if replaced(position) {
            world.now_ms = *ms;
            world.actions.clear();
            world.replace_worker();
            assert_eq!(world.actions, [], "taking over is silent, input {position}");
        }
        world.put(*ms, input);
        all.push(std::mem::take(&mut world.actions));
    }
    all
}

/// With what may come in any call, beside the plain dialogue.
fn eventful() -> Vec<(u64, Input)> {
    let mut script = recording();
    let extra = [
        (
            2_000,
            Input::Caller(r#"{"event":"dtmf","dtmf":{"digit":"4"}}"#.to_owned()),
        ),
        (
            2_300,
            Input::Caller(r#"{"event":"dtmf","dtmf":{"digit":"2"}}"#.to_owned()),
        ),
        (3_800, Input::Fired(crate::core::Timer::Keys)),
        (6_000, Input::Gap(400)),
        (6_100, Input::Fired(crate::core::Timer::Quiet)),
        (9_000, Input::ModelClosed(1, 1_006)),
        (9_200, Input::ModelOpened(2)),
        (
            9_250,
            Input::Model(r#"{"type":"session.updated"}"#.to_owned()),
        ),
        (
            9_260,
            Input::Model(r#"{"type":"session.updated"}"#.to_owned()),
        ),
        (14_000, Input::CallerLost),
        (14_500, Input::CallerReplaced("MZnew")),
    ];
    script.extend(extra);
    script.sort_by_key(|(ms, _)| *ms);
    script
}

#[test]
fn replaced_after_every_input_the_commands_are_the_same() {
    for script in [recording(), eventful(), super::rollover::script()] {
        let undisturbed = commands(&script, |_| false);
        assert!(undisturbed == commands(&script, |_| true));
        for every in [2, 3, 7, 50] {
            assert!(undisturbed == commands(&script, |position| position % every == 0));
        }
    }
}

#[test]
fn replaced_once_at_each_position_the_commands_are_the_same() {
    let script: Vec<_> = eventful()
        .into_iter()
        // Media frames are all alike: a few of them stand for the rest.
        .filter(|(ms, input)| {
            !matches!(input, Input::Caller(text) if text.contains("media")) || ms % 400 == 0
        })
        .collect();
    let undisturbed = commands(&script, |_| false);
    for position in 0..script.len() {
        assert!(
            undisturbed == commands(&script, |at| at == position),
            "at {position}"
        );
    }
}

#[test]
fn a_media_frame_writes_little() {
    let mut world = World::greeted();
    for frame in 0..110 {
        let ms = 4_100 + frame * 20;
        world.put(ms, &media(ms));
        assert!(world.touched_bytes() < 1_500, "{:?}", world.touched);
    }
    assert_eq!(world.touched, ["clock", "audio", "audio/00000021"]);
    assert!(world.state_bytes() < 12_000, "a second of audio and a turn");
}

#[test]
fn state_of_another_version_is_taken_over() {
    let mut world = World::greeted();
    let turn = world
        .stored("turn")
        .replacen('{', r#"{"added_in_version_9":[1,2],"#, 1);
    world.overwrite("turn", &turn);
    world.overwrite("playback", "{}");
    world.replace_worker();
    world.model(5_000, &done("R1", "completed"));
}

#[test]
fn another_file_is_told_to_the_model_once_and_without_the_voice() {
    let mut world = World::greeted();
    world.new_file(&YAML.replace("Blue Door", "Red Door"));
    world.actions.clear();
    world.replace_worker();
    let told = world.model_heard();
    assert_eq!(told.len(), 1);
    assert!(
        told[0]["session"]["instructions"]
            .as_str()
            .unwrap()
            .contains("Red Door")
    );
    assert!(told[0]["session"]["audio"]["output"].get("voice").is_none());
    world.actions.clear();
    world.replace_worker();
    assert_eq!(world.actions, []);
}

#[test]
fn calls_keep_their_settings_where_that_is_wanted() {
    let mut world = World::greeted();
    world.new_file(&YAML.replace(
        "instructions: You",
        "existing_calls: keep\ninstructions: Now you",
    ));
    world.actions.clear();
    world.replace_worker();
    assert_eq!(world.actions, []);
}

fn second(input: Input) -> Input {
    Input::Second(Box::new(input))
}

fn words_of_a_spare() -> impl Strategy<Value = Input> {
    let words = prop::sample::select(vec![
        r#"{"type":"session.updated"}"#,
        r#"{"type":"session.created","session":{"expires_at":7}}"#,
        r#"{"type":"error","error":{"event_id":"hl-setup","code":"x"}}"#,
        r#"{"type":"response.created","response":{"id":"T"}}"#,
    ]);
    words.prop_map(|text| Input::Model(text.to_owned()))
}

fn any_input() -> impl Strategy<Value = Input> {
    let words = prop::sample::select(vec![
        r#"{"type":"session.updated"}"#,
        r#"{"type":"session.created","session":{}}"#,
        r#"{"type":"input_audio_buffer.speech_started"}"#,
        r#"{"type":"input_audio_buffer.speech_stopped"}"#,
        r#"{"type":"response.created","response":{"id":"R"}}"#,
        r#"{"type":"response.created","response":{"id":"S"}}"#,
        r#"{"type":"response.done","response":{"id":"R","status":"failed"}}"#,
        r#"{"type":"response.done","response":{"id":"S","status":"cancelled"}}"#,
        r#"{"type":"response.output_audio.delta","response_id":"R","item_id":"A","content_index":0,"delta":"////"}"#,
        r#"{"type": "response.output_audio.delta", "response_id": "S", "item_id": "B", "delta": "////////"}"#,
        r#"{"type":"response.output_item.done","response_id":"R","item":{"id":"F","type":"function_call","call_id":"c","name":"book_slot","arguments":"{}"}}"#,
        r#"{"type":"error","error":{"event_id":"hl-ask","code":"conversation_already_has_active_response"}}"#,
        r#"{"type":"error","error":{"event_id":"hl-ask","code":"server_error"}}"#,
        r#"{"type":"response.output_audio_transcript.delta","response_id":"R","item_id":"A","delta":"ä"}"#,
        "{",
        "null",
        "[]",
        "\u{0}",
        r#"{"type":7}"#,
    ]);
    let calls = prop::sample::select(vec![
        r#"{"event":"media","media":{"timestamp":"99999999999999999999","payload":"!"}}"#,
        r#"{"event":"media","media":{"timestamp":"18446744073709551615","payload":"////"}}"#,
        r#"{"event":"dtmf","dtmf":{"digit":"9"}}"#,
        r##"{"event":"dtmf","dtmf":{"digit":"#"}}"##,
        r#"{"event":"mark","mark":{"name":"g1:A:18446744073709551615"}}"#,
        r#"{"event":"mark","mark":{"name":"g0:B:1"}}"#,
        r#"{"event":"start","streamSid":"MZ9"}"#,
        r#"{"event":"stop"}"#,
        "",
        "{}",
    ]);
    prop_oneof![
        6 => words.prop_map(|text| Input::Model(text.to_owned())),
        4 => calls.prop_map(|text| Input::Caller(text.to_owned())),
        1 => (0..4u32, prop::sample::select(vec![0u16, 1_000, 1_001, 1_006, 3_000]))
            .prop_map(|(incarnation, code)| Input::ModelClosed(incarnation, code)),
        1 => (0..4u32).prop_map(Input::ModelOpened),
        1 => words_of_a_spare().prop_map(second),
        1 => (0..4u32).prop_map(|incarnation| second(Input::ModelOpened(incarnation))),
        1 => (0..4u32).prop_map(|incarnation| second(Input::ModelClosed(incarnation, 1_006))),
        1 => Just(second(Input::Refused(crate::core::Refusal::NameInUse))),
        1 => Just(Input::Refused(crate::core::Refusal::NameInUse)),
        1 => Just(Input::Refused(crate::core::Refusal::TooManyLegs)),
        1 => Just(Input::CallerLost),
        1 => Just(Input::CallerReplaced("MZ8")),
        1 => any::<u64>().prop_map(Input::Gap),
        2 => prop::sample::select(vec!["model", "reply", "quiet", "keys", "rollover"])
            .prop_map(|name| Input::Fired(crate::core::Timer::named(name).unwrap())),
        1 => (0..3u64).prop_map(|number| Input::ToolDone(number, "x")),
        1 => prop::sample::select(vec!["message", "note", "gossip"])
            .prop_map(|name| Input::News(name, "x")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, in whatever order: no panic, bounded state, and the same with replacement.
    #[test]
    fn any_order_of_anything(script in prop::collection::vec((0..5_000u64, any_input()), 1..80)) {
        let mut ms = 0;
        let script: Vec<_> = script.into_iter().map(|(step, input)| { ms += step; (ms, input) }).collect();
        prop_assert!(commands(&script, |_| false) == commands(&script, |_| true));
    }
}
