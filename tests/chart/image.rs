//! The root file system of the image, run without Docker. It holds the binary under test, built for
//! development; the Dockerfile calls the same script with the release.

use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
};

use tokio::process::Command;

use super::succeeded;
use crate::support::workspace;

/// The account of the image, which the chart names too.
const NONROOT: &str = "65532:65532";

const CONFIG: &str = r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{path: /call, profile: raw, legs: [{name: model, upstream: openai}], workers: default}]
upstreams:
  openai: {profile: openai-realtime, url: "wss://api.openai.com/v1/realtime", api_key: {file: key}}
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:50051"]}}}
"#;

#[tokio::test]
async fn the_image_runs_as_nobody_special_and_has_no_shell() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    assemble(&root).await;
    let said = inside(&root, &["--version"]).await;
    let version = String::from_utf8_lossy(&said.stdout);
    assert_eq!(
        version.trim(),
        concat!("holdline ", env!("CARGO_PKG_VERSION"))
    );
    std::fs::write(root.join("etc/holdline/holdline.yaml"), CONFIG).unwrap();
    std::fs::write(root.join("etc/holdline/key"), "word\n").unwrap();
    let check = ["check", "--config", "/etc/holdline/holdline.yaml"];
    succeeded("check in the image", &inside(&root, &check).await);
    std::fs::remove_file(root.join("etc/holdline/key")).unwrap();
    let said = inside(&root, &check).await;
    let told = String::from_utf8_lossy(&said.stderr);
    assert!(told.contains("/etc/holdline/key cannot be read"), "{told}");
    // Nobody listens there (RFC 863). The image has no other program that could ask.
    let said = inside(&root, &["probe", "http://127.0.0.1:9/readyz"]).await;
    let told = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot be reached"), "{told}");
}

#[tokio::test]
async fn the_image_holds_what_is_needed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    assemble(&root).await;
    let mut files = Vec::new();
    walk(&root, &mut files);
    let libraries = |name: &str| name.starts_with("lib") || name.starts_with("usr/lib");
    let mut others = Vec::new();
    for file in &files {
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7022, 0, "{} has mode {mode:o}", file.display());
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap();
        if !libraries(name) {
            others.push(name);
        }
    }
    others.sort_unstable();
    let expected = [
        "etc/group",
        "etc/nsswitch.conf",
        "etc/passwd",
        "etc/ssl/certs/ca-certificates.crt",
        "usr/local/bin/holdline",
    ];
    assert_eq!(others, expected);
}

#[tokio::test]
async fn a_folder_that_is_there_is_not_written_into() {
    let folder = tempfile::tempdir().unwrap();
    let output = script(folder.path()).await;
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("is there already"), "{told}");
}

async fn assemble(root: &Path) {
    succeeded("images/rootfs.sh", &script(root).await);
}

async fn script(root: &Path) -> Output {
    let mut script = Command::new(workspace().join("images/rootfs.sh"));
    script.arg(env!("CARGO_BIN_EXE_holdline")).arg(root);
    script.output().await.unwrap()
}

async fn inside(root: &Path, arguments: &[&str]) -> Output {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test enters the image with chroot, which takes root: run the tests as root"
    );
    let mut chroot = Command::new("chroot");
    chroot.arg(format!("--userspec={NONROOT}")).arg(root);
    chroot.arg("/usr/local/bin/holdline").args(arguments);
    chroot.kill_on_drop(true).output().await.unwrap()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}
