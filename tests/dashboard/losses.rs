//! Workers that die under calls until there is none, and an edge that is told to end: as somebody sees it.

use super::{CONFIG, answered, person, shots, two_versions};
use crate::stage::{Ending, Running};

const CALLS: usize = 4;

#[tokio::test]
async fn a_person_sees_calls_that_are_held_and_an_edge_that_is_to_end() {
    let (edge, mut workers) = two_versions(CONFIG).await;
    let callers = edge.address("callers").await;
    let mut calls = Vec::new();
    for _ in 0..CALLS {
        calls.push(answered(callers).await);
    }
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}/", edge.admin());
    let (count, shots) = (CALLS.to_string(), shots(folder.path()));
    let arguments = [&url, &count, shots.to_str().unwrap()];
    let mut watcher = Running::of(person("dashboard_losses.mjs", &arguments));
    for (worker, seen) in workers.iter_mut().zip(["watching", "lost"]) {
        watcher.line(seen).await;
        worker.kill().await;
    }
    watcher.line("held").await;
    edge.signal(Ending::Terminate);
    watcher.ended(Ending::Terminate).await;
}
