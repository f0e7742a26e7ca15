//! The JSON of Twilio Media Streams, in both directions.
//!
//! Numbers are strings where Twilio sends strings. What the server sends is read strictly:
//! Twilio ignores a message with an unknown event, a foreign streamSid or extra fields and
//! warns once (31951); here every one is counted.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::record::Violation;
use crate::identity::FRAME_BYTES;

/// Who this stream is.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) account_sid: String,
    pub(crate) call_sid: String,
    pub(crate) stream_sid: String,
}

/// Writes the messages of one stream, with its sequence numbers and stream time.
#[derive(Debug)]
pub(crate) struct Writer {
    names: Names,
    sequence: u64,
    chunk: u64,
    timestamp_ms: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    event: &'static str,
    sequence_number: String,
    stream_sid: &'a str,
    #[serde(flatten)]
    body: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Body<'a> {
    Start(Start<'a>),
    Media(Media<'a>),
    Dtmf(Dtmf<'a>),
    Mark(Mark<'a>),
    Stop(Stop<'a>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Start<'a> {
    account_sid: &'a str,
    stream_sid: &'a str,
    call_sid: &'a str,
    tracks: [&'static str; 1],
    media_format: MediaFormat,
    custom_parameters: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MediaFormat {
    encoding: &'static str,
    sample_rate: u32,
    channels: u32,
}

#[derive(Serialize)]
struct Media<'a> {
    track: &'static str,
    chunk: String,
    timestamp: String,
    payload: &'a str,
}

#[derive(Serialize)]
struct Dtmf<'a> {
    track: &'static str,
    digit: &'a str,
}

#[derive(Serialize)]
struct Mark<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stop<'a> {
    account_sid: &'a str,
    call_sid: &'a str,
}

impl Writer {
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            sequence: 0,
            chunk: 0,
            timestamp_ms: 0,
        }
    }

    pub(crate) fn stream_sid(&self) -> &str {
        &self.names.stream_sid
    }

    pub(crate) fn connected() -> &'static str {
        r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#
    }

    pub(crate) fn start(&mut self, parameters: &BTreeMap<String, String>) -> String {
        let names = self.names.clone();
        self.message(
            "start",
            Body::Start(Start {
                account_sid: &names.account_sid,
                stream_sid: &names.stream_sid,
                call_sid: &names.call_sid,
                tracks: ["inbound"],
                media_format: MediaFormat {
                    encoding: "audio/x-mulaw",
                    sample_rate: 8_000,
                    channels: 1,
                },
                custom_parameters: parameters,
            }),
        )
    }

    /// One frame, 20 ms later in stream time than the one before.
    pub(crate) fn media(&mut self, frame: &[u8; FRAME_BYTES]) -> String {
        self.chunk += 1;
        self.timestamp_ms += 20;
        let payload = STANDARD.encode(frame);
        let body = Media {
            track: "inbound",
            chunk: self.chunk.to_string(),
            timestamp: self.timestamp_ms.to_string(),
            payload: &payload,
        };
        self.message("media", Body::Media(body))
    }

    /// Stream time goes on without media: packets were lost on the way to Twilio.
    pub(crate) fn skip(&mut self) {
        self.timestamp_ms += 20;
    }

    pub(crate) fn dtmf(&mut self, digit: char) -> String {
        let digit = digit.to_string();
        self.message(
            "dtmf",
            Body::Dtmf(Dtmf {
                track: "inbound_track",
                digit: &digit,
            }),
        )
    }

    pub(crate) fn mark(&mut self, name: &str) -> String {
        self.message("mark", Body::Mark(Mark { name }))
    }

    pub(crate) fn stop(&mut self) -> String {
        let names = self.names.clone();
        let body = Stop {
            account_sid: &names.account_sid,
            call_sid: &names.call_sid,
        };
        self.message("stop", Body::Stop(body))
    }

    fn message(&mut self, event: &'static str, body: Body<'_>) -> String {
        self.sequence += 1;
        let sequence_number = self.sequence.to_string();
        let message = Message {
            event,
            sequence_number,
            stream_sid: &self.names.stream_sid,
            body,
        };
        // Strings and maps with string keys always serialise.
        serde_json::to_string(&message).unwrap_or_default()
    }
}

/// What the server may say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FromServer {
    Media(Vec<u8>),
    Mark(String),
    Clear,
}

#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "lowercase", deny_unknown_fields)]
enum Wire {
    Media {
        #[serde(rename = "streamSid")]
        stream_sid: String,
        media: WireMedia,
    },
    Mark {
        #[serde(rename = "streamSid")]
        stream_sid: String,
        mark: WireMark,
    },
    Clear {
        #[serde(rename = "streamSid")]
        stream_sid: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMedia {
    payload: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMark {
    name: String,
}

/// Reads one text message of the server.
pub(crate) fn parse(text: &str, our_sid: &str) -> Result<FromServer, Violation> {
    let wire: Wire =
        serde_json::from_str(text).map_err(|error| Violation::NotConform(error.to_string()))?;
    let check = |stream_sid: String| {
        if stream_sid == our_sid {
            Ok(())
        } else {
            Err(Violation::WrongStreamSid(stream_sid))
        }
    };
    match wire {
        Wire::Media { stream_sid, media } => {
            check(stream_sid)?;
            STANDARD
                .decode(media.payload)
                .map(FromServer::Media)
                .map_err(|_| Violation::BadBase64)
        }
        Wire::Mark { stream_sid, mark } => check(stream_sid).map(|()| FromServer::Mark(mark.name)),
        Wire::Clear { stream_sid } => check(stream_sid).map(|()| FromServer::Clear),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn writer() -> Writer {
        Writer::new(Names {
            account_sid: "AC1".into(),
            call_sid: "CA1".into(),
            stream_sid: "MZ1".into(),
        })
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn messages_have_twilios_shape_and_types() {
        let mut writer = writer();
        let parameters = BTreeMap::from([("tenant".to_owned(), "acme".to_owned())]);
        assert_eq!(
            value(&writer.start(&parameters)),
            json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "MZ1",
                "start": {
                    "accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": {"tenant": "acme"},
                },
            })
        );
        let media = value(&writer.media(&[0xFF; 160]));
        assert_eq!(media["sequenceNumber"], "2");
        assert_eq!(media["media"]["chunk"], "1");
        assert_eq!(media["media"]["timestamp"], "20");
        assert_eq!(media["media"]["payload"].as_str().unwrap().len(), 216);
        writer.skip();
        assert_eq!(
            value(&writer.media(&[0xFF; 160]))["media"]["timestamp"],
            "60"
        );
        assert_eq!(
            value(&writer.dtmf('#'))["dtmf"],
            json!({"track": "inbound_track", "digit": "#"})
        );
        assert_eq!(value(&writer.mark("g1:a"))["mark"], json!({"name": "g1:a"}));
        assert_eq!(
            value(&writer.stop())["stop"],
            json!({"accountSid": "AC1", "callSid": "CA1"})
        );
    }

    #[test]
    fn what_twilio_accepts_is_read() {
        let media = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}"#;
        assert_eq!(parse(media, "MZ1"), Ok(FromServer::Media(vec![0xFF, 0xFF])));
        let mark = r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"x"}}"#;
        assert_eq!(parse(mark, "MZ1"), Ok(FromServer::Mark("x".into())));
        assert_eq!(
            parse(r#"{"event":"clear","streamSid":"MZ1"}"#, "MZ1"),
            Ok(FromServer::Clear)
        );
    }

    #[test]
    fn what_twilio_warns_of_is_a_violation() {
        let wrong = r#"{"event":"clear","streamSid":"MZ2"}"#;
        assert_eq!(
            parse(wrong, "MZ1"),
            Err(Violation::WrongStreamSid("MZ2".into()))
        );
        let bad = r#"{"event":"media","streamSid":"MZ1","media":{"payload":"%%"}}"#;
        assert_eq!(parse(bad, "MZ1"), Err(Violation::BadBase64));
        for text in [
            r#"{"event":"hello","streamSid":"MZ1"}"#,
            r#"{"event":"clear"}"#,
            r#"{"event":"clear","streamSid":"MZ1","extra":1}"#,
            r#"{"event":"media","streamSid":"MZ1","media":{"payload":"","track":"outbound"}}"#,
            "not json",
            "[]",
        ] {
            assert!(
                matches!(parse(text, "MZ1"), Err(Violation::NotConform(_))),
                "{text}"
            );
        }
    }
}
