//! What happens is told as it happens, to those who listen.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Ground;
use crate::{security::raw, support::soon};

/// Somebody who listens.
pub(super) struct Listener {
    body: Incoming,
    text: String,
}

impl Listener {
    pub(super) async fn begin(ground: &Ground) -> Self {
        let client =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
        let client = client.build_http::<http_body_util::Empty<hyper::body::Bytes>>();
        let uri = format!("http://{}/events", ground.edge.admin());
        let answer = soon("a stream", client.get(uri.parse().unwrap())).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Self {
            body: answer.into_body(),
            text: String::new(),
        }
    }

    /// The next event: its kind, and what it says.
    pub(super) async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let (kind, data) = event.split_once('\n').unwrap();
                let kind = kind.strip_prefix("event: ").unwrap().to_owned();
                let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
                self.text = rest.to_owned();
                return (kind, data);
            }
            let frame = soon("an event", self.body.frame()).await.unwrap().unwrap();
            let piece = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// The next event like this; those before it are passed over.
    pub(super) async fn until(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Value {
        loop {
            let (kind, data) = self.next().await;
            if wanted(&kind, &data) {
                return data;
            }
        }
    }
}

#[tokio::test]
async fn who_listens_is_told_everything_and_then_what_changes() {
    let ground = Ground::start().await;
    let before = ground.call().await;
    let mut listener = Listener::begin(&ground).await;
    let (kind, snapshot) = listener.next().await;
    assert_eq!((&*kind, &snapshot["sessions"]), ("snapshot", &1.into()));
    assert_eq!(snapshot["phase"], "serving");
    let (kind, calls) = listener.next().await;
    assert_eq!(
        (&*kind, &calls[0]["id"]),
        ("sessions", &before.id.as_str().into())
    );
    listener.until(|kind, _| kind == "live").await;

    let mut call = ground.call().await;
    let is = |event: &'static str| {
        let id = call.id.clone();
        move |kind: &str, data: &Value| {
            kind == "session" && data["session"]["id"] == *id && data["moment"]["event"] == event
        }
    };
    let (began, attached, ended) = (is("began"), is("attached"), is("ended"));
    listener.until(began).await;
    let attached = listener.until(attached).await;
    assert_eq!(attached["session"]["worker"]["version"], "bare");

    let address = ground.worker.address().to_string();
    let path = format!("/workers/{address}/drain");
    assert_eq!(ground.post(&path, None).await, 202);
    let drains = |kind: &str, data: &Value| {
        kind == "workers"
            && data[0]["state"] == "draining"
            && data[0]["drain"]["by_operator"] == true
    };
    let workers = listener.until(drains).await;
    assert_eq!(workers[0]["drain"]["began_with"], 2, "{workers}");
    assert_eq!(workers[0]["drain"]["left"], 2, "nobody else is there");
    assert_eq!(
        ground.post(&path.replace("drain", "undrain"), None).await,
        202
    );
    listener
        .until(|kind, data| kind == "workers" && data[0]["state"] == "ready")
        .await;

    listener.until(|kind, _| kind == "counters").await;
    call.say("end").await;
    let over = listener.until(ended).await;
    assert_eq!(over["session"]["end"]["reason"], "worker");
    drop((before, listener));
    ground.edge.end().await;
}

#[tokio::test]
async fn only_so_many_listen_and_who_goes_makes_room() {
    let ground = Ground::start().await;
    let mut listeners = vec![];
    for _ in 0..16 {
        listeners.push(Listener::begin(&ground).await);
    }
    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let refused = raw::exchange(ground.edge.admin(), request.as_bytes()).await;
    assert_eq!(raw::status(&refused), 503, "{refused}");
    drop(listeners.pop());
    let again = async {
        loop {
            let mut stream = tokio::net::TcpStream::connect(ground.edge.admin())
                .await
                .unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut first = [0; 12];
            stream.read_exact(&mut first).await.unwrap();
            if first.ends_with(b"200") {
                return;
            }
            tokio::time::sleep(super::LOOK_AGAIN).await;
        }
    };
    soon("room", again).await;
    drop(listeners);
    ground.edge.end().await;
}
