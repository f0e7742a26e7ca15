//! An external processor for Envoy that hands every piece of a body back as it came.
//!
//! Only the messages and fields that this takes are written down here: of the real protocol,
//! `envoy.service.ext_proc.v3`, everything else may be left unread and unsaid.

use std::{
    convert::Infallible,
    future::{Future, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use clap::Args;
use holdline_worker::Bytes;
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    server::{Grpc, NamedService, StreamingService},
    transport::server::{Server, TcpIncoming},
};
use tonic_prost::ProstCodec;
use tower::Service;

/// As large as the edge's own: a stalled call must not stop others here either.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// Options of the hidden sub-command `ext-proc`.
#[derive(Args, Debug)]
pub(crate) struct ExtProcArgs {
    /// HOST:PORT.
    #[arg(long)]
    listen: SocketAddr,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProcessingRequest {
    #[prost(message, optional, tag = "4")]
    request_body: Option<HttpBody>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct HttpBody {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
    #[prost(bool, tag = "2")]
    end_of_stream: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProcessingResponse {
    #[prost(message, optional, tag = "3")]
    request_body: Option<BodyResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BodyResponse {
    #[prost(message, optional, tag = "1")]
    response: Option<CommonResponse>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CommonResponse {
    #[prost(message, optional, tag = "3")]
    body_mutation: Option<BodyMutation>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct BodyMutation {
    #[prost(bytes = "bytes", tag = "1")]
    body: Bytes,
}

/// Serves until it is killed.
///
/// # Errors
/// If it cannot serve.
pub(crate) fn run(args: &ExtProcArgs) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let server = Server::builder()
            .initial_connection_window_size(CONNECTION_WINDOW)
            .add_service(Processor)
            .serve_with_incoming(incoming);
        server.await.map_err(io::Error::other)
    })
}

#[derive(Clone, Copy)]
struct Processor;

impl NamedService for Processor {
    const NAME: &'static str = "envoy.service.ext_proc.v3.ExternalProcessor";
}

impl Service<http::Request<Body>> for Processor {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    /// The service has one method, so the path is not looked at.
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::default());
            Ok(grpc.streaming(Process, request).await)
        })
    }
}

struct Process;

type Answers = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

impl StreamingService<ProcessingRequest> for Process {
    type Response = ProcessingResponse;
    type ResponseStream = Answers;
    type Future = std::future::Ready<Result<Response<Answers>, Status>>;

    fn call(&mut self, request: Request<Streaming<ProcessingRequest>>) -> Self::Future {
        let requests = request.into_inner();
        let answers: Answers = Box::pin(requests.map(|request| request.map(answer)));
        ready(Ok(Response::new(answers)))
    }
}

fn answer(request: ProcessingRequest) -> ProcessingResponse {
    let mutation = |body: HttpBody| BodyResponse {
        response: Some(CommonResponse {
            body_mutation: Some(BodyMutation { body: body.body }),
        }),
    };
    ProcessingResponse {
        request_body: request.request_body.map(mutation),
    }
}
