//! A worker as a bare gRPC service: what it says is up to the test, word by word. The crate for
//! workers would say nothing wrong, and would not wait.

use std::net::SocketAddr;

use holdline_wire::v1::{
    self, Offer, ServeRequest, ServeResponse,
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

/// Messages that wait for the edge to read them.
const UNREAD: usize = 4;

/// A running worker; ends when dropped.
pub(crate) struct BareWorker {
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

impl BareWorker {
    /// Every attachment is given to `serve`, which runs until the edge hangs up or it returns.
    pub(crate) async fn start<S, F>(serve: S) -> Self
    where
        S: Fn(Attachment) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let serving = Server::builder().add_service(WorkerServer::new(Service(serve)));
            let incoming = TcpIncoming::from(listener);
            serving.serve_with_incoming(incoming).await.unwrap();
        });
        Self {
            address,
            _server: server,
        }
    }
}

/// One session's stream.
pub(crate) struct Attachment {
    from_edge: Streaming<ServeRequest>,
    to_edge: mpsc::Sender<Result<ServeResponse, Status>>,
}

impl Attachment {
    /// What the edge begins with.
    pub(crate) async fn offer(&mut self) -> Option<Offer> {
        match self.next().await? {
            Said::Offer(offer) => Some(offer),
            other => panic!("no offer: {other:?}"),
        }
    }

    /// The next message; `None` once the edge has hung up.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        self.from_edge.message().await.ok()??.message
    }

    /// Waits until there is room for it, which may be never.
    pub(crate) async fn say(&self, message: impl Into<Option<Message>>) {
        let message = message.into();
        // The edge may have hung up.
        let _ = self.to_edge.send(Ok(ServeResponse { message })).await;
    }
}

struct Service<S>(S);

#[tonic::async_trait]
impl<S, F> Worker for Service<S>
where
    S: Fn(Attachment) -> F + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    async fn describe(
        &self,
        _: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(v1::DescribeResponse {
            version: "bare".to_owned(),
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
        let (to_edge, answers) = mpsc::channel(UNREAD);
        tokio::spawn((self.0)(Attachment {
            from_edge: request.into_inner(),
            to_edge,
        }));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}
