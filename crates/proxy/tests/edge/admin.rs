//! What an operator can ask.

use serde_json::Value;

use crate::support::{Bench, Edge, Shape, request};

#[tokio::test]
async fn readiness_says_what_is_missing() {
    let edge = Edge::start_at(&["127.0.0.1:1".to_owned()], Shape::default()).await;
    let answer = edge.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(
        answer
            .body
            .starts_with("no worker of pool `default` is ready: 1 "),
        "{answer:?}"
    );
    assert_eq!(edge.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_session_is_shown_by_list_and_by_id() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    edge.idle().await;
    let mut caller = edge.call().await;
    caller.ask("a secret word").await;
    let list = edge.json("/sessions").await;
    let line = &list["sessions"][0];
    assert_eq!(line["phase"], "running");
    assert_eq!(line["epoch"], 1);
    assert_eq!(line["path"], "/call");
    assert_eq!(line["pool"], "default");
    assert_eq!(line["worker"]["version"], "v1");
    assert_eq!(line["worker"]["address"], worker.address.to_string());

    let id = line["id"].as_str().unwrap();
    let session = edge.json(&format!("/sessions/{id}")).await;
    assert_eq!(session["id"], id);
    assert_eq!(session["link"], "live");
    assert_eq!(session["committed"], 2);
    assert_eq!(session["log"]["frames"], 0);
    assert_eq!(session["legs"][0]["name"], "caller");
    assert_eq!(session["legs"][0]["state"], "open");
    assert_eq!(session["state"][0]["key"], "count");
    assert_eq!(events(&session), ["began", "attached"]);
    assert!(!session.to_string().contains("secret"));

    caller.hang_up().await;
    edge.idle().await;
    let session = edge.json(&format!("/sessions/{id}")).await;
    assert_eq!(session["phase"], "ended");
    assert_eq!(session["end"]["reason"], "caller_hung_up");
    assert_eq!(session["end"]["fault"], "none");
    assert!(session["legs"].is_null(), "{session}");
    let last = ["leg_closed", "ending", "ended"];
    assert_eq!(events(&session)[2..], last, "{session}");
    let over = edge
        .json("/sessions?ended=true&reason=caller_hung_up")
        .await;
    assert_eq!(over["sessions"][0]["id"], id);
    let other = edge.json("/sessions?ended=true&fault=worker").await;
    assert_eq!(other["total"], 0);
    assert_eq!(edge.get("/sessions/CA1").await.status, 404);
}

/// What happened to a call, in words.
fn events(session: &Value) -> Vec<&str> {
    let events = session["timeline"]["events"].as_array().unwrap();
    let words = events.iter().map(|event| event["event"].as_str().unwrap());
    words.collect()
}

#[tokio::test]
async fn pages_follow_each_other_and_show_each_call_once() {
    let worker = Bench::start("v1").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    let mut callers = Vec::new();
    for _ in 0..5 {
        let mut caller = edge.call().await;
        caller.ask("hello").await;
        callers.push(caller);
    }
    let mut shown = Vec::new();
    let mut after = String::new();
    for (page, size) in [2, 2, 1].into_iter().enumerate() {
        let list = edge.json(&format!("/sessions?limit=2{after}")).await;
        assert_eq!(list["total"], 5);
        let sessions = list["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), size, "page {page}");
        shown.extend(
            sessions
                .iter()
                .map(|it| it["id"].as_str().unwrap().to_owned()),
        );
        match list["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => assert_eq!(page, 2),
        }
    }
    let all = edge.json("/sessions").await;
    let all: Vec<_> = all["sessions"].as_array().unwrap().iter().collect();
    let ids: Vec<_> = all.iter().map(|it| it["id"].as_str().unwrap()).collect();
    assert_eq!(shown, ids);
    let none = edge.json("/sessions?version=v2").await;
    assert_eq!(none["total"], 0);
    let wrong = edge.get("/sessions?versoin=v2").await;
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("version"), "{}", wrong.body);
}

#[tokio::test]
async fn the_port_knows_its_paths_and_reads_only() {
    let worker = Bench::start("v7").await;
    let edge = Edge::ready(&[&worker], Shape::default()).await;
    let workers = edge.get("/workers").await;
    assert_eq!(workers.status, 200);
    assert!(
        workers.body.contains(r#""version": "v7""#),
        "{}",
        workers.body
    );
    assert!(workers.head.contains("content-type: application/json"));

    let unknown = edge.get("/nowhere").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.contains("/readyz"), "{}", unknown.body);
    let posted = request(edge.admin, "POST", "/sessions").await;
    assert_eq!(posted.status, 401);
    assert!(posted.body.contains("admin.token"), "{}", posted.body);
    let looked = request(edge.admin, "HEAD", "/livez").await;
    assert_eq!((looked.status, looked.body.as_str()), (200, ""));

    let metrics = edge.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(
        metrics.head.contains("text/plain; version=0.0.4"),
        "{}",
        metrics.head
    );
    assert!(
        metrics.body.contains("holdline_build_info{version="),
        "{}",
        metrics.body
    );
    assert!(
        metrics
            .body
            .contains(r#"holdline_drain_phase{phase="serving"} 1"#)
    );
}

/// Nothing would tell a listener that such a socket is gone; of a call that begins there is news.
#[tokio::test]
async fn who_listens_is_told_of_no_socket_that_waits_for_its_start() {
    let worker = Bench::start("v1").await;
    let shape = Shape {
        route: "profile: twilio, signature: off, start_timeout: 60s",
        ..Shape::default()
    };
    let edge = Edge::ready(&[&worker], shape).await;
    let mut caller = edge.call().await;
    edge.until("/sessions", |body| body.contains("starting"))
        .await;
    let mut events = edge.events().await;
    let begun = events.until("event: live").await;
    assert!(begun.contains(r#""sessions":0"#), "{begun}");
    assert!(!begun.contains("starting"), "{begun}");
    caller.say(START).await;
    let news = events.until(r#""event":"began""#).await;
    assert!(news.contains("event: session\n"), "{news}");
}

const START: &str = r#"{"event":"start","sequenceNumber":"1","streamSid":"MZ1","start":{"accountSid":"AC1","streamSid":"MZ1","callSid":"CA1","tracks":["inbound"],"mediaFormat":{"encoding":"audio/x-mulaw","sampleRate":8000,"channels":1}}}"#;
