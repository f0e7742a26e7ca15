//! The session's configuration: kept as the client wrote it, read where it matters.
//!
//! Why both forms: fields that this server does not know must come back in
//! `session.updated` as they were sent, and the few that it acts on must be valid.

use serde_json::{Map, Value, json};

use super::conversation::ClientError;
use super::vad::VadSettings;

/// How audio bytes are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// 16-bit linear at 24 kHz: the default of the API, and noise where mu-law is sent.
    Pcm,
    Pcmu,
    Pcma,
}

impl Format {
    /// Bytes per millisecond.
    pub(crate) fn bytes_per_ms(self) -> u64 {
        match self {
            Self::Pcm => 48,
            Self::Pcmu | Self::Pcma => 8,
        }
    }
}

/// How turns are found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Turns {
    pub(crate) vad: VadSettings,
    pub(crate) create_response: bool,
    pub(crate) interrupt_response: bool,
    pub(crate) idle_timeout_ms: Option<u64>,
}

/// The configuration. See the module.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    json: Value,
}

impl Settings {
    pub(crate) fn new(id: &str, model: &str, expires_at: u64) -> Self {
        Self {
            json: json!({
                "type": "realtime",
                "object": "realtime.session",
                "id": id,
                "model": model,
                "expires_at": expires_at,
                "instructions": "You are a helpful voice on the telephone.",
                "output_modalities": ["audio"],
                "audio": {
                    "input": {
                        "format": {"type": "audio/pcm", "rate": 24_000},
                        "noise_reduction": null,
                        "transcription": null,
                        "turn_detection": {
                            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
                            "silence_duration_ms": 200, "idle_timeout_ms": null,
                            "create_response": true, "interrupt_response": true,
                        },
                    },
                    "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "alloy", "speed": 1.0},
                },
                "tools": [],
                "tool_choice": "auto",
                "max_output_tokens": "inf",
                "truncation": "auto",
                "tracing": null,
                "include": null,
                "prompt": null,
            }),
        }
    }

    /// As `session.created` and `session.updated` show it.
    pub(crate) fn json(&self) -> &Value {
        &self.json
    }

    /// A `session.update`: what is left out keeps its value. Nothing changes on an error.
    pub(crate) fn update(&mut self, change: &Value, spoke: bool) -> Result<(), ClientError> {
        let Value::Object(fields) = change else {
            return Err(ClientError::missing("session"));
        };
        match fields.get("type").and_then(Value::as_str) {
            Some("realtime") => {}
            Some(_) => {
                return Err(ClientError::value(
                    "session.type",
                    "Only 'realtime' sessions are simulated.",
                ));
            }
            None => return Err(ClientError::missing("session.type")),
        }
        self.check_fixed(change, spoke)?;
        let mut next = self.json.clone();
        merge(&mut next, change);
        let next = Self { json: next };
        next.check()?;
        *self = next;
        Ok(())
    }

    pub(crate) fn input_format(&self) -> Format {
        format(&self.json["audio"]["input"]["format"]).unwrap_or(Format::Pcm)
    }

    pub(crate) fn output_format(&self) -> Format {
        format(&self.json["audio"]["output"]["format"]).unwrap_or(Format::Pcm)
    }

    /// `None` in manual mode.
    pub(crate) fn turns(&self) -> Option<Turns> {
        let wanted = &self.json["audio"]["input"]["turn_detection"];
        if !wanted.is_object() {
            return None;
        }
        let number = |name: &str, default| wanted[name].as_u64().unwrap_or(default);
        Some(Turns {
            vad: VadSettings {
                threshold: wanted["threshold"].as_f64().unwrap_or(0.5),
                prefix_padding_ms: number("prefix_padding_ms", 300),
                silence_duration_ms: number("silence_duration_ms", 500),
            },
            create_response: wanted["create_response"].as_bool().unwrap_or(true),
            interrupt_response: wanted["interrupt_response"].as_bool().unwrap_or(true),
            idle_timeout_ms: wanted["idle_timeout_ms"].as_u64(),
        })
    }

    pub(crate) fn transcribes(&self) -> bool {
        self.json["audio"]["input"]["transcription"].is_object()
    }

    pub(crate) fn modalities(&self) -> &Value {
        &self.json["output_modalities"]
    }

    pub(crate) fn voice(&self) -> &Value {
        &self.json["audio"]["output"]["voice"]
    }

    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.json["tools"]
            .as_array()
            .is_some_and(|tools| tools.iter().any(|offered| offered["name"] == tool))
    }

    fn check_fixed(&self, change: &Value, spoke: bool) -> Result<(), ClientError> {
        let model = &change["model"];
        if !model.is_null() && *model != self.json["model"] {
            return Err(ClientError::value(
                "session.model",
                "The model of a session cannot be changed.",
            ));
        }
        let voice = &change["audio"]["output"]["voice"];
        if spoke && !voice.is_null() && voice != self.voice() {
            return Err(ClientError {
                code: "cannot_update_voice",
                message: "The voice cannot be changed once the session has produced audio."
                    .to_owned(),
                param: Some("session.audio.output.voice".to_owned()),
            });
        }
        Ok(())
    }

    fn check(&self) -> Result<(), ClientError> {
        for side in ["input", "output"] {
            if format(&self.json["audio"][side]["format"]).is_none() {
                return Err(ClientError::value(
                    &format!("session.audio.{side}.format"),
                    "Supported formats are audio/pcm at 24000, audio/pcmu and audio/pcma.",
                ));
            }
        }
        check_modalities(self.modalities(), "session.output_modalities")?;
        let turns = &self.json["audio"]["input"]["turn_detection"];
        let kind = turns["type"].as_str();
        if !turns.is_null() && !matches!(kind, Some("server_vad" | "semantic_vad")) {
            return Err(ClientError::value(
                "session.audio.input.turn_detection.type",
                "Supported values are 'server_vad' and 'semantic_vad'.",
            ));
        }
        if !self.json["tools"].is_array() {
            return Err(ClientError::value("session.tools", "An array is expected."));
        }
        Ok(())
    }
}

/// Either `["audio"]` or `["text"]`.
pub(crate) fn check_modalities(modalities: &Value, param: &str) -> Result<(), ClientError> {
    if *modalities == json!(["audio"]) || *modalities == json!(["text"]) {
        return Ok(());
    }
    Err(ClientError::value(
        param,
        "Supported combinations are ['text'] and ['audio'].",
    ))
}

fn format(value: &Value) -> Option<Format> {
    match value["type"].as_str()? {
        "audio/pcm" if value["rate"].is_null() || value["rate"] == 24_000 => Some(Format::Pcm),
        "audio/pcmu" => Some(Format::Pcmu),
        "audio/pcma" => Some(Format::Pcma),
        _ => None,
    }
}

/// Objects are merged field by field; all else is replaced. An object whose `type` changes is
/// another thing altogether and keeps nothing of the old one.
fn merge(old: &mut Value, new: &Value) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) if !changes_type(old, new) => {
            for (name, value) in new {
                merge(old.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (old, new) => *old = new.clone(),
    }
}

fn changes_type(old: &Map<String, Value>, new: &Map<String, Value>) -> bool {
    matches!((old.get("type"), new.get("type")), (Some(old), Some(new)) if old != new)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn settings() -> Settings {
        Settings::new("sess_1", "gpt-realtime", 1)
    }

    #[test]
    fn left_out_fields_keep_their_values() {
        let mut settings = settings();
        assert_eq!(settings.input_format(), Format::Pcm);
        let change = json!({"type": "realtime", "audio": {"input": {
            "format": {"type": "audio/pcmu"}, "turn_detection": {"silence_duration_ms": 700}}}});
        settings.update(&change, false).unwrap();
        assert_eq!(settings.input_format(), Format::Pcmu);
        assert_eq!(
            settings.json()["audio"]["input"]["format"],
            json!({"type": "audio/pcmu"})
        );
        assert_eq!(settings.output_format(), Format::Pcm);
        let turns = settings.turns().unwrap();
        assert_eq!(
            (turns.vad.silence_duration_ms, turns.vad.prefix_padding_ms),
            (700, 300)
        );
        let manual =
            json!({"type": "realtime", "audio": {"input": {"turn_detection": null}}, "later": 1});
        settings.update(&manual, false).unwrap();
        assert!(settings.turns().is_none());
        assert_eq!(settings.json()["later"], 1);
    }

    #[test]
    fn what_is_wrong_is_refused_whole() {
        for (change, code) in [
            (json!({}), "missing_required_parameter"),
            (json!({"type": "transcription"}), "invalid_value"),
            (
                json!({"type": "realtime", "model": "other"}),
                "invalid_value",
            ),
            (
                json!({"type": "realtime", "output_modalities": ["audio", "text"]}),
                "invalid_value",
            ),
            (
                json!({"type": "realtime", "audio": {"input": {"format": {"type": "g711_ulaw"}}}}),
                "invalid_value",
            ),
            (
                json!({"type": "realtime", "audio": {"output": {"voice": "marin"}}}),
                "cannot_update_voice",
            ),
            (
                json!({"type": "realtime", "instructions": "x", "tools": 1}),
                "invalid_value",
            ),
        ] {
            let mut settings = settings();
            let before = settings.json().clone();
            assert_eq!(
                settings.update(&change, true).unwrap_err().code,
                code,
                "{change}"
            );
            assert_eq!(settings.json(), &before);
        }
    }
}
