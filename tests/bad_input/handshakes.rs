//! Connections that never become a call.

use std::{net::SocketAddr, time::Duration};

use futures_util::future::join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::sleep,
};

use super::Scene;
use crate::support::soon;

const REFUSED: &str = "holdline_upgrades_refused_total";
const REQUEST: &str = "GET /bad HTTP/1.1\r\nHost: edge\r\nConnection: Upgrade\r\n\
     Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// Slow ones at the same time.
const SLOW: usize = 20;

#[tokio::test]
async fn handshakes_that_lead_nowhere_are_ended_and_counted() {
    let scene = Scene::set().await;
    garbage_is_no_request(&scene).await;
    too_much_of_a_header_is_refused(&scene).await;
    slow_ones_are_given_up(&scene).await;
    scene.judge().await;
}

async fn garbage_is_no_request(scene: &Scene) {
    let noise: Vec<u8> = (0..4096u32).map(|n| (n * 197 % 251) as u8).collect();
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(8);
    let garbage: [&[u8]; 4] = [
        &noise,
        &hello,
        b"\r\n\r\n\x00\r\n\r\n",
        b"HELO edge\r\n\r\n",
    ];
    let talk = async {
        for bytes in garbage {
            let answer = exchange(scene.callers, bytes).await;
            let plain = answer.is_empty() || answer.starts_with("HTTP/1.1 400 ");
            assert!(plain, "{answer:?}");
        }
    };
    let counted = scene.grows(REFUSED, &["reason=\"http\""], talk).await;
    assert_eq!(counted, garbage.len() as f64);
}

async fn too_much_of_a_header_is_refused(scene: &Scene) {
    let long = format!("{REQUEST}X-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    let many: String = (0..100).map(|n| format!("X-{n}: x\r\n")).collect();
    let many = format!("{REQUEST}{many}\r\n");
    let talk = async {
        for request in [long, many] {
            let answer = exchange(scene.callers, request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
        }
    };
    let counted = scene.grows(REFUSED, &["reason=\"http\""], talk).await;
    assert_eq!(counted, 2.0);
}

/// A byte now and then keeps nobody busy beyond the deadline for the whole: the header alone could
/// go on like that for a quarter of an hour.
async fn slow_ones_are_given_up(scene: &Scene) {
    let talk = async {
        let slow = join_all((0..SLOW).map(|_| trickle(scene.callers)));
        soon("slow handshakes to end", slow).await;
    };
    let counted = scene.grows(REFUSED, &["reason=\"timeout\""], talk).await;
    assert_eq!(counted, SLOW as f64);
}

/// Sends a request byte by byte, until the edge has had enough.
async fn trickle(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    for byte in REQUEST.bytes().cycle() {
        if stream.write_all(&[byte]).await.is_err() {
            return;
        }
        let mut answer = [0; 64];
        tokio::select! {
            read = stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => panic!("an answer to half a request"),
            },
            () = sleep(Duration::from_millis(50)) => {}
        }
    }
}

/// Sends this, and hears what comes until the edge closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The edge may hang up before all of it is sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = soon("an end", stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}
