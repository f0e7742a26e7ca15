//! The chart as Helm renders it, judged by the API schemas of Kubernetes; and whether the binary of
//! this tree takes what it renders. The checks are Python programs below `tests/chart`, because Helm
//! and the schemas are to be had there.

use std::{
    path::{Path, PathBuf},
    process::Output,
};

use tokio::process::Command;

use crate::support::{holdline, tool, workspace};

mod image;

/// What the chart already writes for a binary that is about to understand it: the values file, and a
/// key that `check` does not know yet. An entry whose key has become known fails the test.
const AWAITED: &[(&str, &str)] = &[("hpa", "kubernetes:")];

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
async fn documents_are_fresh() {
    unittest("test_docs").await;
}

#[tokio::test]
async fn the_binary_takes_what_is_rendered() {
    let folder = tempfile::tempdir().unwrap();
    let identity = rcgen::generate_simple_self_signed(["voice.example.com".to_owned()]).unwrap();
    let (certificate, key) = (
        folder.path().join("cert.pem"),
        folder.path().join("key.pem"),
    );
    std::fs::write(&certificate, identity.cert.pem()).unwrap();
    std::fs::write(&key, identity.signing_key.serialize_pem()).unwrap();
    let cases = folder.path().join("cases");
    let mut mounted = python();
    mounted
        .arg("mounted.py")
        .arg(&cases)
        .arg(&certificate)
        .arg(&key);
    succeeded("mounted.py", &mounted.output().await.unwrap());
    let mut checked = 0;
    for case in std::fs::read_dir(cases).unwrap() {
        let case = case.unwrap().path();
        check_edge(&case).await;
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

async fn check_edge(case: &Path) {
    let name = case.file_name().unwrap().to_str().unwrap();
    let file = case.join("check/config/holdline.yaml");
    let running = holdline().args(["check", "--config"]).arg(&file).output();
    let output = running.await.unwrap();
    let mut awaited = AWAITED.iter().filter(|(case, _)| *case == name).peekable();
    if awaited.peek().is_none() {
        return succeeded(name, &output);
    }
    let told = String::from_utf8_lossy(&output.stderr);
    for (_, key) in awaited {
        assert!(
            told.contains(key),
            "{name}: `{key}` is known now: no longer awaited\n{told}"
        );
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
