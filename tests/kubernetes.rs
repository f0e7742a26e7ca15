//! Workers found by the EndpointSlices of a Service, under live calls that are judged frame by
//! frame. The API server is a stand-in that does what real ones do, bad days included.

use std::time::Duration;

use holdline_kubesim::{GoneAs, Kind, Recording, Verb};

mod cost;
mod ground;
mod rolling;
mod sidecar;
mod upsets;

use ground::{Ground, Shape};

use crate::support::soon;

/// Calls under which an API server has its bad days.
const CALLS: u32 = 4;
/// Frames in each direction that a call must carry after what happened.
const FURTHER: u64 = 25;
/// In vain the edge asks an API server so often that is away for some seconds: waits double.
const TRIES: f64 = 5.0;
/// Objects that an edge asks for at once.
const PART: usize = 500;
/// A roll-out of a dual-stack Service, written by hand in the form in which a watch would record it.
const RECORDING: &str = include_str!("../crates/kubesim/recordings/dual-stack.jsonl");

#[tokio::test]
async fn a_lost_history_and_cut_watches_hurt_no_call() {
    let mut ground = Ground::with_workers(Shape::default()).await;
    let calls = ground.dial(CALLS).await;
    ground.is_followed("first").await;

    // A cut watch goes on from where it was.
    let lists = ground.cluster.lists(Kind::EndpointSlice);
    ground.cluster.until_watched(Kind::EndpointSlice, 1).await;
    ground.cluster.cut();
    ground.is_followed("cut").await;
    assert_eq!(ground.cluster.lists(Kind::EndpointSlice), lists);

    // So does one for which nothing happened for so long that its last event is no beginning any more:
    // it was told by a bookmark how far the world has come.
    ground.cluster.until_watched(Kind::EndpointSlice, 1).await;
    let watches = ground.cluster.watches(Kind::EndpointSlice);
    ground.cluster.bookmark(Kind::EndpointSlice);
    ground.cluster.compact();
    let next = ground.cluster.until_begun(Kind::EndpointSlice, watches + 1);
    soon("the next watch", next).await;
    assert_eq!(ground.cluster.lists(Kind::EndpointSlice), lists);

    for gone in [GoneAs::Event, GoneAs::Status] {
        let lists = ground.cluster.lists(Kind::EndpointSlice);
        ground.cluster.forget(gone);
        ground
            .is_followed(&format!("{gone:?}").to_lowercase())
            .await;
        assert_eq!(
            ground.cluster.lists(Kind::EndpointSlice),
            lists + 1,
            "{gone:?}"
        );
    }

    // A slice that cannot be read hides no other; what is no event is heard out.
    ground.put_malformed_slice();
    ground.edge.told("EndpointSlice cannot be used").await;
    ground.is_followed("malformed").await;
    ground
        .cluster
        .say(Kind::EndpointSlice, "{\"type\":\"ADDED\",\"object\":7}");
    ground.is_followed("nonsense").await;

    ground.judge(calls).await;
    ground.edge.end().await;
}

#[tokio::test]
async fn workers_that_are_known_stay_while_the_api_server_is_away() {
    let mut ground = Ground::with_workers(Shape::default()).await;
    let mut calls = ground.dial(CALLS).await;

    ground.cluster.go_away();
    let told = ground
        .edge
        .told("workers cannot be looked for; those that are known stay")
        .await;
    assert_eq!(told["level"], "WARN", "{told}");
    assert_eq!(ground.failing().await, 1.0);
    ground.failures(3.0).await;
    calls.join(ground.dial_from(CALLS + 1, 1).await);
    ground.cluster.come_back().await.unwrap();
    ground.edge.told("API server is followed again").await;
    ground.is_followed("returned").await;
    assert_eq!(ground.failing().await, 0.0);
    assert_eq!(
        ground.count("workers cannot be looked for; those that are known stay"),
        1
    );

    // A connection that went dead without a word is found out.
    ground.cluster.until_watched(Kind::EndpointSlice, 1).await;
    ground.cluster.silence();
    ground.is_followed("silent").await;

    ground.judge(calls).await;
    ground.edge.end().await;
}

/// Nobody tells of it: of the workers that are known one dies, and another is rolled in its place.
#[tokio::test]
async fn workers_that_end_while_the_api_server_is_away_for_long_cost_no_call() {
    let mut ground = Ground::empty(Shape::default()).await;
    ground.workload.roll("v1");
    let pods = ground.scale_up("v1", 3).await;
    ground.until_ready(3).await;
    let mut calls = ground.dial(CALLS).await;

    ground.cluster.go_away();
    ground.failures(1.0).await;
    ground.kill(&pods[0]).await;
    ground.go_on(&mut calls, FURTHER).await;
    ground.replace(&pods[1], "v2").await;
    // What is known of its pod stays known.
    let met = |row: &serde_json::Value| {
        row["version"] == "v2" && row["state"] == "ready" && row["pod"]["name"] == *pods[1]
    };
    ground
        .until("the new worker", |rows| rows.iter().any(met))
        .await;
    ground.go_on(&mut calls, FURTHER).await;
    // The other one goes for good: what is left is a worker that no API server told of.
    ground.terminate(&pods[2]);
    ground.ended(pods[2].clone()).await;
    ground.failures(TRIES).await;
    ground.go_on(&mut calls, FURTHER).await;
    assert_eq!(ground.calls_of("v2").await, u64::from(CALLS));

    ground.cluster.come_back().await.unwrap();
    ground.edge.told("API server is followed again").await;
    for pod in [&pods[0], &pods[2]] {
        ground.workload.remove(pod);
    }
    ground.is_followed("returned").await;
    ground.judge(calls).await;
    ground.edge.end().await;
}

/// The watch is told that its history is lost, and of the worker's end it is told nothing.
#[tokio::test]
async fn a_worker_that_was_deleted_in_a_lost_history_is_gone_after_the_next_list() {
    let mut ground = Ground::empty(Shape::default()).await;
    ground.workload.roll("v1");
    let pods = ground.scale_up("v1", 3).await;
    ground.until_ready(3).await;
    let mut calls = ground.dial(CALLS).await;

    for (pod, gone) in pods.iter().zip([GoneAs::Event, GoneAs::Status]) {
        ground.cluster.until_watched(Kind::EndpointSlice, 1).await;
        let lists = ground.cluster.lists(Kind::EndpointSlice);
        // The stand-in lives on this thread: no watch is answered between the two.
        ground.workload.remove(pod);
        ground.cluster.forget(gone);
        ground.until_left(pod).await;
        assert_eq!(
            ground.cluster.lists(Kind::EndpointSlice),
            lists + 1,
            "{gone:?}"
        );
        ground.terminate(pod);
        ground.ended(pod.clone()).await;
        ground.go_on(&mut calls, FURTHER).await;
    }
    let alone = |rows: &[serde_json::Value]| rows.len() == 1 && rows[0]["state"] == "ready";
    ground.until("the last worker alone", alone).await;
    ground.judge(calls).await;
    ground.edge.end().await;
}

/// Behind the first part of a list are the slices of those that serve.
#[tokio::test]
async fn a_list_in_parts_is_read_to_its_end() {
    let mut ground = Ground::with_workers(Shape::default()).await;
    let calls = ground.dial(CALLS).await;
    for number in 0..PART {
        ground.put_placeholder(&format!("another-{number:03}"));
    }
    ground.cluster.until_watched(Kind::EndpointSlice, 1).await;
    let lists = ground.cluster.lists(Kind::EndpointSlice);
    ground.cluster.forget(GoneAs::Status);
    ground.is_followed("parted").await;
    assert_eq!(ground.cluster.lists(Kind::EndpointSlice), lists + 2);
    assert_eq!(ground.count("EndpointSlice cannot be used"), 0);
    assert_eq!(ground.judge(calls).await, [0; CALLS as usize]);
    ground.edge.end().await;
}

/// Waits until the edge has said that it may not do this with EndpointSlices, and what would allow it.
async fn is_told(ground: &Ground, verb: Verb) {
    let words = format!("does not allow this edge to {verb} endpointslices");
    let told = ground.told_why(&words).await;
    assert_eq!(told["level"], "ERROR", "{told}");
    let rule =
        "{apiGroups: [\"discovery.k8s.io\"], resources: [endpointslices], verbs: [list, watch]}";
    assert!(told["why"].as_str().unwrap().contains(rule), "{told}");
}

#[tokio::test]
async fn an_edge_that_was_given_no_right_says_so_and_finds_workers_when_it_is() {
    let mut ground = Ground::empty(Shape {
        denied: vec![(Verb::List, Kind::EndpointSlice)],
        ..Shape::default()
    })
    .await;
    ground.workload.roll("v1");
    ground.scale_up("v1", 1).await;
    is_told(&ground, Verb::List).await;
    assert_eq!(ground.workers().await, [] as [serde_json::Value; 0]);
    ground.cluster.allow(Verb::List, Kind::EndpointSlice);
    ground.until_ready(1).await;
    let calls = ground.dial(1).await;
    ground.judge(calls).await;
}

#[tokio::test]
async fn what_is_denied_is_named_and_taken_up_when_it_is_allowed() {
    let mut ground = Ground::with_workers(Shape {
        denied: vec![(Verb::List, Kind::Pod), (Verb::Get, Kind::Service)],
        token: Some("first-token"),
        ..Shape::default()
    })
    .await;
    let calls = ground.dial(CALLS).await;

    // Rights that are a mere help.
    let told = ground
        .edge
        .told("not readable: the order of versions is learnt from what workers do")
        .await;
    assert_eq!(told["level"], "INFO", "{told}");
    assert!(
        told["why"].as_str().unwrap().contains("get services"),
        "{told}"
    );

    // A token that is worth nothing any more, and its successor in the same file.
    ground.cluster.require_token("second-token");
    ground
        .told_why("does not accept this edge's credentials")
        .await;
    ground.put_token("second-token");
    ground.is_followed("renewed").await;

    for verb in [Verb::Watch, Verb::List] {
        ground.cluster.deny(verb, Kind::EndpointSlice);
        // What goes on from where it was asks for no list.
        ground.cluster.forget(GoneAs::Status);
        is_told(&ground, verb).await;
        ground.cluster.allow(verb, Kind::EndpointSlice);
        ground.is_followed(&format!("allowed-to-{verb}")).await;
    }

    let said = ground.edge.said();
    assert!(!said.contains("first-token") && !said.contains("second-token"));
    ground.judge(calls).await;
}

/// A worker that listens on IPv4 alone, and whose endpoint of IPv6 is known first.
#[tokio::test]
async fn a_pod_that_does_not_answer_at_its_first_address_is_reached_at_another() {
    let mut ground = Ground::empty(Shape::default()).await;
    let pod = ground.launch("v1").await;
    let port = ground.port(&pod);
    let values = [("OLD_PORT", port.as_str())];
    let slice = |family: &str| {
        let line = RECORDING.lines().find(|line| line.contains(family));
        Recording::read(line.unwrap(), &values).unwrap()
    };
    slice(r#""addressType":"IPv6""#).play(&ground.cluster).await;
    let known = |rows: &[serde_json::Value]| rows.len() == 1;
    ground.until("the pod", known).await;
    slice(r#""addressType":"IPv4""#).play(&ground.cluster).await;
    ground.until_ready(1).await;
    assert_eq!(
        ground.workers().await[0]["address"],
        format!("127.0.0.1:{port}")
    );
    let calls = ground.dial(1).await;
    ground.judge(calls).await;
    ground.edge.end().await;
}

/// As with an edge beside each worker: the pod is ready when its edge is, and that when it has a worker.
#[tokio::test]
async fn a_worker_that_is_published_before_its_pod_is_ready_takes_calls() {
    let mut ground = Ground::empty(Shape::default()).await;
    ground.workload.publish_unready();
    ground.workload.roll("v1");
    let pod = ground.launch("v1").await;
    let address = format!("127.0.0.1:{}", ground.port(&pod));
    ground.workload.add(&pod, address.parse().unwrap());
    ground.until_ready(1).await;
    let calls = ground.dial(1).await;
    ground.judge(calls).await;
    ground.edge.end().await;
}

#[tokio::test]
async fn a_roll_out_of_a_dual_stack_service_played_from_a_file_moves_each_call_once() {
    let mut ground = Ground::empty(Shape::default()).await;
    let (old, new) = (ground.launch("v1").await, ground.launch("v2").await);
    let (old_port, new_port) = (ground.port(&old), ground.port(&new));
    let values = [
        ("OLD_PORT", old_port.as_str()),
        ("NEW_PORT", new_port.as_str()),
    ];
    // It stops where the first pods serve, and goes on under calls.
    let (before, after) = RECORDING.split_once("\n\n").unwrap();
    let before = Recording::read(before, &values).unwrap();
    let after = Recording::read(after, &values).unwrap();
    before.play(&ground.cluster).await;
    ground.until_ready(1).await;
    let workers = ground.workers().await;
    assert_eq!(workers.len(), 1, "one pod, two families: {workers:?}");
    assert_eq!(workers[0]["pod"]["zone"], "eu-central-1a", "{workers:?}");
    let calls = ground.dial(CALLS).await;

    tokio::join!(after.play(&ground.cluster), async {
        // As a preStop hook of some seconds does it: the old worker serves on until it is told.
        tokio::time::sleep(Duration::from_secs(2)).await;
        ground.terminate(&old);
    });
    ground.ended(old).await;
    let newest = |row: &serde_json::Value| row["version"] == "v2" && row["pod"]["revision"] == 2;
    ground
        .until("the new worker alone", |rows| {
            rows.iter()
                .filter(|row| row["state"] == "ready")
                .all(newest)
                && rows.iter().all(|row| row["version"] != "v1")
        })
        .await;
    assert_eq!(ground.judge(calls).await, [1; CALLS as usize]);
    ground.edge.end().await;
}
