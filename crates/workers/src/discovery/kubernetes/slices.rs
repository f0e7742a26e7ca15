//! From EndpointSlices to endpoints.
//!
//! Slices are a view with loose ends: one pod can stand in several of them, for a moment twice
//! while its endpoint is moved, for good once for each IP family; conditions may be absent; and
//! `ready` says nothing of termination where unready addresses are published. A worker is its pod,
//! whatever slices say where.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use k8s_openapi::{
    api::discovery::v1::{Endpoint as Listed, EndpointConditions, EndpointPort, EndpointSlice},
    jiff::Timestamp,
};
use kube::{ResourceExt as _, api::DynamicObject};

use super::{
    super::{ENDPOINTS_MAX, Endpoint, EndpointId, Endpoints, Stage},
    follow::Change,
};
use crate::Pod;

/// All slices of a Service.
#[derive(Debug)]
pub(super) struct Slices {
    /// Name of the port that is wanted; `None`: the only one.
    port: Option<String>,
    /// By name; `None` until they were listed.
    known: Option<BTreeMap<String, Slice>>,
    /// What was said of slices that cannot be used, by name.
    told: BTreeMap<String, String>,
    /// Where each pod was found last: one that has several addresses keeps the one in use.
    used: BTreeMap<Arc<str>, SocketAddr>,
    overflow: bool,
}

impl Slices {
    pub(super) fn new(port: Option<String>) -> Self {
        Self {
            port,
            known: None,
            told: BTreeMap::new(),
            used: BTreeMap::new(),
            overflow: false,
        }
    }

    /// Takes over what is new. Of a slice that cannot be read, what was known of it stays.
    pub(super) fn take(&mut self, change: Change<DynamicObject>) {
        match change {
            Change::All(objects) => {
                let names: Vec<_> = objects.iter().map(DynamicObject::name_any).collect();
                let known = self.known.get_or_insert_default();
                known.retain(|name, _| names.contains(name));
                self.told.retain(|name, _| names.contains(name));
                for object in objects {
                    self.put(object);
                }
            }
            Change::Applied(object) => self.put(object),
            Change::Deleted(object) => {
                let name = object.name_any();
                self.told.remove(&name);
                self.known.get_or_insert_default().remove(&name);
            }
        }
    }

    /// Every worker once; `None` until slices were listed. `complete` adds what is known of a pod
    /// from elsewhere.
    pub(super) fn endpoints(&mut self, complete: impl Fn(&mut Pod)) -> Option<Endpoints> {
        let mut found = reduce(self.known.as_ref()?, &self.used);
        let overflow = found.len() > ENDPOINTS_MAX;
        if overflow && !self.overflow {
            tracing::warn!(
                endpoints = found.len(),
                taken = ENDPOINTS_MAX,
                "a Service has more endpoints than an edge can use; the rest is left out"
            );
        }
        self.overflow = overflow;
        while found.len() > ENDPOINTS_MAX {
            found.pop_last();
        }
        let pods = found.iter();
        self.used = pods
            .filter_map(|(id, _)| Some((id.pod.clone()?, id.address)))
            .collect();
        let completed = |(id, reduced): (EndpointId, Reduced)| {
            let pod = reduced.pod.map(|mut pod| {
                complete(&mut pod);
                Arc::new(pod)
            });
            let endpoint = Endpoint {
                stage: reduced.stage,
                pod,
                others: reduced.others,
            };
            (id, endpoint)
        };
        Some(found.into_iter().map(completed).collect())
    }

    fn put(&mut self, object: DynamicObject) {
        let name = object.name_any();
        let read = object
            .try_parse::<EndpointSlice>()
            .map_err(|error| Unusable::Malformed(error.to_string()))
            .and_then(|slice| read(slice, self.port.as_deref()));
        let known = self.known.get_or_insert_default();
        match read {
            Ok(slice) => {
                self.told.remove(&name);
                known.insert(name, slice);
            }
            Err(why) => {
                if !matches!(why, Unusable::Malformed(_)) {
                    known.remove(&name);
                }
                let words = why.to_string();
                if self.told.get(&name) != Some(&words) {
                    tracing::warn!(slice = name, why = words, "EndpointSlice cannot be used");
                    self.told.insert(name, words);
                }
            }
        }
    }
}

/// One slice, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Slice {
    created: Option<Timestamp>,
    endpoints: Vec<(SocketAddr, Stage, Option<Pod>)>,
}

/// Why nothing is taken from a slice. The fault lies with whoever made it or named the port.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
enum Unusable {
    #[error("it cannot be read, and what was known of it stays: {0}")]
    Malformed(String),
    #[error("its addresses are of type {0}: only IPv4 and IPv6 can be used")]
    AddressType(String),
    #[error("it has no TCP port named `{wanted}`, only: {there}")]
    NoSuchPort { wanted: String, there: String },
    #[error("it has several TCP ports, {0}: name one as `port` in the configuration")]
    SeveralPorts(String),
    #[error("it has no TCP port with a number")]
    NoPort,
}

fn read(slice: EndpointSlice, wanted: Option<&str>) -> Result<Slice, Unusable> {
    let created = slice.metadata.creation_timestamp.map(|time| time.0);
    // The controller keeps one, without ports, for a Service that has no pods.
    if slice.endpoints.is_empty() {
        let endpoints = Vec::new();
        return Ok(Slice { created, endpoints });
    }
    if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
        return Err(Unusable::AddressType(slice.address_type));
    }
    let port = port(slice.ports.unwrap_or_default(), wanted)?;
    let endpoints = slice.endpoints.into_iter();
    let endpoints = endpoints.filter_map(|it| endpoint(it, port)).collect();
    Ok(Slice { created, endpoints })
}

fn port(ports: Vec<EndpointPort>, wanted: Option<&str>) -> Result<u16, Unusable> {
    let tcp = |port: &EndpointPort| port.protocol.as_deref().is_none_or(|it| it == "TCP");
    let numbered = |port: EndpointPort| {
        let number = u16::try_from(port.port?).ok()?;
        Some((port.name.unwrap_or_default(), number))
    };
    let ports: Vec<_> = ports.into_iter().filter(tcp).filter_map(numbered).collect();
    let names = || {
        let names: Vec<_> = ports.iter().map(|(name, _)| format!("`{name}`")).collect();
        names.join(", ")
    };
    match (wanted, ports.as_slice()) {
        (_, []) => Err(Unusable::NoPort),
        (None, [(_, number)]) => Ok(*number),
        (None, _) => Err(Unusable::SeveralPorts(names())),
        (Some(wanted), ports) => {
            let found = ports.iter().find(|(name, _)| name == wanted);
            let missing = || Unusable::NoSuchPort {
                wanted: wanted.to_owned(),
                there: names(),
            };
            found.map(|(_, number)| *number).ok_or_else(missing)
        }
    }
}

/// `None` where its address is none. Only the first address has a meaning.
fn endpoint(listed: Listed, port: u16) -> Option<(SocketAddr, Stage, Option<Pod>)> {
    let address: IpAddr = listed.addresses.first()?.parse().ok()?;
    let stage = stage(listed.conditions.as_ref());
    let pod = listed.target_ref.and_then(|target| {
        let is_pod = target.kind.as_deref() == Some("Pod");
        let uid = target.uid.filter(|uid| is_pod && !uid.is_empty())?;
        Some(Pod {
            zone: listed.zone,
            node: listed.node_name,
            ..Pod::new(uid, target.name.unwrap_or_default())
        })
    });
    Some((SocketAddr::new(address, port), stage, pod))
}

/// Absent conditions are what the API says of them: serving, and not terminating. `ready` of a pod that
/// does not serve is a Service's wish to have unready addresses published: then the worker's own
/// health decides, as it does of all that serve.
fn stage(conditions: Option<&EndpointConditions>) -> Stage {
    let Some(conditions) = conditions else {
        return Stage::Serving;
    };
    if conditions.terminating == Some(true) {
        Stage::Terminating
    } else if conditions.ready == Some(true)
        || conditions.serving.or(conditions.ready).unwrap_or(true)
    {
        Stage::Serving
    } else {
        Stage::Unready
    }
}

/// All that slices say of one worker.
struct Reduced {
    stage: Stage,
    pod: Option<Pod>,
    /// Further addresses of the pod.
    others: Vec<SocketAddr>,
}

/// Every worker once. A pod has the address that it had (`used`), else the one in the oldest slice;
/// whether it answers there is found out later. Where it stands twice, the later stage holds: an
/// older copy of an endpoint is one of an earlier stage.
fn reduce(
    slices: &BTreeMap<String, Slice>,
    used: &BTreeMap<Arc<str>, SocketAddr>,
) -> BTreeMap<EndpointId, Reduced> {
    let mut oldest_first: Vec<_> = slices.values().collect();
    oldest_first.sort_by_key(|slice| slice.created);
    let mut nameless = BTreeMap::new();
    let mut pods: BTreeMap<Arc<str>, (Vec<SocketAddr>, Stage, Pod)> = BTreeMap::new();
    for (address, stage, pod) in oldest_first.into_iter().flat_map(|slice| &slice.endpoints) {
        let Some(pod) = pod else {
            let known = nameless.entry(EndpointId::from(*address)).or_insert(*stage);
            *known = (*known).max(*stage);
            continue;
        };
        let first = || (Vec::new(), *stage, pod.clone());
        let (addresses, known, _) = pods.entry(Arc::clone(&pod.uid)).or_insert_with(first);
        *known = (*known).max(*stage);
        if !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    let nameless = nameless.into_iter().map(|(id, stage)| {
        let (pod, others) = (None, Vec::new());
        (id, Reduced { stage, pod, others })
    });
    let pods = pods.into_iter().map(|(uid, (mut others, stage, pod))| {
        let used = used.get(&uid);
        let own = others.iter().position(|address| Some(address) == used);
        let id = EndpointId {
            address: others.remove(own.unwrap_or(0)),
            pod: Some(uid),
        };
        let pod = Some(pod);
        (id, Reduced { stage, pod, others })
    });
    nameless.chain(pods).collect()
}

#[cfg(test)]
mod tests;
