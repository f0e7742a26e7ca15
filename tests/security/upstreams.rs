//! A worker decides whom a call talks to, but only among those whom the operator configured: not
//! the host, not the path, no header.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use holdline_worker::{Call, Description, Input, Settings, Worker, WorkerError};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};

use crate::{
    exchange::Edge,
    stage::API_KEY,
    support::{Caller, soon},
};

/// Opens the leg that the caller describes, and tells what became of it.
struct Opener;

impl Worker for Opener {
    type Session = ();

    fn describe(&self) -> Description {
        Description::new("opener")
    }

    fn attach(&self, _: &mut Call) -> Result<(), WorkerError> {
        Ok(())
    }

    fn handle(&self, _: &mut (), call: &mut Call, input: Input) -> Result<(), WorkerError> {
        match input {
            Input::Frame(frame) => {
                let wish: Value = serde_json::from_str(frame.payload.as_str().unwrap_or("{}"))?;
                let attributes = wish["attributes"].as_object().cloned().unwrap_or_default();
                let attributes = attributes
                    .into_iter()
                    .map(|(name, value)| (name, value.as_str().unwrap_or_default().to_owned()));
                let upstream = wish["upstream"].as_str().unwrap_or_default();
                call.open_leg("model", upstream, attributes.collect());
            }
            Input::LegClosed(closed) => {
                call.send_text("caller", format!("closed: {}", closed.reason));
            }
            Input::Dropped(dropped) => {
                call.send_text("caller", format!("dropped: {:?}", dropped.reason));
            }
            _ => {}
        }
        Ok(())
    }
}

/// A server that keeps what it is asked, and refuses everything.
struct Recorder {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Recorder {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        let kept = Arc::clone(&heads);
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else {
                        break;
                    };
                    head.push(byte);
                }
                kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
                let _ = stream.write_all(refusal).await;
            }
        });
        Self {
            address,
            heads,
            _tasks: tasks,
        }
    }

    /// What it was asked since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

/// An edge with a worker that does what its caller says.
struct Scene {
    edge: Edge,
    caller: Caller,
    /// Whom the operator configured.
    configured: Recorder,
    /// Whom only the worker speaks of.
    elsewhere: Recorder,
    _worker: JoinSet<()>,
}

impl Scene {
    async fn set() -> Self {
        let (configured, elsewhere) = (Recorder::start().await, Recorder::start().await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let worker = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let never = std::future::pending();
            let served = holdline_worker::serve(Opener, listener, Settings::default(), never);
            served.await.unwrap();
        });
        let model = configured.address;
        let config = format!(
            r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{{path: /call, profile: raw, workers: opener}}]
upstreams:
  openai:
    profile: openai-realtime
    url: "ws://{model}/v1/realtime?model=configured&x=1"
    api_key: {{env: OPENAI_API_KEY}}
  plain: {{profile: raw, url: "ws://{model}/plain?y=2", headers: {{X-Ours: "1"}}}}
workers:
  opener: {{discovery: {{static: {{addresses: ["{worker}"]}}}}}}
"#
        );
        let edge = Edge::start(&config, &[("OPENAI_API_KEY", API_KEY)]).await;
        edge.told("worker ready").await;
        Self {
            caller: Caller::connect(edge.address("callers").await).await,
            edge,
            configured,
            elsewhere,
            _worker: tasks,
        }
    }

    /// What the worker is told of a leg that it opens.
    async fn open(&mut self, upstream: &str, attributes: Value) -> String {
        let wish = json!({"upstream": upstream, "attributes": attributes});
        self.caller.say(&wish.to_string()).await;
        soon("what became of a leg", self.caller.hear()).await
    }
}

/// The first line of a request, and its headers save the key, which is random.
fn parts(head: &str) -> (String, Vec<String>) {
    let mut lines = head.trim_end().split("\r\n");
    let first = lines.next().unwrap().to_owned();
    let lines = lines.map(str::to_ascii_lowercase);
    let mut headers: Vec<_> = lines
        .filter(|line| !line.starts_with("sec-websocket-key:"))
        .collect();
    headers.sort();
    (first, headers)
}

#[tokio::test]
async fn a_worker_reaches_nobody_but_the_configured() {
    let mut scene = Scene::set().await;
    let trap = scene.elsewhere.address;
    // Names that are no names of the configuration.
    for upstream in [
        format!("ws://{trap}/"),
        trap.to_string(),
        "OPENAI".to_owned(),
        "openai ".to_owned(),
        "openai\r\nHost: x".to_owned(),
        format!("openai@{trap}"),
    ] {
        let told = scene.open(&upstream, json!({})).await;
        assert!(told.starts_with("dropped: "), "{upstream:?}: {told}");
    }
    // Models that would mean something in a URL or in a header.
    for model in [
        format!("x@{trap}"),
        format!("//{trap}/"),
        "x&intent=transcription".to_owned(),
        "x#y".to_owned(),
        "x?y=z".to_owned(),
        "x HTTP/1.1\r\nX-Injected: 1\r\n".to_owned(),
        "x\nX-Injected: 1".to_owned(),
        "x%0d%0aX-Injected:1".to_owned(),
        "../admin".to_owned(),
        "\u{e9}".to_owned(),
        String::new(),
        "x".repeat(129),
    ] {
        let told = scene.open("openai", json!({"model": model})).await;
        assert!(
            told.contains("attribute `model` may have"),
            "{model:?}: {told}"
        );
    }
    assert_eq!(scene.configured.asked(), [""; 0]);

    attributes_change_the_model_alone(&mut scene).await;
    assert_eq!(scene.elsewhere.asked(), [""; 0]);
    scene.caller.hang_up().await;
    scene.edge.end().await;
}

async fn attributes_change_the_model_alone(scene: &mut Scene) {
    let address = scene.elsewhere.address.to_string();
    let wishes = json!({
        "model": "gpt-realtime-2.1", "url": format!("ws://{address}/"), "host": address,
        "Host": address, "path": "/elsewhere", "query": "x=2", "scheme": "wss",
        "Authorization": "Bearer stolen", "headers": "X-Injected: 1", "x\r\nX-Injected": "1\r\n",
        "api_key": "stolen", "ca": "/dev/null", "upstream": "plain", "profile": "raw",
    });
    for (upstream, line, own) in [
        (
            "openai",
            "GET /v1/realtime?model=gpt-realtime-2.1&x=1 HTTP/1.1",
            format!("authorization: bearer {}", API_KEY.to_ascii_lowercase()),
        ),
        ("plain", "GET /plain?y=2 HTTP/1.1", "x-ours: 1".to_owned()),
    ] {
        let told = scene.open(upstream, wishes.clone()).await;
        assert!(told.contains("status 403"), "{told}");
        let asked = scene.configured.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        let mut expected = vec![
            "connection: upgrade".to_owned(),
            format!("host: {}", scene.configured.address),
            "sec-websocket-version: 13".to_owned(),
            "upgrade: websocket".to_owned(),
            own,
        ];
        expected.sort();
        assert_eq!(parts(&asked[0]), (line.to_owned(), expected));
    }
}
