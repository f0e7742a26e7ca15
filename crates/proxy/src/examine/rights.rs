//! What the API server of Kubernetes allows this edge, asked of itself: nothing is tried out.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use holdline_config::{Config, Discovery};
use holdline_kube::{Access, Trouble, answered};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use tokio::time::timeout;

use super::Finding;

const RIGHT: &str = "right";

/// Something that the edge does at the API server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Right {
    verb: &'static str,
    group: &'static str,
    resource: &'static str,
    /// `None`: the edge's own.
    namespace: Option<String>,
    /// Of one object, where that is all that is needed.
    name: Option<String>,
    /// What the edge does without it; `None`: not what it is there for.
    without: Option<&'static str>,
}

pub(super) async fn findings(config: &Config, within: Duration) -> Vec<Finding> {
    let needed = needed(config);
    if needed.is_empty() {
        return Vec::new();
    }
    let access = match timeout(within, Access::new()).await {
        Ok(Ok(access)) => access,
        Ok(Err(trouble)) => return vec![unknown(&trouble.to_string())],
        Err(_) => return vec![unknown("credentials cannot be read in time")],
    };
    let access = &access;
    let asked = needed.iter().map(|right| async move {
        let allowed = timeout(within, ask(access, right)).await;
        let allowed = allowed.unwrap_or(Err(Trouble::Silent(within)));
        let namespace = right.namespace.as_ref().unwrap_or(&access.namespace);
        told(right, namespace, allowed)
    });
    join_all(asked).await
}

fn needed(config: &Config) -> BTreeSet<Right> {
    let mut needed = BTreeSet::new();
    let order = Some("without it the order of versions is learnt from what drains");
    for pool in config.workers.values() {
        let Discovery::Kubernetes(service) = &pool.discovery else {
            continue;
        };
        let right = |verb, (group, resource), without| Right {
            verb,
            group,
            resource,
            namespace: service.namespace.clone(),
            name: None,
            without,
        };
        for verb in ["list", "watch"] {
            needed.insert(right(verb, ("discovery.k8s.io", "endpointslices"), None));
            needed.insert(right(verb, ("", "pods"), order));
            needed.insert(right(verb, ("apps", "replicasets"), order));
        }
        let get = right("get", ("", "services"), order);
        let name = Some(service.service.clone());
        needed.insert(Right { name, ..get });
    }
    if config.kubernetes.pod_deletion_cost.is_some() {
        needed.insert(Right {
            verb: "patch",
            group: "",
            resource: "pods",
            namespace: std::env::var("HOLDLINE_POD_NAMESPACE").ok(),
            name: std::env::var("HOLDLINE_POD_NAME").ok(),
            without: Some("without it a scale-down may take the edge with the most calls"),
        });
    }
    needed
}

async fn ask(access: &Access, right: &Right) -> Result<bool, Trouble> {
    let namespace = right.namespace.as_ref().unwrap_or(&access.namespace);
    let attributes = ResourceAttributes {
        verb: Some(right.verb.to_owned()),
        group: Some(right.group.to_owned()),
        resource: Some(right.resource.to_owned()),
        namespace: Some(namespace.clone()),
        name: right.name.clone(),
        ..ResourceAttributes::default()
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let api: Api<SelfSubjectAccessReview> = Api::all(access.client.clone());
    let params = PostParams::default();
    let reviewed = answered(api.create(&params, &review)).await?;
    let reviewed = reviewed.map_err(Trouble::other)?;
    Ok(reviewed.status.is_some_and(|status| status.allowed))
}

fn told(right: &Right, namespace: &str, allowed: Result<bool, Trouble>) -> Finding {
    let Right {
        verb,
        group,
        resource,
        ..
    } = right;
    let about = format!("{verb} {resource} in {namespace}");
    let rule = format!(
        "bind a Role to the edge's ServiceAccount: {{apiGroups: [\"{group}\"], resources: [{resource}], verbs: [{verb}]}}"
    );
    match (allowed, right.without) {
        (Ok(true), _) => Finding::ok(RIGHT, about, "allowed"),
        (Ok(false), None) => {
            let found = "not allowed: no worker will be found";
            Finding::failed(RIGHT, about, found, rule)
        }
        (Ok(false), Some(without)) => {
            Finding::warning(RIGHT, about, format!("not allowed: {without}"), rule)
        }
        (Err(trouble), _) => Finding::warning(
            RIGHT,
            about,
            trouble.to_string(),
            "ask with: kubectl auth can-i --list",
        ),
    }
}

fn unknown(why: &str) -> Finding {
    Finding::failed(
        RIGHT,
        "the API server",
        why,
        "run it in the edge's pod, or name a file in KUBECONFIG",
    )
}
