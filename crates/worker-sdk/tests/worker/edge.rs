//! The edge's side of the protocol, word by word.

use std::{future::Future, time::Duration};

use bytes::Bytes;
use holdline_wire::v1::{
    self, input::Kind, serve_request::Message as Request, serve_response::Message,
    worker_client::WorkerClient,
};
use holdline_worker::{ServeError, Settings, Worker};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};

/// Any wait of a test that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const SESSION: &str = "00112233445566778899aabbccddeeff";

pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}

pub(crate) async fn connect(address: &str) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// A worker that is being served.
pub(crate) struct Served {
    pub(crate) channel: Channel,
    shutdown: Option<oneshot::Sender<()>>,
    task: JoinHandle<Result<(), ServeError>>,
}

impl Served {
    pub(crate) async fn start(worker: impl Worker) -> Self {
        Self::with_grace(worker, Duration::from_secs(30)).await
    }

    pub(crate) async fn with_grace(worker: impl Worker, grace: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stopped) = oneshot::channel::<()>();
        let settings = Settings {
            grace,
            ..Settings::default()
        };
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = holdline_worker::serve(worker, listener, settings, stopped);
        let task = tokio::spawn(serving);
        Self {
            channel: connect(&address.to_string()).await,
            shutdown: Some(shutdown),
            task,
        }
    }

    /// As SIGTERM would.
    pub(crate) fn terminate(&mut self) {
        let _ = self.shutdown.take().unwrap().send(());
    }

    /// Waits until `serve` returns.
    pub(crate) async fn ended(self) -> Result<(), ServeError> {
        soon("the end of serving", self.task).await.unwrap()
    }

    pub(crate) fn client(&self) -> WorkerClient<Channel> {
        WorkerClient::new(self.channel.clone())
    }

    /// Opens a stream and offers a session with this epoch and schema.
    pub(crate) async fn offer(&self, epoch: u64, state_schema: u32) -> Stream {
        let mut stream = self.stream().await;
        stream
            .say(Request::Offer(v1::Offer {
                session_id: SESSION.to_owned(),
                epoch,
                state_schema,
                attributes: [("call_sid".to_owned(), "CA1".to_owned())].into(),
                suspect_through: 0,
                doubt_through: 0,
            }))
            .await;
        stream
    }

    pub(crate) async fn stream(&self) -> Stream {
        Stream::open(self.channel.clone()).await
    }

    /// A new session, accepted and attached.
    pub(crate) async fn attach(&self, attach: v1::Attach) -> Stream {
        self.attach_as(1, attach).await
    }

    pub(crate) async fn attach_as(&self, epoch: u64, attach: v1::Attach) -> Stream {
        let mut stream = self.offer(epoch, attach.state_schema).await;
        assert_eq!(stream.hear().await, Message::Accept(v1::Accept {}));
        stream.say(Request::Attach(attach)).await;
        stream
    }
}

/// One attachment, as the edge has it.
pub(crate) struct Stream {
    pub(crate) outgoing: mpsc::Sender<v1::ServeRequest>,
    responses: Streaming<v1::ServeResponse>,
}

impl Stream {
    pub(crate) async fn open(channel: Channel) -> Self {
        let (outgoing, requests) = mpsc::channel(16);
        let mut client = WorkerClient::new(channel).max_decoding_message_size(64 << 20);
        let responses = client.serve(ReceiverStream::new(requests)).await;
        Self {
            outgoing,
            responses: responses.unwrap().into_inner(),
        }
    }

    pub(crate) async fn say(&mut self, message: Request) {
        let request = v1::ServeRequest {
            message: Some(message),
        };
        self.outgoing.send(request).await.unwrap();
    }

    pub(crate) async fn inputs(&mut self, inputs: Vec<v1::Input>) {
        let inputs = v1::Inputs { inputs, applied: 0 };
        self.say(Request::Inputs(inputs)).await;
    }

    /// The next message, or how the stream ended.
    pub(crate) async fn hear_any(&mut self) -> Result<Option<Message>, Status> {
        let response = soon("an answer", self.responses.message()).await?;
        Ok(response.map(|response| response.message.unwrap()))
    }

    pub(crate) async fn hear(&mut self) -> Message {
        self.hear_any().await.unwrap().expect("the stream ended")
    }

    pub(crate) async fn commit(&mut self) -> v1::Commit {
        match self.hear().await {
            Message::Commit(commit) => commit,
            other => panic!("no commit but {other:?}"),
        }
    }

    /// The status with which the stream ends next.
    pub(crate) async fn status(&mut self) -> (Code, String) {
        let status = self.hear_any().await.unwrap_err();
        (status.code(), status.message().to_owned())
    }
}

/// The first attachment of a session, with the edge's default limits and an open caller leg.
pub(crate) fn fresh() -> v1::Attach {
    v1::Attach {
        reason: v1::AttachReason::New.into(),
        next_seq: 1,
        legs: vec![v1::Leg {
            name: "caller".to_owned(),
            incarnation: 1,
            state: v1::LegState::Open.into(),
            attributes: [("stream_sid".to_owned(), "MZ1".to_owned())].into(),
        }],
        limits: Some(v1::Limits {
            max_message_bytes: 1 << 20,
            max_state_bytes: 1 << 20,
            max_state_keys: 1024,
            max_key_bytes: 256,
            max_value_bytes: 256 << 10,
            max_timers: 64,
            max_commands_per_commit: 4096,
            max_uncommitted_inputs: 256,
            max_legs: 8,
            max_timer_us: 86_400_000_000,
        }),
        protocol_revision: 1,
        ..v1::Attach::default()
    }
}

/// As [`fresh`], with the state that earlier commits left.
pub(crate) fn with_state(state: &[(&str, &[u8])], next_seq: u64) -> v1::Attach {
    v1::Attach {
        reason: v1::AttachReason::Recovery.into(),
        state: state
            .iter()
            .map(|(key, value)| entry(key, value.to_vec()))
            .collect(),
        state_schema: 1,
        next_seq,
        ..fresh()
    }
}

pub(crate) fn entry(key: &str, value: impl Into<Bytes>) -> v1::StateEntry {
    v1::StateEntry {
        key: key.to_owned(),
        value: value.into(),
    }
}

pub(crate) fn input(seq: u64, kind: Kind) -> v1::Input {
    v1::Input {
        seq,
        received_unix_us: 1_700_000_000_000_000 + seq,
        kind: Some(kind),
    }
}

/// A frame of the caller that tells the scripted worker what to do.
pub(crate) fn frame(seq: u64, script: &str) -> v1::Input {
    let frame = v1::Frame {
        leg: "caller".to_owned(),
        incarnation: 1,
        payload: Some(v1::frame::Payload::Text(script.to_owned().into())),
    };
    input(seq, Kind::Frame(frame))
}

/// Texts that a commit sends to the caller.
pub(crate) fn texts(commit: &v1::Commit) -> Vec<String> {
    let texts = commit.commands.iter().filter_map(|command| {
        let v1::command::Command::Send(send) = command.command.as_ref()? else {
            return None;
        };
        match send.payload.as_ref()? {
            v1::send::Payload::Text(text) => Some(String::from_utf8(text.to_vec()).unwrap()),
            v1::send::Payload::Binary(_) => None,
        }
    });
    texts.collect()
}

/// Keys that a commit sets, with their values as text.
pub(crate) fn puts(commit: &v1::Commit) -> Vec<(&str, String)> {
    let puts = commit.put.iter();
    puts.map(|entry| {
        let value = String::from_utf8(entry.value.to_vec()).unwrap();
        (entry.key.as_str(), value)
    })
    .collect()
}
