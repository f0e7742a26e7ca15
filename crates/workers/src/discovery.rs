//! Where workers are: a stream of endpoint sets, whatever the source.
//!
//! A source says which endpoints there are *now*; the difference to what was known is worked out
//! in one place, [`changes`]. A further source is another arm of [`endpoints`].

mod dns;
#[cfg(feature = "kubernetes")]
mod kubernetes;

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use holdline_config::Discovery;
use holdline_telemetry::WorkerMetrics;

use crate::Pod;

/// Most endpoints taken from one answer.
const ENDPOINTS_MAX: usize = 1_024;

/// Looks up names; the system's resolver, but for tests.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name, each with `port`.
    ///
    /// # Errors
    /// The name could not be looked up; what was known of it stays in force.
    fn resolve(&self, name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

/// A source of workers that this build does not have. The fault lies with whoever chose the build
/// or wrote the configuration; a retry does not help.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "discovery by kubernetes is not in this build: use one with the feature `kubernetes`, which is \
     on unless `--no-default-features` switches it off, or discover by `dns` through a headless Service"
)]
pub struct NotBuiltIn;

/// Whether this build can find workers in this way.
///
/// # Errors
/// If it cannot.
pub fn supports(discovery: &Discovery) -> Result<(), NotBuiltIn> {
    match discovery {
        Discovery::Static(_) | Discovery::Dns(_) => Ok(()),
        Discovery::Kubernetes(_) if cfg!(feature = "kubernetes") => Ok(()),
        Discovery::Kubernetes(_) => Err(NotBuiltIn),
    }
}

/// What tells one worker from the next: a new pod on a reused address is a new worker.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct EndpointId {
    pub(crate) address: SocketAddr,
    /// Uid of its pod, where the source knows pods.
    pub(crate) pod: Option<Arc<str>>,
}

impl From<SocketAddr> for EndpointId {
    fn from(address: SocketAddr) -> Self {
        Self { address, pod: None }
    }
}

/// How far an endpoint has come, as its source says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Stage {
    /// It does not serve, or no longer: no reason to leave it, nor to meet it.
    #[cfg(any(test, feature = "kubernetes"))]
    Unready,
    Serving,
    /// It is about to go: its calls leave while it still serves.
    #[cfg(any(test, feature = "kubernetes"))]
    Terminating,
}

/// What a source knows of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Endpoint {
    pub(crate) stage: Stage,
    pub(crate) pod: Option<Arc<Pod>>,
    /// Where the same worker may be reached too, if not at its own address.
    pub(crate) others: Vec<SocketAddr>,
}

/// All endpoints of a moment.
pub(crate) type Endpoints = BTreeMap<EndpointId, Endpoint>;

/// All endpoints, each time that they are known anew.
pub(crate) fn endpoints(
    discovery: &Discovery,
    resolver: Arc<dyn Resolve>,
    metrics: WorkerMetrics,
) -> BoxStream<'static, Endpoints> {
    match discovery {
        Discovery::Static(fixed) => {
            let addresses = plain(fixed.addresses.iter().copied());
            stream::iter([addresses]).chain(stream::pending()).boxed()
        }
        Discovery::Dns(dns) => dns::resolved(dns.clone(), resolver, metrics),
        #[cfg(feature = "kubernetes")]
        Discovery::Kubernetes(service) => kubernetes::endpoints(service.clone(), metrics),
        #[cfg(not(feature = "kubernetes"))]
        Discovery::Kubernetes(_) => {
            metrics.discovery_failures.inc();
            tracing::error!("{NotBuiltIn}");
            stream::pending().boxed()
        }
    }
}

/// Endpoints of which nothing but the address is known.
fn plain(addresses: impl IntoIterator<Item = SocketAddr>) -> Endpoints {
    let serving = |address: SocketAddr| {
        let endpoint = Endpoint {
            stage: Stage::Serving,
            pod: None,
            others: Vec::new(),
        };
        (address.into(), endpoint)
    };
    let addresses = addresses.into_iter().take(ENDPOINTS_MAX);
    addresses.map(serving).collect()
}

/// What is different from what was known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) added: Vec<EndpointId>,
    /// Known ones that are about to go; again each time.
    pub(crate) terminating: Vec<EndpointId>,
    pub(crate) removed: Vec<EndpointId>,
    /// There are new ones that do not serve yet.
    pub(crate) unready: bool,
}

/// Compares what is known with what was found.
pub(crate) fn changes<'a>(
    known: impl Iterator<Item = &'a EndpointId>,
    found: &Endpoints,
) -> Changes {
    let mut changes = Changes::default();
    let mut new: BTreeMap<_, _> = found.iter().collect();
    for id in known {
        match new.remove(id).map(|endpoint| endpoint.stage) {
            #[cfg(any(test, feature = "kubernetes"))]
            Some(Stage::Terminating) => changes.terminating.push(id.clone()),
            Some(_) => {}
            None => changes.removed.push(id.clone()),
        }
    }
    for (id, endpoint) in new {
        match endpoint.stage {
            #[cfg(any(test, feature = "kubernetes"))]
            Stage::Unready => changes.unready = true,
            Stage::Serving => changes.added.push(id.clone()),
            #[cfg(any(test, feature = "kubernetes"))]
            Stage::Terminating => {}
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use holdline_config::{KubernetesDiscovery, StaticDiscovery};
    use holdline_telemetry::Metrics;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    fn pod(port: u16, uid: &str) -> EndpointId {
        EndpointId {
            address: address(port),
            pod: Some(uid.into()),
        }
    }

    fn at(stage: Stage) -> Endpoint {
        Endpoint {
            stage,
            pod: None,
            others: Vec::new(),
        }
    }

    #[test]
    fn differences_are_found_in_both_directions() {
        let known: [EndpointId; 2] = [address(1).into(), address(2).into()];
        let found = plain([address(2), address(3)]);
        assert_eq!(
            changes(known.iter(), &found),
            Changes {
                added: vec![address(3).into()],
                terminating: Vec::new(),
                removed: vec![address(1).into()],
                unready: false,
            }
        );
        let same = plain([address(1), address(2)]);
        assert_eq!(changes(known.iter(), &same), Changes::default());
    }

    #[test]
    fn a_new_pod_on_a_reused_address_is_another_worker() {
        let known = [pod(1, "old")];
        let found = [(pod(1, "new"), at(Stage::Serving))].into();
        let changes = changes(known.iter(), &found);
        assert_eq!(changes.removed, known);
        assert_eq!(changes.added, [pod(1, "new")]);
    }

    #[test]
    fn only_who_serves_is_met_and_a_known_one_is_left_only_when_it_terminates() {
        let known = [pod(1, "a"), pod(2, "b")];
        let found = [
            (pod(1, "a"), at(Stage::Unready)),
            (pod(2, "b"), at(Stage::Terminating)),
            (pod(3, "c"), at(Stage::Unready)),
            (pod(4, "d"), at(Stage::Terminating)),
            (pod(5, "e"), at(Stage::Serving)),
        ];
        assert_eq!(
            changes(known.iter(), &found.into()),
            Changes {
                added: vec![pod(5, "e")],
                terminating: vec![pod(2, "b")],
                removed: Vec::new(),
                unready: true,
            }
        );
    }

    #[test]
    fn a_source_that_is_not_in_this_build_is_told() {
        let service = Discovery::Kubernetes(KubernetesDiscovery {
            service: "workers".to_owned(),
            namespace: None,
            port: None,
            version_label: "version".to_owned(),
            watch: Duration::from_secs(60),
        });
        assert_eq!(supports(&service).is_ok(), cfg!(feature = "kubernetes"));
    }

    #[tokio::test]
    async fn a_fixed_list_is_told_once() {
        let fixed = Discovery::Static(StaticDiscovery {
            addresses: vec![address(1), address(1), address(2)],
        });
        let mut found = endpoints(&fixed, Arc::new(SystemResolver), Metrics::new().workers);
        assert_eq!(found.next().await.unwrap().len(), 2);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(found.poll_next_unpin(&mut cx).is_pending());
    }
}
