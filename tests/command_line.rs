//! What the command line says, and with which exit status.

use std::process::Output;

use crate::support::{holdline, soon};

async fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let running = holdline().args(arguments).output();
    let Output {
        status,
        stdout,
        stderr,
    } = soon("a command", running).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

async fn check(text: &str) -> (Option<i32>, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("holdline.yaml");
    std::fs::write(&file, text).unwrap();
    output(&["check", "--config", file.to_str().unwrap()]).await
}

const GOOD: &str = r#"
listeners:
  - {name: callers, address: "127.0.0.1:0", routes: [{path: /call, profile: raw, workers: default}]}
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:50051"]}}}
"#;

#[tokio::test]
async fn a_good_file_is_printed_with_its_defaults() {
    let (code, out, err) = check(GOOD).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("poison_limit: 3"), "{out}");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let bad = GOOD.replace("workers: default}", "workers: other, wrokers: x}");
    let (code, out, err) = check(&format!("{bad}\ndrain: {{deadline: 5}}\n")).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    for part in ["holdline.yaml:3:", "wrokers", "drain.deadline"] {
        assert!(err.contains(part), "no `{part}` in:\n{err}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_and_a_wrong_command_line_are_misuse() {
    let (code, _, err) = output(&["run", "--config", "/nowhere/holdline.yaml"]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("/nowhere/holdline.yaml"), "{err}");
    let (code, _, _) = output(&["hold"]).await;
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn an_edge_that_does_not_know_its_pod_does_not_start() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("holdline.yaml");
    let cost = "kubernetes: {pod_deletion_cost: {}}\nadmin: {address: \"127.0.0.1:0\"}\n";
    std::fs::write(&file, format!("{GOOD}{cost}")).unwrap();
    let file = file.to_str().unwrap();
    // A test hook has no reason to know it.
    let (code, _, err) = output(&["check", "--config", file]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let (code, _, err) = output(&["run", "--config", file]).await;
    assert_eq!(code, Some(2));
    assert!(err.contains("needs HOLDLINE_POD_NAME"), "{err}");
}

#[tokio::test]
async fn an_address_in_use_is_a_failure() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("holdline.yaml");
    std::fs::write(&file, GOOD.replace("127.0.0.1:0", &address)).unwrap();
    let (code, _, err) = output(&["run", "--config", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(1));
    let last = err.lines().last().unwrap();
    assert!(
        last.starts_with(&format!("holdline: cannot listen on {address}")),
        "{err}"
    );
}

#[tokio::test]
async fn schema_and_completions_are_for_programs() {
    let (code, out, _) = output(&["schema"]).await;
    assert_eq!(code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert!(schema["properties"]["listeners"].is_object());
    let (code, out, _) = output(&["completions", "bash"]).await;
    assert_eq!(code, Some(0));
    assert!(out.contains("holdline"));
}
