//! A WebSocket server for outbound legs: it takes connections when the test says so, echoes, and
//! tells what it was sent.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use super::soon;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    heard: mpsc::UnboundedReceiver<Message>,
    open: std::sync::Arc<Semaphore>,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Listens, but upgrades nobody before [`Upstream::open`].
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = std::sync::Arc::new(Semaphore::new(0));
        let (tell, heard) = mpsc::unbounded_channel();
        let gate = open.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (gate, tell) = (gate.clone(), tell.clone());
                tokio::spawn(async move {
                    let _permit = gate.acquire().await.unwrap();
                    let Ok(mut socket) = accept_async(stream).await else {
                        return;
                    };
                    while let Some(Ok(message)) = socket.next().await {
                        let _ = tell.send(message.clone());
                        if !message.is_close() && socket.send(message).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            address,
            heard,
            open,
            task,
        }
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(100);
    }

    pub(crate) async fn hears(&mut self) -> Message {
        soon("a message at the upstream", self.heard.recv())
            .await
            .unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
