//! The service behind a tool of the voice worker: a real HTTP server.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use crate::support::soon;

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// Its `Idempotency-Key`.
    pub(crate) key: String,
    /// Its `Authorization`.
    pub(crate) authorization: String,
    pub(crate) body: Value,
}

/// A running server; ends when dropped.
pub(crate) struct Webhook {
    pub(crate) address: SocketAddr,
    asked: watch::Receiver<Vec<Asked>>,
    _server: JoinSet<()>,
}

impl Webhook {
    /// Answers every request with `answer`, but leaves the first `held` of them without any.
    pub(crate) async fn start(answer: &'static str, held: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (note, asked) = watch::channel(Vec::new());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::new(note), answer, held));
        Self {
            address,
            asked,
            _server: server,
        }
    }

    /// Waits until so many requests have come, and shows all.
    pub(crate) async fn asked(&self, count: usize) -> Vec<Asked> {
        let mut asked = self.asked.clone();
        let enough = asked.wait_for(|all| all.len() >= count);
        soon("a webhook's request", enough).await.unwrap().clone()
    }
}

async fn serve(
    listener: TcpListener,
    note: Arc<watch::Sender<Vec<Asked>>>,
    answer: &'static str,
    held: usize,
) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let note = Arc::clone(&note);
        let service = service_fn(move |request| {
            let note = Arc::clone(&note);
            async move {
                let asked = read(request).await;
                note.send_modify(|all| all.push(asked));
                if note.borrow().len() <= held {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(answer))))
            }
        });
        connections.spawn(async move {
            // A worker that was killed breaks its connection: that is what is tested.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

async fn read(request: Request<Incoming>) -> Asked {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.unwrap().to_str().unwrap().to_owned()
    };
    let (key, authorization) = (header("idempotency-key"), header("authorization"));
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Asked {
        key,
        authorization,
        body: serde_json::from_slice(&body).unwrap(),
    }
}
