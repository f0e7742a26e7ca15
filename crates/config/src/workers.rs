//! `workers`: pools of workers, where to find them and when to leave them.

use std::{net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::{
    ByteSize, Rollout, defaults,
    reader::At,
    section::section,
    shape::{Shape, words},
    text,
    units::ANY_SIZE,
};

/// HTTP/2 windows: no smaller than the protocol's first, no larger than it can say
/// (RFC 9113, 6.9.2 and 6.9.1).
const HTTP2_WINDOW: RangeInclusive<ByteSize> =
    ByteSize::bytes(65_535)..=ByteSize::bytes((1 << 31) - 1);

section! {
    /// One pool of workers; versions are ordered within a pool only.
    pub struct WorkerPool {
        /// Where workers are found: `static`, `dns` or `kubernetes`.
        pub discovery: Discovery,
        /// TLS to the workers; `off` where the network between is trusted.
        pub tls: Option<WorkerTls> = None,
        /// Longest time for a connection to a worker.
        pub connect_timeout: Duration = defaults::CONNECT_TIMEOUT,
        /// HTTP/2 pings on each connection.
        pub keepalive: Keepalive = Keepalive::default(),
        /// How long a worker may take to describe itself.
        pub describe_timeout: Duration = defaults::DESCRIBE_TIMEOUT,
        /// HTTP/2 window of one attachment: what a worker may send ahead.
        pub stream_window: ByteSize [HTTP2_WINDOW] = defaults::STREAM_WINDOW,
        /// HTTP/2 window of one connection, over all its attachments.
        pub connection_window: ByteSize [HTTP2_WINDOW] = defaults::CONNECTION_WINDOW,
        /// Pace of planned handoffs.
        pub handoffs_per_second: u32 = defaults::HANDOFFS_PER_SECOND,
        /// When a worker is set aside.
        pub eject: Eject = Eject::default(),
        /// What becomes of existing calls when a newer version appears: `on_drain`, `eager` or `pinned`.
        pub existing: Existing = defaults::EXISTING,
        /// Which version gets which calls.
        pub rollout: Rollout = Rollout::default(),
    }
    checked by check_pool
}

fn check_pool(at: &At<'_>) {
    let size = |key, default| at.glance(&[key], &ANY_SIZE, default);
    let connection = size("connection_window", defaults::CONNECTION_WINDOW);
    if connection.is_some() && size("stream_window", defaults::STREAM_WINDOW) > connection {
        let place = at.place("connection_window");
        place.wrong("`connection_window` must not be smaller than `stream_window`");
    }
}

/// Where workers are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Discovery {
    /// A fixed list.
    Static(StaticDiscovery),
    /// All addresses of a name.
    Dns(DnsDiscovery),
    /// The pods of a Kubernetes Service.
    Kubernetes(KubernetesDiscovery),
}

impl Shape for Discovery {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let entries = at.entries();
        match entries.as_slice() {
            [("static", list)] => StaticDiscovery::read(list, &()).map(Self::Static),
            [("dns", name)] => DnsDiscovery::read(name, &()).map(Self::Dns),
            [("kubernetes", service)] => {
                KubernetesDiscovery::read(service, &()).map(Self::Kubernetes)
            }
            _ => {
                at.wrong(
                    "must be one of {static: {addresses: [...]}}, {dns: {name: ..., port: ...}} and {kubernetes: {service: ...}}",
                );
                None
            }
        }
    }

    fn schema((): &()) -> Value {
        let only = |key: &str, schema: Value| {
            json!({
                "type": "object",
                "properties": { key: schema },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json!({ "oneOf": [
            only("static", StaticDiscovery::schema(&())),
            only("dns", DnsDiscovery::schema(&())),
            only("kubernetes", KubernetesDiscovery::schema(&())),
        ] })
    }

    fn write(&self) -> serde_yaml::Value {
        let (key, value) = match self {
            Self::Static(list) => ("static", list.write()),
            Self::Dns(name) => ("dns", name.write()),
            Self::Kubernetes(service) => ("kubernetes", service.write()),
        };
        let mut map = serde_yaml::Mapping::new();
        map.insert(key.into(), value);
        map.into()
    }
}

section! {
    /// A fixed list of workers.
    pub struct StaticDiscovery {
        /// IP address and port of each worker.
        pub addresses: Vec<SocketAddr> [1..=1_000],
    }
    checked by check_static
}

fn check_static(at: &At<'_>) {
    let addresses = at
        .get("addresses")
        .map_or_else(Vec::new, |list| list.items());
    let mut seen = std::collections::BTreeSet::new();
    for address in addresses {
        if address.text().is_some_and(|text| !seen.insert(text)) {
            address.wrong("stands here twice: keep one");
        }
    }
}

section! {
    /// Workers behind a name; in Kubernetes, of a headless Service.
    pub struct DnsDiscovery {
        /// The name to resolve.
        pub name: String [&text::HOST],
        /// The workers' port.
        pub port: u16,
        /// How often it is resolved.
        pub interval: Duration [Duration::from_millis(100)..=Duration::from_secs(3_600)] = defaults::DNS_INTERVAL,
    }
}

/// The API server ends a watch after five minutes or more by itself.
const WATCH: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(290);

section! {
    /// The pods of a Service, as its EndpointSlices tell. The edge needs the right to list and to watch
    /// them; where it may also read pods, ReplicaSets and the Service, it knows which rollout is newer.
    pub struct KubernetesDiscovery {
        /// Name of the Service that selects the workers' pods; it may be headless.
        pub service: String [&text::LABEL],
        /// Its namespace; `off`: the edge's own.
        pub namespace: Option<String> [&text::LABEL] = None,
        /// Name of the Service's port for gRPC; `off`: its only one.
        pub port: Option<String> [&text::LABEL] = None,
        /// Label of pods with the version of workers that do not tell it themselves.
        pub version_label: String = defaults::version_label(),
        /// How long one watch lasts: one that went silent is taken up anew five seconds later.
        pub watch: Duration [WATCH] = defaults::KUBERNETES_WATCH,
    }
}

section! {
    /// TLS to the workers of a pool; the files are loaded again when they change.
    pub struct WorkerTls {
        /// PEM file with the authorities that issue the workers' certificates. No other is trusted.
        pub ca: PathBuf,
        /// PEM file with the edge's own certificate chain, for workers that ask for one.
        pub certificate: Option<PathBuf> = None,
        /// PEM file with the private key of `certificate`.
        pub key: Option<PathBuf> = None,
        /// The name that workers' certificates are for; `off`: the `dns` name, or the IP address.
        pub server_name: Option<String> [&text::HOST] = None,
    }
    checked by check_worker_tls
}

fn check_worker_tls(at: &At<'_>) {
    for (one, other) in [("certificate", "key"), ("key", "certificate")] {
        let given = |key| at.has(key) && at.text_of(key) != Some("off");
        if given(one) && !given(other) {
            at.place(one).wrong(format!("needs `{other}` beside it"));
        }
    }
}

section! {
    /// HTTP/2 pings on a connection.
    #[derive(Copy)]
    pub struct Keepalive: Default {
        /// Time between pings.
        pub interval: Duration = defaults::KEEPALIVE_INTERVAL,
        /// A ping unanswered for so long ends the connection.
        pub timeout: Duration = defaults::KEEPALIVE_TIMEOUT,
    }
}

section! {
    /// When a worker is set aside.
    #[derive(Copy)]
    pub struct Eject: Default {
        /// So many distinct sessions whose attachments failed...
        pub sessions: u32 = defaults::EJECT_SESSIONS,
        /// ...within so long...
        pub within: Duration = defaults::EJECT_WITHIN,
        /// ...set a worker aside for so long.
        pub r#for: Duration = defaults::EJECT_FOR,
    }
}

words! {
    /// What becomes of existing calls when a newer version appears.
    pub enum Existing {
        /// They stay until their worker drains.
        OnDrain = "on_drain",
        /// They move as soon as a better version is ready, at the pace of `handoffs_per_second`.
        Eager = "eager",
        /// They stay with their version as long as a worker of it lives.
        Pinned = "pinned",
    }
}
