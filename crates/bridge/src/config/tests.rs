#![allow(clippy::unwrap_used)]

use super::*;

fn problems(yaml: &str) -> Vec<String> {
    Config::parse(yaml, "bridge.yaml")
        .unwrap_err()
        .problems()
        .to_vec()
}

#[test]
fn the_smallest_file_has_every_default() {
    let config = Config::parse("instructions: Be kind.", "test").unwrap();
    assert_eq!(config.session.voice, "marin");
    assert_eq!(
        config.session.turn_detection.silence_duration,
        Duration::from_millis(500)
    );
    assert!(config.greeting.get().is_some());
    assert!(!config.log.content);
    assert_eq!(config.model.upstream, "openai");
}

#[test]
fn the_committed_example_can_be_used() {
    let text = include_str!("../../../../config/bridge.yaml");
    let config = Config::parse(text, "config/bridge.yaml").unwrap();
    assert_eq!(config.tools.len(), 1);
    assert_eq!(config.session.max_output_tokens, MaxTokens(None));
}

#[test]
fn unknown_keys_are_refused_with_their_path() {
    let found = problems("instructions: x\nsession:\n  voise: marin\n");
    assert!(
        found[0].contains("session") && found[0].contains("voise"),
        "{found:?}"
    );
    let found = problems("instructions: x\ngreeting: {instruction: hi}");
    assert!(found[0].contains("instruction"), "{found:?}");
}

#[test]
fn everything_else_is_reported_together_with_its_path() {
    let found = problems(
        "instructions: ''\nsession: {speed: 9, turn_detection: {threshold: 2}}\ntools:\n\
         - {name: 'a b', description: x, webhook: {url: nowhere, attempts: 0}}\n\
         - {name: b, description: x, parameters: {type: array}, webhook: {url: 'http://x/', timeout: 1ms}}\n\
         audio: {to_model: {gain_db: 99}}\ndtmf: {message: hello}\n",
    );
    let wanted = [
        "instructions:",
        "session.speed:",
        "session.turn_detection.threshold:",
        "tools[0].name:",
        "tools[0].webhook.url:",
        "tools[0].webhook.attempts:",
        "tools[1].parameters:",
        "tools[1].webhook.timeout:",
        "audio.to_model.gain_db:",
        "dtmf.message:",
    ];
    for path in wanted {
        assert!(
            found.iter().any(|problem| problem.starts_with(path)),
            "{path} in {found:?}"
        );
    }
    assert_eq!(found.len(), wanted.len(), "{found:?}");
}

#[test]
fn units_and_switches_are_told_when_they_are_missing() {
    let found = problems("instructions: x\nsilence: {quiet_after: 750}");
    assert!(found[0].contains("750ms or 5s"), "{found:?}");
    let found = problems("instructions: x\nsession: {max_output_tokens: 0}");
    assert!(found[0].contains("1 to 4096"), "{found:?}");
    assert!(problems("instructions: x\ndtmf: on")[0].contains("dtmf"));
    let config = Config::parse(
        "instructions: x\nsession: {transcription: off, noise_reduction: far_field}",
        "t",
    )
    .unwrap();
    assert_eq!(config.session.transcription, Switch::Off);
    assert_eq!(
        config.session.noise_reduction,
        Switch::On(NoiseReduction::FarField)
    );
}

#[test]
fn a_missing_secret_is_a_problem_of_the_file_and_no_secret_is_printed() {
    let tool = |header: &str| {
        format!(
            "instructions: x\ntools:\n- name: a\n  description: x\n  webhook: {{url: 'http://x/', headers: {{X-Key: {header}}}}}"
        )
    };
    let found = problems(&tool("{env: HOLDLINE_BRIDGE_NO_SUCH_VARIABLE}"));
    assert!(
        found[0].starts_with("tools[0].webhook.headers.X-Key"),
        "{found:?}"
    );
    let config = Config::parse(&tool("s3cr3t"), "test").unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t"));
    assert!(problems(&tool("{env: A, file: B}"))[0].contains("either"));
}

#[test]
fn a_webhook_url_holds_no_secret() {
    let found = problems(
        "instructions: x\ntools:\n- {name: a, description: x, webhook: {url: 'http://me:s3cr3t@x/'}}",
    );
    assert!(found[0].contains("names a user"), "{found:?}");
    assert!(!format!("{found:?}").contains("s3cr3t"), "{found:?}");
}
