//! What the edge's own pod costs: as many calls as it has.

use holdline_kubesim::{Kind, Verb};
use serde_json::Value;

use super::{
    CALLS,
    ground::{Ground, NAMESPACE, Shape},
};
use crate::support::soon;

const POD: &str = "edge-7d9f";
const SHAPE: Shape = Shape {
    denied: Vec::new(),
    token: None,
    pod: Some(POD),
    more: "kubernetes: {pod_deletion_cost: {interval: 1s}}",
};

/// Waits until the pod bears this cost.
async fn costs(ground: &Ground, cost: &str) {
    let bears = |pod: &Value| {
        let annotations = &pod["metadata"]["annotations"];
        annotations["controller.kubernetes.io/pod-deletion-cost"] == cost
    };
    let cluster = &ground.cluster;
    let pod = cluster.until_object(Kind::Pod, NAMESPACE, POD, bears);
    soon(&format!("a cost of {cost}"), pod).await;
}

#[tokio::test]
async fn it_is_the_number_of_calls() {
    let ground = Ground::with_workers(SHAPE).await;
    costs(&ground, "0").await;
    let calls = ground.dial(CALLS).await;
    costs(&ground, &CALLS.to_string()).await;
    ground.judge(calls).await;
    costs(&ground, "0").await;
    ground.edge.end().await;
}

#[tokio::test]
async fn a_missing_right_is_named_and_hurts_no_call() {
    let mut shape = SHAPE;
    shape.denied = vec![(Verb::Patch, Kind::Pod)];
    let ground = Ground::with_workers(shape).await;
    let told = ground
        .edge
        .told("pod deletion cost cannot be written")
        .await;
    assert_eq!(told["level"], "ERROR", "{told}");
    let why = told["why"].as_str().unwrap();
    assert!(why.contains("to patch pods in namespace `voice`"), "{why}");
    let rule = "{apiGroups: [\"\"], resources: [pods], verbs: [patch]}";
    assert!(why.contains(rule), "{why}");

    let calls = ground.dial(CALLS).await;
    ground.cluster.allow(Verb::Patch, Kind::Pod);
    costs(&ground, &CALLS.to_string()).await;
    ground.edge.told("pod deletion cost is written again").await;
    assert_eq!(ground.count("pod deletion cost cannot be written"), 1);

    ground.cluster.go_away();
    ground.judge(calls).await;
    let away = |line: &Value| line["level"] == "WARN" && line["pod"] == POD;
    ground.edge.logged("the server that is away", away).await;
    ground.cluster.come_back().await.unwrap();
    costs(&ground, "0").await;
}
