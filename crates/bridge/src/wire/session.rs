//! The settings of a model session, rendered once for all calls.
//!
//! Every setting is told explicitly, since the server's defaults differ by model, and the audio
//! formats first of all: until they are applied, mu-law would be read as 24 kHz PCM.

use std::hash::Hasher;

use bytes::Bytes;
use serde_json::{Value, json};

use super::openai;
use crate::{
    config::{Config, Session},
    time::millis,
};

/// `event_id` of every update without which a call makes no sense.
pub(crate) const SETUP: &str = "hl-setup";
/// `event_id` of an update to the settings of a call in progress.
pub(crate) const CHANGE: &str = "hl-change";

/// The updates that are ever sent.
pub(crate) struct Updates {
    /// Everything, for a new session.
    pub(crate) start: Bytes,
    /// Everything, for a session that is still to be told what went before: no answers yet.
    pub(crate) seed: Bytes,
    /// Answers from now on.
    pub(crate) resume: Bytes,
    /// Everything but the voice, for a call that comes from a worker with other settings.
    pub(crate) change: Bytes,
    /// Tells these settings from others. The same on every worker with the same file.
    pub(crate) hash: u64,
}

/// Renders the updates.
pub(crate) fn updates(config: &Config) -> Updates {
    let start = session(config, true);
    let mut change = start.clone();
    if let Some(output) = change["audio"]["output"].as_object_mut() {
        output.remove("voice");
    }
    let resume = json!({
        "type": "realtime",
        "audio": {"input": {"turn_detection": turn_detection(&config.session, true)}},
    });
    Updates {
        hash: hash(&start.to_string()),
        start: update(SETUP, &start),
        seed: update(SETUP, &session(config, false)),
        resume: update(SETUP, &resume),
        change: update(CHANGE, &change),
    }
}

fn update(event: &str, session: &Value) -> Bytes {
    openai::text(&json!({"type": "session.update", "event_id": event, "session": session}))
}

fn session(config: &Config, answers: bool) -> Value {
    let settings = &config.session;
    let transcription = settings.transcription.get().map(|transcription| {
        let mut value = json!({"model": transcription.model});
        if let Some(language) = &transcription.language {
            value["language"] = json!(language);
        }
        if let Some(prompt) = &transcription.prompt {
            value["prompt"] = json!(prompt);
        }
        value
    });
    let noise = settings
        .noise_reduction
        .get()
        .map(|kind| json!({"type": kind.as_str()}));
    let tools: Vec<Value> = config
        .tools
        .iter()
        .map(|tool| {
            json!({
                "type": "function", "name": tool.name, "description": tool.description,
                "parameters": tool.parameters,
            })
        })
        .collect();
    json!({
        "type": "realtime",
        "instructions": config.instructions,
        "output_modalities": ["audio"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": noise,
                "transcription": transcription,
                "turn_detection": turn_detection(settings, answers),
            },
            "output": {
                "format": {"type": "audio/pcmu"},
                "voice": settings.voice,
                "speed": decimal(settings.speed),
            },
        },
        "tools": tools,
        "tool_choice": "auto",
        "max_output_tokens": settings.max_output_tokens.0.map_or(json!("inf"), |most| json!(most)),
    })
}

fn turn_detection(settings: &Session, answers: bool) -> Value {
    let turns = &settings.turn_detection;
    json!({
        "type": "server_vad",
        "threshold": decimal(turns.threshold),
        "prefix_padding_ms": millis(turns.prefix_padding),
        "silence_duration_ms": millis(turns.silence_duration),
        "idle_timeout_ms": turns.idle_timeout.get().map(|idle| millis(idle.0)),
        "create_response": answers,
        "interrupt_response": true,
    })
}

/// 0.7 and not 0.699999988079071.
fn decimal(value: f32) -> f64 {
    (f64::from(value) * 1_000.0).round() / 1_000.0
}

/// FNV-1a: the same in every build, which `std`'s hasher does not promise.
fn hash(text: &str) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }

        fn write(&mut self, bytes: &[u8]) {
            for &byte in bytes {
                self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(text.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(text: &Bytes) -> Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn everything_is_told_and_both_sides_are_mu_law() {
        let yaml =
            "instructions: Be kind.\nsession: {speed: 1.1, turn_detection: {threshold: 0.7}}";
        let updates = updates(&Config::parse(yaml, "test").unwrap());
        let session = &parsed(&updates.start)["session"];
        assert_eq!(session["audio"]["input"]["format"]["type"], "audio/pcmu");
        assert_eq!(session["audio"]["output"]["format"]["type"], "audio/pcmu");
        assert_eq!(session["audio"]["output"]["speed"], 1.1);
        let turns = &session["audio"]["input"]["turn_detection"];
        assert_eq!(turns["threshold"], 0.7);
        assert_eq!(turns["create_response"], true);
        assert_eq!(turns["interrupt_response"], true);
        let seed = &parsed(&updates.seed)["session"];
        assert_eq!(
            seed["audio"]["input"]["turn_detection"]["create_response"],
            false
        );
        assert!(
            parsed(&updates.change)["session"]["audio"]["output"]
                .get("voice")
                .is_none()
        );
    }

    #[test]
    fn the_hash_follows_the_settings() {
        let of = |yaml| updates(&Config::parse(yaml, "test").unwrap()).hash;
        assert_eq!(
            of("instructions: A"),
            of("instructions: A\nlog: {content: true}")
        );
        assert_ne!(of("instructions: A"), of("instructions: B"));
    }
}
