//! A worker that does what the caller says: sends media back, or breaks the protocol.
//!
//! A custom parameter of the call, `misdeed`, names what is done on its first attachment; on the
//! next one the worker behaves. `always:NAME` never stops.

use std::net::SocketAddr;

use holdline_wire::v1::{
    self, Command, Inputs, Offer, ServeRequest, ServeResponse, frame, input, send,
    serve_request::Message as Said,
    serve_response::Message,
    worker_server::{Worker, WorkerServer},
};
use tokio::{net::TcpListener, sync::mpsc, task::JoinSet};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::server::{Server, TcpIncoming},
};

use super::misdeeds::{self, MISDEEDS, Misdeed};

/// Spoken before Attach, when another worker may still be running the call.
pub(crate) const BEFORE_ATTACH: &str = "before_attach";

/// A running worker; ends when dropped.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

impl Scripted {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let serving = Server::builder().add_service(WorkerServer::new(Service));
            let incoming = TcpIncoming::from(listener);
            serving.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            _server: server,
        }
    }
}

struct Service;

#[tonic::async_trait]
impl Worker for Service {
    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(v1::DescribeResponse {
            version: "scripted".to_owned(),
            reads_schemas: vec![1],
            writes_schema: 1,
            max_message_bytes: 32 << 20,
            ..v1::DescribeResponse::default()
        }))
    }

    type ServeStream = ReceiverStream<Result<ServeResponse, Status>>;

    async fn serve(
        &self,
        request: Request<Streaming<ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let (to_edge, answers) = mpsc::channel(64);
        let attachment = Attachment {
            from_edge: request.into_inner(),
            to_edge,
        };
        tokio::spawn(attachment.run());
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

struct Attachment {
    from_edge: Streaming<ServeRequest>,
    to_edge: mpsc::Sender<Result<ServeResponse, Status>>,
}

impl Attachment {
    /// Until the edge hangs up.
    async fn run(mut self) {
        let Some(Said::Offer(offer)) = self.next().await else {
            return;
        };
        let deed = deed(&offer);
        if deed == Some(BEFORE_ATTACH) {
            self.say(misdeeds::commit(0, |_| {})).await;
        }
        let misdeed = MISDEEDS.iter().find(|it| Some(it.name) == deed);
        self.say(Some(Message::Accept(v1::Accept {}))).await;
        while let Some(said) = self.next().await {
            match said {
                Said::Inputs(inputs) => self.handle(inputs, misdeed).await,
                Said::Release(_) => self.say(Some(Message::Released(v1::Released {}))).await,
                Said::Offer(_) | Said::Attach(_) => {}
            }
        }
    }

    async fn handle(&self, inputs: Inputs, misdeed: Option<&Misdeed>) {
        let last = inputs.inputs.last().unwrap().seq;
        let Some(misdeed) = misdeed else {
            let echo = misdeeds::commit(last, |commit| {
                commit.commands = inputs.inputs.into_iter().filter_map(echo).collect();
            });
            return self.say(echo).await;
        };
        for message in (misdeed.says)(last) {
            self.say(message).await;
        }
    }

    async fn next(&mut self) -> Option<Said> {
        self.from_edge.message().await.ok()??.message
    }

    async fn say(&self, message: Option<Message>) {
        // The edge may have hung up.
        let _ = self.to_edge.send(Ok(ServeResponse { message })).await;
    }
}

/// What this attachment is to do, if anything.
fn deed(offer: &Offer) -> Option<&str> {
    let deed = offer.attributes.get("parameter.misdeed")?;
    match deed.strip_prefix("always:") {
        Some(always) => Some(always),
        None => (offer.epoch == 1).then_some(deed),
    }
}

fn echo(input: v1::Input) -> Option<Command> {
    let input::Kind::Frame(frame) = input.kind? else {
        return None;
    };
    let frame::Payload::Text(text) = frame.payload? else {
        return None;
    };
    let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let media = value["event"] == "media";
    media.then(|| Command {
        command: Some(misdeeds::send(Some(send::Payload::Text(text)))),
    })
}
