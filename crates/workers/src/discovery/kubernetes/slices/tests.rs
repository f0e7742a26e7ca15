#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::*;

/// A slice of this name, with the port that the others have.
fn slice(name: &str, family: &str, endpoints: Value) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "namespace": "voice", "creationTimestamp": "2026-11-20T08:00:00Z"},
        "addressType": family,
        "ports": [{"name": "grpc", "port": 50051, "protocol": "TCP"}],
        "endpoints": endpoints,
    })
}

/// An endpoint with the conditions of a pod that serves.
fn pod(uid: &str, address: &str) -> Value {
    json!({
        "addresses": [address],
        "conditions": {"ready": true, "serving": true, "terminating": false},
        "nodeName": "node-1",
        "zone": "eu-1a",
        "targetRef": {"kind": "Pod", "name": format!("workers-{uid}"), "namespace": "voice", "uid": uid},
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn listed(slices: &[Value]) -> Slices {
    let mut known = Slices::new(Some("grpc".to_owned()));
    known.take(Change::All(slices.iter().cloned().map(object).collect()));
    known
}

/// `ADDRESS UID STAGE` of each endpoint, and `or ADDRESS` where it has more than one.
fn found(slices: &mut Slices) -> Vec<String> {
    let endpoints = slices.endpoints(|_| {}).unwrap();
    let words = |(id, endpoint): (&EndpointId, &Endpoint)| {
        let uid = id.pod.as_deref().unwrap_or("-");
        let others = endpoint.others.iter().map(|other| format!(" or {other}"));
        let others: String = others.collect();
        format!("{} {uid} {:?}{others}", id.address, endpoint.stage)
    };
    endpoints.iter().map(words).collect()
}

#[test]
fn nothing_is_known_before_slices_were_listed() {
    let mut slices = Slices::new(None);
    assert_eq!(slices.endpoints(|_| {}), None);
    slices.take(Change::All(Vec::new()));
    assert_eq!(slices.endpoints(|_| {}), Some(Endpoints::new()));
}

#[test]
fn conditions_are_read_as_the_api_means_them() {
    let said = |conditions: Value| {
        let conditions: Option<EndpointConditions> = serde_json::from_value(conditions).unwrap();
        stage(conditions.as_ref())
    };
    assert_eq!(said(Value::Null), Stage::Serving);
    assert_eq!(said(json!({})), Stage::Serving);
    assert_eq!(said(json!({"ready": false})), Stage::Unready);
    assert_eq!(
        said(json!({"ready": false, "serving": false, "terminating": false})),
        Stage::Unready
    );
    // Where unready addresses are published, a pod that terminates stays `ready`.
    assert_eq!(
        said(json!({"ready": true, "serving": true, "terminating": true})),
        Stage::Terminating
    );
    assert_eq!(
        said(json!({"ready": true, "serving": false})),
        Stage::Serving
    );
}

#[test]
fn a_pod_in_several_slices_is_one_worker_in_its_latest_stage() {
    let terminating = with(pod("a", "10.0.0.1"), "/conditions/terminating", json!(true));
    for slices in [
        [
            slice("s-1", "IPv4", json!([pod("a", "10.0.0.1")])),
            slice("s-2", "IPv4", json!([terminating])),
        ],
        [
            slice("s-1", "IPv4", json!([terminating])),
            slice(
                "s-2",
                "IPv4",
                json!([pod("a", "10.0.0.1"), pod("a", "10.0.0.1")]),
            ),
        ],
    ] {
        let expected = ["10.0.0.1:50051 a Terminating"];
        assert_eq!(found(&mut listed(&slices)), expected);
    }
}

#[test]
fn of_two_families_the_older_slice_rules_and_an_address_in_use_stays() {
    let v6 = slice(
        "a-v6",
        "IPv6",
        json!([pod("a", "fd00::1"), pod("b", "fd00::2")]),
    );
    let v4 = slice("b-v4", "IPv4", json!([pod("a", "10.0.0.1")]));
    let older = "2026-11-19T08:00:00Z";
    let v4 = with(v4, "/metadata/creationTimestamp", json!(older));
    let mut slices = listed(&[v6, v4.clone()]);
    // A pod that is only in the other one is found there.
    let both = [
        "10.0.0.1:50051 a Serving or [fd00::1]:50051",
        "[fd00::2]:50051 b Serving",
    ];
    assert_eq!(found(&mut slices), both);
    // It has an address in the older one now, and keeps the one that it had.
    let endpoints = json!([pod("a", "10.0.0.1"), pod("b", "10.0.0.2")]);
    let v4 = with(v4, "/endpoints", endpoints);
    slices.take(Change::Applied(object(v4)));
    let both = [
        "10.0.0.1:50051 a Serving or [fd00::1]:50051",
        "[fd00::2]:50051 b Serving or 10.0.0.2:50051",
    ];
    assert_eq!(found(&mut slices), both);
    // Where that is gone, the other one is better than none.
    let v6 = slice("a-v6", "IPv6", json!([]));
    slices.take(Change::Deleted(object(v6)));
    let one = ["10.0.0.1:50051 a Serving", "10.0.0.2:50051 b Serving"];
    assert_eq!(found(&mut slices), one);
}

#[test]
fn a_new_pod_on_a_reused_address_has_another_name() {
    let mut slices = listed(&[slice("s", "IPv4", json!([pod("a", "10.0.0.1")]))]);
    let next = slice("s", "IPv4", json!([pod("b", "10.0.0.1")]));
    slices.take(Change::Applied(object(next)));
    assert_eq!(found(&mut slices), ["10.0.0.1:50051 b Serving"]);
}

#[test]
fn endpoints_without_a_pod_are_told_apart_by_address() {
    let bare = json!({"addresses": ["10.0.0.7", "10.0.0.8"]});
    let node = with(pod("n", "10.0.0.9"), "/targetRef/kind", json!("Node"));
    let broken = json!({"addresses": ["worker-7"]});
    let none = json!({"addresses": []});
    let mut slices = listed(&[slice("s", "IPv4", json!([bare, node, broken, none, bare]))]);
    assert_eq!(
        found(&mut slices),
        ["10.0.0.7:50051 - Serving", "10.0.0.9:50051 - Serving"]
    );
}

/// A Service without pods has a slice with neither endpoints nor ports.
#[test]
fn a_slice_without_endpoints_is_nothing_to_complain_of() {
    let placeholder = with(slice("s", "IPv4", json!([])), "/ports", Value::Null);
    let mut slices = listed(&[placeholder]);
    assert_eq!(found(&mut slices), [""; 0]);
    assert_eq!(slices.told, BTreeMap::new());
    let unusable = slice("s", "FQDN", json!([pod("a", "worker-7")]));
    slices.take(Change::Applied(object(unusable)));
    assert_eq!(slices.told.len(), 1);
}

#[test]
fn names_and_other_ports_are_passed_over_and_said() {
    let read = |value: Value, port: Option<&str>| {
        let slice = serde_json::from_value(value).unwrap();
        read(slice, port)
            .map(|slice| slice.endpoints[0].0.port())
            .map_err(|why| why.to_string())
    };
    let plain = slice("s", "IPv4", json!([pod("a", "10.0.0.1")]));
    assert_eq!(read(plain.clone(), None), Ok(50_051));
    assert_eq!(read(plain.clone(), Some("grpc")), Ok(50_051));
    assert_eq!(
        read(plain.clone(), Some("http")).unwrap_err(),
        "it has no TCP port named `http`, only: `grpc`"
    );
    let ports = json!([
        {"name": "grpc", "port": 50051, "protocol": "TCP"},
        {"name": "metrics", "port": 9090},
        {"name": "quic", "port": 50051, "protocol": "UDP"},
    ]);
    let several = with(plain.clone(), "/ports", ports);
    assert_eq!(read(several.clone(), Some("metrics")), Ok(9_090));
    assert_eq!(
        read(several, None).unwrap_err(),
        "it has several TCP ports, `grpc`, `metrics`: name one as `port` in the configuration"
    );
    let unnumbered = with(plain.clone(), "/ports", json!([{"name": "grpc"}]));
    assert!(read(unnumbered, None).unwrap_err().contains("no TCP port"));
    let named = with(plain, "/addressType", json!("FQDN"));
    assert_eq!(
        read(named, None).unwrap_err(),
        "its addresses are of type FQDN: only IPv4 and IPv6 can be used"
    );
}

#[test]
fn of_a_malformed_slice_what_was_known_stays() {
    let good = slice("s", "IPv4", json!([pod("a", "10.0.0.1")]));
    let mut slices = listed(std::slice::from_ref(&good));
    let bad = with(good, "/endpoints", json!("gone"));
    let other = slice("t", "IPv4", json!([pod("b", "10.0.0.2")]));
    let both = ["10.0.0.1:50051 a Serving", "10.0.0.2:50051 b Serving"];
    slices.take(Change::Applied(object(bad.clone())));
    slices.take(Change::Applied(object(other.clone())));
    assert_eq!(found(&mut slices), both);
    slices.take(Change::All(vec![object(bad), object(other)]));
    assert_eq!(found(&mut slices), both);
    slices.take(Change::All(Vec::new()));
    assert!(found(&mut slices).is_empty());
}

#[test]
fn more_endpoints_than_can_be_used_are_left_out() {
    let many = 0..=ENDPOINTS_MAX;
    let endpoints: Vec<_> = many
        .map(|n| json!({"addresses": [format!("10.0.{}.{}", n / 256, n % 256)]}))
        .collect();
    let mut slices = listed(&[slice("s", "IPv4", json!(endpoints))]);
    assert_eq!(found(&mut slices).len(), ENDPOINTS_MAX);
    assert!(slices.overflow);
}

#[test]
fn zone_node_and_name_are_those_of_the_endpoint() {
    let mut slices = listed(&[slice("s", "IPv4", json!([pod("a", "10.0.0.1")]))]);
    let endpoints = slices.endpoints(|pod| pod.version = Some("v7".to_owned()));
    let endpoint = endpoints.unwrap().into_values().next().unwrap();
    let pod = endpoint.pod.unwrap();
    assert_eq!(
        (&*pod.uid, pod.name.as_str(), pod.version.as_deref()),
        ("a", "workers-a", Some("v7"))
    );
    assert_eq!(
        (pod.zone.as_deref(), pod.node.as_deref()),
        (Some("eu-1a"), Some("node-1"))
    );
}
