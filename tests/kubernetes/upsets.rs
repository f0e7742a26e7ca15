//! What else happens while workers are rolled: fewer pods than before, a change of mind, nodes that are
//! drained, and a second Deployment behind the same Service.

use holdline_kubesim::{Kind, Verb, Workload};
use holdline_testkit::stage::Callers;
use serde_json::Value;

use super::ground::{Ground, NAMESPACE, SERVICE, Shape};

/// Calls under them.
const CALLS: u32 = 8;
/// Frames in each direction that a call must carry after what happened.
const FURTHER: u64 = 25;

async fn with_pods(version: &str, pods: usize) -> (Ground, Vec<String>) {
    with_pods_in(Shape::default(), version, pods).await
}

async fn with_pods_in(shape: Shape, version: &str, pods: usize) -> (Ground, Vec<String>) {
    let mut ground = Ground::empty(shape).await;
    ground.workload.roll(version);
    let names = ground.scale_up(version, pods).await;
    ground.until_ready(pods).await;
    (ground, names)
}

/// Waits until all calls are with this version.
async fn all_with(ground: &Ground, version: &str) {
    let with = |rows: &[Value]| {
        let of_version = rows.iter().filter(|row| row["version"] == version);
        let sessions: u64 = of_version.filter_map(|row| row["sessions"].as_u64()).sum();
        sessions == u64::from(CALLS)
    };
    ground
        .until(&format!("all calls with {version}"), with)
        .await;
}

/// `maxUnavailable: 1, maxSurge: 0`: each old pod goes before a new one comes.
#[tokio::test]
async fn with_one_pod_missing_at_a_time_a_call_moves_at_most_twice() {
    let (mut ground, old) = with_pods("v1", 3).await;
    let mut calls = ground.dial(CALLS).await;
    ground.workload.roll("v2");
    for pod in old {
        ground.retire(&pod).await;
        ground.scale_up("v2", 1).await;
    }
    all_with(&ground, "v2").await;
    ground.go_on(&mut calls, FURTHER).await;
    let moves = ground.judge(calls).await;
    assert!(moves.iter().all(|moves| *moves <= 2), "{moves:?}");
    ground.edge.end().await;
}

#[tokio::test]
async fn a_roll_back_in_the_middle_brings_all_calls_back() {
    let (mut ground, old) = with_pods("v1", 4).await;
    let mut calls = ground.dial(CALLS).await;
    ground.workload.roll("v2");
    let new = ground.scale_up("v2", 2).await;
    for pod in &old[..2] {
        ground.retire(pod).await;
    }
    let touched = ground.calls_of("v2").await;
    assert!(touched > 0, "nobody has moved yet");

    // The old ReplicaSet is the newest again.
    ground.workload.roll("v1");
    ground.scale_up("v1", 2).await;
    for pod in &new {
        ground.retire(pod).await;
    }
    all_with(&ground, "v1").await;
    ground.go_on(&mut calls, FURTHER).await;
    let mut moves = ground.judge(calls).await;
    moves.sort_unstable();
    let stayed = usize::try_from(u64::from(CALLS) - touched).unwrap();
    let (left_alone, came_back) = moves.split_at(stayed);
    assert!(left_alone.iter().all(|moves| *moves == 0), "{moves:?}");
    assert!(came_back.iter().all(|moves| *moves == 2), "{moves:?}");
    ground.edge.end().await;
}

/// All calls are with this version in the end, and each went there in one move.
async fn each_moved_once(ground: Ground, mut calls: Callers, version: &str) {
    all_with(&ground, version).await;
    ground.go_on(&mut calls, FURTHER).await;
    let moves = ground.judge(calls).await;
    assert!(moves.iter().all(|moves| *moves == 1), "{moves:?}");
    ground.edge.end().await;
}

/// An old pod is evicted, its ReplicaSet replaces it, another is scaled away: all in mid-rollout.
#[tokio::test]
async fn evictions_and_scaling_in_mid_rollout_move_no_call_twice() {
    let (mut ground, old) = with_pods("v1", 4).await;
    let mut calls = ground.dial(CALLS).await;
    ground.workload.roll("v2");
    ground.scale_up("v2", 2).await;
    ground.retire(&old[0]).await;
    // Evicted, and replaced by another of the old version.
    ground.retire(&old[1]).await;
    let replacement = ground.restore("v1").await;
    ground.until_ready(5).await;
    // Scaled away.
    ground.retire(&old[2]).await;
    ground.go_on(&mut calls, FURTHER).await;
    ground.scale_up("v2", 1).await;
    for pod in [&old[3], &replacement] {
        ground.retire(pod).await;
    }
    each_moved_once(ground, calls, "v2").await;
}

/// The container of an old pod is killed and started again in its place: a worker of the old version that
/// started last.
async fn a_restart_in_place(shape: Shape) {
    let (mut ground, old) = with_pods_in(shape, "v1", 3).await;
    let mut calls = ground.dial(CALLS).await;
    ground.workload.roll("v2");
    ground.scale_up("v2", 2).await;
    ground.retire(&old[0]).await;
    ground.until_ready(4).await;
    ground.restart(&old[1], "v1").await;
    ground.until_ready(4).await;
    ground.go_on(&mut calls, FURTHER).await;
    for pod in [&old[2], &old[1]] {
        ground.retire(pod).await;
    }
    each_moved_once(ground, calls, "v2").await;
}

#[tokio::test]
async fn a_restart_in_place_in_mid_rollout_moves_no_call_twice() {
    a_restart_in_place(Shape::default()).await;
}

#[tokio::test]
async fn nor_does_it_where_the_order_of_versions_is_learnt() {
    a_restart_in_place(Shape {
        denied: vec![(Verb::List, Kind::ReplicaSet)],
        ..Shape::default()
    })
    .await;
}

#[tokio::test]
async fn two_deployments_side_by_side_do_not_swap_calls() {
    let (mut ground, old) = with_pods("blue", 2).await;
    let mut other = Workload::named(&ground.cluster, NAMESPACE, SERVICE, "others");
    other.roll("green");
    for _ in 0..2 {
        ground.add_to(&mut other, "green").await;
    }
    ground.until_ready(4).await;
    let mut calls = ground.dial(CALLS).await;
    let (blue, green) = (
        ground.calls_of("blue").await,
        ground.calls_of("green").await,
    );
    assert!(blue > 0 && green > 0 && blue + green == u64::from(CALLS));

    // One pod for two: by load alone some of its calls would go to the other Deployment.
    ground.workload.roll("blue-2");
    ground.scale_up("blue-2", 1).await;
    for pod in &old {
        ground.retire(pod).await;
    }
    ground.go_on(&mut calls, FURTHER).await;
    assert_eq!(ground.calls_of("blue-2").await, blue);
    assert_eq!(ground.calls_of("green").await, green);
    let mut moves = ground.judge(calls).await;
    moves.sort_unstable();
    let (stayed, moved) = moves.split_at(usize::try_from(green).unwrap());
    assert!(stayed.iter().all(|moves| *moves == 0), "{moves:?}");
    assert!(moved.iter().all(|moves| *moves == 1), "{moves:?}");
    ground.edge.end().await;
}
