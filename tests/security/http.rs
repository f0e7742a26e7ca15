//! Requests that two parsers could read in two ways, or that never end: each is refused or closed,
//! nothing behind it is taken for a second request, and calls beside it go on.

use std::net::SocketAddr;

use holdline_testkit::twilio::CallerOptions;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::raw::{UPGRADE, exchange, hear, status};
use crate::{
    exchange::{Conversation, Edge, Voice},
    support::soon,
};

/// Further frames that the good call must carry in both directions after all bad requests.
const FURTHER: u64 = 50;
const FORM: &str = "Host: edge\r\nContent-Type: application/x-www-form-urlencoded\r\n";
/// Behind a request that should be the only one: were it taken for a second, it would be answered.
const SMUGGLED: &str = "GET /call HTTP/1.1\r\nHost: edge\r\n\r\n";

/// An edge with a good call on it, a `raw` route, and a route with a webhook.
struct Scene {
    edge: Edge,
    voice: Voice,
    good: Conversation,
    callers: SocketAddr,
}

impl Scene {
    async fn set() -> Self {
        let voice = Voice::start().await;
        let config = format!(
            r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    handshake_timeout: 2s
    routes:
      - path: /good
        profile: twilio
        signature: off
        legs: [{{name: model, upstream: openai}}]
        workers: voice
      - {{path: /call, profile: raw, workers: voice}}
      - path: /twilio/media/{{token}}
        profile: twilio
        signature: off
        webhook: {{path: /twilio/voice, public_url: "https://voice.example.com/twilio/voice"}}
        workers: voice
{}"#,
            voice.sections()
        );
        let edge = Edge::start(&config, &Voice::variables()).await;
        let callers = edge.address("twilio").await;
        let options = CallerOptions::new(format!("ws://{callers}/good"), 1);
        let good = voice.converse(options).await;
        Self {
            edge,
            voice,
            good,
            callers,
        }
    }

    /// Sends this and says with which status it is answered; honest requests are still served.
    async fn try_out(&self, request: &str) -> u16 {
        let status = status(&exchange(self.callers, request.as_bytes()).await);
        assert_eq!(self.honest_webhook().await, 200, "after {request:?}");
        status
    }

    async fn honest_webhook(&self) -> u16 {
        let request = post("Content-Length: 11\r\n", "CallSid=CA1");
        status(&exchange(self.callers, request.as_bytes()).await)
    }

    /// The good call goes on, and was undisturbed; the edge ends well.
    async fn judge(self) {
        let mut good = self.good;
        good.goes_on(FURTHER).await;
        self.voice.judge(good).await;
        self.edge.end().await;
    }
}

fn post(headers: &str, body: &str) -> String {
    format!("POST /twilio/voice HTTP/1.1\r\n{FORM}{headers}\r\n{body}")
}

fn upgrade(path: &str, version: &str, headers: &str) -> String {
    format!("GET {path} HTTP/{version}\r\n{UPGRADE}{headers}\r\n")
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let scene = Scene::set().await;
    lengths_must_agree(&scene).await;
    header_lines_must_be_whole(&scene).await;
    an_upgrade_has_no_body_and_no_other_form(&scene).await;
    what_follows_an_answer_is_no_request(&scene).await;
    webhooks_take_forms_of_a_bounded_size(&scene).await;
    scene.judge().await;
}

/// Each of these is the start of a known way to smuggle one request inside another.
async fn lengths_must_agree(scene: &Scene) {
    for lengths in [
        "Content-Length: 11\r\nContent-Length: 12\r\n",
        "Content-Length: 11, 12\r\n",
        "Content-Length: +11\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x0b\r\n",
        "Content-Length: 99999999999999999999\r\n",
        "Transfer-Encoding: gzip\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
    ] {
        let request = format!("{}{SMUGGLED}", post(lengths, "CallSid=CA1"));
        let status = scene.try_out(&request).await;
        assert!(matches!(status, 0 | 400..=499), "{status} to {lengths:?}");
    }
    // Both at once: chunks count, and the connection ends with the answer, so that nothing is left
    // over for a proxy in front to believe in.
    let chunks = "b\r\nCallSid=CA1\r\n0\r\n\r\n";
    for both in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    ] {
        let request = format!("{}{SMUGGLED}", post(both, chunks));
        let status = scene.try_out(&request).await;
        assert!(matches!(status, 0 | 200 | 400), "{status} to {both:?}");
    }
    for chunks in [
        "-1\r\nCallSid=CA1\r\n",
        "zz\r\n\r\n",
        "ffffffffffffffffff\r\n",
    ] {
        let request = post("Transfer-Encoding: chunked\r\n", chunks);
        let status = scene.try_out(&request).await;
        assert!(matches!(status, 0 | 400..=499), "{status} to {chunks:?}");
    }
}

async fn header_lines_must_be_whole(scene: &Scene) {
    for line in [
        "X-One: a\r\n folded\r\n",
        "X-One : a\r\n",
        "X-One\r\n",
        ": a\r\n",
        "X-\0One: a\r\n",
        "X-One: a\0b\r\n",
        "X-One: a\rX-Two: b\r\n",
    ] {
        let status = scene.try_out(&upgrade("/call", "1.1", line)).await;
        assert!(matches!(status, 0 | 400), "{status} to {line:?}");
    }
    let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    for headers in [many, long] {
        let status = scene.try_out(&upgrade("/call", "1.1", &headers)).await;
        assert!(matches!(status, 0 | 431), "{status}");
    }
    let long = format!("/{}", "x".repeat(64 << 10));
    let status = scene.try_out(&upgrade(&long, "1.1", "")).await;
    assert!(matches!(status, 0 | 400..=499), "{status}");
    // Lines that end in LF alone are lines (RFC 9112, 2.2); what they say is held to the same rules.
    let bare = upgrade("/nowhere", "1.1", "").replace("\r\n", "\n");
    assert_eq!(scene.try_out(&bare).await, 404);
}

async fn an_upgrade_has_no_body_and_no_other_form(scene: &Scene) {
    let body = format!("{}hello", upgrade("/call", "1.1", "Content-Length: 5\r\n"));
    assert_eq!(scene.try_out(&body).await, 400);
    let chunks = upgrade("/call", "1.1", "Transfer-Encoding: chunked\r\n");
    assert_eq!(scene.try_out(&format!("{chunks}0\r\n\r\n")).await, 400);
    for version in ["1.0", "0.9", "2.0", "9.9"] {
        let status = scene.try_out(&upgrade("/call", version, "")).await;
        assert!(
            matches!(status, 0 | 400..=499),
            "{status} to HTTP/{version}"
        );
    }
    // Of a whole URL the path alone is looked at: its host opens no other door.
    for whole in [
        "http://elsewhere.example/nowhere",
        "http://elsewhere.example",
    ] {
        assert_eq!(
            scene.try_out(&upgrade(whole, "1.1", "")).await,
            404,
            "{whole}"
        );
    }
    let tunnel = "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n";
    let status = scene.try_out(tunnel).await;
    assert!(matches!(status, 0 | 400..=499), "{status}");
    let h2 = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let status = scene.try_out(h2).await;
    assert!(matches!(status, 0 | 400..=499), "{status}");
}

async fn what_follows_an_answer_is_no_request(scene: &Scene) {
    let refused = format!("{}{SMUGGLED}", upgrade("/nowhere", "1.1", ""));
    assert_eq!(scene.try_out(&refused).await, 404);
    // Behind an upgrade every byte is the WebSocket's, to which a request line is a broken frame.
    let mut stream = TcpStream::connect(scene.callers).await.unwrap();
    let both = format!("{}{SMUGGLED}", upgrade("/call", "1.1", ""));
    stream.write_all(both.as_bytes()).await.unwrap();
    assert_eq!(status(&hear(&mut stream).await), 101);
    assert_eq!(scene.honest_webhook().await, 200);
}

async fn webhooks_take_forms_of_a_bounded_size(scene: &Scene) {
    let huge = format!("CallSid=CA1&x={}", "x".repeat(200 << 10));
    let told = post(&format!("Content-Length: {}\r\n", huge.len()), &huge);
    assert!(matches!(scene.try_out(&told).await, 0 | 413));
    let endless: String = (0..200)
        .map(|_| format!("400\r\n{}\r\n", "x".repeat(1 << 10)))
        .collect();
    let chunks = post("Transfer-Encoding: chunked\r\n", &endless);
    assert!(matches!(scene.try_out(&chunks).await, 0 | 413));
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
    ] {
        let request = format!(
            "POST /twilio/voice HTTP/1.1\r\nHost: edge\r\nContent-Type: {kind}\r\n\
             Content-Length: 11\r\n\r\nCallSid=CA1"
        );
        assert_eq!(scene.try_out(&request).await, 400, "{kind}");
    }
    for body in ["", "CallSid=", "CallSid=..%2F..%2Fetc", "Called=CA1", "%%%"] {
        let request = post(&format!("Content-Length: {}\r\n", body.len()), body);
        assert_eq!(scene.try_out(&request).await, 400, "{body}");
    }
    let asked = format!("GET /twilio/voice HTTP/1.1\r\n{FORM}\r\n");
    assert_eq!(scene.try_out(&asked).await, 405);
    // Promised and never sent: not beyond the listener's `handshake_timeout`.
    let promised = post("Content-Length: 11\r\n", "Call");
    let answer = soon(
        "the end of patience",
        exchange(scene.callers, promised.as_bytes()),
    )
    .await;
    assert!(matches!(status(&answer), 0 | 400..=499), "{answer}");
}
