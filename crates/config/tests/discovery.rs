//! Where workers are found, as the file says it.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use holdline_config::{Config, ConfigErrors, Discovery, KubernetesDiscovery};

fn read(discovery: &str) -> Result<Discovery, ConfigErrors> {
    let text = format!(
        "listeners:
  - name: main
    address: 127.0.0.1:0
    routes: [{{path: /raw, profile: raw, workers: pool}}]
workers:
  pool:
    discovery: {discovery}
"
    );
    let config = Config::parse_with(&text, "test.yaml", &|_| None)?;
    Ok(config.workers["pool"].discovery.clone())
}

#[test]
fn a_service_alone_is_enough() {
    let expected = KubernetesDiscovery {
        service: "workers".to_owned(),
        namespace: None,
        port: None,
        version_label: "app.kubernetes.io/version".to_owned(),
        watch: Duration::from_secs(60),
    };
    let read = read("{kubernetes: {service: workers}}").unwrap();
    assert_eq!(read, Discovery::Kubernetes(expected));
}

#[test]
fn names_are_those_of_kubernetes_and_watches_have_bounds() {
    let errors = read("{kubernetes: {service: Workers, namespace: -x, port: grpc, watch: 5m}}");
    let errors = errors.unwrap_err();
    let told: Vec<_> = errors.errors().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].contains("`Workers` is no name of a Kubernetes object"));
    assert!(told[1].contains("`-x` is no name"));
    assert!(told[2].contains("discovery.kubernetes.watch"), "{told:?}");
}
