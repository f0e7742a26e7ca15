//! A worker that at a signal stops reading some of its streams, and goes on with the others.
//!
//! It speaks the worker protocol itself: with the SDK, which is what authors use, no stream can be
//! left unread.

use std::{
    io,
    sync::atomic::{AtomicU32, Ordering},
};

use holdline_wire::{
    PROTOCOL_REVISION,
    v1::{self, serve_request::Message as Heard, serve_response::Message as Said},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Response, Status, Streaming,
    transport::server::{Server, TcpIncoming},
};
use v1::worker_server::{self, WorkerServer};

use crate::worker::other_leg;

/// As the SDK has them.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Commits that may wait for the network.
const WAITING: usize = 8;

struct Stalling {
    /// Streams that are stalled once it is time.
    stalled: u32,
    streams: AtomicU32,
    time: watch::Receiver<bool>,
}

/// Serves until it is killed; SIGUSR1 stalls the first `stalled` streams.
///
/// # Errors
/// If it cannot serve.
pub(crate) async fn run(listen: &str, stalled: u32) -> io::Result<()> {
    let mut stall = signal(SignalKind::user_defined1())?;
    let (tell, time) = watch::channel(false);
    tokio::spawn(async move {
        stall.recv().await;
        tell.send_replace(true);
        // The streams look at it for as long as they live.
        std::future::pending::<()>().await;
    });
    let worker = Stalling {
        stalled,
        streams: AtomicU32::new(0),
        time,
    };
    let listener = TcpListener::bind(listen).await?;
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<WorkerServer<Stalling>>().await;
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(WorkerServer::new(worker))
        .add_service(health_service)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .map_err(io::Error::other)
}

#[tonic::async_trait]
impl worker_server::Worker for Stalling {
    async fn describe(
        &self,
        _request: Request<v1::DescribeRequest>,
    ) -> Result<Response<v1::DescribeResponse>, Status> {
        Ok(Response::new(v1::DescribeResponse {
            version: "bench".to_owned(),
            max_message_bytes: u64::MAX,
            needs_revision: PROTOCOL_REVISION,
            ..Default::default()
        }))
    }

    type ServeStream = ReceiverStream<Result<v1::ServeResponse, Status>>;

    async fn serve(
        &self,
        request: Request<Streaming<v1::ServeRequest>>,
    ) -> Result<Response<Self::ServeStream>, Status> {
        let (said, answers) = mpsc::channel(WAITING);
        let number = self.streams.fetch_add(1, Ordering::Relaxed);
        let time = (number < self.stalled).then(|| self.time.clone());
        tokio::spawn(relay(request.into_inner(), said, time));
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

/// One call, until somebody hangs up; from `time` on the stream stays open and is not read.
async fn relay(
    mut heard: Streaming<v1::ServeRequest>,
    said: mpsc::Sender<Result<v1::ServeResponse, Status>>,
    mut time: Option<watch::Receiver<bool>>,
) {
    loop {
        let stalled = async {
            match &mut time {
                // The sender lives as long as the process.
                Some(time) => drop(time.wait_for(|now| *now).await),
                None => std::future::pending().await,
            }
        };
        let message = tokio::select! {
            message = heard.message() => message,
            () = stalled => std::future::pending().await,
        };
        let Ok(Some(v1::ServeRequest {
            message: Some(message),
        })) = message
        else {
            return;
        };
        let answer = match message {
            Heard::Offer(_) => Said::Accept(v1::Accept {}),
            Heard::Inputs(inputs) => Said::Commit(commit(inputs)),
            Heard::Release(_) => Said::Released(v1::Released {}),
            Heard::Attach(_) => continue,
        };
        let answer = v1::ServeResponse {
            message: Some(answer),
        };
        if said.send(Ok(answer)).await.is_err() {
            return;
        }
    }
}

/// Everything done, every frame handed to the other half of the call.
fn commit(inputs: v1::Inputs) -> v1::Commit {
    let through_seq = inputs.inputs.last().map_or(0, |input| input.seq);
    let frames = inputs
        .inputs
        .into_iter()
        .filter_map(|input| match input.kind {
            Some(v1::input::Kind::Frame(frame)) => Some(frame),
            _ => None,
        });
    v1::Commit {
        through_seq,
        commands: frames.filter_map(send).collect(),
        ..Default::default()
    }
}

fn send(frame: v1::Frame) -> Option<v1::Command> {
    let payload = match frame.payload? {
        v1::frame::Payload::Text(text) => v1::send::Payload::Text(text),
        v1::frame::Payload::Binary(binary) => v1::send::Payload::Binary(binary),
    };
    let send = v1::Send {
        leg: other_leg(&frame.leg).to_owned(),
        incarnation: 0,
        payload: Some(payload),
    };
    Some(v1::Command {
        command: Some(v1::command::Command::Send(send)),
    })
}
