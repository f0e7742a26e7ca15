//! The edge's side of the protocol, as far as these tests need it.

use std::{collections::BTreeMap, future::Future, time::Duration};

use holdline_bridge::Bridge;
use holdline_wire::v1::{
    self, command::Command, input::Kind, serve_request::Message as Request,
    serve_response::Message, worker_client::WorkerClient,
};
use holdline_worker::Settings;
use serde_json::Value;
use tokio::{net::TcpListener, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

pub(crate) const SESSION: &str = "00112233445566778899aabbccddeeff";

/// Any wait of a test that takes longer has failed.
pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .unwrap_or_else(|_| panic!("{what} did not happen"))
}

/// A bridge that is being served, and the channel to it.
pub(crate) struct Edge(WorkerClient<Channel>);

impl Edge {
    pub(crate) async fn of(bridge: Bridge) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let never = std::future::pending();
        tokio::spawn(holdline_worker::serve(
            bridge,
            listener,
            Settings::default(),
            never,
        ));
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self(WorkerClient::new(channel))
    }

    pub(crate) async fn describe(&self) -> v1::DescribeResponse {
        let request = v1::DescribeRequest {
            protocol_revision: 1,
        };
        self.0.clone().describe(request).await.unwrap().into_inner()
    }

    pub(crate) async fn attach(&self) -> Attachment {
        self.attach_with(BTreeMap::new(), 1).await
    }

    pub(crate) async fn attach_with(
        &self,
        state: BTreeMap<String, Vec<u8>>,
        next_seq: u64,
    ) -> Attachment {
        let (outgoing, requests) = mpsc::channel(16);
        let responses = self.0.clone().serve(ReceiverStream::new(requests)).await;
        let mut call = Attachment {
            outgoing,
            responses: responses.unwrap().into_inner(),
            next_seq,
            state,
        };
        let state_schema = u32::from(!call.state.is_empty());
        call.say(Request::Offer(v1::Offer {
            session_id: SESSION.to_owned(),
            epoch: next_seq,
            state_schema,
            attributes: [("call_sid".to_owned(), "CA1".to_owned())].into(),
            ..v1::Offer::default()
        }))
        .await;
        assert_eq!(call.hear().await, Message::Accept(v1::Accept {}));
        let entries = call.state.iter().map(|(key, value)| v1::StateEntry {
            key: key.clone(),
            value: value.clone().into(),
        });
        let attach = v1::Attach {
            state: entries.collect(),
            state_schema,
            next_seq,
            legs: vec![leg("caller", "stream_sid"), leg("model", "upstream")],
            protocol_revision: 1,
            ..v1::Attach::default()
        };
        call.say(Request::Attach(attach)).await;
        call
    }
}

fn leg(name: &str, attribute: &str) -> v1::Leg {
    v1::Leg {
        name: name.to_owned(),
        incarnation: 1,
        state: v1::LegState::Open.into(),
        attributes: [(attribute.to_owned(), "MZ1".to_owned())].into(),
    }
}

/// One attachment, and the state as the edge would have it.
pub(crate) struct Attachment {
    outgoing: mpsc::Sender<v1::ServeRequest>,
    responses: Streaming<v1::ServeResponse>,
    next_seq: u64,
    state: BTreeMap<String, Vec<u8>>,
}

impl Attachment {
    async fn say(&mut self, message: Request) {
        let message = Some(message);
        self.outgoing
            .send(v1::ServeRequest { message })
            .await
            .unwrap();
    }

    async fn hear(&mut self) -> Message {
        let response = soon("an answer", self.responses.message()).await.unwrap();
        response.expect("the stream ended").message.unwrap()
    }

    /// Inputs, a millisecond apart.
    pub(crate) async fn inputs(&mut self, kinds: Vec<Kind>) {
        let inputs = kinds
            .into_iter()
            .map(|kind| {
                self.next_seq += 1;
                v1::Input {
                    seq: self.next_seq - 1,
                    received_unix_us: 1_795_262_400_000_000 + self.next_seq * 1_000,
                    kind: Some(kind),
                }
            })
            .collect();
        self.say(Request::Inputs(v1::Inputs { inputs, applied: 0 }))
            .await;
    }

    pub(crate) async fn commit(&mut self) -> v1::Commit {
        let Message::Commit(commit) = self.hear().await else {
            panic!("not a commit");
        };
        for key in &commit.delete {
            self.state.remove(key);
        }
        for entry in &commit.put {
            self.state.insert(entry.key.clone(), entry.value.to_vec());
        }
        commit
    }

    /// The worker is lost: what remains is the state.
    pub(crate) fn into_state(self) -> BTreeMap<String, Vec<u8>> {
        self.state
    }

    fn has_job(&self) -> bool {
        self.state
            .keys()
            .any(|key| key.starts_with("holdline/job/"))
    }
}

/// Waits until a job that is under way has ended. Answers what the model was told meanwhile.
pub(crate) async fn job_free(call: &mut Attachment) -> Vec<Value> {
    let mut told = Vec::new();
    loop {
        told.extend(sends(&call.commit().await, "model"));
        let began = told
            .iter()
            .any(|event| event["item"]["type"] == "function_call_output");
        if began || !call.has_job() {
            return told;
        }
    }
}

pub(crate) fn frame(leg: &str, text: &str) -> Kind {
    Kind::Frame(v1::Frame {
        leg: leg.to_owned(),
        incarnation: 1,
        payload: Some(v1::frame::Payload::Text(text.to_owned().into())),
    })
}

/// What a leg is told by a commit.
pub(crate) fn sends(commit: &v1::Commit, leg: &str) -> Vec<Value> {
    commit
        .commands
        .iter()
        .filter_map(|command| match &command.command {
            Some(Command::Send(send)) if send.leg == leg => match send.payload.as_ref() {
                Some(v1::send::Payload::Text(text)) => Some(serde_json::from_slice(text).unwrap()),
                _ => None,
            },
            _ => None,
        })
        .collect()
}
