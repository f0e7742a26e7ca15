//! What the tests share: an edge, its workers, its callers and its operator.

use std::{future::Future, net::SocketAddr, time::Duration};

use holdline_config::Config;
use holdline_proxy::{Control, ExitReport, Lifecycle, Listeners, Phase, RunError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
    time::timeout,
};

mod caller;
mod upstream;
mod worker;

pub(crate) use caller::Caller;
pub(crate) use upstream::Upstream;
pub(crate) use worker::Bench;

/// Nothing in these tests takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// An edge in this process. Dropping it cuts its calls.
pub(crate) struct Edge {
    pub(crate) control: Control,
    pub(crate) callers: SocketAddr,
    pub(crate) admin: SocketAddr,
    run: JoinHandle<Result<ExitReport, RunError>>,
}

/// What differs between the edges of these tests.
pub(crate) struct Shape {
    /// Path of the one route.
    pub(crate) path: &'static str,
    /// What else is to be said of it.
    pub(crate) route: &'static str,
    /// YAML of `upstreams`.
    pub(crate) upstreams: String,
    /// Further top-level YAML.
    pub(crate) more: &'static str,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            path: "/call",
            route: "profile: raw",
            upstreams: "{}".to_owned(),
            more: "",
        }
    }
}

impl Edge {
    /// An edge with one route, served by these workers.
    pub(crate) async fn start(workers: &[&Bench], shape: Shape) -> Self {
        let addresses: Vec<_> = workers.iter().map(|it| it.address.to_string()).collect();
        Self::start_at(&addresses, shape).await
    }

    /// As [`Edge::start`], with workers at these addresses.
    pub(crate) async fn start_at(workers: &[String], shape: Shape) -> Self {
        let Shape {
            path,
            route,
            upstreams,
            more,
        } = shape;
        let text = format!(
            r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{{path: "{path}", workers: default, {route}}}]
upstreams: {upstreams}
workers:
  default: {{discovery: {{static: {{addresses: {workers:?}}}}}}}
admin: {{address: "127.0.0.1:0"}}
{more}
"#
        );
        let config = Config::parse_with(&text, "test", &|_| None).unwrap();
        let listeners = Listeners::bind(&config).await.unwrap();
        let callers = listeners.addresses().unwrap()[0];
        let admin = listeners.admin_address().unwrap();
        let (lifecycle, control) = Lifecycle::new();
        let run = tokio::spawn(holdline_proxy::run(config, listeners, lifecycle));
        Self {
            control,
            callers,
            admin,
            run,
        }
    }

    /// As [`Edge::start`], once it is ready for calls.
    pub(crate) async fn ready(workers: &[&Bench], shape: Shape) -> Self {
        let edge = Self::start(workers, shape).await;
        edge.until("/workers", |body| {
            body.matches(r#""state": "ready""#).count() == workers.len()
        })
        .await;
        edge
    }

    pub(crate) async fn call(&self) -> Caller {
        Caller::connect(self.callers, "/call").await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        request(self.admin, "GET", path).await
    }

    /// Begins to listen to what happens.
    pub(crate) async fn events(&self) -> Events {
        let mut socket = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", self.admin);
        socket.write_all(request.as_bytes()).await.unwrap();
        Events(socket)
    }

    pub(crate) async fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }

    /// The value of a metric without labels.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let metrics = self.get("/metrics").await.body;
        let mut values = metrics.lines().filter_map(|line| line.strip_prefix(name));
        let value = values.find_map(|rest| rest.strip_prefix(' ')).unwrap();
        value.parse().unwrap()
    }

    /// Asks the admin port until its answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if wanted(&answer.body) {
                    return answer.body;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match timeout(PATIENCE, asking).await {
            Ok(body) => body,
            Err(_) => panic!("{path} stayed at: {}", self.get(path).await.body),
        }
    }

    /// Waits until no call is there.
    pub(crate) async fn idle(&self) {
        let none = |body: &str| body.contains(r#""total": 0,"#);
        self.until("/sessions", none).await;
    }

    /// Waits until the one call that is there, shown whole, is as wanted.
    pub(crate) async fn until_call(&self, wanted: impl Fn(&str) -> bool) {
        let one = self.until("/sessions", |body| body.contains(r#""total": 1,"#));
        let list: serde_json::Value = serde_json::from_str(&one.await).unwrap();
        let id = list["sessions"][0]["id"].as_str().unwrap().to_owned();
        self.until(&format!("/sessions/{id}"), wanted).await;
    }

    pub(crate) async fn reaches(&self, phase: Phase) {
        let mut phases = self.control.phase();
        soon("a phase", phases.wait_for(|now| *now >= phase))
            .await
            .unwrap();
    }

    /// Waits for the edge's own end.
    pub(crate) async fn ended(mut self) -> ExitReport {
        soon("the edge's end", &mut self.run)
            .await
            .unwrap()
            .unwrap()
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// Server-sent events, as they come over the wire.
pub(crate) struct Events(TcpStream);

impl Events {
    /// All that comes until these words have come.
    pub(crate) async fn until(&mut self, words: &str) -> String {
        let mut heard = Vec::new();
        let hearing = async {
            loop {
                let read = self.0.read_buf(&mut heard).await.unwrap();
                assert_ne!(read, 0, "the stream has ended");
                let text = String::from_utf8_lossy(&heard);
                if text.contains(words) {
                    return text.into_owned();
                }
            }
        };
        soon(words, hearing).await
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request on a connection of its own, by hand: what comes back is seen as it is.
pub(crate) async fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    send_request(
        address,
        &format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n"),
    )
    .await
}

/// As [`request`], a WebSocket upgrade that is expected to be refused.
pub(crate) async fn refused_upgrade(address: SocketAddr, path: &str) -> Answer {
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    );
    send_request(address, &head).await
}

/// As [`request`], a form that is posted.
pub(crate) async fn post(address: SocketAddr, path: &str, form: &str) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: edge\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nConnection: close\r\n\r\n{form}",
        form.len()
    );
    exchange(address, &head).await
}

async fn send_request(address: SocketAddr, head: &str) -> Answer {
    let close = if head.contains("Upgrade") {
        ""
    } else {
        "Connection: close\r\n"
    };
    exchange(address, &format!("{head}{close}\r\n")).await
}

async fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let reading = socket.read_to_end(&mut bytes);
    let _ = soon("an HTTP answer", reading).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    }
}
