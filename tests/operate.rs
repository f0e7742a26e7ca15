//! Operating an edge: what it says of its calls, and what it can be told, over its admin port.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    exchange::{Edge, Socket, dial},
    support::soon,
};

mod answers;
mod commands;
mod ends;
mod events;
mod top;
mod worker;

use worker::Obedient;

const TOKEN: &str = "operators-only-7c20e4";
/// Between two looks at something that changes.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Small logs, so that one is full soon; a call that has no worker is given up soon, and
/// the end of one whose worker says nothing more is not waited for.
const CONFIG: &str = r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes:
      - {path: /call, profile: raw, workers: default}
      - {path: /gone, profile: raw, workers: gone}
      - {path: /twilio, profile: twilio, signature: off, workers: default}
workers:
  default: {discovery: {static: {addresses: ["WORKER"]}}}
  gone: {discovery: {static: {addresses: ["127.0.0.1:9"]}}}
session:
  log: {frames: 32}
  window: {inputs: 16}
  hold: {sound: off, give_up: 1s}
  end_timeout: 2s
"#;

/// An edge with a worker that does what its callers say.
struct Ground {
    edge: Edge,
    worker: Obedient,
}

impl Ground {
    async fn start() -> Self {
        Self::with(CONFIG).await
    }

    /// With another configuration.
    async fn with(config: &str) -> Self {
        let worker = Obedient::start().await;
        let config = config.replace("WORKER", &worker.address().to_string());
        let admin = "address: \"127.0.0.1:0\", token: {env: ADMIN_TOKEN}";
        let edge = Edge::with_admin(&config, admin, &[("ADMIN_TOKEN", TOKEN)]).await;
        let ground = Self { edge, worker };
        let ready = |workers: &Value| {
            let mut rows = workers.as_array().unwrap().iter();
            rows.any(|row| row["state"] == "ready")
        };
        ground.until("/workers", ready).await;
        ground
    }

    /// A call that is served.
    async fn call(&self) -> Call {
        let callers = self.edge.address("callers").await;
        let mut socket = dial(callers, "/call").await.unwrap();
        let hello = hear(&mut socket).await;
        let id = hello.strip_prefix("session ").unwrap().to_owned();
        Call { socket, id }
    }

    /// Asks for something, with the token.
    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, String) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.edge.admin()))
            .header("authorization", format!("Bearer {TOKEN}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::from(body)).unwrap();
        let answer = soon("an answer", client.request(request)).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask(Method::GET, path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn post(&self, path: &str, body: Option<Value>) -> u16 {
        self.ask(Method::POST, path, body.as_ref()).await.0
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let answer = self.get(path).await;
                if wanted(&answer) {
                    return answer;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon(path, asking).await
    }
}

/// A caller on a raw route, and the name of his session.
struct Call {
    socket: Socket,
    id: String,
}

impl Call {
    async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Says something that is sent back.
    async fn talk(&mut self) {
        self.say("hello").await;
        assert_eq!(hear(&mut self.socket).await, "hello");
    }
}

async fn hear(socket: &mut Socket) -> String {
    let message = soon("a message", socket.next()).await;
    message.unwrap().unwrap().into_text().unwrap().to_string()
}
