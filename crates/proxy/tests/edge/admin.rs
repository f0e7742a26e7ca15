//! What an operator can ask.

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
    assert_eq!(edge.get("/sessions").await.body, "[]");
    let mut caller = edge.call().await;
    caller.ask("a secret word").await;
    let list = edge.get("/sessions").await.body;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let session = &list[0];
    assert_eq!(session["phase"], "running");
    assert_eq!(session["link"], "live");
    assert_eq!(session["epoch"], 1);
    assert_eq!(session["path"], "/call");
    assert_eq!(session["worker"]["version"], "v1");
    assert_eq!(session["worker"]["address"], worker.address.to_string());
    assert_eq!(session["committed"], 2);
    assert_eq!(session["log"]["frames"], 0);
    assert_eq!(session["legs"][0]["name"], "caller");
    assert_eq!(session["legs"][0]["state"], "open");
    assert_eq!(session["state"][0]["key"], "count");
    assert!(!list.to_string().contains("secret"));

    let id = session["id"].as_str().unwrap();
    let one = edge.get(&format!("/sessions/{id}")).await;
    assert_eq!(one.status, 200);
    assert!(one.body.contains(id));
    caller.hang_up().await;
    edge.until("/sessions", |body| body == "[]").await;
    assert_eq!(edge.get(&format!("/sessions/{id}")).await.status, 404);
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
