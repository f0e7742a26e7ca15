//! Messages of both vendors, as the legs' profiles see them.

use bytes::Bytes;
use holdline_legs::fuzzing::{Judge, Judgement};
use holdline_session::{Class, Payload};
use serde_json::Value;

/// Messages of a caller, one a line.
pub(crate) fn twilio(bytes: &[u8]) {
    let mut judge = Judge::twilio();
    let mut identified = false;
    for line in bytes.split(|byte| *byte == b'\n') {
        let judgement = judge.judge(&payload(line));
        check_class(line, &judgement, identified);
        if let Some(attributes) = judge.take_identity() {
            assert!(!identified, "who calls is told once");
            identified = true;
            for name in ["call_sid", "stream_sid"] {
                let sid = &attributes[name];
                assert!(
                    (1..=128).contains(&sid.len()) && sid.bytes().all(|it| it.is_ascii_graphic())
                );
            }
        }
        if let Judgement::Break(code) = judgement {
            assert!(matches!(code, 1002 | 1003), "{code}");
            return;
        }
    }
}

/// Messages of a model, then its close code.
pub(crate) fn openai(bytes: &[u8]) {
    let mut judge = Judge::openai();
    for line in bytes.split(|byte| *byte == b'\n') {
        // The edge needs no release when the vendor adds an event: all of them go up.
        assert_eq!(
            judge.judge(&payload(line)),
            Judgement::Deliver(Class::Control)
        );
    }
    let code = bytes
        .last_chunk()
        .map_or(0, |code| u16::from_le_bytes(*code));
    let _ = judge.fault(code);
}

/// Text where it could be, as the WebSocket library tells it.
fn payload(line: &[u8]) -> Payload {
    let bytes = Bytes::copy_from_slice(line);
    match std::str::from_utf8(line) {
        Ok(_) => Payload::Text(bytes),
        Err(_) => Payload::Binary(bytes),
    }
}

/// The look at the first bytes must come to what a JSON library makes of the whole message.
fn check_class(line: &[u8], judgement: &Judgement, identified: bool) {
    let Ok(Value::Object(message)) = serde_json::from_slice(line) else {
        return;
    };
    let names = line.windows(5).filter(|window| window == b"event").count();
    let escaped = line.contains(&b'\\');
    if !identified || names != 1 || escaped {
        return; // Of a key that comes twice, libraries make different things.
    }
    match message.get("event").and_then(Value::as_str) {
        Some("media") => assert!(matches!(judgement, Judgement::Deliver(Class::Media { .. }))),
        Some("stop") => assert_eq!(*judgement, Judgement::Deliver(Class::Stop)),
        Some("start") => assert!(!matches!(judgement, Judgement::Deliver(_))),
        Some(_) => assert_eq!(*judgement, Judgement::Deliver(Class::Control)),
        // Not there, or not text: what becomes of it is not promised, save that no audio is made of it.
        None => assert!(!matches!(
            judgement,
            Judgement::Deliver(Class::Media { .. } | Class::Stop)
        )),
    }
}
