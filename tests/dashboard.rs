//! The dashboard in a real browser, while calls move. `HOLDLINE_SHOTS=FOLDER` keeps pictures of it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{process::Command, sync::watch};

use crate::{
    exchange::Edge,
    support::{Caller, WorkerProcess, soon, tool, workspace},
};

mod deploy;
mod many;

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

/// A person at a browser, who does what this script of `tests/tools` says.
pub(crate) fn person(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command
        .arg(workspace().join("tests/tools").join(script))
        .args(arguments)
        .env("HOLDLINE_TOOLS", tool("pip").parent().unwrap())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// What he says in the end, having found everything as it is to be. A browser on a busy machine takes its
/// time; each of its steps is waited for by itself.
pub(crate) async fn browse(script: &str, arguments: &[&str]) -> String {
    let output = person(script, arguments).output().await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (said, complaint) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{said}{complaint}");
    said
}

/// Where pictures are put.
fn shots(otherwise: &Path) -> PathBuf {
    std::env::var_os("HOLDLINE_SHOTS").map_or(otherwise.to_owned(), PathBuf::from)
}

/// An edge with a token, and this configuration with a worker of each of two versions.
async fn two_versions(config: &str) -> (Edge, [WorkerProcess; 2]) {
    let workers = [
        WorkerProcess::start("v1").await,
        WorkerProcess::start("v2").await,
    ];
    let addresses = workers.each_ref().map(|it| format!("\"{}\"", it.address));
    let config = config.replace("WORKERS", &addresses.join(", "));
    let admin = "address: \"127.0.0.1:0\", token: {env: ADMIN_TOKEN}";
    let edge = Edge::with_admin(&config, admin, &[("ADMIN_TOKEN", TOKEN)]).await;
    (edge, workers)
}

/// A caller to whom a worker has spoken.
async fn answered(callers: SocketAddr) -> Caller {
    let mut caller = Caller::connect(callers).await;
    caller.say("who").await;
    caller.hear().await;
    caller
}

/// Keeps talking, so that each move is over soon.
async fn talk(mut caller: Caller, mut stopped: watch::Receiver<bool>) {
    while !*stopped.borrow_and_update() {
        caller.say("who").await;
        caller.hear().await;
    }
    caller.hang_up().await;
}

#[tokio::test]
async fn the_page_is_not_taken_in_by_silence_or_by_what_is_told_twice() {
    let page = workspace().join("crates/proxy/src/admin/dashboard");
    browse("dashboard_parts.mjs", &[page.to_str().unwrap()]).await;
}

#[tokio::test]
async fn a_person_looks_searches_and_drains_a_worker() {
    let (edge, workers) = two_versions(CONFIG).await;
    let callers = edge.address("callers").await;
    let (stop, stopped) = watch::channel(false);
    let mut talking = Vec::new();
    for _ in 0..CALLS {
        let caller = answered(callers).await;
        talking.push(tokio::spawn(talk(caller, stopped.clone())));
    }

    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", edge.admin());
    let (calls, worker) = (CALLS.to_string(), workers[0].address.to_string());
    let shots = shots(folder.path());
    let arguments = [&url, TOKEN, &calls, &worker, shots.to_str().unwrap()];
    browse("dashboard.mjs", &arguments).await;

    stop.send_replace(true);
    for call in talking {
        soon("a caller to hang up", call).await.unwrap();
    }
}
