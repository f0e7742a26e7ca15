//! The dashboard in a real browser, while calls move. `HOLDLINE_SHOTS=FOLDER` keeps pictures of it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{process::Command, sync::watch};

use crate::{
    exchange::Edge,
    stage::get,
    support::{Caller, WorkerProcess, soon, tool, workspace},
};

mod deploy;
mod losses;
mod many;

const TOKEN: &str = "look-and-steer-3f9b";
const CALLS: usize = 12;
/// Calls that ended of which a page is told, and one more.
const ENDED: usize = 101;

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

/// The session of a call, the last in this list.
async fn last(edge: &Edge, list: &str) -> String {
    let page = get(edge.admin(), list).await;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let calls = page["sessions"].as_array().unwrap();
    calls.last().unwrap()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_page_is_not_taken_in_by_silence_or_by_what_is_told_twice() {
    let page = workspace().join("crates/proxy/src/admin/dashboard");
    browse("dashboard_parts.mjs", &[page.to_str().unwrap()]).await;
}

#[tokio::test]
async fn a_person_looks_searches_drains_moves_and_ends() {
    let (edge, workers) = two_versions(CONFIG).await;
    let callers = edge.address("callers").await;
    for _ in 0..ENDED {
        answered(callers).await.hang_up().await;
    }
    let (stop, stopped) = watch::channel(false);
    let mut talking = Vec::new();
    for _ in 1..CALLS {
        let caller = answered(callers).await;
        talking.push(tokio::spawn(talk(caller, stopped.clone())));
    }
    // One more, who is hung up on.
    let cut = tokio::spawn(answered(callers).await.talk_until_closed());
    let session = last(&edge, "/sessions").await;
    let over = last(&edge, "/sessions?ended=true").await;

    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", edge.admin());
    let (calls, shots) = (CALLS.to_string(), shots(folder.path()));
    let [worker, beside] = workers.each_ref().map(|it| it.address.to_string());
    let arguments = [
        &url,
        TOKEN,
        &calls,
        &worker,
        &beside,
        &session,
        &over,
        shots.to_str().unwrap(),
    ];
    browse("dashboard.mjs", &arguments).await;

    stop.send_replace(true);
    talking.push(cut);
    for call in talking {
        soon("the end of a call", call).await.unwrap();
    }
}
