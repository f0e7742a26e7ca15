//! A caller on a `raw` route.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use super::soon;

pub(crate) struct Caller {
    socket: WebSocketStream<TcpStream>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{address}/call");
        let (socket, _) = soon("an upgrade", client_async(url, stream)).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> String {
        let message = soon("a message", self.socket.next()).await;
        message.unwrap().unwrap().into_text().unwrap().to_string()
    }

    pub(crate) async fn hang_up(mut self) {
        self.socket.close(None).await.unwrap();
        self.until_closed().await;
    }

    /// Talks until the socket ends.
    pub(crate) async fn talk_until_closed(mut self) {
        while self.socket.send(Message::text("who")).await.is_ok() {
            let Some(Ok(Message::Text(_))) = soon("a message", self.socket.next()).await else {
                return;
            };
        }
    }

    /// Waits for the end of the socket.
    pub(crate) async fn until_closed(mut self) {
        while let Some(Ok(_)) = soon("a close", self.socket.next()).await {}
    }
}
