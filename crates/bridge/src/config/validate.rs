//! What the types cannot say: ranges, and keys that must agree with each other.

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderName, HeaderValue, Uri};

use super::{Audio, AudioChange, Config, Dtmf, Model, Session, Tool};

/// Everything that is wrong, as one sentence each, beginning with the path of the key.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    if config.instructions.trim().is_empty() {
        // An empty text would bring the model's own default instructions back.
        found.push("instructions: say who the agent is; empty ones are not taken".to_owned());
    }
    if config.instructions.len() > 256 << 10 {
        found.push("instructions: more than 256 KiB".to_owned());
    }
    model(&config.model, &mut found);
    session(&config.session, &mut found);
    tools(&config.tools, &mut found);
    audio(&config.audio, &mut found);
    let silence = &config.silence;
    span(
        "silence.quiet_after",
        silence.quiet_after,
        100,
        60_000,
        &mut found,
    );
    span("silence.inject", silence.inject, 20, 10_000, &mut found);
    if let Some(most) = silence.fill_max.get() {
        span("silence.fill_max", most.0, 20, 30_000, &mut found);
    }
    if let Some(keys) = config.dtmf.get() {
        dtmf(keys, &mut found);
    }
    if !["error", "warn", "info", "debug", "trace"].contains(&config.log.level.as_str()) {
        found.push("log.level: one of error, warn, info, debug, trace".to_owned());
    }
    found
}

fn model(model: &Model, found: &mut Vec<String>) {
    if model.upstream.is_empty() {
        found.push("model.upstream: name an upstream of the edge's configuration".to_owned());
    }
    if !(1..=100).contains(&model.attempts) {
        found.push("model.attempts: 1 to 100".to_owned());
    }
    span(
        "model.ready_timeout",
        model.ready_timeout,
        1_000,
        120_000,
        found,
    );
    span(
        "model.reply_timeout",
        model.reply_timeout,
        1_000,
        120_000,
        found,
    );
    span("model.backoff_min", model.backoff_min, 10, 60_000, found);
    span("model.backoff_max", model.backoff_max, 10, 60_000, found);
    span("model.give_up", model.give_up, 1_000, 600_000, found);
    span("model.audio_kept", model.audio_kept, 1_000, 40_000, found);
    if let Some(rollover) = model.rollover.get() {
        let day = 24 * 3_600_000;
        span("model.rollover.after", rollover.after, 1_000, day, found);
        span("model.rollover.by", rollover.by, 1_000, day, found);
        if rollover.by <= rollover.after {
            found.push("model.rollover.by: not later than model.rollover.after".to_owned());
        }
    }
    if model.backoff_max < model.backoff_min {
        found.push("model.backoff_max: less than model.backoff_min".to_owned());
    }
}

fn session(session: &Session, found: &mut Vec<String>) {
    if session.voice.is_empty() {
        found.push("session.voice: name a voice, such as marin".to_owned());
    }
    if !(0.25..=1.5).contains(&session.speed) {
        found.push("session.speed: 0.25 to 1.5".to_owned());
    }
    let turns = &session.turn_detection;
    if !(0.0..=1.0).contains(&turns.threshold) {
        found.push("session.turn_detection.threshold: 0 to 1".to_owned());
    }
    let path = "session.turn_detection";
    span(
        &format!("{path}.prefix_padding"),
        turns.prefix_padding,
        0,
        10_000,
        found,
    );
    span(
        &format!("{path}.silence_duration"),
        turns.silence_duration,
        50,
        10_000,
        found,
    );
    if let Some(idle) = turns.idle_timeout.get() {
        span(
            &format!("{path}.idle_timeout"),
            idle.0,
            5_000,
            30_000,
            found,
        );
    }
}

fn tools(tools: &[Tool], found: &mut Vec<String>) {
    let mut names = BTreeSet::new();
    for (index, tool) in tools.iter().enumerate() {
        let path = format!("tools[{index}]");
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if tool.name.is_empty() || tool.name.len() > 64 || !tool.name.chars().all(word) {
            found.push(format!("{path}.name: 1 to 64 letters, digits, _ and -"));
        }
        if !names.insert(&tool.name) {
            found.push(format!("{path}.name: {:?} is there twice", tool.name));
        }
        if tool.parameters["type"] != "object" {
            found.push(format!(
                "{path}.parameters: a JSON Schema whose type is object"
            ));
        }
        webhook(&path, tool, found);
    }
}

fn names_user(url: &Uri) -> bool {
    url.authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
}

fn webhook(path: &str, tool: &Tool, found: &mut Vec<String>) {
    let hook = &tool.webhook;
    let absolute = hook.url.parse::<Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some()
    });
    if !absolute {
        found.push(format!(
            "{path}.webhook.url: a whole http:// or https:// URL"
        ));
    }
    // It would be told wherever a URL is told.
    if hook.url.parse::<Uri>().is_ok_and(|url| names_user(&url)) {
        found.push(format!(
            "{path}.webhook.url: names a user; put what proves us into `headers`"
        ));
    }
    span(
        &format!("{path}.webhook.timeout"),
        hook.timeout,
        100,
        120_000,
        found,
    );
    if !(1..=10).contains(&hook.attempts) {
        found.push(format!("{path}.webhook.attempts: 1 to 10"));
    }
    if !(1..=16 << 10).contains(&hook.max_response_bytes) {
        found.push(format!("{path}.webhook.max_response_bytes: 1 to 16384"));
    }
    for (name, header) in &hook.headers {
        let path = format!("{path}.webhook.headers.{name}");
        if HeaderName::try_from(name).is_err() {
            found.push(format!("{path}: not a name of a header"));
        }
        match header.read() {
            Ok(value) if HeaderValue::try_from(value.expose()).is_err() => {
                found.push(format!("{path}: the value cannot stand in a header"));
            }
            Ok(_) => {}
            Err(words) => found.push(format!("{path}: {words}")),
        }
    }
}

fn audio(audio: &Audio, found: &mut Vec<String>) {
    for (path, change) in [("to_model", audio.to_model), ("to_caller", audio.to_caller)] {
        let AudioChange { gain_db, .. } = change;
        if !(-40.0..=40.0).contains(&gain_db) {
            found.push(format!("audio.{path}.gain_db: -40 to 40"));
        }
    }
}

fn dtmf(dtmf: &Dtmf, found: &mut Vec<String>) {
    if !dtmf.message.contains("{digits}") {
        found.push("dtmf.message: say {digits} where the keys shall stand".to_owned());
    }
    if !(1..=64).contains(&dtmf.max_digits) {
        found.push("dtmf.max_digits: 1 to 64".to_owned());
    }
    if dtmf.terminator.chars().count() > 1 {
        found.push("dtmf.terminator: one key, or empty".to_owned());
    }
    span("dtmf.gap", dtmf.gap, 100, 30_000, found);
}

fn span(path: &str, value: Duration, least_ms: u64, most_ms: u64, found: &mut Vec<String>) {
    let (least, most) = (
        Duration::from_millis(least_ms),
        Duration::from_millis(most_ms),
    );
    if value < least || value > most {
        found.push(format!("{path}: {least:?} to {most:?}"));
    }
}
