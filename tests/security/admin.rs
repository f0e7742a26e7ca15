//! The operator's port, asked by people who are no operators.

use serde_json::Value;
use tokio::net::TcpStream;

use super::raw::{exchange, status};
use crate::{exchange::Edge, support::soon};

const TOKEN: &str = "operators-only-55d1c0";
const CONFIG: &str = r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{path: /call, profile: raw, workers: none}]
workers:
  none: {discovery: {static: {addresses: ["127.0.0.1:9"]}}}
log: {level: trace}
"#;

/// An edge whose operator's port is here.
struct Port(Edge);

impl Port {
    async fn open(address: &str) -> Self {
        let admin = format!("address: \"{address}:0\", token: {{env: ADMIN_TOKEN}}");
        Self(Edge::with_admin(CONFIG, &admin, &[("ADMIN_TOKEN", TOKEN)]).await)
    }

    /// A request on a connection of its own; `{host}` is how the port is honestly asked.
    async fn ask(&self, request: &str) -> String {
        let port = self.0.admin().port();
        let request = request.replace("{host}", &format!("127.0.0.1:{port}"));
        let address = ([127, 0, 0, 1], port).into();
        soon("an answer", exchange(address, request.as_bytes())).await
    }

    /// The status that a request with these further headers is answered with.
    async fn status(&self, line: &str, headers: &str) -> u16 {
        let request =
            format!("{line} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n{headers}\r\n");
        status(&self.ask(&request).await)
    }
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn nothing_is_changed_and_no_page_is_answered_without_a_token() {
    let port = Port::open("127.0.0.1").await;
    for path in ["/livez", "/metrics", "/sessions", "/workers"] {
        assert_eq!(port.status(&format!("GET {path}"), "").await, 200, "{path}");
        assert_eq!(
            port.status(&format!("HEAD {path}"), "").await,
            200,
            "{path}"
        );
    }
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        let line = format!("{method} /sessions/CA1");
        assert_eq!(port.status(&line, "").await, 401, "{method}");
        assert_eq!(
            port.status(&line, &bearer("operators-only-55d1c1")).await,
            401
        );
        assert_eq!(port.status(&line, &bearer(TOKEN)).await, 405, "{method}");
    }
    let page = "Origin: http://attacker.example\r\n";
    assert_eq!(port.status("GET /sessions", page).await, 403);
    assert_eq!(
        port.status("GET /sessions", "Sec-Fetch-Site: cross-site\r\n")
            .await,
        403
    );
    // The name was turned to this address after the page was loaded.
    let rebound = "GET /sessions HTTP/1.1\r\nHost: attacker.example:9090\r\n\r\n";
    assert_eq!(status(&port.ask(rebound).await), 421);

    let refusal = "request to the admin port refused";
    for (why, count) in [
        ("token", 6.0),
        ("token_missing", 6.0),
        ("cross_site", 2.0),
        ("host", 1.0),
    ] {
        // A flood of one kind hides no other.
        let told = |it: &Value| it["message"] == refusal && it["why"] == why;
        port.0.logged(why, told).await;
        let label = format!("why=\"{why}\"");
        let counted = port
            .0
            .counter("holdline_admin_refused_total", &[&label])
            .await;
        assert_eq!(counted, count, "{why}");
    }
    // Fifteen refusals within a moment are not fifteen lines.
    let said = port.0.said();
    let lines = said.matches(refusal).count();
    assert!(lines < 15, "{lines} lines");
    assert!(!said.contains(TOKEN), "the token is in the log");
    port.0.end().await;
}

#[tokio::test]
async fn beyond_loopback_the_token_hides_calls_and_workers() {
    let port = Port::open("0.0.0.0").await;
    for path in ["/livez", "/metrics"] {
        assert_eq!(port.status(&format!("GET {path}"), "").await, 200, "{path}");
    }
    assert_eq!(port.status("GET /readyz", "").await, 503);
    for path in ["/sessions", "/sessions/CA1", "/workers", "/nowhere"] {
        let line = format!("GET {path}");
        assert_eq!(port.status(&line, "").await, 401, "{path}");
        assert_eq!(port.status(&line, &bearer("wrong")).await, 401, "{path}");
        let right = port.status(&line, &bearer(TOKEN)).await;
        assert!(matches!(right, 200 | 404), "{path}: {right}");
    }
    port.0.end().await;
}

#[tokio::test]
async fn requests_that_could_be_read_in_two_ways_are_refused() {
    let port = Port::open("127.0.0.1").await;
    let behind = "GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n";
    for headers in [
        "Content-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Host: attacker.example\r\n",
        "X-One: a\r\n folded\r\n",
        "X-One : a\r\n",
        "X-One: a\0b\r\n",
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nHost: {{host}}\r\n{headers}\r\n{behind}");
        let status = status(&port.ask(&request).await);
        assert!(matches!(status, 0 | 400), "{status} to {headers:?}");
    }
    let many: String = (0..200).map(|n| format!("X-{n}: x\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(64 << 10));
    for headers in [many, long] {
        let status = port.status("GET /livez", &headers).await;
        assert!(matches!(status, 0 | 431), "{status}");
    }
    for line in ["GET http://{host}/livez", "CONNECT {host}", "GET *"] {
        let status = port.status(line, "").await;
        assert!(matches!(status, 0 | 400..=499), "{status} to {line}");
    }
    for why in ["too_large", "malformed"] {
        let label = format!("why=\"{why}\"");
        let counter = "holdline_admin_refused_total";
        let counted = port.0.counter(counter, &[&label]).await;
        assert!(counted >= 1.0, "{why}");
    }
    let hostless = "GET /livez HTTP/1.1\r\n\r\n";
    assert_eq!(status(&port.ask(hostless).await), 400);
    assert_eq!(port.status("GET /livez", "").await, 200);
    port.0.end().await;
}

/// Whoever holds all connections does not make the kubelet believe that the edge is dead.
#[tokio::test]
async fn connections_that_say_nothing_keep_no_probe_away() {
    let port = Port::open("127.0.0.1").await;
    let mut crowd = Vec::new();
    for _ in 0..64 {
        crowd.push(TcpStream::connect(port.0.admin()).await.unwrap());
    }
    for path in ["/livez", "/metrics", "/livez"] {
        assert_eq!(port.status(&format!("GET {path}"), "").await, 200, "{path}");
    }
    // What is kept for machines serves them alone, one request each.
    let two = "GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n".repeat(2);
    assert_eq!(status(&port.ask(&two).await), 200);
    assert_eq!(port.status("GET /sessions", "").await, 503);
    // Those who hold these places, too, lose them soon.
    for _ in 0..16 {
        crowd.push(TcpStream::connect(port.0.admin()).await.unwrap());
    }
    assert_eq!(port.status("GET /livez", "").await, 200);
    drop(crowd);
    port.0.end().await;
}
