//! A booking service behind a webhook, which can be made to wait.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{net::TcpListener, sync::watch};

pub(crate) struct Service {
    url: String,
    keys: Arc<Mutex<Vec<String>>>,
    count: watch::Receiver<usize>,
    gate: watch::Sender<bool>,
}

pub(crate) async fn start() -> Service {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/book", listener.local_addr().unwrap());
    let keys = Arc::new(Mutex::new(Vec::new()));
    let (counter, count) = watch::channel(0);
    let (gate, open) = watch::channel(true);
    let (counter, record) = (Arc::new(counter), keys.clone());
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let (counter, record, open) = (counter.clone(), record.clone(), open.clone());
            let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let key = request.headers()["idempotency-key"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                record.lock().unwrap().push(key);
                counter.send_modify(|count| *count += 1);
                let mut open = open.clone();
                async move {
                    let _ = open.wait_for(|open| *open).await;
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("booked"))))
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
        }
    });
    Service {
        url,
        keys,
        count,
        gate,
    }
}

impl Service {
    /// The part of the bridge's file that names this service.
    pub(crate) fn tool(&self) -> String {
        format!(
            "tools:\n- name: book\n  description: Books.\n  webhook: {{url: '{}'}}",
            self.url
        )
    }

    /// Requests wait from now on.
    pub(crate) fn hold(&self) {
        self.gate.send_replace(false);
    }

    pub(crate) fn release(&self) {
        self.gate.send_replace(true);
    }

    /// Waits for so many requests.
    pub(crate) async fn asked(&self, times: usize) {
        let mut count = self.count.clone();
        crate::edge::soon("a request", count.wait_for(|count| *count >= times))
            .await
            .unwrap();
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        self.keys.lock().unwrap().clone()
    }
}

/// The model calls the function.
pub(crate) fn function_call(arguments: &str) -> String {
    json!({
        "type": "response.output_item.done", "response_id": "R",
        "item": {
            "id": "F", "type": "function_call", "status": "completed", "call_id": "call_9",
            "name": "book", "arguments": arguments,
        },
    })
    .to_string()
}
