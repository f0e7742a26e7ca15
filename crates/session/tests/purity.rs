//! The engine has no runtime, no clock and no randomness among its dependencies.
#![allow(clippy::unwrap_used)]

use std::process::Command;

/// What would bring IO, time or chance into the engine.
const BANNED: [&str; 12] = [
    "tokio",
    "mio",
    "async-std",
    "smol",
    "hyper",
    "tonic",
    "rand",
    "getrandom",
    "fastrand",
    "chrono",
    "time",
    "socket2",
];

#[test]
fn nothing_below_the_engine_knows_io_time_or_chance() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--package", "holdline-session", "--edges", "normal"])
        .args(["--prefix", "none", "--format", "{p}", "--offline"])
        .output()
        .unwrap();
    assert!(tree.status.success(), "cargo tree: {tree:?}");
    let tree = String::from_utf8(tree.stdout).unwrap();
    let names: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.contains(&"bytes"), "the tree was read: {names:?}");
    let found: Vec<_> = names.iter().filter(|name| BANNED.contains(name)).collect();
    assert!(found.is_empty(), "{found:?}");
}
