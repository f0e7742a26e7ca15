//! The pods of a Service, as its EndpointSlices tell.
//!
//! Slices say who is there and who is about to go, and that is all that is needed. What pods and
//! ReplicaSets say besides, their age and which rollout made them, is taken where this edge may
//! read it and done without where it may not: a worker must never wait for it.

mod follow;
mod outage;
mod pods;
mod slices;

use std::sync::Arc;

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use holdline_config::KubernetesDiscovery;
use holdline_telemetry::WorkerMetrics;
use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1, discovery::v1::EndpointSlice};
use kube::{
    api::{Api, ApiResource, DynamicObject},
    core::PartialObjectMeta,
};

use self::{
    follow::{Change, Resource, Select, follow},
    pods::Pods,
    slices::Slices,
};
use super::Endpoints;

/// The workers behind a Service, each time that something is new about them.
pub(super) fn endpoints(
    service: KubernetesDiscovery,
    metrics: WorkerMetrics,
) -> BoxStream<'static, Endpoints> {
    let finder = Finder::new(Arc::new(service), &metrics);
    stream::unfold(finder, |mut finder| async move {
        let found = finder.next().await;
        Some((found, finder))
    })
    .boxed()
}

/// Objects are read one by one, so that a malformed one does not hide the others.
const SLICES: Resource<DynamicObject> = Resource {
    group: "discovery.k8s.io",
    plural: "endpointslices",
    required: true,
    select: Select::NamedAfterService,
    api: |client, namespace| {
        let slice = ApiResource::erase::<EndpointSlice>(&());
        Api::namespaced_with(client, namespace, &slice)
    },
};

const PODS: Resource<PartialObjectMeta<v1::Pod>> = Resource {
    group: "",
    plural: "pods",
    required: false,
    select: Select::SelectedByService,
    api: Api::namespaced,
};

/// They bear the labels of their pods.
const REPLICA_SETS: Resource<PartialObjectMeta<ReplicaSet>> = Resource {
    group: "apps",
    plural: "replicasets",
    required: false,
    select: Select::SelectedByService,
    api: Api::namespaced,
};

struct Finder {
    slice_changes: BoxStream<'static, Change<DynamicObject>>,
    pod_changes: BoxStream<'static, Change<PartialObjectMeta<v1::Pod>>>,
    set_changes: BoxStream<'static, Change<PartialObjectMeta<ReplicaSet>>>,
    slices: Slices,
    pods: Pods,
    /// What was found last.
    found: Option<Endpoints>,
}

impl Finder {
    fn new(service: Arc<KubernetesDiscovery>, metrics: &WorkerMetrics) -> Self {
        Self {
            slice_changes: follow(SLICES, Arc::clone(&service), metrics.clone()),
            pod_changes: follow(PODS, Arc::clone(&service), metrics.clone()),
            set_changes: follow(REPLICA_SETS, Arc::clone(&service), metrics.clone()),
            slices: Slices::new(service.port.clone()),
            pods: Pods::new(service.version_label.clone()),
            found: None,
        }
    }

    async fn next(&mut self) -> Endpoints {
        loop {
            tokio::select! {
                Some(change) = self.slice_changes.next() => self.slices.take(change),
                Some(change) = self.pod_changes.next() => self.pods.take_pods(change),
                Some(change) = self.set_changes.next() => self.pods.take_sets(change),
            }
            if let Some(found) = self.news() {
                return found;
            }
        }
    }

    /// `None` where nothing is new, or nothing is known yet.
    fn news(&mut self) -> Option<Endpoints> {
        let pods = &self.pods;
        let found = self.slices.endpoints(|pod| pods.complete(pod))?;
        if self.found.as_ref() == Some(&found) {
            return None;
        }
        self.found = Some(found.clone());
        Some(found)
    }
}
