//! What happens outside of a call, told over the admin port: an input, exactly once, whichever worker
//! runs the call by then.

use futures_util::StreamExt as _;
use holdline_wire::v1::{
    self, Command, command, external, input, send, serve_request::Message as Said,
    serve_response::Message,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    exchange::{Edge, Socket, dial},
    support::{Attachment, BareWorker, soon},
};

const TOKEN: &str = "operators-only-91aa07";

/// Tells the caller its session's name and each piece of news. The first worker that is told the news
/// `fatal` dies of it.
async fn serve(mut attachment: Attachment) {
    let Some(offer) = attachment.offer().await else {
        return;
    };
    attachment.say(Message::Accept(v1::Accept {})).await;
    while let Some(said) = attachment.next().await {
        match said {
            Said::Attach(_) | Said::Offer(_) => {}
            Said::Release(_) => attachment.say(Message::Released(v1::Released {})).await,
            Said::Inputs(inputs) => {
                for input in inputs.inputs {
                    let words = match input.kind {
                        Some(input::Kind::LegOpened(_)) => format!("session {}", offer.session_id),
                        Some(input::Kind::External(news)) => {
                            if news.name == "fatal" && offer.epoch == 1 {
                                return;
                            }
                            format!("{} {} {}", news.name, news.key, text(&news))
                        }
                        _ => String::new(),
                    };
                    attachment.say(commit(input.seq, &words)).await;
                }
            }
        }
    }
}

fn text(news: &v1::External) -> &str {
    match &news.payload {
        Some(external::Payload::Text(text)) => std::str::from_utf8(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn commit(through_seq: u64, words: &str) -> Message {
    let send = command::Command::Send(v1::Send {
        leg: "caller".to_owned(),
        incarnation: 0,
        payload: Some(send::Payload::Text(words.as_bytes().to_vec().into())),
    });
    let command = Command {
        command: Some(send),
    };
    Message::Commit(v1::Commit {
        through_seq,
        state_schema: 1,
        commands: Vec::from_iter((!words.is_empty()).then_some(command)),
        ..v1::Commit::default()
    })
}

/// An edge with one call.
struct Scene {
    edge: Edge,
    caller: Socket,
    session: String,
    _worker: BareWorker,
}

impl Scene {
    async fn begin() -> Self {
        let worker = BareWorker::start(serve).await;
        let config = format!(
            "listeners:\n  - {{name: callers, address: \"127.0.0.1:0\", routes: [{{path: /call, \
             profile: raw, workers: only}}]}}\nworkers:\n  only: {{discovery: {{static: \
             {{addresses: [\"{}\"]}}}}}}\n",
            worker.address
        );
        let admin = "address: \"127.0.0.1:0\", token: {env: ADMIN_TOKEN}";
        let edge = Edge::with_admin(&config, admin, &[("ADMIN_TOKEN", TOKEN)]).await;
        let caller = dial(edge.address("callers").await, "/call").await.unwrap();
        let mut scene = Self {
            edge,
            caller,
            session: String::new(),
            _worker: worker,
        };
        let hello = scene.hear().await;
        scene.session = hello.strip_prefix("session ").unwrap().to_owned();
        scene
    }

    async fn end(self) {
        drop(self.caller);
        self.edge.end().await;
    }

    /// The next thing that the caller hears.
    async fn hear(&mut self) -> String {
        let message = soon("a message", self.caller.next()).await;
        message.unwrap().unwrap().into_text().unwrap().to_string()
    }

    /// Asks for something of a session: the status, and the answer where that is JSON.
    async fn post(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        let body = body.map(|body| body.to_string());
        let kind = body
            .as_ref()
            .map_or("", |_| "Content-Type: application/json\r\n");
        let body = body.unwrap_or_default();
        let admin = self.edge.admin();
        let request = format!(
            "POST /sessions/{path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{kind}\
             Authorization: Bearer {TOKEN}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(admin).await.unwrap();
        // A body that is too large is not read to its end.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = soon("an answer", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn tell(&self, key: &str, name: &str, text: &str) -> (u16, Value) {
        let body = json!({"key": key, "name": name, "text": text});
        self.post(&format!("{}/inputs", self.session), Some(body))
            .await
    }
}

#[tokio::test]
async fn news_are_an_input_once_though_told_twice_and_though_its_worker_dies_of_it() {
    let mut scene = Scene::begin().await;
    let (status, became) = scene.tell("k1", "fatal", "the doctor is ready").await;
    assert_eq!((status, &became["taken"]), (201, &json!("now")));
    assert!(became["seq"].is_u64(), "{became}");
    assert_eq!(scene.hear().await, "fatal k1 the doctor is ready");
    let (status, became) = scene.tell("k1", "fatal", "the doctor is ready").await;
    assert_eq!((status, &became["taken"]), (200, &json!("before")));
    assert_eq!(scene.tell("k2", "tool", "42").await.0, 201);
    assert_eq!(
        scene.hear().await,
        "tool k2 42",
        "the first did not come again"
    );
    scene.end().await;
}

#[tokio::test]
async fn what_is_no_input_is_refused_with_a_word() {
    let scene = Scene::begin().await;
    let path = format!("{}/inputs", scene.session);
    for wrong in [json!({}), json!({"key": "k", "name": "n"}), json!([1])] {
        assert_eq!(
            scene.post(&path, Some(wrong.clone())).await.0,
            400,
            "{wrong}"
        );
    }
    assert_eq!(scene.post(&path, None).await.0, 415);
    assert_eq!(scene.tell("", "n", "x").await.0, 400);
    assert_eq!(scene.tell(&"k".repeat(257), "n", "x").await.0, 413);
    assert_eq!(
        scene.tell("k", "n", &"x".repeat((256 << 10) + 1)).await.0,
        413
    );
    let body = Some(json!({"key": "k", "name": "n", "text": ""}));
    assert_eq!(scene.post("CA0/inputs", body).await.0, 404);
    assert_eq!(
        scene.post(&format!("{}/pay", scene.session), None).await.0,
        405
    );
    assert_eq!(
        scene.tell("k", "n", "x").await.0,
        201,
        "all that was without harm"
    );
    scene.end().await;
}

#[tokio::test]
async fn a_call_is_ended_by_its_operator() {
    let mut scene = Scene::begin().await;
    assert_eq!(
        scene.post(&format!("{}/move", scene.session), None).await.0,
        202
    );
    assert_eq!(
        scene.post(&format!("{}/end", scene.session), None).await.0,
        202
    );
    let close = soon("the end", async {
        loop {
            match scene.caller.next().await {
                Some(Ok(message)) if message.is_close() => return message,
                Some(Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    });
    let close = close.await;
    assert!(
        format!("{close:?}").contains("ended by an operator"),
        "{close:?}"
    );
    let ended = scene.edge.told("call ended").await;
    assert_eq!(ended["reason"], "operator", "{ended}");
    scene.edge.end().await;
}
