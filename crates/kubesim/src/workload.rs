//! A Deployment behind a Service, as its controllers would write it down.

use std::{collections::BTreeMap, net::SocketAddr};

use serde_json::{Value, json};

use crate::{Cluster, Kind};

/// When everything was made; nobody here lives by the calendar.
const CREATED: &str = "2026-11-20T08:00:00Z";

/// Pods of one Deployment, selected by one Service. The slices are grouped as the controller does
/// it: endpoints whose ports differ stand in different slices. A Service may select several
/// Deployments; each is a workload of its own, with ports of its own.
#[derive(Debug)]
pub struct Workload {
    cluster: Cluster,
    namespace: String,
    service: String,
    deployment: String,
    revision: u64,
    /// Of the current rollout.
    version: String,
    /// ReplicaSets, by the version of their pods.
    sets: BTreeMap<String, String>,
    pods: BTreeMap<String, PodState>,
    publishes_unready: bool,
}

#[derive(Debug)]
struct PodState {
    address: SocketAddr,
    uid: String,
    ready: bool,
    terminating: bool,
}

impl Workload {
    /// A Service without pods, and a Deployment of the same name.
    #[must_use]
    pub fn new(cluster: &Cluster, namespace: &str, service: &str) -> Self {
        Self::named(cluster, namespace, service, service)
    }

    /// The same with a Deployment of another name.
    #[must_use]
    pub fn named(cluster: &Cluster, namespace: &str, service: &str, deployment: &str) -> Self {
        let workload = Self {
            cluster: cluster.clone(),
            namespace: namespace.to_owned(),
            service: service.to_owned(),
            deployment: deployment.to_owned(),
            revision: 0,
            version: String::new(),
            sets: BTreeMap::new(),
            pods: BTreeMap::new(),
            publishes_unready: false,
        };
        let mut object = workload.object(Kind::Service, service, "service");
        object["spec"] = json!({
            "clusterIP": "None",
            "selector": {"app": service},
            "ports": [{"name": "grpc", "port": 50051, "targetPort": "grpc", "protocol": "TCP"}],
        });
        workload.cluster.apply(object);
        workload
    }

    /// The Service publishes addresses that are not ready (`publishNotReadyAddresses`), from now on.
    pub fn publish_unready(&mut self) {
        self.publishes_unready = true;
    }

    /// A rollout begins: the next revision, of a new ReplicaSet, or of the one that this version has
    /// from before. Pods that are added from now on are of it.
    pub fn roll(&mut self, version: &str) {
        self.revision += 1;
        version.clone_into(&mut self.version);
        let name = format!("{}-{}", self.deployment, self.revision);
        let name = self.sets.entry(version.to_owned()).or_insert(name).clone();
        let mut object = self.object(Kind::ReplicaSet, &name, &name);
        let metadata = &mut object["metadata"];
        metadata["annotations"] =
            json!({"deployment.kubernetes.io/revision": self.revision.to_string()});
        metadata["ownerReferences"] = owner(
            "Deployment",
            &self.deployment,
            &format!("uid-{}", self.deployment),
        );
        self.cluster.apply(object);
    }

    /// A pod of the current rollout is there and has its address, and is not ready yet.
    pub fn add(&mut self, name: &str, address: SocketAddr) {
        let version = self.version.clone();
        self.add_of(&version, name, address);
    }

    /// The same of an earlier rollout, whose ReplicaSet replaces a pod that went too soon. Of a version
    /// that was never rolled out, the pod belongs to nobody.
    pub fn add_of(&mut self, version: &str, name: &str, address: SocketAddr) {
        let pod = PodState {
            address,
            uid: format!("uid-{name}"),
            ready: false,
            terminating: false,
        };
        let mut object = self.object(Kind::Pod, name, &pod.uid);
        if let Some(set) = self.sets.get(version) {
            object["metadata"]["ownerReferences"] = owner("ReplicaSet", set, set);
        }
        object["metadata"]["labels"]["app.kubernetes.io/version"] = json!(version);
        self.cluster.apply(object);
        self.pods.insert(name.to_owned(), pod);
        self.publish(address.port());
    }

    /// A pod's readiness probe succeeded.
    pub fn ready(&mut self, name: &str) {
        self.change(name, |pod| pod.ready = true);
    }

    /// A pod's container is gone, to be started again, or for good.
    pub fn not_ready(&mut self, name: &str) {
        self.change(name, |pod| pod.ready = false);
    }

    /// A pod is being deleted; it serves still.
    pub fn terminating(&mut self, name: &str) {
        self.change(name, |pod| pod.terminating = true);
    }

    /// A pod is gone.
    pub fn remove(&mut self, name: &str) {
        if let Some(pod) = self.pods.remove(name) {
            self.publish(pod.address.port());
            self.cluster.delete(Kind::Pod, &self.namespace, name);
        }
    }

    fn change(&mut self, name: &str, what: impl FnOnce(&mut PodState)) {
        if let Some(pod) = self.pods.get_mut(name) {
            what(pod);
            let port = pod.address.port();
            self.publish(port);
        }
    }

    /// Writes the slice of all endpoints with this port.
    fn publish(&self, port: u16) {
        let here = |(_, pod): &(&String, &PodState)| pod.address.port() == port;
        let endpoints: Vec<_> = self
            .pods
            .iter()
            .filter(here)
            .map(|pod| self.endpoint(pod))
            .collect();
        let name = format!("{}-{port}", self.service);
        if endpoints.is_empty() {
            let kind = Kind::EndpointSlice;
            return self.cluster.delete(kind, &self.namespace, &name);
        }
        let mut object = self.object(Kind::EndpointSlice, &name, &name);
        object["metadata"]["labels"]["kubernetes.io/service-name"] = json!(self.service);
        object["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] =
            json!("endpointslice-controller.k8s.io");
        object["addressType"] = json!("IPv4");
        object["ports"] = json!([{"name": "grpc", "port": port, "protocol": "TCP"}]);
        object["endpoints"] = json!(endpoints);
        self.cluster.apply(object);
    }

    /// As the controller of EndpointSlices has it: whether a pod serves is its readiness alone.
    fn endpoint(&self, (name, pod): (&String, &PodState)) -> Value {
        json!({
            "addresses": [pod.address.ip().to_string()],
            "conditions": {
                "ready": self.publishes_unready || (pod.ready && !pod.terminating),
                "serving": pod.ready,
                "terminating": pod.terminating,
            },
            "nodeName": "node-1",
            "zone": "zone-a",
            "targetRef": {"kind": "Pod", "name": name, "uid": pod.uid},
        })
    }

    fn object(&self, kind: Kind, name: &str, uid: &str) -> Value {
        json!({
            "apiVersion": kind.api_version(),
            "kind": kind.as_str(),
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "uid": uid,
                "creationTimestamp": CREATED,
                "labels": {"app": self.service},
            },
        })
    }
}

fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!([{
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": true,
        "blockOwnerDeletion": true,
    }])
}
