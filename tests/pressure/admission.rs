//! Callers beyond what the edge takes: each is told so and when to come again, and nobody waits for
//! those who dawdle.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_tungstenite::tungstenite::Error;

use crate::{
    exchange::{Edge, Socket, dial},
    support::{WorkerProcess, soon},
};

use super::LOOK_AGAIN;

/// An edge with a `raw` route and these limits.
async fn edge(limits: &str) -> (Edge, SocketAddr, WorkerProcess) {
    let worker = WorkerProcess::verbatim().await;
    let edge = Edge::start(&config(&worker, limits), &[]).await;
    let callers = edge.address("callers").await;
    (edge, callers, worker)
}

fn config(worker: &WorkerProcess, limits: &str) -> String {
    format!(
        r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    handshake_timeout: 1s
    routes: [{{path: /call, profile: raw, workers: default}}]
workers:
  default: {{discovery: {{static: {{addresses: ["{}"]}}}}}}
limits: {limits}
"#,
        worker.address
    )
}

/// As many callers as that at once: those who are taken, and how many are refused as they must be.
async fn rush(callers: SocketAddr, count: usize) -> (Vec<Socket>, usize) {
    let mut dialling = JoinSet::new();
    for _ in 0..count {
        dialling.spawn(dial(callers, "/call"));
    }
    let (mut taken, mut refused) = (Vec::new(), 0);
    for dialled in dialling.join_all().await {
        match dialled {
            Ok(socket) => taken.push(socket),
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), 503);
                assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (taken, refused)
}

async fn until(edge: &Edge, name: &str, wanted: f64) {
    let looking = async {
        while edge.counter(name, &[]).await != wanted {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    soon(&format!("{name} to be {wanted}"), looking).await;
}

#[tokio::test]
async fn the_number_of_sessions_is_exact_however_many_come_at_once() {
    let (edge, callers, _worker) = edge("{sessions: 5}").await;
    for _ in 0..3 {
        let (taken, refused) = rush(callers, 40).await;
        assert_eq!((taken.len(), refused), (5, 35));
        drop(taken);
        until(&edge, "holdline_sessions_active", 0.0).await;
    }
    let full = edge
        .counter("holdline_upgrades_refused_total", &["reason=\"full\""])
        .await;
    assert_eq!(full, 105.0);
    edge.end().await;
}

#[tokio::test]
async fn no_more_calls_are_taken_than_the_process_may_open_files_for() {
    let worker = WorkerProcess::verbatim().await;
    let config = config(&worker, "{sessions: 1000, handshakes: 2}");
    let edge = Edge::with_open_files(&config, 150).await;
    let told = |line: &Value| line["level"] == "WARN" && line["limit"] == 150;
    let told = edge.logged("the limit", told).await;
    assert_eq!(
        (&told["sessions"], &told["wanted"]),
        (&10.into(), &1000.into())
    );
    let callers = edge.address("callers").await;
    let (taken, refused) = rush(callers, 40).await;
    assert_eq!((taken.len(), refused), (10, 30));
    // Operators and probes come in as ever.
    until(&edge, "holdline_sessions_active", 10.0).await;
    drop(taken);
    edge.end().await;
}

#[tokio::test]
async fn one_address_has_no_more_callers_than_it_may() {
    let (edge, callers, _worker) = edge("{per_address: 4}").await;
    let (taken, refused) = rush(callers, 20).await;
    assert_eq!((taken.len(), refused), (4, 16));
    let told = edge
        .counter("holdline_upgrades_refused_total", &["reason=\"address\""])
        .await;
    assert_eq!(told, 16.0);
    drop(taken);
    until(&edge, "holdline_listener_connections", 0.0).await;
    assert_eq!(rush(callers, 4).await.1, 0);
    edge.end().await;
}

#[tokio::test]
async fn handshakes_that_dawdle_hold_up_others_no_longer_than_their_timeout() {
    let (edge, callers, _worker) = edge("{handshakes: 4}").await;
    let mut dawdlers = Vec::new();
    for _ in 0..12 {
        let mut socket = TcpStream::connect(callers).await.unwrap();
        socket.write_all(b"GET /call HTTP/1.1\r\n").await.unwrap();
        dawdlers.push(socket);
    }
    until(&edge, "holdline_listener_handshakes", 4.0).await;
    // Behind all of them: it is taken when three at most still dawdle beside it.
    let late = dial(callers, "/call").await.unwrap();
    let timeouts = edge
        .counter("holdline_upgrades_refused_total", &["reason=\"timeout\""])
        .await;
    assert!((9.0..=12.0).contains(&timeouts), "{timeouts}");
    for mut socket in dawdlers {
        let mut rest = Vec::new();
        soon("the end of a dawdler", socket.read_to_end(&mut rest))
            .await
            .unwrap();
    }
    drop(late);
    edge.end().await;
}
