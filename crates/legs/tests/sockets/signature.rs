//! Nobody without Twilio's signature gets as far as a WebSocket.

use holdline_config::{Route, Secret, SecretSource, Signature};

use crate::support::{Edge, connect, listener, route, status};

const HEADER: &str = "x-twilio-signature";
/// Of `wss://voice.example.test/media-stream` with the token `12345`.
const MEDIA_STREAM: &str = "DHPH2SL3lKg3A5s23PxpPrANQVg=";

fn signed(path: &str, public_url: &str) -> Route {
    let auth_token = Secret::new(SecretSource::Env("TOKEN".to_owned()), "12345");
    let signature = Signature {
        public_url: public_url.to_owned(),
        auth_token,
        secondary_auth_token: None,
        shared_keys: Vec::new(),
    };
    Route {
        signature: Some(signature),
        ..route(path)
    }
}

#[tokio::test]
async fn only_the_right_signature_on_the_right_path_is_let_in() {
    let mut edge = Edge::start(listener(vec![
        signed("/media-stream", "wss://voice.example.test/media-stream"),
        signed("/other", "wss://voice.example.test/other"),
        signed("/calls/*", "wss://voice.example.test/*"),
    ]))
    .await;
    let good = (HEADER, MEDIA_STREAM);
    let sha256 = (
        "x-twilio-webhooks-signature-settings",
        "key=SK1,algorithm=HMAC_SHA256",
    );
    let refused: [(&str, &[_]); 6] = [
        ("/media-stream", &[]),
        ("/media-stream", &[(HEADER, "K0deaDmCtJ9SxxG1+/835CUqEug=")]),
        ("/media-stream", &[good, sha256]),
        ("/other", &[good]),
        ("/calls/other", &[good]),
        // Whom the request says it is for proves nothing.
        (
            "/other",
            &[
                good,
                ("host", "voice.example.test"),
                ("x-forwarded-host", "media-stream"),
            ],
        ),
    ];
    for (path, headers) in refused {
        assert_eq!(
            status(connect(edge.address, path, headers).await),
            403,
            "{path} {headers:?}"
        );
        assert!(edge.no_call());
    }
    edge.counted("holdline_signature_failures_total{why=\"missing\"} 1")
        .await;
    edge.counted("holdline_signature_failures_total{why=\"mismatch\"} 4")
        .await;
    edge.counted("holdline_signature_failures_total{why=\"unknown_key\"} 1")
        .await;
    edge.counted("holdline_upgrades_refused_total{reason=\"signature\"} 6")
        .await;

    for path in ["/media-stream", "/calls/media-stream"] {
        connect(edge.address, path, &[good]).await.unwrap();
        assert_eq!(edge.call().await.path, path);
    }
    edge.counted("holdline_upgrades_accepted_total 2").await;
}
