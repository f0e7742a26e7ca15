//! A caller on a `raw` route, or anything else that speaks WebSocket.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, protocol::CloseFrame},
};

use super::soon;

pub(crate) struct Caller {
    socket: WebSocketStream<TcpStream>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr, path: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://{address}{path}");
        let (socket, _) = soon("an upgrade", client_async(url, stream)).await.unwrap();
        Self { socket }
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket
            .send(Message::binary(bytes.to_vec()))
            .await
            .unwrap();
    }

    /// The next message; panics where the socket closes instead.
    pub(crate) async fn hear(&mut self) -> Message {
        soon("a message", self.socket.next())
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn hear_text(&mut self) -> String {
        match self.hear().await {
            Message::Text(text) => text.to_string(),
            other => panic!("heard {other:?}"),
        }
    }

    /// Says something and hears what the worker makes of it.
    pub(crate) async fn ask(&mut self, text: &str) -> String {
        self.say(text).await;
        self.hear_text().await
    }

    /// Hears out what is left, and how the other side closes.
    pub(crate) async fn hear_close(&mut self) -> Option<CloseFrame> {
        loop {
            match soon("a close", self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => return frame,
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    }

    pub(crate) async fn hang_up(mut self) {
        self.socket.close(None).await.unwrap();
        self.hear_close().await;
    }
}
