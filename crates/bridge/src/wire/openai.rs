//! OpenAI Realtime (GA): the events that the bridge understands, and those it sends.
//!
//! Source: the types of OpenAI's own SDKs. Every event may carry fields that these do not show, so
//! nothing here refuses unknown ones.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::ids::{CallId, ItemId, ResponseId};

/// What the model says. The usual form of an audio delta never comes here, see [`super::scan`].
#[derive(Deserialize)]
#[serde(tag = "type")]
pub(crate) enum ModelEvent {
    #[serde(rename = "session.created")]
    SessionCreated { session: Session },
    #[serde(rename = "session.updated")]
    SessionUpdated {},
    #[serde(rename = "error")]
    Error { error: Failure },
    #[serde(rename = "input_audio_buffer.speech_started")]
    SpeechStarted {
        audio_start_ms: Option<u64>,
        #[serde(default)]
        item_id: ItemId,
    },
    #[serde(rename = "input_audio_buffer.speech_stopped")]
    SpeechStopped { audio_end_ms: Option<u64> },
    #[serde(rename = "conversation.item.added")]
    ItemAdded { item: Item },
    #[serde(rename = "conversation.item.input_audio_transcription.completed")]
    UserTranscript { item_id: ItemId, transcript: String },
    #[serde(rename = "conversation.item.input_audio_transcription.failed")]
    UserTranscriptFailed { item_id: ItemId },
    #[serde(rename = "response.created")]
    ResponseCreated { response: Response },
    #[serde(rename = "response.output_audio_transcript.delta")]
    TranscriptDelta {
        response_id: ResponseId,
        item_id: ItemId,
        delta: String,
    },
    #[serde(rename = "response.output_audio_transcript.done")]
    TranscriptDone { item_id: ItemId, transcript: String },
    #[serde(rename = "response.output_audio.delta")]
    AudioDelta {
        response_id: String,
        item_id: String,
        #[serde(default)]
        content_index: u32,
        delta: String,
    },
    #[serde(rename = "response.output_audio.done")]
    AudioDone { item_id: ItemId },
    #[serde(rename = "response.output_item.done")]
    OutputItemDone { response_id: ResponseId, item: Item },
    #[serde(rename = "response.done")]
    ResponseDone { response: Response },
    /// Not needed here, or not known yet.
    #[serde(other)]
    Other,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Session {
    /// Seconds of Unix time.
    pub(crate) expires_at: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Failure {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    /// Of the client event that caused it.
    pub(crate) event_id: Option<String>,
}

/// An item of the conversation; which fields are there depends on `kind`.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Item {
    pub(crate) id: ItemId,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) status: Option<String>,
    pub(crate) role: Option<String>,
    pub(crate) call_id: Option<CallId>,
    pub(crate) name: Option<String>,
    pub(crate) arguments: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Response {
    pub(crate) id: ResponseId,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) output: Vec<Item>,
}

/// Reads an event; `None` where it is no JSON, or a known event without its fields.
pub(crate) fn parse(text: &[u8]) -> Option<ModelEvent> {
    serde_json::from_slice(text).ok()
}

/// Appends base64 mu-law to the caller's audio.
pub(crate) fn append(payload: &[u8]) -> Bytes {
    let mut text = Vec::with_capacity(APPEND.len() + payload.len() + 2);
    text.extend_from_slice(APPEND);
    text.extend_from_slice(payload);
    text.extend_from_slice(br#""}"#);
    text.into()
}

/// Appends mu-law bytes to the caller's audio.
pub(crate) fn append_bytes(audio: &[u8]) -> Bytes {
    append(BASE64_STANDARD.encode(audio).as_bytes())
}

/// Appends so many milliseconds of mu-law silence.
pub(crate) fn append_silence(ms: u64) -> Bytes {
    let bytes = usize::try_from(ms.saturating_mul(super::BYTES_PER_MS)).unwrap_or(usize::MAX);
    let mut text = Vec::with_capacity(APPEND.len() + bytes / 3 * 4 + 6);
    text.extend_from_slice(APPEND);
    // The silent sample is 0xFF, and three of them are "////".
    text.resize(APPEND.len() + bytes / 3 * 4, b'/');
    text.extend_from_slice(match bytes % 3 {
        0 => &b""[..],
        1 => b"/w==",
        _ => b"//8=",
    });
    text.extend_from_slice(br#""}"#);
    text.into()
}

const APPEND: &[u8] = br#"{"type":"input_audio_buffer.append","audio":""#;

/// Says how much of an item was heard. The server deletes the item's transcript.
pub(crate) fn truncate(item: &ItemId, content_index: u32, heard_ms: u64) -> Bytes {
    text(&json!({
        "type": "conversation.item.truncate",
        "item_id": item.as_str(),
        "content_index": content_index,
        "audio_end_ms": heard_ms,
    }))
}

/// Adds a message in words. An assistant's is of another content type than all others.
pub(crate) fn create_message(item: &ItemId, role: &str, words: &str) -> Bytes {
    create_item(&message(item, role, words))
}

/// Puts a message in words in the place of another one. There is no event that changes an item.
pub(crate) fn replace_message(old: &ItemId, item: &ItemId, role: &str, words: &str) -> [Bytes; 2] {
    let create = json!({
        "type": "conversation.item.create", "previous_item_id": old.as_str(),
        "item": message(item, role, words),
    });
    [text(&create), delete(old)]
}

/// Takes an item out of the conversation.
pub(crate) fn delete(item: &ItemId) -> Bytes {
    text(&json!({"type": "conversation.item.delete", "item_id": item.as_str()}))
}

/// Adds something that the caller said, as mu-law.
pub(crate) fn create_speech(item: &ItemId, audio: &[u8]) -> Bytes {
    create_item(&json!({
        "id": item.as_str(), "type": "message", "role": "user",
        "content": [{"type": "input_audio", "audio": BASE64_STANDARD.encode(audio)}],
    }))
}

/// Adds a function call of an earlier session.
pub(crate) fn create_call(item: &ItemId, call: &CallId, name: &str, arguments: &str) -> Bytes {
    create_item(&json!({
        "id": item.as_str(), "type": "function_call", "call_id": call.as_str(),
        "name": name, "arguments": arguments,
    }))
}

/// Adds what a function returned.
pub(crate) fn create_output(item: &ItemId, call: &CallId, output: &str) -> Bytes {
    create_item(&json!({
        "id": item.as_str(), "type": "function_call_output", "call_id": call.as_str(),
        "output": output,
    }))
}

/// Asks for an answer. Errors about it carry `event` as their `event_id`.
pub(crate) fn create_response(event: &str, instructions: Option<&str>) -> Bytes {
    let mut create = json!({"type": "response.create", "event_id": event});
    if let Some(words) = instructions {
        create["response"] = json!({"instructions": words});
    }
    text(&create)
}

/// Stops an answer. One that is over already earns a harmless error.
pub(crate) fn cancel(response: &ResponseId) -> Bytes {
    text(&json!({"type": "response.cancel", "response_id": response.as_str()}))
}

fn message(item: &ItemId, role: &str, words: &str) -> Value {
    let kind = if role == "assistant" {
        "output_text"
    } else {
        "input_text"
    };
    json!({
        "id": item.as_str(), "type": "message", "role": role,
        "content": [{"type": kind, "text": words}],
    })
}

fn create_item(item: &Value) -> Bytes {
    text(&json!({"type": "conversation.item.create", "item": item}))
}

pub(crate) fn text(value: &Value) -> Bytes {
    value.to_string().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn silence_is_all_ff_of_the_right_length() {
        for ms in [0, 1, 2, 3, 20, 1_000] {
            let event: Value = serde_json::from_slice(&append_silence(ms)).unwrap();
            let audio = BASE64_STANDARD
                .decode(event["audio"].as_str().unwrap())
                .unwrap();
            assert_eq!(audio.len() as u64, ms * 8);
            assert!(audio.iter().all(|&byte| byte == 0xFF));
        }
    }

    #[test]
    fn events_with_surplus_fields_and_unknown_events_are_taken() {
        let text = br#"{"type":"response.done","event_id":"e","response":{"id":"r","status":"completed","phase":"x","output":[{"id":"i","type":"message"}],"usage":{}}}"#;
        assert!(matches!(parse(text), Some(ModelEvent::ResponseDone { .. })));
        assert!(matches!(
            parse(br#"{"type":"rate_limits.updated"}"#),
            Some(ModelEvent::Other)
        ));
        assert!(parse(b"{").is_none());
    }

    #[test]
    fn assistants_speak_output_text() {
        let text = create_message(&ItemId::new("h_1"), "assistant", "Hi");
        let event: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(event["item"]["content"][0]["type"], "output_text");
    }
}
