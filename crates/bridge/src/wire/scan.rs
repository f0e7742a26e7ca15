//! Finds the audio in the two frequent messages without parsing them.
//!
//! A call moves some fifty of these a second each way. The scan insists on the shape that both
//! vendors really send (the event's name first, no blanks); whatever differs is parsed by serde.

use std::{borrow::Cow, str};

use memchr::{memchr2, memmem};

/// The audio of a Twilio `media` message.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Media<'a> {
    /// Base64 of mu-law.
    pub(crate) payload: Cow<'a, [u8]>,
    /// Stream time of its first sample, in ms; `None` where not told.
    pub(crate) timestamp_ms: Option<u64>,
}

/// The audio of an OpenAI `response.output_audio.delta` event.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Delta<'a> {
    pub(crate) response: Cow<'a, str>,
    pub(crate) item: Cow<'a, str>,
    pub(crate) content_index: u32,
    /// Base64 of mu-law.
    pub(crate) audio: Cow<'a, [u8]>,
}

/// Reads a `media` message of the caller's own track; `None` for every other message.
pub(crate) fn media(text: &[u8]) -> Option<Media<'_>> {
    let rest = text.strip_prefix(br#"{"event":"media","#)?;
    let (head, payload, tail) = split_string(rest, br#""payload":""#)?;
    if has(head, br#""track":"outbound"#) || has(tail, br#""track":"outbound"#) {
        return None;
    }
    let timestamp = number(head, b"\"timestamp\":").or_else(|| number(tail, b"\"timestamp\":"));
    Some(Media {
        payload: Cow::Borrowed(payload),
        timestamp_ms: timestamp,
    })
}

/// Reads an audio delta; `None` for every other message.
pub(crate) fn delta(text: &[u8]) -> Option<Delta<'_>> {
    let rest = text.strip_prefix(br#"{"type":"response.output_audio.delta","#)?;
    let (head, audio, tail) = split_string(rest, br#""delta":""#)?;
    let field = |name: &[u8]| {
        let (_, value, _) = split_string(head, name).or_else(|| split_string(tail, name))?;
        str::from_utf8(value).ok().map(Cow::Borrowed)
    };
    let index = number(head, b"\"content_index\":").or_else(|| number(tail, b"\"content_index\":"));
    Some(Delta {
        response: field(br#""response_id":""#)?,
        item: field(br#""item_id":""#)?,
        content_index: u32::try_from(index?).ok()?,
        audio: Cow::Borrowed(audio),
    })
}

/// Splits at `"name":"value"`: what stands before, the value, what follows. `None` where it is
/// absent, or the value holds an escape.
fn split_string<'a>(text: &'a [u8], name: &[u8]) -> Option<(&'a [u8], &'a [u8], &'a [u8])> {
    let at = memmem::find(text, name)?;
    let rest = &text[at + name.len()..];
    let end = memchr2(b'"', b'\\', rest)?;
    (rest[end] == b'"').then(|| (&text[..at], &rest[..end], &rest[end + 1..]))
}

/// The number after `name`, written as a number or as a string of digits.
fn number(text: &[u8], name: &[u8]) -> Option<u64> {
    let rest = &text[memmem::find(text, name)? + name.len()..];
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

fn has(text: &[u8], what: &[u8]) -> bool {
    memmem::find(text, what).is_some()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn media_as_twilio_writes_it() {
        let text = br#"{"event":"media","sequenceNumber":"2","streamSid":"MZ5f","media":{"track":"inbound","chunk":"1","timestamp":"20","payload":"//79"}}"#;
        let media = media(text).unwrap();
        assert_eq!(&*media.payload, b"//79");
        assert_eq!(media.timestamp_ms, Some(20));
    }

    #[test]
    fn media_with_the_timestamp_last_and_as_a_number() {
        let text = br#"{"event":"media","media":{"payload":"//79","timestamp":40}}"#;
        assert_eq!(media(text).unwrap().timestamp_ms, Some(40));
    }

    #[test]
    fn what_is_not_the_callers_audio_is_left_to_the_parser() {
        for text in [
            &br#"{"event":"media","media":{"track":"outbound","payload":"//79"}}"#[..],
            br#"{"event":"media","media":{"payload":"\/\/79"}}"#,
            br#"{"event":"media","media":{"payload":"//79"#,
            br#"{"event":"start","start":{"customParameters":{"event":"media","payload":"x"}}}"#,
            br#"{ "event":"media","media":{"payload":"//79"}}"#,
            b"",
        ] {
            assert_eq!(media(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn delta_as_openai_writes_it() {
        let text = br#"{"type":"response.output_audio.delta","event_id":"e","response_id":"resp_2","item_id":"item_A2","output_index":0,"content_index":0,"delta":"//79","obfuscation":"x"}"#;
        let delta = delta(text).unwrap();
        assert_eq!((&*delta.response, &*delta.item), ("resp_2", "item_A2"));
        assert_eq!((delta.content_index, &*delta.audio), (0, &b"//79"[..]));
    }

    #[test]
    fn an_escaped_delta_is_left_to_the_parser() {
        let text = br#"{"type":"response.output_audio.delta","response_id":"r","item_id":"i","content_index":0,"delta":"\/\/79"}"#;
        assert_eq!(delta(text), None);
    }

    #[test]
    fn a_transcript_delta_is_not_audio() {
        let text = br#"{"type":"response.output_audio_transcript.delta","response_id":"r","item_id":"i","delta":"Sure"}"#;
        assert_eq!(delta(text), None);
    }
}
