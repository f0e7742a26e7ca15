//! The pod of this edge, as the API server knows it.

use holdline_kube::{Access, Trouble, Verb, answered};
use holdline_telemetry::PodMetrics;
use k8s_openapi::api::core::v1;
use kube::api::{Api, Patch, PatchParams};
use tracing::{debug, error, info, warn};

use super::keeper::Write;
use crate::RunError;

/// What the controller of ReplicaSets reads. Known since Kubernetes 1.22.
const ANNOTATION: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Where the downward API puts the pod's name, by the chart.
const NAME: &str = "HOLDLINE_POD_NAME";
/// And its namespace.
const NAMESPACE: &str = "HOLDLINE_POD_NAMESPACE";

/// Writes the cost into the pod.
pub(super) struct Pod {
    name: String,
    namespace: String,
    metrics: PodMetrics,
    /// Made anew after any trouble: tokens and certificates are then read anew.
    api: Option<Api<v1::Pod>>,
    /// What went wrong last and was told.
    told: Option<Trouble>,
}

impl Pod {
    /// The pod that the environment names.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn from_environment(metrics: PodMetrics) -> Result<Self, RunError> {
        let word = |name| {
            let word = std::env::var(name).ok();
            let word = word.filter(|word| !word.is_empty());
            word.ok_or(RunError::NoPod(name))
        };
        Ok(Self {
            name: word(NAME)?,
            namespace: word(NAMESPACE)?,
            metrics,
            api: None,
            told: None,
        })
    }

    async fn patch(&mut self, cost: usize) -> Result<(), Trouble> {
        let api = match &self.api {
            Some(api) => api.clone(),
            None => Api::namespaced(Access::new().await?.client, &self.namespace),
        };
        // It is an `int32`; so many calls no edge holds.
        let cost = i32::try_from(cost).unwrap_or(i32::MAX).to_string();
        let patch = serde_json::json!({"metadata": {"annotations": {ANNOTATION: cost}}});
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        // No more is wanted back than the least that there is.
        let patched = answered(api.patch_metadata(&self.name, &params, &patch)).await?;
        let pods = ("", "pods");
        patched.map_err(|error| Trouble::of(error, Verb::Patch, pods, &self.namespace))?;
        self.api = Some(api);
        Ok(())
    }

    fn tell(&mut self, trouble: Trouble) {
        let pod = &self.name;
        if self
            .told
            .as_ref()
            .is_some_and(|told| told.is_like(&trouble))
        {
            debug!(pod, why = %trouble, "pod deletion cost cannot be written");
            return;
        }
        if trouble.needs_a_person() {
            error!(pod, why = %trouble, "pod deletion cost cannot be written");
        } else {
            warn!(pod, why = %trouble, "pod deletion cost cannot be written");
        }
        self.told = Some(trouble);
    }
}

impl Write for Pod {
    async fn write(&mut self, cost: usize) -> bool {
        let written = self.patch(cost).await;
        self.metrics.cost_written(written.is_ok());
        match written {
            Ok(()) => {
                debug!(pod = self.name, cost, "pod deletion cost written");
                if self.told.take().is_some() {
                    info!(pod = self.name, "pod deletion cost is written again");
                }
                true
            }
            Err(trouble) => {
                self.api = None;
                self.tell(trouble);
                false
            }
        }
    }
}
