//! A listener on loopback, and a client who sends it anything.
//!
//! Connection, TLS-less HTTP, upgrade and WebSocket are what a caller meets; nothing is replaced. All
//! of it runs on one thread, client included, so an input takes the same way each time.

use std::{cell::OnceCell, future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use holdline_config::Config;
use holdline_legs::{
    Arrivals, Direction, Gate, IncomingCall, LegEvent, ListenerRuntime, Permit, Refusal, Token,
    identify, serve,
};
use holdline_telemetry::Metrics;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle, Runtime},
    time::timeout,
};

/// Nothing here waits for anything but the other side; who takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

const CONFIG: &str = r#"
listeners:
  - name: fuzz
    address: 127.0.0.1:0
    trusted_proxies: [127.0.0.0/8]
    routes:
      - {path: /raw, profile: raw, max_frame: 4KiB, workers: default}
      - {path: /open, profile: twilio, signature: off, workers: default}
      - {path: "/signed/*", profile: twilio, workers: default,
         signature: {public_url: "wss://edge.test/signed/*", auth_token: {env: TOKEN}}}
      - {path: "/media/{token}", profile: twilio, signature: off, workers: default,
         webhook: {path: /voice, public_url: "https://edge.test/voice", parameters: [From, To]}}
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:1"]}}}
"#;

struct Edge {
    runtime: Runtime,
    address: SocketAddr,
}

/// Connects, sends this and the end of the stream, and returns all that comes back.
///
/// # Panics
/// Where the edge neither answers nor hangs up.
pub(crate) fn talk(bytes: &[u8]) -> Vec<u8> {
    thread_local! {
        static EDGE: OnceCell<Edge> = const { OnceCell::new() };
    }
    EDGE.with(|edge| {
        let edge = edge.get_or_init(start);
        let talking = async { timeout(PATIENCE, exchange(edge.address, bytes)).await };
        let answer = edge.runtime.block_on(talking);
        answer.expect("the edge answers or hangs up, whatever it was sent")
    })
}

fn start() -> Edge {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let config = Config::parse_with(CONFIG, "fuzz", &|_| Some("secret".to_owned()));
    let settings = config
        .expect("the configuration is in order")
        .listeners
        .remove(0);
    let arrivals = Arrivals::new(64, 1_000);
    let listener = ListenerRuntime::new(&settings, arrivals, &Metrics::new());
    let listener = Arc::new(listener.expect("the listener is in order"));
    let bound = runtime.block_on(TcpListener::bind(settings.address));
    let bound = bound.expect("loopback has a free port");
    let address = bound.local_addr().expect("a bound socket has an address");
    let on_call = Arc::new(|incoming| drop(tokio::spawn(hear(incoming))));
    let ever = std::future::pending();
    let home = Arc::new(Handle::current);
    runtime.spawn(serve(bound, listener, home, on_call, Arc::new(Open), ever));
    Edge { runtime, address }
}

async fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut socket = TcpStream::connect(address)
        .await
        .expect("loopback can be connected to");
    let mut answer = Vec::new();
    // The edge may have hung up by then; what it said before can be read even so.
    let _ = socket.write_all(bytes).await;
    let _ = socket.shutdown().await;
    let _ = socket.read_to_end(&mut answer).await;
    answer
}

/// Hears a caller out.
async fn hear(incoming: IncomingCall) {
    let IncomingCall {
        mut socket,
        permit: _permit,
        ..
    } = incoming;
    if identify(&mut socket, PATIENCE).await.is_err() {
        return;
    }
    loop {
        match poll_fn(|cx| socket.poll_event(cx, true)).await {
            LegEvent::Frame(frame) => socket.queue(frame.payload),
            LegEvent::Written { .. } => {}
            LegEvent::Closed(_) => return,
        }
    }
}

/// Takes every call.
struct Open;

impl Gate for Open {
    fn admit(&self, _: Option<&Token>) -> Result<Permit, Refusal> {
        Ok(Permit::new(()))
    }

    fn direct(&self, call_sid: &str) -> Direction {
        match call_sid.len() % 3 {
            0 => Direction::Connect(Token::new("0".repeat(48))),
            1 => Direction::HangUp,
            _ => Direction::Fallback,
        }
    }
}
