//! The `start` message: who calls.

use std::collections::BTreeMap;

use holdline_session::Attributes;
use serde::Deserialize;
use serde_json::Value;

/// Longest `streamSid` and `callSid` taken; Twilio's have 34 characters.
const SID_MAX: usize = 128;

/// What a `start` message says.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) stream_sid: String,
    pub(super) call_sid: String,
    /// Bytes of audio per millisecond; `None` for an encoding that the edge does not know.
    pub(super) rate: Option<u32>,
    pub(super) attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    stream_sid: Option<String>,
    start: Body,
}

/// Unknown fields are fine, and numbers may come as strings: Twilio documents `sampleRate` and
/// `channels` as numbers, others who speak the same dialect write strings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    stream_sid: Option<String>,
    call_sid: Option<String>,
    account_sid: Option<String>,
    #[serde(default)]
    tracks: Vec<String>,
    #[serde(default)]
    media_format: Format,
    #[serde(default)]
    custom_parameters: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Format {
    encoding: Option<String>,
    sample_rate: Option<Value>,
    channels: Option<Value>,
}

impl Start {
    /// Reads a `start` message; `None` if it is none or does not name its call and stream.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let Message { stream_sid, start } = serde_json::from_slice(text).ok()?;
        let stream_sid = stream_sid.or(start.stream_sid).filter(|sid| is_sid(sid))?;
        let call_sid = start.call_sid.filter(|sid| is_sid(sid))?;
        let sample_rate = start.media_format.sample_rate.map(plain);
        let channels = start.media_format.channels.map(plain);
        let encoding = start.media_format.encoding;
        let rate = rate(
            encoding.as_deref(),
            sample_rate.as_deref(),
            channels.as_deref(),
        );

        let tracks = (!start.tracks.is_empty()).then(|| start.tracks.join(","));
        let known = [
            ("stream_sid", Some(stream_sid.clone())),
            ("call_sid", Some(call_sid.clone())),
            ("account_sid", start.account_sid),
            ("tracks", tracks),
            ("encoding", encoding),
            ("sample_rate", sample_rate),
            ("channels", channels),
        ];
        let parameters = start.custom_parameters.into_iter();
        let attributes = known
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .chain(parameters.map(|(name, value)| (format!("parameter.{name}"), plain(value))))
            .collect();
        Some(Self {
            stream_sid,
            call_sid,
            rate,
            attributes,
        })
    }
}

/// Ids go into logs and indices: printable, and of a sane length.
fn is_sid(sid: &str) -> bool {
    !sid.is_empty() && sid.len() <= SID_MAX && sid.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A scalar as text, without quotes; anything deeper as JSON.
fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// Bytes per millisecond. Twilio has `audio/x-mulaw`, 8000, 1 only; what is not said is taken for
/// that.
fn rate(encoding: Option<&str>, sample_rate: Option<&str>, channels: Option<&str>) -> Option<u32> {
    let width = match encoding.unwrap_or("audio/x-mulaw") {
        "audio/x-mulaw" | "audio/x-alaw" => 1,
        "audio/x-l16" | "audio/l16" => 2,
        _ => return None,
    };
    let sample_rate: u32 = sample_rate.unwrap_or("8000").parse().ok()?;
    let channels: u32 = channels.unwrap_or("1").parse().ok()?;
    (sample_rate / 1000)
        .checked_mul(channels)?
        .checked_mul(width)
        .filter(|&rate| rate > 0)
}
