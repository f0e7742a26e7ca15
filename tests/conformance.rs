//! WebSocket conformance, judged by `kosoku` with Autobahn's own cases.
//!
//! On the caller's side against a `twilio` route, which echoes nothing, and a `raw` route with a
//! worker that echoes; on the other side through an outbound leg. Cases 12 and 13 are of compression,
//! which is never agreed to.

use std::net::SocketAddr;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    exchange::{Edge, dial},
    support::{WorkerProcess, soon, workspace},
};

mod kosoku;

use kosoku::{FuzzingServer, fuzz};

/// Cases under way at once on the outbound side.
const AT_ONCE: usize = 4;
/// Routes of one listener; 256 are allowed.
const ROUTES: usize = 200;
/// Autobahn's largest message has 16 MiB.
const LARGE: &str = "session: {log: {bytes: 64MiB}}";

#[tokio::test]
async fn a_twilio_route_keeps_the_protocol() {
    let config = r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes: [{path: /twilio/media, profile: twilio, signature: off, workers: none}]
workers:
  none: {discovery: {static: {addresses: ["127.0.0.1:9"]}}}
"#;
    let edge = Edge::start(config, &[]).await;
    let cases = std::fs::read_to_string(workspace().join("tests/tools/autobahn-noecho-cases.txt"));
    let cases = cases.unwrap();
    let include: Vec<_> = cases.lines().flat_map(|case| ["-i", case]).collect();
    let url = format!("ws://{}/twilio/media", edge.address("twilio").await);
    let verdicts = fuzz(&url, &include).await;
    verdicts.tell("twilio route");
    verdicts.are_good(150);
    edge.end().await;
}

#[tokio::test]
async fn a_raw_route_with_an_echo_behind_it_keeps_the_protocol() {
    let worker = WorkerProcess::verbatim().await;
    let config = format!(
        r#"
listeners:
  - name: raw
    address: 127.0.0.1:0
    routes: [{{path: /call, profile: raw, max_frame: 16MiB, workers: echo}}]
workers:
  echo: {{discovery: {{static: {{addresses: ["{}"]}}}}}}
{LARGE}
"#,
        worker.address
    );
    let edge = Edge::start(&config, &[]).await;
    let url = format!("ws://{}/call", edge.address("raw").await);
    let verdicts = fuzz(&url, &["-x", "12.*", "-x", "13.*"]).await;
    verdicts.tell("raw route, echo worker");
    verdicts.are_good(kosoku::WITHOUT_COMPRESSION);
    edge.end().await;
}

#[tokio::test]
async fn an_outbound_leg_with_an_echo_behind_it_keeps_the_protocol() {
    let server = FuzzingServer::start(&["-x", "12.*", "-x", "13.*"]).await;
    let worker = WorkerProcess::verbatim().await;
    let cases: Vec<_> = (1..=server.cases().await).collect();
    let edge = Edge::start(&outbound(&server, &worker, &cases), &[]).await;
    for group in cases.chunks(ROUTES) {
        let callers = edge.address(&listener(group)).await;
        stream::iter(group)
            .map(|case| call_until_closed(callers, *case))
            .buffer_unordered(AT_ONCE)
            .collect::<()>()
            .await;
    }
    let verdicts = server.verdicts().await;
    verdicts.tell("outbound leg, echo worker");
    verdicts.are_good(kosoku::WITHOUT_COMPRESSION);
    edge.end().await;
}

/// One route for every case, whose second leg asks the fuzzing server for that case.
fn outbound(server: &FuzzingServer, worker: &WorkerProcess, cases: &[usize]) -> String {
    let route = |case: &usize| {
        format!(
            "      - {{path: /case/{case}, profile: raw, workers: echo, \
             legs: [{{name: peer, upstream: case-{case}}}]}}\n"
        )
    };
    let listeners = cases.chunks(ROUTES).map(|group| {
        let routes: String = group.iter().map(route).collect();
        let name = listener(group);
        format!("  - name: {name}\n    address: 127.0.0.1:0\n    routes:\n{routes}")
    });
    let upstreams = cases.iter().map(|case| {
        let url = server.url(&format!("/runCase?case={case}&agent={}", kosoku::AGENT));
        format!("  case-{case}: {{profile: raw, url: \"{url}\", max_frame: 16MiB}}\n")
    });
    let (listeners, upstreams): (String, String) = (listeners.collect(), upstreams.collect());
    let worker = worker.address;
    format!(
        "listeners:\n{listeners}\
         upstreams:\n{upstreams}\
         workers:\n  echo: {{discovery: {{static: {{addresses: [\"{worker}\"]}}}}}}\n\
         {LARGE}\n"
    )
}

fn listener(cases: &[usize]) -> String {
    format!("from-{}", cases[0])
}

/// The worker ends the call when its other leg is closed.
async fn call_until_closed(callers: SocketAddr, case: usize) {
    let socket = dial(callers, &format!("/case/{case}")).await.unwrap();
    let what = format!("the end of case {case}");
    let heard: Vec<_> = soon(&what, socket.try_collect()).await.unwrap();
    assert!(heard.iter().all(|message| message.is_close()), "{heard:?}");
}
