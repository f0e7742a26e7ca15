//! `kubernetes`: what an edge does because it runs in a pod. How workers are found there is each pool's
//! own matter.

use std::{ops::RangeInclusive, time::Duration};

use crate::{defaults, section::section};

/// More often would burden the API server, less often would leave the cost without meaning.
const INTERVAL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_600);

section! {
    /// What an edge does because it runs in a pod of Kubernetes.
    #[derive(Copy)]
    pub struct Kubernetes: Default {
        /// Keeps the deletion cost of the edge's own pod at its number of sessions; `off`: does not.
        pub pod_deletion_cost: Option<PodDeletionCost> = None,
    }
}

section! {
    /// The annotation `controller.kubernetes.io/pod-deletion-cost` of the edge's own pod is its number
    /// of sessions, so that a scale-down of a Deployment takes the edge with the fewest. The pod is
    /// named by HOLDLINE_POD_NAME and HOLDLINE_POD_NAMESPACE in the environment, and the edge needs the
    /// right to patch it.
    #[derive(Copy)]
    pub struct PodDeletionCost: Default {
        /// Shortest time between two writes; there is none while the number stays the same.
        pub interval: Duration [INTERVAL] = defaults::DELETION_COST_INTERVAL,
    }
}
