//! One resource of the API server: listed, then watched, for good.
//!
//! Why not kube's own watcher: it does not tell when a watch that had failed stands again, so that
//! an outage could not be said to be over, and a version that is gone (410) sends it back to the
//! list only if that is said within a watch, not if it is the answer to one.
//!
//! ```text
//! Behind ──list──► Listed ──watch──► Watching ──the server ends the watch, or is silent──► Listed
//!    ▲                                                                                       │
//!    └──────────────── 410 Gone, any trouble (then after a wait) ────────────────────────────┘
//! ```

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::{
    StreamExt, TryStreamExt as _,
    stream::{self, BoxStream},
};
use holdline_config::KubernetesDiscovery;
use holdline_kube::{Access, Trouble, Verb, answered};
use holdline_telemetry::WorkerMetrics;
use k8s_openapi::{api::core::v1::Service, serde::de::DeserializeOwned};
use kube::{
    Client,
    api::{Api, ListParams, WatchEvent, WatchParams},
};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::outage::Outage;

/// A watch is silent if nothing came, not even its end, for so long after it should have ended.
const SILENCE_MARGIN: Duration = Duration::from_secs(5);
/// Lists, and watches, begin no faster than this, however soon the server ends them.
const PACE: Duration = Duration::from_secs(1);
/// Objects in one part of a list, as other clients do it.
const PAGE: u32 = 500;
/// Most parts of a list.
const PAGES_MAX: usize = 20;

/// What is new about the objects.
#[derive(Debug)]
pub(super) enum Change<K> {
    /// These are all that there are.
    All(Vec<K>),
    /// This one is new, or changed.
    Applied(K),
    /// This one is gone.
    Deleted(K),
}

/// What is followed.
pub(super) struct Resource<K> {
    /// API group, as a Role names it.
    pub(super) group: &'static str,
    /// Its plural, as a Role names it.
    pub(super) plural: &'static str,
    /// Without it there are no workers; else it is a help.
    pub(super) required: bool,
    pub(super) select: Select,
    pub(super) api: fn(Client, &str) -> Api<K>,
}

/// Which objects are of interest.
#[derive(Clone, Copy, Debug)]
pub(super) enum Select {
    /// Those that bear the Service's name as a label, as its slices do.
    NamedAfterService,
    /// Those that the Service selects.
    SelectedByService,
}

/// Follows the objects of a resource. Never ends; what goes wrong is logged, counted and tried
/// again.
pub(super) fn follow<K: Followed>(
    resource: Resource<K>,
    service: Arc<KubernetesDiscovery>,
    metrics: WorkerMetrics,
) -> BoxStream<'static, Change<K>> {
    let outage = Outage::new(resource.plural, resource.required, metrics);
    let follower = Follower {
        asker: Asker {
            resource,
            service,
            access: None,
        },
        outage,
        phase: Phase::Behind,
        listed: None,
        watched: None,
    };
    stream::unfold(follower, |mut follower| async move {
        let change = follower.next().await;
        Some((change, follower))
    })
    .boxed()
}

/// Objects that can be followed.
pub(super) trait Followed:
    kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static
{
}

impl<K> Followed for K where K: kube::Resource + Clone + DeserializeOwned + Debug + Send + 'static {}

struct Follower<K> {
    asker: Asker<K>,
    outage: Outage,
    phase: Phase<K>,
    /// When the last list began.
    listed: Option<Instant>,
    /// When the last watch began.
    watched: Option<Instant>,
}

enum Phase<K> {
    Behind,
    Listed {
        version: String,
    },
    Watching {
        version: String,
        events: BoxStream<'static, kube::Result<WatchEvent<K>>>,
    },
}

impl<K: Followed> Follower<K> {
    async fn next(&mut self) -> Change<K> {
        loop {
            match self.step().await {
                Ok(Some(change)) => return change,
                Ok(None) => {}
                Err(Trouble::Gone) => {
                    let resource = self.asker.resource.plural;
                    tracing::debug!(resource, "version gone: listed anew");
                    self.phase = Phase::Behind;
                }
                Err(trouble) => {
                    self.phase = Phase::Behind;
                    self.asker.access = None;
                    sleep(self.outage.goes_on(&trouble)).await;
                }
            }
        }
    }

    async fn step(&mut self) -> Result<Option<Change<K>>, Trouble> {
        match &mut self.phase {
            Phase::Behind => {
                pace(&mut self.listed).await;
                let (all, version) = self.asker.list().await?;
                self.phase = Phase::Listed { version };
                Ok(Some(Change::All(all)))
            }
            Phase::Listed { version } => {
                let version = version.clone();
                pace(&mut self.watched).await;
                let events = self.asker.watch(&version).await?;
                self.phase = Phase::Watching { version, events };
                self.outage.is_over();
                Ok(None)
            }
            Phase::Watching { version, events } => {
                let patience = self.asker.service.watch + SILENCE_MARGIN;
                let event = match timeout(patience, events.try_next()).await {
                    Ok(Ok(event)) => event,
                    Ok(Err(error)) => return self.broken(error),
                    Err(_) => {
                        self.outage.silent(patience);
                        None
                    }
                };
                let Some(event) = event else {
                    let version = std::mem::take(version);
                    self.phase = Phase::Listed { version };
                    return Ok(None);
                };
                heard(version, event)
            }
        }
    }

    /// A cut connection is nothing special: the watch goes on from where it was.
    fn broken(&mut self, error: kube::Error) -> Result<Option<Change<K>>, Trouble> {
        match (&mut self.phase, error) {
            (Phase::Watching { version, .. }, kube::Error::ReadEvents(error)) => {
                let resource = self.asker.resource.plural;
                tracing::debug!(resource, %error, "watch cut");
                let version = std::mem::take(version);
                self.phase = Phase::Listed { version };
                Ok(None)
            }
            (_, error) => Err(self.asker.trouble(error, Verb::Watch)),
        }
    }
}

/// The way to the API server.
struct Asker<K> {
    resource: Resource<K>,
    service: Arc<KubernetesDiscovery>,
    /// Made anew after any trouble: tokens, certificates and addresses are then read anew.
    access: Option<Reach<K>>,
}

struct Reach<K> {
    api: Api<K>,
    namespace: String,
    selector: String,
}

impl<K: Followed> Asker<K> {
    async fn list(&mut self) -> Result<(Vec<K>, String), Trouble> {
        if self.access.is_none() {
            self.access = Some(self.connect().await?);
        }
        let Some(access) = &self.access else {
            return Err(Trouble::Gone);
        };
        let mut params = ListParams::default().labels(&access.selector).limit(PAGE);
        let mut all = Vec::new();
        for _ in 0..PAGES_MAX {
            let part = answered(access.api.list(&params))
                .await?
                .map_err(|error| self.trouble(error, Verb::List).of_a_list())?;
            all.extend(part.items);
            match part.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok((all, part.metadata.resource_version.unwrap_or_default())),
            }
        }
        Err(Trouble::TooMany(all.len()))
    }

    async fn watch(
        &self,
        version: &str,
    ) -> Result<BoxStream<'static, kube::Result<WatchEvent<K>>>, Trouble> {
        let Some(access) = &self.access else {
            return Err(Trouble::Gone);
        };
        let seconds = u32::try_from(self.service.watch.as_secs()).unwrap_or(u32::MAX);
        let params = WatchParams::default()
            .labels(&access.selector)
            .timeout(seconds);
        let events = answered(access.api.watch(&params, version))
            .await?
            .map_err(|error| self.trouble(error, Verb::Watch))?;
        Ok(events.boxed())
    }

    async fn connect(&self) -> Result<Reach<K>, Trouble> {
        let Access { client, namespace } = Access::new().await?;
        let namespace = self.service.namespace.clone().unwrap_or(namespace);
        let name = &self.service.service;
        let selector = match self.resource.select {
            Select::NamedAfterService => format!("kubernetes.io/service-name={name}"),
            Select::SelectedByService => selector_of(client.clone(), &namespace, name).await?,
        };
        Ok(Reach {
            api: (self.resource.api)(client, &namespace),
            namespace,
            selector,
        })
    }

    fn trouble(&self, error: kube::Error, verb: Verb) -> Trouble {
        let namespace = self.access.as_ref().map(|access| access.namespace.as_str());
        let Resource { group, plural, .. } = self.resource;
        Trouble::of(error, verb, (group, plural), namespace.unwrap_or_default())
    }
}

/// What an event of a watch means.
fn heard<K: Followed>(
    version: &mut String,
    event: WatchEvent<K>,
) -> Result<Option<Change<K>>, Trouble> {
    let mut reached = |object: &K| {
        if let Some(reached) = &object.meta().resource_version {
            version.clone_from(reached);
        }
    };
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            reached(&object);
            Ok(Some(Change::Applied(object)))
        }
        WatchEvent::Deleted(object) => {
            reached(&object);
            Ok(Some(Change::Deleted(object)))
        }
        WatchEvent::Bookmark(bookmark) => {
            *version = bookmark.metadata.resource_version;
            Ok(None)
        }
        WatchEvent::Error(status) => Err(Trouble::said(&status)),
    }
}

/// The labels by which a Service selects its pods.
async fn selector_of(client: Client, namespace: &str, name: &str) -> Result<String, Trouble> {
    let services: Api<Service> = Api::namespaced(client, namespace);
    let service = answered(services.get(name))
        .await?
        .map_err(|error| Trouble::of(error, Verb::Get, ("", "services"), namespace))?;
    let labels = service.spec.and_then(|spec| spec.selector);
    let labels: Vec<_> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if labels.is_empty() {
        return Err(Trouble::NoSelector(name.to_owned()));
    }
    Ok(labels.join(","))
}

/// Waits until the pace allows one more.
async fn pace(last: &mut Option<Instant>) {
    if let Some(last) = *last {
        sleep_until(last + PACE).await;
    }
    *last = Some(Instant::now());
}
