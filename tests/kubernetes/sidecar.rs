//! An edge in the pod of a worker (`topology: sidecar`, `in: worker`). When such a pod is rolled, the kubelet
//! ends the worker, then the edge; the pod, and its address in the slices, stay as long as the edge does.

use serde_json::Value;

use super::{
    CALLS,
    ground::{Ground, Shape},
};
use crate::stage::Ending;

/// Frames in each direction that a call must carry after what happened.
const FURTHER: u64 = 25;

#[tokio::test]
async fn calls_of_an_edge_whose_pod_is_rolled_go_on_with_workers_of_other_pods() {
    let mut ground = Ground::empty(Shape::default()).await;
    // A pod is ready when its edge is, and that when it has a worker.
    ground.workload.publish_unready();
    ground.workload.roll("v1");
    let pods = ground.scale_up("v1", 2).await;
    ground.until_ready(2).await;
    let (own, other) = (&pods[0], &pods[1]);
    let mut calls = ground.dial(CALLS).await;
    let beside = format!("127.0.0.1:{}", ground.port(own));
    let has_calls = |row: &Value| row["address"] == *beside && row["sessions"] != 0;
    assert!(ground.workers().await.iter().any(has_calls), "none to move");

    ground.workload.roll("v2");
    ground.scale_up("v2", 1).await;
    ground.workload.terminating(own);
    ground.terminate(own);
    ground.ended(own.clone()).await;
    ground.workload.not_ready(own);
    ground.edge.signal(Ending::Terminate);
    let refuses = |line: &Value| line["message"] == "drain" && line["phase"] == "refusing";
    ground.edge.logged("the edge's drain", refuses).await;
    ground.go_on(&mut calls, FURTHER).await;

    // The deploy goes on, and the edge that lingers with it: it finds new workers, and leaves old ones.
    ground.scale_up("v2", 1).await;
    ground.retire(other).await;
    ground.go_on(&mut calls, FURTHER).await;
    let new = |row: &Value| row["version"] == "v2" && row["state"] == "ready";
    let wanted = |rows: &[Value]| rows.len() == 2 && rows.iter().all(new);
    ground.until("the new workers alone", wanted).await;
    assert_eq!(ground.judge(calls).await, [1; CALLS as usize]);
    ground.edge.ended().await;
}
