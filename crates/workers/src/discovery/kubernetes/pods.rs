//! What pods and ReplicaSets say that slices do not.

use std::{collections::BTreeMap, time::SystemTime};

use k8s_openapi::{
    api::{apps::v1::ReplicaSet, core::v1},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::core::PartialObjectMeta;

use super::follow::Change;
use crate::{Pod, Rollout};

/// Where a Deployment numbers its rollouts. A roll-back gives the old ReplicaSet a new number.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The pods of a Service and the ReplicaSets that made them, by uid; empty where they may not be
/// read.
#[derive(Debug)]
pub(super) struct Pods {
    version_label: String,
    pods: BTreeMap<String, PodMeta>,
    sets: BTreeMap<String, Rollout>,
}

#[derive(Debug)]
struct PodMeta {
    created: Option<SystemTime>,
    version: Option<String>,
    /// Uid of its ReplicaSet.
    set: Option<String>,
}

impl Pods {
    pub(super) fn new(version_label: String) -> Self {
        Self {
            version_label,
            pods: BTreeMap::new(),
            sets: BTreeMap::new(),
        }
    }

    pub(super) fn take_pods(&mut self, change: Change<PartialObjectMeta<v1::Pod>>) {
        let label = &self.version_label;
        take(&mut self.pods, change, |meta| Some(pod(meta, label)));
    }

    pub(super) fn take_sets(&mut self, change: Change<PartialObjectMeta<ReplicaSet>>) {
        take(&mut self.sets, change, rollout);
    }

    /// Adds what is known of it.
    pub(super) fn complete(&self, pod: &mut Pod) {
        let Some(known) = self.pods.get(&*pod.uid) else {
            return;
        };
        pod.created = known.created;
        pod.version.clone_from(&known.version);
        let set = known.set.as_ref();
        pod.rollout = set.and_then(|set| self.sets.get(set)).cloned();
    }
}

fn take<K, T>(
    known: &mut BTreeMap<String, T>,
    change: Change<PartialObjectMeta<K>>,
    read: impl Fn(ObjectMeta) -> Option<T>,
) {
    let read = |mut meta: ObjectMeta| Some((meta.uid.take()?, read(meta)?));
    match change {
        Change::All(objects) => {
            let objects = objects.into_iter().map(|object| object.metadata);
            *known = objects.filter_map(read).collect();
        }
        Change::Applied(object) => known.extend(read(object.metadata)),
        Change::Deleted(object) => {
            known.remove(&object.metadata.uid.unwrap_or_default());
        }
    }
}

fn pod(meta: ObjectMeta, version_label: &str) -> PodMeta {
    let created = meta.creation_timestamp.as_ref();
    let mut labels = meta.labels.unwrap_or_default();
    PodMeta {
        created: created.map(|time| time.0.into()),
        version: labels.remove(version_label),
        set: owner(meta.owner_references, "ReplicaSet"),
    }
}

/// `None` where no Deployment made it.
fn rollout(meta: ObjectMeta) -> Option<Rollout> {
    let revision = meta.annotations?.get(REVISION)?.parse().ok()?;
    let deployment = owner(meta.owner_references, "Deployment")?.into();
    Some(Rollout {
        deployment,
        revision,
    })
}

/// Uid of the controller, if it is of this kind.
fn owner(references: Option<Vec<OwnerReference>>, kind: &str) -> Option<String> {
    let mut references = references.into_iter().flatten();
    references
        .find(|owner| owner.controller == Some(true) && owner.kind == kind)
        .map(|owner| owner.uid)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;

    fn object<K>(metadata: Value) -> PartialObjectMeta<K> {
        serde_json::from_value(json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata,
        }))
        .unwrap()
    }

    fn pod() -> Value {
        json!({
            "name": "workers-1", "uid": "pod", "creationTimestamp": "1970-01-01T00:01:00Z",
            "labels": {"app": "workers", "app.kubernetes.io/version": "v7"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "workers-5d",
                "uid": "set", "controller": true}],
        })
    }

    fn set(revision: &str) -> Value {
        json!({
            "name": "workers-5d", "uid": "set", "annotations": {REVISION: revision},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "workers",
                "uid": "deployment", "controller": true}],
        })
    }

    fn known(pods: &Pods) -> Pod {
        let mut pod = Pod::new("pod", "workers-1".to_owned());
        pods.complete(&mut pod);
        pod
    }

    fn revision(pods: &Pods) -> Option<u64> {
        known(pods).rollout.map(|rollout| rollout.revision)
    }

    #[test]
    fn a_pods_rollout_is_that_of_its_replica_set_and_a_roll_back_raises_it() {
        let mut pods = Pods::new("app.kubernetes.io/version".to_owned());
        pods.take_pods(Change::All(vec![object(pod())]));
        assert_eq!(revision(&pods), None);
        pods.take_sets(Change::Applied(object(set("3"))));
        let pod = known(&pods);
        assert_eq!(pod.version.as_deref(), Some("v7"));
        assert_eq!(pod.created, Some(UNIX_EPOCH + Duration::from_secs(60)));
        let expected = Rollout {
            deployment: "deployment".into(),
            revision: 3,
        };
        assert_eq!(pod.rollout, Some(expected));
        pods.take_sets(Change::Applied(object(set("5"))));
        assert_eq!(revision(&pods), Some(5));
        pods.take_sets(Change::Deleted(object(set("5"))));
        assert_eq!(revision(&pods), None);
        pods.take_pods(Change::All(Vec::new()));
        assert_eq!(known(&pods).version, None);
    }

    #[test]
    fn a_revision_that_is_no_number_or_of_no_deployment_is_none() {
        let mut pods = Pods::new("version".to_owned());
        pods.take_pods(Change::Applied(object(pod())));
        pods.take_sets(Change::Applied(object(set("newest"))));
        assert_eq!(revision(&pods), None);
        let mut alone = set("3");
        alone["ownerReferences"] = json!([]);
        pods.take_sets(Change::All(vec![object(alone)]));
        assert_eq!(revision(&pods), None);
    }
}
