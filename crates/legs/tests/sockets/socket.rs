//! One leg's socket: what it delivers, what it writes, and every way in which it ends.

use std::{future::poll_fn, task::Poll, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use holdline_config::{ByteSize, Route};
use holdline_legs::{LegEvent, LegSocket};
use holdline_session::{Fault, Payload};
use holdline_telemetry::{Direction, LegKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::{
    Message, Utf8Bytes,
    protocol::{
        CloseFrame,
        frame::{
            Frame,
            coding::{CloseCode, Data, OpCode},
        },
    },
};

use crate::support::{
    Client, Edge, PATIENCE, close, closed, control, drive, frame, listener, next, patiently, route,
    text,
};

/// Polls the leg without reading, until `done`; nothing may come out of it.
async fn unread<T>(socket: &mut LegSocket, done: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        done = patiently(done) => done,
        event = poll_fn(|cx| socket.poll_event(cx, false)) => panic!("{event:?}"),
    }
}

async fn message(client: &mut Client) -> Message {
    patiently(client.next()).await.unwrap().unwrap()
}

fn close_message(code: u16, reason: &str) -> Message {
    let code = CloseCode::from(code);
    Message::Close(Some(CloseFrame {
        code,
        reason: Utf8Bytes::from(reason),
    }))
}

#[tokio::test]
async fn messages_arrive_whole_and_in_order() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    let large = Bytes::from(vec![7; 60_000]);
    let fragment = |data: &'static str, kind, last| {
        Message::Frame(Frame::message(data, OpCode::Data(kind), last))
    };
    for message in [
        Message::text("hé"),
        Message::binary(large.clone()),
        fragment("a", Data::Text, false),
        Message::Ping(Bytes::from_static(b"between")),
        fragment("b", Data::Continue, false),
        fragment("", Data::Continue, true),
        Message::text(""),
    ] {
        client.send(message).await.unwrap();
    }
    for payload in [text("hé"), Payload::Binary(large), text("ab"), text("")] {
        assert_eq!(frame(&mut socket).await, control(payload));
    }
}

#[tokio::test]
async fn written_counts_what_the_socket_took() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    for number in 0..1_000 {
        socket.queue(text(&format!("{number:03}")));
    }
    socket.queue(Payload::Binary(Bytes::from(vec![0; 500_000])));
    let (mut frames, mut bytes) = (0, 0);
    let reader = tokio::spawn(async move {
        for number in 0..1_000 {
            assert_eq!(
                message(&mut client).await,
                Message::text(format!("{number:03}"))
            );
        }
        assert_eq!(message(&mut client).await.len(), 500_000);
    });
    while frames < 1_001 {
        match next(&mut socket).await {
            LegEvent::Written {
                frames: more,
                bytes: size,
            } => (frames, bytes) = (frames + more, bytes + size),
            event => panic!("{event:?}"),
        }
    }
    assert_eq!((frames, bytes), (1_001, 503_000));
    let metrics = &edge.metrics.legs;
    let out = (LegKind::Caller, Direction::Out);
    assert_eq!(metrics.frames(out.0, out.1).get(), 1_001);
    assert_eq!(metrics.bytes(out.0, out.1).get(), 503_000);
    reader.await.unwrap();
}

#[tokio::test]
async fn a_backlog_of_messages_to_write_does_not_keep_the_peer_unread() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    for number in 0..20 {
        client
            .feed(Message::text(number.to_string()))
            .await
            .unwrap();
    }
    client.flush().await.unwrap();
    // The first has come, so all have: they were sent together, and are read together.
    assert_eq!(frame(&mut socket).await, control(text("0")));
    for number in 1..20 {
        socket.queue(text("more"));
        assert!(matches!(next(&mut socket).await, LegEvent::Written { .. }));
        socket.queue(text("and more"));
        let expected = LegEvent::Frame(control(text(&number.to_string())));
        assert_eq!(next(&mut socket).await, expected);
    }
}

#[tokio::test]
async fn without_reading_one_message_is_held_and_pings_before_it_are_answered() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    client
        .send(Message::Ping(Bytes::from_static(b"1")))
        .await
        .unwrap();
    let answer = unread(&mut socket, message(&mut client)).await;
    assert_eq!(answer, Message::Pong(Bytes::from_static(b"1")));

    // One message more than the kernel holds for a leg that is not read: the peer is slowed down.
    let flood = tokio::spawn(async move {
        for number in 0..200_u32 {
            client.send(Message::binary(vec![0; 60_000])).await.unwrap();
            client
                .send(Message::text(number.to_string()))
                .await
                .unwrap();
        }
        client
    });
    // Time passes only when nobody has anything to do: neither the leg nor the flood goes on.
    tokio::time::pause();
    unread(&mut socket, tokio::time::sleep(Duration::from_millis(200))).await;
    tokio::time::resume();
    assert!(!flood.is_finished());
    for number in 0..200_u32 {
        assert_eq!(frame(&mut socket).await.payload.len(), 60_000);
        assert_eq!(frame(&mut socket).await, control(text(&number.to_string())));
    }
    flood.await.unwrap();
}

#[tokio::test]
async fn a_message_over_max_frame_is_told_so_while_it_is_still_coming() {
    let mut edge = Edge::raw().await;
    let (socket, mut client) = edge.connected("/raw").await;
    let leg = drive(socket);
    // 20 MB at a limit of 64 KiB. The send may well fail; the close frame must arrive even so.
    let _ = client.feed(Message::binary(vec![0; 20 << 20])).await;
    let _ = patiently(client.flush()).await;
    let told = message(&mut client).await;
    assert_eq!(
        told,
        close_message(1009, "message over the limit of this leg")
    );
    let ended = leg.await.unwrap();
    assert_eq!(
        ended,
        close(1009, "message over the limit of this leg", Fault::Peer)
    );
}

#[tokio::test]
async fn broken_frames_are_told_what_is_wrong() {
    // Masked with zeros: text that is not UTF-8; a reserved bit; a fragmented ping; and unmasked.
    let cases: [(&[u8], u16); 4] = [
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'a'], 1002),
        (&[0x09, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x01, b'a'], 1002),
    ];
    let mut edge = Edge::raw().await;
    for (bytes, code) in cases {
        let (socket, mut client) = edge.connected("/raw").await;
        let leg = drive(socket);
        client.get_mut().write_all(bytes).await.unwrap();
        match message(&mut client).await {
            Message::Close(Some(frame)) => assert_eq!(u16::from(frame.code), code),
            other => panic!("{bytes:?}: {other:?}"),
        }
        let ended = leg.await.unwrap();
        assert_eq!((ended.code, ended.fault), (code, Fault::Peer), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_peers_close_is_reported_and_answered() {
    let mut edge = Edge::raw().await;
    for (code, reason, fault) in [
        (1000, "bye", Fault::None),
        (1001, "", Fault::None),
        (1011, "broken", Fault::Peer),
        (4321, "own", Fault::Peer),
    ] {
        let (mut socket, mut client) = edge.connected("/raw").await;
        client.send(Message::text("last words")).await.unwrap();
        client.send(close_message(code, reason)).await.unwrap();
        assert_eq!(frame(&mut socket).await, control(text("last words")));
        assert_eq!(closed(&mut socket).await, close(code, reason, fault));
        assert_eq!(message(&mut client).await, close_message(code, reason));
        assert!(patiently(client.next()).await.is_none());
    }
}

#[tokio::test]
async fn a_close_without_a_code_is_1005() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    client.send(Message::Close(None)).await.unwrap();
    assert_eq!(closed(&mut socket).await, close(1005, "", Fault::None));
}

#[tokio::test]
async fn our_close_comes_behind_everything_queued() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    for number in 0..100_u32 {
        socket.queue(Payload::Binary(Bytes::from(
            number.to_be_bytes().repeat(4_000),
        )));
    }
    socket.start_close(4000, "enough", PATIENCE);
    socket.queue(text("too late"));
    socket.start_close(1000, "again", Duration::ZERO);
    let leg = drive(socket);
    for number in 0..100_u32 {
        let expected = Message::binary(number.to_be_bytes().repeat(4_000));
        assert!(message(&mut client).await == expected, "{number}");
    }
    assert_eq!(message(&mut client).await, close_message(4000, "enough"));
    assert!(patiently(client.next()).await.is_none());
    assert_eq!(leg.await.unwrap(), close(4000, "enough", Fault::None));
}

#[tokio::test]
async fn a_close_ends_in_time_with_a_peer_that_takes_nothing_and_one_that_says_nothing() {
    let mut edge = Edge::raw().await;
    let (mut socket, _client) = edge.connected("/raw").await;
    for _ in 0..300 {
        socket.queue(Payload::Binary(Bytes::from(vec![0; 64 << 10])));
    }
    socket.start_close(1000, "", Duration::from_millis(100));
    let ended = closed(&mut socket).await;
    assert_eq!((ended.code, ended.fault), (1006, Fault::Peer));

    let (mut socket, _client) = edge.connected("/raw").await;
    socket.start_close(1000, "done", Duration::from_millis(100));
    assert_eq!(closed(&mut socket).await, close(1000, "done", Fault::None));
}

#[tokio::test]
async fn a_lost_connection_is_1006() {
    let mut edge = Edge::raw().await;
    let (mut socket, client) = edge.connected("/raw").await;
    drop(client);
    let ended = closed(&mut socket).await;
    assert_eq!((ended.code, ended.fault), (1006, Fault::Network));

    let (mut socket, client) = edge.connected("/raw").await;
    client.get_ref().set_zero_linger().unwrap();
    drop(client);
    let ended = closed(&mut socket).await;
    assert_eq!((ended.code, ended.fault), (1006, Fault::Network));
}

#[tokio::test]
async fn what_a_peer_said_before_its_reset_is_still_read() {
    let mut edge = Edge::raw().await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    socket.queue(text("unread by the client"));
    assert!(matches!(next(&mut socket).await, LegEvent::Written { .. }));
    client.send(Message::text("stop")).await.unwrap();
    client.send(close_message(1000, "")).await.unwrap();
    patiently(client.get_ref().readable()).await.unwrap();
    // Closing with unread data makes the kernel send a reset behind the close frame.
    drop(client);
    // Writes fail from the second one on.
    socket.queue(text("a"));
    let mut words = Vec::new();
    let ended = loop {
        match next(&mut socket).await {
            LegEvent::Frame(frame) => words.push(frame.payload),
            LegEvent::Written { .. } => socket.queue(text("b")),
            LegEvent::Closed(ended) => break ended,
        }
    };
    assert_eq!(
        (words, &ended),
        (vec![text("stop")], &close(1000, "", Fault::None))
    );
}

/// A leg whose caller said two things and `1000`, and then reset; it is not being read, and writing
/// has failed. Time stands still.
async fn deaf(edge: &mut Edge) -> LegSocket {
    let (mut socket, mut client) = edge.connected("/raw").await;
    socket.queue(text("unread by the client"));
    assert!(matches!(next(&mut socket).await, LegEvent::Written { .. }));
    client.send(Message::text("one")).await.unwrap();
    client.send(Message::text("two")).await.unwrap();
    client.send(close_message(1000, "")).await.unwrap();
    patiently(client.get_ref().readable()).await.unwrap();
    drop(client);
    tokio::time::pause();
    loop {
        socket.queue(text("a"));
        match poll_fn(|cx| Poll::Ready(socket.poll_event(cx, false))).await {
            Poll::Ready(LegEvent::Written { .. }) => {}
            Poll::Ready(event) => panic!("{event:?}"),
            Poll::Pending => return socket,
        }
    }
}

#[tokio::test]
async fn a_pause_of_ours_costs_nothing_of_what_a_peer_said_before_its_reset() {
    let mut edge = Edge::raw().await;
    let mut socket = deaf(&mut edge).await;
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(10)).await;
        let polled = poll_fn(|cx| Poll::Ready(socket.poll_event(cx, false))).await;
        assert_eq!(polled, Poll::Pending);
    }
    assert_eq!(frame(&mut socket).await, control(text("one")));
    // Paused once more.
    let polled = poll_fn(|cx| Poll::Ready(socket.poll_event(cx, false))).await;
    assert_eq!(polled, Poll::Pending);
    tokio::time::advance(Duration::from_secs(10)).await;
    assert_eq!(frame(&mut socket).await, control(text("two")));
    assert_eq!(closed(&mut socket).await, close(1000, "", Fault::None));
}

#[tokio::test]
async fn a_close_ends_in_time_although_nobody_reads_what_a_peer_said_before_its_reset() {
    let mut edge = Edge::raw().await;
    let mut socket = deaf(&mut edge).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let asked = tokio::time::Instant::now();
    socket.start_close(1000, "", Duration::from_secs(3));
    socket.start_close(1000, "again", Duration::from_secs(9));
    let ended = patiently(poll_fn(|cx| socket.poll_event(cx, false))).await;
    let LegEvent::Closed(ended) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!((ended.code, ended.fault), (1006, Fault::Network));
    assert!(asked.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn a_silent_caller_is_given_up() {
    let idle_timeout = Some(Duration::from_millis(150));
    let routes = vec![Route {
        idle_timeout,
        ..route("/raw")
    }];
    let mut edge = Edge::start(listener(routes)).await;
    let (mut socket, mut client) = edge.connected("/raw").await;
    let client = tokio::spawn(async move { message(&mut client).await });
    let ended = closed(&mut socket).await;
    assert_eq!(
        ended,
        close(1006, "nothing received for 150ms", Fault::Network)
    );
    let told = client.await.unwrap();
    assert_eq!(told, close_message(1001, "nothing received for 150ms"));
}

#[tokio::test]
async fn what_no_peer_could_take_ends_the_leg_and_not_the_edge() {
    let max_frame = ByteSize::kib(1);
    let routes = vec![Route {
        max_frame,
        ..route("/raw")
    }];
    let mut edge = Edge::start(listener(routes)).await;
    let not_text = Payload::Text(Bytes::from_static(&[0xff]));
    let too_large = Payload::Binary(Bytes::from(vec![0; (1 << 20) + 1]));
    for payload in [not_text, too_large] {
        let (mut socket, client) = edge.connected("/raw").await;
        socket.queue(payload);
        let leg = drive(socket);
        let mut client = client;
        assert!(
            matches!(message(&mut client).await, Message::Close(Some(frame)) if u16::from(frame.code) == 1011)
        );
        drop(client);
        let ended = leg.await.unwrap();
        assert_eq!((ended.code, ended.fault), (1011, Fault::Worker));
    }
}

#[tokio::test]
async fn a_flood_of_pings_does_not_starve_the_task() {
    let mut edge = Edge::raw().await;
    let (mut socket, client) = edge.connected("/raw").await;
    let (mut tcp, pings) = (client.into_inner(), [0x89, 0x80, 1, 2, 3, 4].repeat(10_000));
    let mut drain = vec![0; 64 << 10];
    tcp.write_all(&pings).await.unwrap();
    // Pongs come, and every poll returns although no message ever does.
    let mut received = 0;
    while received < 2 {
        let polled = poll_fn(|cx| Poll::Ready(socket.poll_event(cx, true).is_pending())).await;
        assert!(polled);
        if let Ok(more) = tcp.try_read(&mut drain) {
            received += more;
        }
        tokio::task::yield_now().await;
    }
    tcp.shutdown().await.unwrap();
    let ended = tokio::spawn(async move { closed(&mut socket).await });
    patiently(tcp.read_to_end(&mut drain)).await.unwrap();
    assert_eq!(ended.await.unwrap().code, 1006);
}
