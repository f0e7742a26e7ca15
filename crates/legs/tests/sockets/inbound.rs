//! From a connection to a call, or to a clear no.

use std::time::Duration;

use futures_util::SinkExt as _;
use holdline_config::Listener;
use holdline_legs::{Arrivals, LegEvent, Refusal, RefusalReason};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Edge, connect, control, frame, listener, next, patiently, route, status, talk, text,
};

const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";

/// Request line, further headers; then status, a header of the answer, and the reason counted.
type Case = (
    &'static str,
    String,
    &'static str,
    &'static str,
    &'static str,
);

#[expect(clippy::too_many_lines, reason = "a table")]
fn refusals() -> Vec<Case> {
    let good = format!("{UPGRADE}{VERSION}{KEY}");
    vec![
        ("GET /none HTTP/1.1", good.clone(), "404 ", "", "not_found"),
        ("GET /rawer HTTP/1.1", good.clone(), "404 ", "", "not_found"),
        (
            "POST /raw HTTP/1.1",
            good.clone(),
            "405 ",
            "allow: GET",
            "method",
        ),
        (
            "GET /raw HTTP/1.1",
            String::new(),
            "426 ",
            "upgrade: websocket",
            "no_upgrade",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{VERSION}{KEY}"),
            "426 ",
            "upgrade: websocket",
            "no_upgrade",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{UPGRADE}{KEY}Sec-WebSocket-Version: 8\r\n"),
            "426 ",
            "sec-websocket-version: 13",
            "websocket_version",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{UPGRADE}{VERSION}"),
            "400 ",
            "",
            "websocket_key",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{good}{KEY}"),
            "400 ",
            "",
            "websocket_key",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{UPGRADE}{VERSION}Sec-WebSocket-Key: c2hvcnQ=\r\n"),
            "400 ",
            "",
            "websocket_key",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{good}Content-Length: 4\r\n"),
            "400 ",
            "",
            "body",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("{good}Transfer-Encoding: chunked\r\n"),
            "400 ",
            "",
            "body",
        ),
        ("GET /raw HTTP/1.0", good, "400 ", "", "http_version"),
        (
            "GET /raw HTTP/1.1",
            "X-Long: a\r\n".repeat(100),
            "431 ",
            "",
            "http",
        ),
        (
            "GET /raw HTTP/1.1",
            format!("X-Long: {}\r\n", "a".repeat(20_000)),
            "431 ",
            "",
            "http",
        ),
        ("nonsense", String::new(), "400 ", "", "http"),
    ]
}

#[tokio::test]
async fn whatever_is_no_upgrade_gets_a_clear_answer() {
    let mut edge = Edge::raw().await;
    for (line, headers, status, header, reason) in refusals() {
        let answer = talk(
            edge.address,
            &format!("{line}\r\nHost: edge\r\n{headers}\r\n"),
        )
        .await;
        let (head, _) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        assert!(
            head.split_once(' ').unwrap().1.starts_with(status),
            "{line} {headers}: {answer}"
        );
        assert!(head.contains(header), "{line} {headers}: {answer}");
        assert!(edge.no_call());
        let counted = format!("holdline_upgrades_refused_total{{reason=\"{reason}\"}}");
        assert!(
            edge.metrics.render().contains(&counted) || reason == "http",
            "{counted}"
        );
    }
    edge.counted("holdline_upgrades_refused_total{reason=\"http\"} 3")
        .await;
    edge.counted("holdline_listener_connections 0").await;
}

#[tokio::test]
async fn an_upgrade_agrees_to_no_subprotocol_and_no_extension() {
    let mut edge = Edge::raw().await;
    let mut tcp = TcpStream::connect(edge.address).await.unwrap();
    let request = format!(
        "GET /raw?x=1 HTTP/1.1\r\nHost: e\r\n{UPGRADE}{VERSION}{KEY}\
         Sec-WebSocket-Protocol: a, b\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    );
    // A frame right behind the request, in the same segment: "hi" with a zero mask.
    let mut bytes = request.into_bytes();
    bytes.extend([0x81, 0x82, 0, 0, 0, 0, b'h', b'i']);
    tcp.write_all(&bytes).await.unwrap();

    let mut call = edge.call().await;
    assert_eq!(call.path, "/raw");
    assert_eq!(call.route.settings().path, "/raw");
    assert!(call.peer.is_loopback());
    assert_eq!(frame(&mut call.socket).await, control(text("hi")));

    let mut answer = vec![0; 1024];
    let length = patiently(tcp.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).to_lowercase();
    assert!(answer.starts_with("http/1.1 101 "), "{answer}");
    // The key and its answer are RFC 6455's own example.
    assert!(
        answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{answer}"
    );
    assert!(
        !answer.contains("protocol:") && !answer.contains("extensions:"),
        "{answer}"
    );
}

#[tokio::test]
async fn the_gate_is_asked_last_and_its_permit_lives_as_long_as_the_call() {
    let mut edge = Edge::raw().await;
    connect(edge.address, "/raw", &[]).await.unwrap();
    let call = edge.call().await;
    assert_eq!(std::sync::Arc::strong_count(&edge.gate.admitted), 2);
    drop(call);
    assert_eq!(std::sync::Arc::strong_count(&edge.gate.admitted), 1);

    let retry_after = Duration::from_millis(6_100);
    for (reason, word) in [
        (RefusalReason::Draining, "draining"),
        (RefusalReason::Full, "full"),
    ] {
        *edge.gate.refusal.lock().unwrap() = Some(Refusal {
            reason,
            retry_after,
        });
        let request = format!("GET /raw HTTP/1.1\r\nHost: e\r\n{UPGRADE}{VERSION}{KEY}\r\n");
        let answer = talk(edge.address, &request).await;
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("retry-after: 7\r\n"), "{answer}");
        edge.counted(&format!(
            "holdline_upgrades_refused_total{{reason=\"{word}\"}} 1"
        ))
        .await;
    }
    assert!(edge.no_call());
}

#[tokio::test]
async fn over_max_connections_the_answer_is_503() {
    let settings = Listener {
        max_connections: 1,
        ..listener(vec![route("/raw")])
    };
    let mut edge = Edge::start(settings).await;
    let (first, _client) = edge.connected("/raw").await;
    assert_eq!(status(connect(edge.address, "/raw", &[]).await), 503);
    drop(first);
    edge.counted("holdline_listener_connections 0").await;
    edge.connected("/raw").await;
}

#[tokio::test]
async fn over_the_limit_of_an_address_the_answer_is_503_and_others_are_served() {
    let settings = Listener {
        trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()],
        ..listener(vec![route("/raw")])
    };
    let mut edge = Edge::start_with(settings, Arrivals::new(64, 2)).await;
    let address = edge.address;
    let from = async |client: &str| connect(address, "/raw", &[("x-forwarded-for", client)]).await;
    let mut live = Vec::new();
    for client in [
        "192.0.2.1",
        "192.0.2.1",
        "192.0.2.2",
        "2001:db8::1",
        "2001:db8::2",
    ] {
        live.push((from(client).await.unwrap(), edge.call().await.socket));
    }
    for client in ["192.0.2.1", "6.6.6.6, 192.0.2.1", "2001:db8::3"] {
        assert_eq!(status(from(client).await), 503, "{client}");
    }
    let refused = "holdline_upgrades_refused_total{reason=\"address\"} 3";
    edge.counted(refused).await;
    let head = format!(
        "GET /raw HTTP/1.1\r\nHost: e\r\nX-Forwarded-For: 192.0.2.1\r\n{UPGRADE}{VERSION}{KEY}\r\n"
    );
    let answer = talk(address, &head).await;
    assert!(answer.contains("retry-after: 5\r\n"), "{answer}");

    from("2001:db8:0:1::1").await.unwrap();
    // Without a proxy's word the address is the peer's own, here loopback.
    connect(address, "/raw", &[]).await.unwrap();
    drop(live.remove(0));
    from("192.0.2.1").await.unwrap();
}

#[tokio::test]
async fn a_slow_handshake_is_cut_off() {
    let handshake_timeout = Duration::from_millis(200);
    let settings = Listener {
        handshake_timeout,
        ..listener(vec![route("/raw")])
    };
    let mut edge = Edge::start_with(settings, Arrivals::new(1, 1_000)).await;
    // One handshake at a time: the second connection is only served once the first is cut off.
    let mut slow = TcpStream::connect(edge.address).await.unwrap();
    slow.write_all(b"GET /raw HTTP/1.1\r\nHost: e\r\nX-Slow: ")
        .await
        .unwrap();
    edge.counted("holdline_listener_handshakes 1").await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    edge.counted("holdline_upgrades_refused_total{reason=\"timeout\"} 1")
        .await;
    let mut rest = Vec::new();
    patiently(slow.read_to_end(&mut rest)).await.unwrap();

    client.send(Message::text("in time")).await.unwrap();
    assert_eq!(frame(&mut socket).await, control(text("in time")));
}

#[tokio::test]
async fn the_end_of_the_listener_leaves_calls_alone() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    edge.stop().await;
    assert!(TcpStream::connect(edge.address).await.is_err());

    client.send(Message::text("still here")).await.unwrap();
    assert_eq!(frame(&mut socket).await, control(text("still here")));
    socket.queue(text("me too"));
    assert_eq!(
        next(&mut socket).await,
        LegEvent::Written {
            frames: 1,
            bytes: 6
        }
    );
}
