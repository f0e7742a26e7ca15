//! `holdline top` on a terminal.

use std::process::Stdio;

use super::{Call, Ground};
use crate::support::{holdline, soon, tool, workspace};

/// Somebody looks at these calls on a terminal, and then ends it in this way.
async fn look(ground: &Ground, way: &str, calls: &[Call], variables: &[(&str, &str)]) {
    let looking = tokio::process::Command::new(tool("python3"))
        .arg(workspace().join("tests/tools/top.py"))
        .args([way, &calls[0].id, &calls[2].id])
        .arg(holdline().as_std().get_program())
        .args(["top", "--interval", "100ms"])
        .env("HOLDLINE_ADMIN", format!("http://{}", ground.edge.admin()))
        .env("TERM", "xterm-256color")
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = soon("somebody at a terminal", looking).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{way}: {said}");
}

#[tokio::test]
async fn top_scrolls_on_a_terminal_and_leaves_it_as_it_was() {
    let ground = Ground::start().await;
    // One more than there is room for.
    let calls = [
        ground.call().await,
        ground.call().await,
        ground.call().await,
    ];
    look(&ground, "q", &calls, &[]).await;
    look(&ground, "interrupt", &calls, &[("NO_COLOR", "1")]).await;
    look(&ground, "terminate", &calls, &[]).await;
    drop(calls);
    ground.edge.end().await;
}
