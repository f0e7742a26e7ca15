//! Twilio Media Streams: the messages of a bidirectional stream.
//!
//! Source: Twilio's documentation, "Media Streams: WebSocket messages". Counts are documented as
//! decimal strings and taken as numbers too.

use bytes::Bytes;
use serde::Deserialize;

use crate::ids::{CallSid, StreamSid};

/// What Twilio says.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum CallerEvent {
    /// First of all; carries nothing of use.
    Connected {},
    /// Who calls.
    Start {
        #[serde(rename = "streamSid")]
        stream_sid: Option<String>,
        #[serde(default)]
        start: Start,
    },
    /// Audio; the usual form of it never comes here, see [`super::scan`].
    Media { media: Media },
    /// A key was pressed.
    Dtmf { dtmf: Dtmf },
    /// All that was sent before this mark was played, or cleared.
    Mark { mark: Mark },
    /// The stream is over.
    Stop {},
    /// A word that is not known yet.
    #[serde(other)]
    Unknown,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Start {
    pub(crate) stream_sid: Option<String>,
    pub(crate) call_sid: Option<CallSid>,
}

#[derive(Deserialize)]
pub(crate) struct Media {
    pub(crate) track: Option<String>,
    pub(crate) timestamp: Option<Count>,
    pub(crate) payload: String,
}

#[derive(Deserialize)]
pub(crate) struct Dtmf {
    pub(crate) digit: String,
}

#[derive(Deserialize)]
pub(crate) struct Mark {
    pub(crate) name: String,
}

/// A count, as a string of digits or as a number.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Count {
    Number(u64),
    Text(String),
}

impl Count {
    /// The number; `None` where the text is none.
    pub(crate) fn get(self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// Plays base64 mu-law of any length after all that was sent before.
pub(crate) fn media(stream: &StreamSid, payload: &[u8]) -> Bytes {
    let mut text = head("media", stream, payload.len());
    text.extend_from_slice(br#","media":{"payload":""#);
    text.extend_from_slice(payload);
    text.extend_from_slice(br#""}}"#);
    text.into()
}

/// Asks for an echo when everything before it was played.
pub(crate) fn mark(stream: &StreamSid, name: &str) -> Bytes {
    let mut text = head("mark", stream, name.len());
    text.extend_from_slice(br#","mark":{"name":"#);
    push_string(&mut text, name);
    text.extend_from_slice(b"}}");
    text.into()
}

/// Drops what is not played yet. Twilio then echoes every pending mark at once.
pub(crate) fn clear(stream: &StreamSid) -> Bytes {
    let mut text = head("clear", stream, 0);
    text.push(b'}');
    text.into()
}

fn head(event: &str, stream: &StreamSid, more: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(96 + stream.as_str().len() + more);
    text.extend_from_slice(br#"{"event":""#);
    text.extend_from_slice(event.as_bytes());
    text.extend_from_slice(br#"","streamSid":"#);
    push_string(&mut text, stream.as_str());
    text
}

fn push_string(text: &mut Vec<u8>, string: &str) {
    // Writing a string into memory cannot fail; an empty one would be refused by the peer.
    let _ = serde_json::to_writer(text, string);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn parsed(text: &Bytes) -> Value {
        serde_json::from_slice(text).unwrap()
    }

    #[test]
    fn messages_have_the_documented_fields_and_no_other() {
        let stream = StreamSid::new("MZ\"1");
        assert_eq!(
            parsed(&media(&stream, b"//79")),
            json!({"event":"media","streamSid":"MZ\"1","media":{"payload":"//79"}})
        );
        assert_eq!(
            parsed(&mark(&stream, "g1:A:2")),
            json!({"event":"mark","streamSid":"MZ\"1","mark":{"name":"g1:A:2"}})
        );
        assert_eq!(
            parsed(&clear(&stream)),
            json!({"event":"clear","streamSid":"MZ\"1"})
        );
    }

    #[test]
    fn unknown_words_are_no_error() {
        let event: CallerEvent = serde_json::from_str(r#"{"event":"hologram","x":1}"#).unwrap();
        assert!(matches!(event, CallerEvent::Unknown));
    }
}
