//! Reads the little that the edge needs out of a message, fifty times a second and call, without
//! parsing all of it.

use std::borrow::Cow;

use memchr::{memchr, memchr2_iter, memmem};
use serde::Deserialize;

/// What kind of message it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    Connected,
    Start,
    Media,
    Stop,
    /// Any other JSON object: `dtmf`, `mark`, or what Twilio thinks of next.
    Other,
    /// Not a JSON object.
    Malformed,
}

/// The kind of a message. Twilio writes `event` as the first key, and then a look at the first bytes
/// is conclusive: nothing nested or escaped can stand there. Otherwise the message is parsed.
pub(super) fn event(text: &[u8]) -> Event {
    match leading_event(text) {
        Some(name) => named(name),
        None => parsed_event(text),
    }
}

/// The bytes of audio that a media message carries in base64. An escaped slash (`\/`) counts once.
pub(super) fn payload_bytes(text: &[u8]) -> Option<usize> {
    const KEY: &[u8] = b"\"payload\"";
    let key = memmem::find(text, KEY)?;
    let value = after(after(&text[key + KEY.len()..], b':')?, b'"')?;
    let end = memchr(b'"', value)?;
    let others = memchr2_iter(b'\\', b'=', &value[..end]).count();
    Some((end - others) * 3 / 4)
}

fn leading_event(text: &[u8]) -> Option<&[u8]> {
    let text = after(after(text, b'{')?, b'"')?;
    let text = text.strip_prefix(b"event\"")?;
    let name = after(after(text, b':')?, b'"')?;
    let end = name
        .iter()
        .take(32)
        .position(|&byte| matches!(byte, b'"' | b'\\'))?;
    (name[end] == b'"').then_some(&name[..end])
}

fn parsed_event(text: &[u8]) -> Event {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, default)]
        event: Option<Cow<'a, str>>,
    }
    match serde_json::from_slice::<Message<'_>>(text) {
        Ok(message) => message
            .event
            .map_or(Event::Other, |name| named(name.as_bytes())),
        Err(_) => Event::Malformed,
    }
}

fn named(name: &[u8]) -> Event {
    match name {
        b"media" => Event::Media,
        b"connected" => Event::Connected,
        b"start" => Event::Start,
        b"stop" => Event::Stop,
        _ => Event::Other,
    }
}

/// What follows `byte`, if that is the next thing but white space.
fn after(text: &[u8], byte: u8) -> Option<&[u8]> {
    text.trim_ascii_start().strip_prefix(&[byte])
}
