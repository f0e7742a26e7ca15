//! HTTP by hand: what is sent and what comes back are seen as they are.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::soon;

/// Headers of a WebSocket upgrade in good order.
pub(crate) const UPGRADE: &str = "Host: edge\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Sends this, and hears what comes until the other side closes.
pub(crate) async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may hang up before all of it is sent.
    let _ = stream.write_all(bytes).await;
    hear(&mut stream).await
}

/// What comes until the other side closes.
pub(crate) async fn hear(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = soon("an end of the connection", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of the one answer in it; 0 for a connection that was just closed.
#[track_caller]
pub(crate) fn status(answer: &str) -> u16 {
    // Words of a body may name the protocol, too.
    let follows = |at: usize| answer[at..].split(' ').nth(1).unwrap_or_default();
    let answers = answer.match_indices("HTTP/1.");
    let answers = answers.filter(|(at, _)| follows(*at).parse::<u16>().is_ok());
    let answers = answers.count();
    assert!(answers <= 1, "{answers} answers:\n{answer}");
    if answer.is_empty() {
        return 0;
    }
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}
