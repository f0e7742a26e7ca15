//! The dashboard in a real browser, while calls move.

use std::{path::PathBuf, process::Stdio};

use tokio::{process::Command, sync::watch};

use crate::{
    exchange::Edge,
    support::{Caller, WorkerProcess, soon, tool, workspace},
};

const TOKEN: &str = "look-and-steer-3f9b";
const CALLS: usize = 12;

const CONFIG: &str = r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{path: /call, profile: raw, workers: default}]
workers:
  default: {discovery: {static: {addresses: [WORKERS]}}}
"#;

/// Keeps talking, so that each move is over soon.
async fn talk(mut caller: Caller, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow_and_update() {
        caller.say("who").await;
        caller.hear().await;
    }
    caller.hang_up().await;
}

#[tokio::test]
async fn a_person_looks_searches_and_drains_a_worker() {
    let workers = [
        WorkerProcess::start("v1").await,
        WorkerProcess::start("v2").await,
    ];
    let addresses = workers.each_ref().map(|it| format!("\"{}\"", it.address));
    let config = CONFIG.replace("WORKERS", &addresses.join(", "));
    let admin = "address: \"127.0.0.1:0\", token: {env: ADMIN_TOKEN}";
    let edge = Edge::with_admin(&config, admin, &[("ADMIN_TOKEN", TOKEN)]).await;
    let callers = edge.address("callers").await;
    let (stop, stopped) = watch::channel(false);
    let mut talking = Vec::new();
    for _ in 0..CALLS {
        let mut caller = Caller::connect(callers).await;
        caller.say("who").await;
        caller.hear().await;
        talking.push(tokio::spawn(talk(caller, stopped.clone())));
    }

    let folder = tempfile::tempdir().unwrap();
    let shots = std::env::var_os("HOLDLINE_SHOTS").map_or(folder.path().to_owned(), PathBuf::from);
    let tools = tool("pip").parent().unwrap().to_owned();
    let browsing = Command::new("node")
        .arg(workspace().join("tests/tools/dashboard.mjs"))
        .arg(format!("http://{}/", edge.admin()))
        .args([TOKEN, &CALLS.to_string(), &workers[0].address.to_string()])
        .arg(&shots)
        .env("HOLDLINE_TOOLS", tools)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    // A browser on a busy machine takes its time; each of its steps is waited for by itself.
    let browsed = browsing.await.unwrap();
    let said = [browsed.stdout, browsed.stderr].concat();
    assert!(
        browsed.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );

    stop.send_replace(true);
    for call in talking {
        soon("a caller to hang up", call).await.unwrap();
    }
}
