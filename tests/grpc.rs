//! The worker protocol as others speak it: `buf curl`, and a worker in plain Python.

use std::{path::Path, process::Stdio};

use serde_json::Value;
use tokio::process::Command;

use crate::{
    stage::{Ending, Place, Plan, Running, Stage},
    support::{Caller, example, raw_edge_config, soon, tool, workspace},
};

const SERVICE: &str = "holdline.worker.v1.Worker";
const FRAMES: usize = 50;

/// What `buf curl` makes of a call, by reflection alone.
async fn curl(worker: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(tool("buf"));
    command
        .args(["curl", "--http2-prior-knowledge", "--protocol", "grpc"])
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = soon("buf", command.output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "buf curl {arguments:?} to {worker}: {text}{error}"
    );
    text
}

#[tokio::test]
async fn the_bridge_answers_programs_that_know_only_grpc() {
    let mut plan = Plan::new();
    plan.bridges = 1;
    let mut stage = Stage::set(plan).await;
    let listening = stage.bridges[0].told("worker is listening").await;
    let worker = format!("http://{}", listening["address"].as_str().unwrap());

    for protocol in ["grpc-v1", "grpc-v1alpha"] {
        let list = ["--reflect-protocol", protocol, "--list-services", &worker];
        let services = curl(&worker, &list).await;
        for service in [SERVICE, "grpc.health.v1.Health"] {
            assert!(services.lines().any(|it| it == service), "{services}");
        }
    }

    for service in ["", SERVICE] {
        let question = format!(r#"{{"service":"{service}"}}"#);
        let method = format!("{worker}/grpc.health.v1.Health/Check");
        let health = curl(&worker, &["-d", &question, &method]).await;
        assert_eq!(json(&health)["status"], "SERVING", "`{service}`: {health}");
    }

    let method = format!("{worker}/{SERVICE}/Describe");
    let told = curl(&worker, &["-d", r#"{"protocolRevision":1}"#, &method]).await;
    let told = json(&told);
    assert_eq!(told["version"], "v0", "{told}");
    assert_eq!(told["readsSchemas"], Value::from([1]), "{told}");
    assert_eq!(told["writesSchema"], 1, "{told}");
    // The model's largest frame, and what is around it.
    let largest: u64 = told["maxMessageBytes"].as_str().unwrap().parse().unwrap();
    assert!(largest > 16 << 20, "{told}");
    stage.bridges[0].end(Ending::Terminate).await;
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"))
}

#[tokio::test]
async fn a_call_moves_between_workers_in_rust_and_in_python() {
    let places = [Place::reserve(), Place::reserve(), Place::reserve()];
    let mut first = rust("first", &places[0]).await;
    let folder = tempfile::tempdir().unwrap();
    let mut edge = edge(folder.path(), &places);
    let mut caller = Caller::connect(edge.listening("callers").await).await;
    let mut said = 0;
    talk(&mut caller, "first", &mut said).await;

    let mut second = python("second", &places[1]).await;
    first.end(Ending::Terminate).await;
    talk(&mut caller, "second", &mut said).await;

    let _third = rust("third", &places[2]).await;
    second.end(Ending::Kill).await;
    talk(&mut caller, "third", &mut said).await;

    caller.hang_up().await;
    let ended = edge.told("call ended").await;
    assert_eq!(ended["handoffs"], 2, "{ended}");
    assert_eq!(ended["caller_frames_written"], said, "{ended}");
    edge.end(Ending::Terminate).await;
}

/// Says so many things, and hears each answered once, by this worker.
async fn talk(caller: &mut Caller, version: &str, said: &mut usize) {
    for _ in 0..FRAMES {
        *said += 1;
        caller.say(&format!("frame {said}")).await;
    }
    for number in *said - FRAMES + 1..=*said {
        let expected = format!("{number} {version} frame {number}");
        assert_eq!(caller.hear().await, expected);
    }
}

async fn rust(version: &str, place: &Place) -> Running {
    let mut command = Command::new(example("echo-worker"));
    command.arg(version);
    worker(command, place).await
}

async fn python(version: &str, place: &Place) -> Running {
    let top = workspace();
    let mut command = Command::new(tool("python"));
    command
        .arg(top.join("tests/tools/echo_worker.py"))
        .arg(top.join("crates/wire/proto/holdline/worker/v1/worker.proto"))
        .arg(version);
    worker(command, place).await
}

async fn worker(mut command: Command, place: &Place) -> Running {
    command.env("LISTEN", place.address.to_string());
    let running = Running::of(command);
    running.line("listening").await;
    running
}

fn edge(folder: &Path, places: &[Place]) -> Running {
    let file = raw_edge_config(folder, places.iter().map(|it| it.address));
    Running::start(&["run", "--config", file.to_str().unwrap()], &[])
}
