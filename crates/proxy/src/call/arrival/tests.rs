//! A stream that is handed over in the last moment of its call.
#![allow(clippy::unwrap_used)]

use std::{net::Ipv4Addr, sync::Arc};

use holdline_config::Config;
use holdline_legs::{
    Arrivals, Direction, Gate, IncomingCall, ListenerRuntime, Permit, Refusal, serve,
};
use holdline_session::EndReason;
use holdline_telemetry::Metrics;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use super::*;

const CONFIG: &str = r#"
listeners:
  - name: any
    address: 127.0.0.1:0
    routes: [{path: /call, profile: raw, workers: default}]
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:1"]}}}
"#;

struct Open;

impl Gate for Open {
    fn admit(&self, _: Option<&Token>) -> Result<Permit, Refusal> {
        Ok(Permit::new(()))
    }

    fn direct(&self, _: &str) -> Direction {
        Direction::HangUp
    }
}

/// A caller's socket; dropping the second part hangs up.
async fn incoming() -> (IncomingCall, impl Sized) {
    let config = Config::parse_with(CONFIG, "test", &|_| None).unwrap();
    let settings = &config.listeners[0];
    let listener = ListenerRuntime::new(settings, Arrivals::new(1, 1), &Metrics::new()).unwrap();
    let bound = TcpListener::bind(settings.address).await.unwrap();
    let address = bound.local_addr().unwrap();
    let (tell, mut calls) = mpsc::unbounded_channel();
    let on_call = Arc::new(move |call| drop(tell.send(call)));
    let ever = std::future::pending();
    let serving = tokio::spawn(serve(
        bound,
        Arc::new(listener),
        Arc::new(tokio::runtime::Handle::current),
        on_call,
        Arc::new(Open),
        ever,
    ));
    let stream = TcpStream::connect(address).await.unwrap();
    let dialled = tokio_tungstenite::client_async(format!("ws://{address}/call"), stream).await;
    let call = calls.recv().await.unwrap();
    serving.abort();
    (call, dialled.unwrap())
}

#[tokio::test]
async fn a_stream_behind_other_orders_is_found_when_the_call_is_over() {
    let (orders, mut inbox) = mpsc::channel(8);
    let (call, _client) = incoming().await;
    orders.try_send(Order::Show(oneshot::channel().0)).unwrap();
    let joining = Joining {
        socket: call.socket,
        attributes: Attributes::new(),
        frames: Vec::new(),
        peer: Ipv4Addr::LOCALHOST.into(),
    };
    orders.try_send(Order::Join(Box::new(joining))).unwrap();
    let detail = "asked";
    let reason = EndReason::Operator;
    orders.try_send(Order::End { reason, detail }).unwrap();

    assert_eq!(latecomers(&mut inbox).len(), 1);
    assert!(orders.is_closed(), "whoever comes later is told so at once");
}
