//! The smallest thing that may stand between the two simulators: one task per call, both
//! sockets in it, no state beyond the call. It does what a bridge must do and no more.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use holdline_testkit::openai::OpenAiSim;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};

/// Starts a bridge to this model; it serves until the task is aborted.
pub(crate) async fn bridge(sim: &OpenAiSim) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let model = sim.local_addr();
    let task = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(call(tcp, model));
        }
    });
    (address, task)
}

pub(crate) async fn model(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let url = format!("ws://{address}/v1/realtime?model=gpt-realtime");
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("authorization", "Bearer x".parse().unwrap());
    let tcp = TcpStream::connect(address).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    client_async(request, tcp).await.unwrap().0
}

#[derive(Default)]
struct Talk {
    stream_sid: String,
    /// The item that is being played, what was sent of it and what was heard.
    item: String,
    sent_ms: u64,
    heard_ms: u64,
    generation: u64,
    /// Responses whose late audio is thrown away.
    dropped: Option<String>,
    response: String,
}

async fn call(tcp: TcpStream, address: SocketAddr) {
    tcp.set_nodelay(true).unwrap();
    let mut caller = accept_async(tcp).await.unwrap();
    let mut model = model(address).await;
    let mut talk = Talk::default();
    let update = json!({"type": "session.update", "session": {"type": "realtime", "audio": {
        "input": {"format": {"type": "audio/pcmu"}, "transcription": {"model": "whisper-1"},
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500,
                "create_response": true, "interrupt_response": true}},
        "output": {"format": {"type": "audio/pcmu"}}}}});
    model.send(Message::text(update.to_string())).await.unwrap();
    model
        .send(Message::text(
            json!({"type": "response.create"}).to_string(),
        ))
        .await
        .unwrap();
    loop {
        let (to_caller, to_model) = tokio::select! {
            message = caller.next() => match message {
                Some(Ok(Message::Text(text))) => talk.heard_caller(&serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => break,
            },
            message = model.next() => match message {
                Some(Ok(Message::Text(text))) => talk.heard_model(&serde_json::from_str(&text).unwrap()),
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => break,
            },
        };
        for event in to_caller {
            if caller.send(Message::text(event.to_string())).await.is_err() {
                return;
            }
        }
        for event in to_model {
            if model.send(Message::text(event.to_string())).await.is_err() {
                return;
            }
        }
    }
    let _ = model.close(None).await;
}

type Events = (Vec<Value>, Vec<Value>);

impl Talk {
    fn heard_caller(&mut self, event: &Value) -> Events {
        match event["event"].as_str().unwrap() {
            "start" => event["streamSid"]
                .as_str()
                .unwrap()
                .clone_into(&mut self.stream_sid),
            "media" => {
                let append = json!({"type": "input_audio_buffer.append", "audio": event["media"]["payload"]});
                return (Vec::new(), vec![append]);
            }
            "mark" => {
                let mut name = event["mark"]["name"].as_str().unwrap().split(':');
                if name.next() == Some(&self.generation.to_string()) {
                    self.heard_ms = name.next().unwrap().parse().unwrap();
                }
            }
            _ => {}
        }
        (Vec::new(), Vec::new())
    }

    fn heard_model(&mut self, event: &Value) -> Events {
        let sid = &self.stream_sid;
        match event["type"].as_str().unwrap() {
            "response.created" => event["response"]["id"]
                .as_str()
                .unwrap()
                .clone_into(&mut self.response),
            "response.output_item.added" => {
                event["item"]["id"]
                    .as_str()
                    .unwrap()
                    .clone_into(&mut self.item);
                (self.sent_ms, self.heard_ms) = (0, 0);
            }
            "response.output_audio.delta"
                if event["response_id"].as_str() != self.dropped.as_deref() =>
            {
                let payload = event["delta"].as_str().unwrap();
                let padding = payload
                    .bytes()
                    .rev()
                    .take_while(|byte| *byte == b'=')
                    .count();
                self.sent_ms += ((payload.len() / 4 * 3 - padding) / 8) as u64;
                let mark = format!("{}:{}", self.generation, self.sent_ms);
                return (
                    vec![
                        json!({"event": "media", "streamSid": sid, "media": {"payload": payload}}),
                        json!({"event": "mark", "streamSid": sid, "mark": {"name": mark}}),
                    ],
                    Vec::new(),
                );
            }
            "input_audio_buffer.speech_started" if self.heard_ms < self.sent_ms => {
                self.generation += 1;
                self.dropped = Some(self.response.clone());
                let truncate = json!({"type": "conversation.item.truncate", "item_id": self.item,
                    "content_index": 0, "audio_end_ms": self.heard_ms});
                self.sent_ms = self.heard_ms;
                return (
                    vec![json!({"event": "clear", "streamSid": sid})],
                    vec![truncate],
                );
            }
            _ => {}
        }
        (Vec::new(), Vec::new())
    }
}
