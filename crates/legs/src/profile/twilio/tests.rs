#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use holdline_session::{Class, Payload};

use super::{Event, Twilio, Verdict, event, payload_bytes};

const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{
    "accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],
    "mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1},
    "customParameters":{"tenant":"acme","n":7},"newField":{"a":[1]}}}"#;

fn text(text: &str) -> Payload {
    Payload::Text(Bytes::copy_from_slice(text.as_bytes()))
}

fn started() -> Twilio {
    let mut twilio = Twilio::default();
    assert_eq!(twilio.judge(&text(START)), Verdict::Deliver(Class::Control));
    twilio
}

#[test]
fn the_kind_is_told_by_the_first_key_or_by_parsing() {
    let cases = [
        (r#"{"event":"media","media":{}}"#, Event::Media),
        ("\n{ \"event\" : \"media\" }", Event::Media),
        (r#"{"sequenceNumber":"1","event":"media"}"#, Event::Media),
        (r#"{"event":"me\u0064ia"}"#, Event::Media),
        (r#"{"event":"stop"}"#, Event::Stop),
        (r#"{"event":"connected"}"#, Event::Connected),
        (r#"{"event":"dtmf","dtmf":{"digit":"5"}}"#, Event::Other),
        (r#"{"mark":{"event":"media"},"event":"mark"}"#, Event::Other),
        (
            r#"{"event":"mark","mark":{"name":"\"event\":\"media\""}}"#,
            Event::Other,
        ),
        (r#"{"no":"event"}"#, Event::Other),
        (r#"{"event":7}"#, Event::Malformed),
        (r#"["event","media"]"#, Event::Malformed),
        ("", Event::Malformed),
        ("{", Event::Malformed),
        (r#"{"event":"med"#, Event::Malformed),
        ("hello", Event::Malformed),
    ];
    for (message, kind) in cases {
        assert_eq!(event(message.as_bytes()), kind, "{message}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(event(deep.as_bytes()), Event::Malformed);
}

#[test]
fn audio_is_measured_without_being_decoded() {
    let message =
        |payload: &str| format!(r#"{{"event":"media","media":{{"payload":"{payload}"}}}}"#);
    let cases = [
        ("", 0),
        ("//8=", 2),
        ("////", 3),
        (r"\/\/\/\/", 3),
        ("/w==", 1),
    ];
    for (payload, bytes) in cases {
        assert_eq!(
            payload_bytes(message(payload).as_bytes()),
            Some(bytes),
            "{payload}"
        );
    }
    assert_eq!(payload_bytes(br#"{"media":{"payload" : "////"}}"#), Some(3));
    assert_eq!(payload_bytes(br#"{"media":{"payload":7}}"#), None);
    assert_eq!(payload_bytes(br#"{"media":{"payload":"//"#), None);
}

#[test]
fn a_twenty_millisecond_frame_is_twenty_milliseconds() {
    let payload = format!("{}//8=", "/".repeat(212));
    let message = text(&format!(
        r#"{{"event":"media","sequenceNumber":"2","streamSid":"MZ1","media":{{"track":"inbound","chunk":"1","timestamp":"20","payload":"{payload}"}}}}"#
    ));
    // 216 base64 characters with one `=`: 161 bytes. 20 whole milliseconds.
    assert_eq!(
        started().judge(&message),
        Verdict::Deliver(Class::Media { ms: 20 })
    );
}

#[test]
fn start_tells_who_calls() {
    let attributes = started().take_identity().unwrap();
    let expected = [
        ("account_sid", "AC1"),
        ("call_sid", "CA1"),
        ("channels", "1"),
        ("encoding", "audio/x-mulaw"),
        ("parameter.n", "7"),
        ("parameter.tenant", "acme"),
        ("sample_rate", "8000"),
        ("stream_sid", "MZ1"),
        ("tracks", "inbound"),
    ];
    let found: Vec<_> = attributes
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn numbers_as_strings_and_missing_fields_are_taken() {
    let mut twilio = Twilio::default();
    let message = r#"{"event":"start","start":{"streamSid":"S","callSid":"C",
        "mediaFormat":{"encoding":"audio/x-l16","sampleRate":"16000","channels":"1"}}}"#;
    assert_eq!(
        twilio.judge(&text(message)),
        Verdict::Deliver(Class::Control)
    );
    assert_eq!(twilio.take_identity().unwrap()["sample_rate"], "16000");
    let audio = text(&format!(
        r#"{{"event":"media","media":{{"payload":"{}"}}}}"#,
        "A".repeat(896)
    ));
    assert_eq!(
        twilio.judge(&audio),
        Verdict::Deliver(Class::Media { ms: 21 })
    );
}

#[test]
fn before_start_only_connected_passes_and_only_once() {
    let mut twilio = Twilio::default();
    let connected = text(r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#);
    assert_eq!(twilio.judge(&connected), Verdict::Deliver(Class::Control));
    assert_eq!(twilio.judge(&connected), Verdict::Ignore);
    for junk in [
        "junk",
        r#"{"event":"media"}"#,
        r#"{"event":"start"}"#,
        r#"{"event":"stop"}"#,
    ] {
        assert_eq!(twilio.judge(&text(junk)), Verdict::Ignore, "{junk}");
    }
    let no_call = r#"{"event":"start","streamSid":"MZ1","start":{"callSid":"a b"}}"#;
    assert_eq!(twilio.judge(&text(no_call)), Verdict::Ignore);
    assert_eq!(twilio.take_identity(), None);
    assert_eq!(twilio.judge(&text(START)), Verdict::Deliver(Class::Control));
}

#[test]
fn a_repeated_start_is_left_out_and_another_one_ends_the_leg() {
    let mut twilio = started();
    for nobody in [
        START,
        &START[..START.len() / 2],
        r#"{"event":"start"}"#,
        r#"{"event":"start","start":{"streamSid":"MZ1"}}"#,
    ] {
        assert_eq!(twilio.judge(&text(nobody)), Verdict::Ignore, "{nobody}");
    }
    let other = text(&START.replace("CA1", "CA2"));
    assert_eq!(twilio.judge(&other), Verdict::Break(1002, "second start"));
}

#[test]
fn binary_ends_the_leg_and_junk_is_left_out() {
    let mut twilio = started();
    let binary = Payload::Binary(Bytes::from_static(b"x"));
    assert!(matches!(twilio.judge(&binary), Verdict::Break(1003, _)));
    assert_eq!(twilio.judge(&text("junk")), Verdict::Ignore);
    assert_eq!(
        twilio.judge(&text(r#"{"event":"new"}"#)),
        Verdict::Deliver(Class::Control)
    );
    assert_eq!(
        twilio.judge(&text(r#"{"event":"stop"}"#)),
        Verdict::Deliver(Class::Stop)
    );
}

#[test]
fn sound_is_a_media_message_of_the_present_stream() {
    let twilio = Twilio::default();
    assert_eq!(twilio.sound(&[0xFF]), None, "nobody knows the stream yet");
    let twilio = started();
    let Some(Payload::Text(said)) = twilio.sound(&[0xFF, 0x00]) else {
        panic!("no sound");
    };
    let message: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!(message["event"], "media");
    assert_eq!(message["media"]["payload"], "/wA=");
    assert_eq!(message["streamSid"], "MZ1");
    let other = START.replace("8000", "16000");
    let mut twilio = Twilio::default();
    assert_eq!(
        twilio.judge(&text(&other)),
        Verdict::Deliver(Class::Control)
    );
    assert_eq!(twilio.sound(&[0xFF]), None, "another encoding");
}
