//! Where spans are sent, as configured.

use holdline_config::Tracing;
use holdline_tls::TlsError;
use tonic::{
    metadata::{Ascii, MetadataKey, MetadataMap, MetadataValue},
    transport::{ClientTlsConfig, Endpoint},
};

use super::otlp::{KeyValue, Resource};

const AGENT: &str = concat!("holdline/", env!("CARGO_PKG_VERSION"));

/// What names this process among others of the service, the first that the environment has: the
/// pod's name, or what it is by default, the host's.
const INSTANCE: [&str; 2] = ["HOLDLINE_POD_NAME", "HOSTNAME"];

/// Why spans cannot be sent as configured. A retry does not help.
#[derive(Debug, thiserror::Error)]
pub enum CollectorError {
    /// It cannot be sent. The value is not shown: it may be a secret.
    #[error("header `{0}` cannot be sent by gRPC")]
    Header(String),
    /// No such URL can be reached.
    #[error("endpoint `{endpoint}`: {source}")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// `ca` cannot be used.
    #[error(transparent)]
    Ca(#[from] TlsError),
    /// There is nobody to trust.
    #[error("this machine has no trusted certificates; install ca-certificates or set `ca`")]
    NoTrust,
}

/// Where spans are sent, and as what.
pub(super) struct Collector {
    pub(super) endpoint: Endpoint,
    /// Sent with each request.
    pub(super) headers: MetadataMap,
    /// What this process is called.
    pub(super) resource: Resource,
}

impl Collector {
    /// `None`: nobody wants spans.
    pub(super) fn of(settings: &Tracing) -> Result<Option<Self>, CollectorError> {
        let Some(url) = &settings.endpoint else {
            return Ok(None);
        };
        Ok(Some(Self {
            endpoint: endpoint(url, settings)?,
            headers: headers(settings)?,
            resource: resource(&settings.service),
        }))
    }
}

fn endpoint(url: &str, settings: &Tracing) -> Result<Endpoint, CollectorError> {
    let wrong = |source| CollectorError::Endpoint {
        endpoint: url.to_owned(),
        source,
    };
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(wrong)?;
    let endpoint = endpoint.user_agent(AGENT).map_err(wrong)?;
    if endpoint.uri().scheme_str() != Some("https") {
        return Ok(endpoint);
    }
    let mut roots = holdline_tls::system();
    if let Some(path) = &settings.ca {
        holdline_tls::trusted(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(CollectorError::NoTrust);
    }
    let tls = ClientTlsConfig::new().trust_anchors(roots.roots);
    endpoint.tls_config(tls).map_err(wrong)
}

fn headers(settings: &Tracing) -> Result<MetadataMap, CollectorError> {
    let mut headers = MetadataMap::new();
    for (name, value) in &settings.headers {
        let refused = || CollectorError::Header(name.clone());
        let key: MetadataKey<Ascii> = name.parse().map_err(|_| refused())?;
        let mut value: MetadataValue<Ascii> = value.expose().parse().map_err(|_| refused())?;
        // Neither shown nor kept in the table of headers that HTTP/2 compresses with.
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}

fn resource(service: &str) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.name", service),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    if let Some(instance) = INSTANCE.iter().find_map(|name| std::env::var(name).ok()) {
        attributes.push(KeyValue::new("service.instance.id", &*instance));
    }
    Resource { attributes }
}
