//! The edge's own webhook, beside the calls of its route.

use std::time::Duration;

use holdline_config::{Listener, Route, Secret, SecretSource, Signature, Webhook};

use crate::support::{Edge, connect, listener, talk, talk_bytes, twilio};

/// Of `https://voice.example.com/voice` and the form below with the token `12345`.
const SIGNATURE: &str = "EdVk20glKtGg5CRaCKM6+sDvxCU=";
/// Of `wss://voice.example.com/media/token-of-CA1` with the token `12345`.
const STREAM_SIGNATURE: &str = "qIr15R8BkSY8fbYPsqK0I8EFQyE=";
const FORM: &str = "CallSid=CA1&From=%2B14158675309&To=%2B18005551212";

fn settings() -> Listener {
    let auth_token = Secret::new(SecretSource::Env("TOKEN".to_owned()), "12345");
    listener(vec![Route {
        path: "/media/{token}".to_owned(),
        signature: Some(Signature {
            public_url: "wss://voice.example.com/media/{token}".to_owned(),
            auth_token,
            secondary_auth_token: None,
            shared_keys: Vec::new(),
        }),
        webhook: Some(Webhook {
            path: "/voice".to_owned(),
            public_url: "https://voice.example.com/voice".to_owned(),
            parameters: vec!["From".to_owned()],
            fallback: None,
        }),
        ..twilio()
    }])
}

fn post(signature: &str, form: &str) -> String {
    format!(
        "POST /voice HTTP/1.1\r\nHost: anything\r\nX-Twilio-Signature: {signature}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

#[tokio::test]
async fn a_signed_request_is_told_a_stream_that_is_let_in() {
    let mut edge = Edge::start(settings()).await;
    let answer = talk(edge.address, &post(SIGNATURE, FORM)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-type: text/xml"), "{answer}");
    assert!(
        answer.ends_with(
            "<Response><Connect><Stream url=\"wss://voice.example.com/media/token-of-CA1\">\
             <Parameter name=\"From\" value=\"+14158675309\"/></Stream></Connect>\
             <Redirect method=\"POST\">https://voice.example.com/voice</Redirect></Response>\n"
        ),
        "{answer}"
    );
    let header = [("x-twilio-signature", STREAM_SIGNATURE)];
    connect(edge.address, "/media/token-of-CA1", &header)
        .await
        .unwrap();
    let call = edge.call().await;
    assert_eq!(call.path, "/media/{token}", "a path that may be told");
    assert_eq!(call.token.unwrap().expose(), "token-of-CA1");
    edge.counted("holdline_webhooks_total{answer=\"connect\"} 1")
        .await;
}

#[tokio::test]
async fn anything_else_is_refused() {
    let mut edge = Edge::start(settings()).await;
    let long = format!("{FORM}&Digits={}", "1".repeat(64 << 10));
    let chunked = format!(
        "POST /voice HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n11000\r\n{}\r\n0\r\n\r\n",
        "1".repeat(0x11000)
    );
    for (request, status) in [
        (post(STREAM_SIGNATURE, FORM), "403"),
        (post(SIGNATURE, "CallSid=CA2"), "403"),
        (post(SIGNATURE, &long), "413"),
        (chunked, "413"),
        ("GET /voice HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "405"),
        (
            "POST /voice HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "400",
        ),
    ] {
        let answer = talk_bytes(edge.address, request.as_bytes()).await;
        let answer = String::from_utf8(answer).unwrap();
        let first = answer.lines().next().unwrap_or_default();
        assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{first}");
        assert!(!answer.contains("<Response>"), "{answer}");
        assert_eq!(status == "405", answer.contains("allow: POST"), "{answer}");
    }
    edge.counted("holdline_webhooks_total{answer=\"refused\"} 6")
        .await;
    edge.counted("holdline_signature_failures_total{why=\"mismatch\"} 2")
        .await;
    assert!(edge.no_call());
}

#[tokio::test]
async fn a_body_that_does_not_come_ends_with_the_handshake_timeout() {
    let settings = Listener {
        handshake_timeout: Duration::from_millis(200),
        ..settings()
    };
    let edge = Edge::start(settings).await;
    let request = post(SIGNATURE, FORM);
    let answer = talk(edge.address, &request[..request.len() - 5]).await;
    assert_eq!(answer, "");
    edge.counted("holdline_upgrades_refused_total{reason=\"timeout\"} 1")
        .await;
}
