//! An edge's inbound side in this process, and clients for it.

use std::{
    future::poll_fn,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use holdline_config::{ByteSize, CallerProfile, Listener, Route};
use holdline_legs::{
    Arrivals, Direction, Gate, IncomingCall, LegEvent, LegSocket, ListenerRuntime, Permit, Refusal,
    Token, serve,
};
use holdline_session::{Class, Close, Fault, Frame, Payload};
use holdline_telemetry::Metrics;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{self, client::IntoClientRequest as _},
};

/// Longer than anything here takes; reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Client = WebSocketStream<TcpStream>;

/// A running listener.
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) metrics: Metrics,
    pub(crate) gate: Arc<TestGate>,
    calls: mpsc::UnboundedReceiver<IncomingCall>,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// Says what it was told to say.
#[derive(Default)]
pub(crate) struct TestGate {
    pub(crate) refusal: Mutex<Option<Refusal>>,
    pub(crate) admitted: Arc<()>,
}

impl Gate for TestGate {
    fn admit(&self, _: Option<&Token>) -> Result<Permit, Refusal> {
        match *self.refusal.lock().unwrap() {
            Some(refusal) => Err(refusal),
            None => Ok(Permit::new(Arc::clone(&self.admitted))),
        }
    }

    fn direct(&self, call_sid: &str) -> Direction {
        Direction::Connect(Token::new(format!("token-of-{call_sid}")))
    }
}

pub(crate) fn route(path: &str) -> Route {
    Route {
        path: path.to_owned(),
        profile: CallerProfile::Raw,
        start_timeout: Duration::from_secs(5),
        idle_timeout: None,
        max_frame: ByteSize::kib(64),
        signature: None,
        webhook: None,
        takeover: None,
        legs: Vec::new(),
        workers: "default".to_owned(),
    }
}

pub(crate) fn twilio() -> Route {
    Route {
        profile: CallerProfile::Twilio,
        ..route("/media")
    }
}

pub(crate) fn listener(routes: Vec<Route>) -> Listener {
    Listener {
        name: "test".to_owned(),
        address: "127.0.0.1:0".parse().unwrap(),
        max_connections: 100,
        handshake_timeout: PATIENCE,
        trusted_proxies: Vec::new(),
        tls: None,
        routes,
    }
}

impl Edge {
    /// One route that takes everything at `/raw`.
    pub(crate) async fn raw() -> Self {
        Self::start(listener(vec![route("/raw")])).await
    }

    pub(crate) async fn start(settings: Listener) -> Self {
        Self::start_with(settings, Arrivals::new(64, 1_000)).await
    }

    pub(crate) async fn start_with(settings: Listener, arrivals: Arrivals) -> Self {
        let bound = TcpListener::bind(settings.address).await.unwrap();
        let address = bound.local_addr().unwrap();
        let metrics = Metrics::new();
        let runtime = Arc::new(ListenerRuntime::new(&settings, arrivals, &metrics).unwrap());
        let gate = Arc::new(TestGate::default());
        let (call, calls) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let on_call = Arc::new(move |incoming| drop(call.send(incoming)));
        let serving = tokio::spawn(serve(
            bound,
            runtime,
            Arc::new(Handle::current),
            on_call,
            gate.clone(),
            async {
                let _ = stopped.await;
            },
        ));
        Self {
            address,
            metrics,
            gate,
            calls,
            stop: Some(stop),
            serving,
        }
    }

    pub(crate) async fn call(&mut self) -> IncomingCall {
        patiently(self.calls.recv()).await.unwrap()
    }

    pub(crate) fn no_call(&mut self) -> bool {
        self.calls.try_recv().is_err()
    }

    /// A call with its client, on the first route.
    pub(crate) async fn connected(&mut self, path: &str) -> (LegSocket, Client) {
        let client = connect(self.address, path, &[]).await.unwrap();
        (self.call().await.socket, client)
    }

    /// Waits until the metric's line shows this value.
    pub(crate) async fn counted(&self, line: &str) {
        let wanted = format!("{line}\n");
        patiently(async {
            while !self.metrics.render().contains(&wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) async fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        patiently(&mut self.serving).await.unwrap();
    }
}

pub(crate) async fn patiently<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work)
        .await
        .expect("this should not take so long")
}

pub(crate) async fn connect(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Client, tungstenite::Error> {
    let mut request = format!("ws://{address}{path}")
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    patiently(client_async(request, tcp))
        .await
        .map(|(client, _)| client)
}

/// The status that an upgrade was refused with.
pub(crate) fn status(refused: Result<Client, tungstenite::Error>) -> u16 {
    match refused {
        Err(tungstenite::Error::Http(response)) => response.status().as_u16(),
        other => panic!("not an HTTP error: {other:?}"),
    }
}

/// Sends bytes and returns all that comes back until the connection is closed.
pub(crate) async fn talk(address: SocketAddr, request: &str) -> String {
    String::from_utf8(talk_bytes(address, request.as_bytes()).await).unwrap()
}

pub(crate) async fn talk_bytes(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    // A reset after the answer is as good as an end.
    let _ = patiently(tcp.read_to_end(&mut answer)).await;
    answer
}

/// The next event of a leg that is being read.
pub(crate) async fn next(socket: &mut LegSocket) -> LegEvent {
    patiently(poll_fn(|cx| socket.poll_event(cx, true))).await
}

/// The next message; what was written is passed over.
pub(crate) async fn frame(socket: &mut LegSocket) -> Frame {
    loop {
        match next(socket).await {
            LegEvent::Frame(frame) => return frame,
            LegEvent::Written { .. } => {}
            LegEvent::Closed(close) => panic!("closed: {close:?}"),
        }
    }
}

/// How the leg ends; whatever comes before is passed over.
pub(crate) async fn closed(socket: &mut LegSocket) -> Close {
    loop {
        if let LegEvent::Closed(close) = next(socket).await {
            return close;
        }
    }
}

/// Reads the leg until its end in a task of its own.
pub(crate) fn drive(mut socket: LegSocket) -> JoinHandle<Close> {
    tokio::spawn(async move { closed(&mut socket).await })
}

pub(crate) fn text(text: &str) -> Payload {
    Payload::Text(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn control(payload: Payload) -> Frame {
    Frame {
        class: Class::Control,
        payload,
    }
}

pub(crate) fn close(code: u16, reason: &str, fault: Fault) -> Close {
    Close {
        code,
        reason: reason.to_owned(),
        fault,
        dial_failed: false,
    }
}
