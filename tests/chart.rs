//! The chart as Helm renders it, judged by the API schemas of Kubernetes; and whether the binary of
//! this tree takes what it renders. The checks are Python programs below `tests/chart`, because Helm
//! and the schemas are to be had there.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Output,
};

use holdline_config::{Changes, Config};
use tokio::process::Command;

use crate::support::{holdline, tool, workspace};

mod image;

/// Runs `tests/chart/MODULE.py`. With HOLDLINE_REGENERATE=1 it writes what it compares with.
async fn unittest(module: &str) {
    let running = python().args(["-m", "unittest", module]).output();
    succeeded(module, &running.await.unwrap());
}

#[tokio::test]
async fn renders_are_valid_and_as_committed() {
    unittest("test_render").await;
}

#[tokio::test]
async fn contradictions_are_refused() {
    unittest("test_refusals").await;
}

#[tokio::test]
async fn what_is_rendered_drops_no_call() {
    unittest("test_meaning").await;
}

#[tokio::test]
async fn the_edge_fits_into_other_pods() {
    unittest("test_sidecar").await;
}

#[tokio::test]
async fn upgrades_change_nothing_immutable() {
    unittest("test_upgrade").await;
}

#[tokio::test]
async fn dashboard_and_alerts_ask_for_what_there_is() {
    unittest("test_series").await;
}

#[tokio::test]
async fn documents_are_fresh() {
    unittest("test_docs").await;
}

/// Runs a program of `tests/chart` that writes into a folder, with a certificate and a key to put there.
async fn written(program: &str, folder: &Path) {
    let identity = rcgen::generate_simple_self_signed(["voice.example.com".to_owned()]).unwrap();
    let secrets = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        secrets.path().join("cert.pem"),
        secrets.path().join("key.pem"),
    );
    std::fs::write(&certificate, identity.cert.pem()).unwrap();
    std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
    let mut running = python();
    running
        .arg(program)
        .args([folder, &certificate, &key])
        .kill_on_drop(true);
    succeeded(program, &running.output().await.unwrap());
}

#[tokio::test]
async fn the_binary_takes_what_is_rendered() {
    let folder = tempfile::tempdir().unwrap();
    written("mounted.py", folder.path()).await;
    let mut checked = 0;
    for case in std::fs::read_dir(folder.path()).unwrap() {
        let case = case.unwrap().path();
        let file = case.join("check/config/holdline.yaml");
        let running = holdline().args(["check", "--config"]).arg(&file).output();
        succeeded(case.to_str().unwrap(), &running.await.unwrap());
        let bridge = case.join("worker/bridge/bridge.yaml");
        if bridge.exists() {
            let running = holdline()
                .args(["bridge", "--check", "--config"])
                .arg(&bridge)
                .output();
            succeeded("holdline bridge --check", &running.await.unwrap());
        }
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} values files");
}

/// What a running edge takes up must not roll edges, since that would cost calls; and what it does not
/// take up must, since it would not come into force.
#[tokio::test]
async fn edges_are_rolled_for_what_they_take_only_with_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    written("changes.py", folder.path()).await;
    let rolls = std::fs::read_to_string(folder.path().join("rolls.json")).unwrap();
    let rolls: BTreeMap<String, bool> = serde_json::from_str(&rolls).unwrap();
    for (name, rolls) in rolls {
        let read = |when: &str| {
            let file = folder.path().join(format!("{name}.{when}.yaml"));
            Config::load(&file).unwrap_or_else(|errors| panic!("{errors}"))
        };
        let changes = read("before").changes(&read("after"));
        assert_ne!(changes, Changes::default(), "{name} changes nothing");
        assert_eq!(rolls, !changes.restart.is_empty(), "{name}: {changes:?}");
    }
}

fn python() -> Command {
    let mut python = Command::new(tool("python"));
    python.current_dir(folder()).kill_on_drop(true);
    python
}

fn folder() -> PathBuf {
    workspace().join("tests/chart")
}

fn succeeded(what: &str, output: &Output) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {told}");
}
