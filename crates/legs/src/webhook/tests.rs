#![allow(clippy::unwrap_used)]

use std::{sync::Mutex, time::Duration};

use holdline_config::{ByteSize, CallerProfile, Secret, SecretSource, SharedKey, Signature};
use http_body_util::Full;

use super::*;
use crate::{Permit, Refusal, Token, signature::SignatureError};

/// Says what it was told to say, and notes of which calls it was asked.
struct Says(Direction, Mutex<Vec<String>>);

impl Gate for Says {
    fn admit(&self, _: Option<&Token>) -> Result<Permit, Refusal> {
        Ok(Permit::new(()))
    }

    fn direct(&self, call_sid: &str) -> Direction {
        self.1.lock().unwrap().push(call_sid.to_owned());
        self.0.clone()
    }
}

fn gate(direction: Direction) -> Says {
    Says(direction, Mutex::default())
}

fn secret(value: &str) -> Secret {
    Secret::new(SecretSource::Env("TEST".to_owned()), value)
}

fn settings(public_url: &str) -> Settings {
    Settings {
        path: "/voice".to_owned(),
        public_url: public_url.to_owned(),
        parameters: vec!["From".to_owned(), "To".to_owned()],
        fallback: None,
    }
}

fn route(signed: bool) -> Route {
    let signature = Signature {
        public_url: "wss://voice.example.com/media/{token}".to_owned(),
        auth_token: secret("12345"),
        secondary_auth_token: None,
        shared_keys: vec![SharedKey {
            id: "SK1".to_owned(),
            secret: secret("12345"),
        }],
    };
    Route {
        path: "/media/{token}".to_owned(),
        profile: CallerProfile::Twilio,
        start_timeout: Duration::ZERO,
        idle_timeout: None,
        max_frame: ByteSize::kib(64),
        signature: signed.then_some(signature),
        webhook: None,
        takeover: None,
        legs: Vec::new(),
        workers: "default".to_owned(),
    }
}

fn post(headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request =
        Request::post("/voice").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.to_owned().into()).unwrap()
}

/// The request of Twilio's own documentation.
const BODY: &str = "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309\
    &CallSid=CA1234567890ABCDE";
const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";
const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";

#[tokio::test]
async fn only_a_request_that_twilio_signed_is_answered() {
    let webhook = Webhook::new(&settings(URL), &route(true)).unwrap();
    let gate = gate(Direction::HangUp);
    let header = "x-twilio-signature";
    let good = webhook
        .answer(post(&[(header, SIGNATURE)], BODY), &gate)
        .await;
    assert_eq!(good.unwrap().call_sid, "CA1234567890ABCDE");
    let sha256 = [
        (header, "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="),
        (
            "x-twilio-webhooks-signature-settings",
            "key=SK1,algorithm=HMAC_SHA256",
        ),
    ];
    let other = BODY.replace("1234&", "1235&");
    let refused: [(&[_], &str, SignatureError); 4] = [
        (&[], BODY, SignatureError::Missing),
        (&[(header, SIGNATURE)], &other, SignatureError::Mismatch),
        (
            &[(header, "K0deaDmCtJ9SxxG1+/835CUqEug=")],
            BODY,
            SignatureError::Mismatch,
        ),
        (&[sha256[0]], BODY, SignatureError::Mismatch),
    ];
    for (headers, body, why) in refused {
        let answer = webhook.answer(post(headers, body), &gate).await;
        assert_eq!(answer.err(), Some(Refused::Signature(why)), "{headers:?}");
    }
    assert_eq!(
        gate.1.lock().unwrap().len(),
        1,
        "the edge is asked by Twilio alone"
    );
    let good = webhook.answer(post(&sha256, BODY), &gate).await;
    assert_eq!(good.err(), None);
}

#[tokio::test]
async fn what_is_no_form_with_a_call_is_refused() {
    let webhook = Webhook::new(&settings(URL), &route(false)).unwrap();
    let gate = gate(Direction::HangUp);
    let long = format!("CallSid=CA1&Digits={}", "1".repeat(BODY_BYTES));
    for (body, why) in [
        ("", Refused::Form),
        ("From=1", Refused::Form),
        ("CallSid=", Refused::Form),
        ("CallSid=CA1%0a", Refused::Form),
        (&long, Refused::TooLarge),
    ] {
        let answer = webhook.answer(post(&[], body), &gate).await;
        assert_eq!(answer.err(), Some(why), "{:.20}", body);
    }
    let json = Request::post("/voice").header(CONTENT_TYPE, "application/json");
    let json = json.body(Full::from("CallSid=CA1")).unwrap();
    assert_eq!(webhook.answer(json, &gate).await.err(), Some(Refused::Form));
    let get = Request::get("/voice").body(Full::from("")).unwrap();
    assert_eq!(
        webhook.answer(get, &gate).await.err(),
        Some(Refused::NotPost)
    );
}

#[tokio::test]
async fn a_direction_becomes_twiml() {
    let connect = gate(Direction::Connect(Token::new("abc")));
    let long = format!("CallSid=CA1&From=%2B1555&To={}", "1".repeat(500));
    for signed in [true, false] {
        let mut webhook =
            Webhook::new(&settings("https://voice.example.com/voice"), &route(signed)).unwrap();
        webhook.verifier = None;
        let answer = webhook.answer(post(&[], &long), &connect).await.unwrap();
        assert_eq!(answer.direction, "connect");
        assert_eq!(
            answer.twiml,
            twiml::connect(
                "wss://voice.example.com/media/abc",
                &[("From", "+1555")],
                "https://voice.example.com/voice"
            )
        );
    }
}

#[tokio::test]
async fn a_call_that_cannot_go_on_is_told_what_is_configured() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "<Response><Say>Sorry</Say></Response>").unwrap();
    let url = "https://example.com/sorry?a&b";
    let cases = [
        (None, twiml::hang_up()),
        (
            Some(Fallback::Redirect(url.to_owned())),
            twiml::redirect(url),
        ),
        (
            Some(Fallback::File(file.path().to_owned())),
            "<Response><Say>Sorry</Say></Response>".to_owned(),
        ),
    ];
    for (fallback, expected) in cases {
        let settings = Settings {
            fallback,
            ..settings(URL)
        };
        let webhook = Webhook::new(&settings, &route(false)).unwrap();
        let answer = webhook
            .answer(post(&[], "CallSid=CA1"), &gate(Direction::Fallback))
            .await;
        assert_eq!(answer.unwrap().twiml, expected);
        let answer = webhook
            .answer(post(&[], "CallSid=CA1"), &gate(Direction::HangUp))
            .await;
        assert_eq!(answer.unwrap().twiml, twiml::hang_up());
    }
    fs::write(file.path(), "Sorry").unwrap();
    let settings = Settings {
        fallback: Some(Fallback::File(file.path().to_owned())),
        ..settings(URL)
    };
    let error = Webhook::new(&settings, &route(false)).unwrap_err();
    assert!(error.to_string().contains("is no TwiML"), "{error}");
}
