//! The vendor's own SDK as the oracle of the simulated model: every event must be one that it
//! knows, complete.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use holdline_testkit::openai::{Keys, OpenAiSim, SimOptions, Speed, ToolScript, ToolTime};
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;

/// The conversation takes half of this.
const PATIENCE: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_sdk_understands_everything() {
    let options = SimOptions {
        keys: Keys::Only(["good".to_owned()].into()),
        speed: Speed::Times(1.0),
        tools: vec![ToolScript {
            time: ToolTime::Turn(2),
            name: "book_slot".to_owned(),
            arguments: json!({"time": "11:15"}),
        }],
        ..SimOptions::default()
    };
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let sim = OpenAiSim::bind(loopback, options).await.unwrap();
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = Command::new(python(package))
        .arg(package.join("tests/openai_sdk.py"))
        .arg(format!("ws://{}/v1", sim.local_addr()))
        .arg(package.join("fixtures/speech/queen-of-clubs.ulaw"))
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, script).await.unwrap().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    let report = sim.shutdown().await;
    assert_eq!(report.connections.len(), 2);
}

/// `HOLDLINE_TOOLS` names the folder of the tools; `tests/run` fills `target/tools`.
fn python(package: &Path) -> PathBuf {
    let folder = match std::env::var_os("HOLDLINE_TOOLS") {
        Some(folder) => PathBuf::from(folder),
        None => package.join("../../target/tools/bin"),
    };
    let path = folder.join("python");
    assert!(
        path.exists(),
        "{} is not there: `tests/run` installs the tools that the tests need, or name their folder \
         in HOLDLINE_TOOLS",
        path.display()
    );
    path
}
