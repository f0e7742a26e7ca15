//! Outbound legs: from an upstream's name to an open WebSocket.

mod connect;
mod target;
mod trial;
mod trust;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
};

use holdline_config::{Upstream, UpstreamProfile};
use holdline_session::{Attributes, Close};
use holdline_telemetry::{LegKind, LegMetrics, Metrics, logging::Pace};
use tokio::time::Instant;

pub use self::trial::Trial;
use self::{connect::connect, target::Target, trust::Trust};
use crate::{LegSocket, SetupError, errors::DialError, profile::Profile, socket::LegSettings};

/// Lines a second about dials that fail; all are counted.
const TOLD: u32 = 20;

/// Dials upstreams by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {
    targets: Arc<BTreeMap<String, Arc<Target>>>,
    metrics: Arc<LegMetrics>,
    told: Arc<Pace>,
}

impl Dialer {
    /// Makes everything ready that does not depend on the call: URLs, headers, trust anchors.
    ///
    /// # Errors
    /// An upstream that cannot work as configured, or its `ca` cannot be read.
    pub fn new(
        upstreams: &BTreeMap<String, Upstream>,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let mut trust = Trust::default();
        let mut targets = BTreeMap::new();
        for (name, upstream) in upstreams {
            targets.insert(
                name.clone(),
                Arc::new(Target::new(name, upstream, &mut trust)?),
            );
        }
        Ok(Self {
            targets: Arc::new(targets),
            metrics: Arc::new(metrics.legs.clone()),
            told: Arc::new(Pace::new(TOLD)),
        })
    }

    /// Resolves, connects, does TLS and the WebSocket upgrade, all within the upstream's
    /// `connect_timeout`. Returns the open socket and what is known of it: `upstream`, `profile`,
    /// and for `openai-realtime` `model` and `request_id` where there are such.
    ///
    /// Of `attributes` the profile `openai-realtime` takes `model`, in place of the one in the URL;
    /// nothing else is looked at. What the socket does is counted as that of a leg of this `kind`.
    ///
    /// Cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    /// A [`Close`] with code 0 and `dial_failed`, saying what failed and whose fault it was; never
    /// anything of the key. OpenAI checks the key only after the upgrade: a bad one is a leg that
    /// closes with code 3000 at once.
    pub fn dial(
        &self,
        upstream: &str,
        kind: LegKind,
        attributes: &Attributes,
    ) -> impl Future<Output = Result<(LegSocket, Attributes), Close>> + Send + use<> {
        let target = self.targets.get(upstream).cloned();
        let metrics = Arc::clone(&self.metrics);
        let told = Arc::clone(&self.told);
        let name = upstream.to_owned();
        let model = attributes.get("model").cloned();
        async move {
            let started = Instant::now();
            let dialled = match target {
                Some(target) => open(&target, &name, kind, model.as_deref(), &metrics).await,
                None => Err(DialError::Unknown),
            };
            match dialled {
                Ok(open) => {
                    metrics
                        .dial_seconds
                        .observe(started.elapsed().as_secs_f64());
                    Ok(open)
                }
                Err(error) => {
                    // A vendor who is away fails every call, each of them several times.
                    if let Some(untold) = told.admit(Instant::now().into_std()) {
                        let why = error.as_str();
                        tracing::warn!(upstream = name, why, %error, untold, "dial failed");
                    }
                    metrics.dial_failed(error.as_str());
                    Err(error.into_close())
                }
            }
        }
    }

    /// The names that can be dialled.
    #[must_use]
    pub fn upstreams(&self) -> BTreeSet<String> {
        self.targets.keys().cloned().collect()
    }
}

async fn open(
    target: &Target,
    name: &str,
    kind: LegKind,
    model: Option<&str>,
    metrics: &Arc<LegMetrics>,
) -> Result<(LegSocket, Attributes), DialError> {
    let request = target.request(model)?;
    let model = target::model_of(request.uri()).map(str::to_owned);
    let (web_socket, response) = connect(target, request).await?;

    let mut attributes = Attributes::from([
        ("upstream".to_owned(), name.to_owned()),
        ("profile".to_owned(), target.profile_name().to_owned()),
    ]);
    if target.settings.profile == UpstreamProfile::OpenaiRealtime {
        attributes.extend(model.map(|model| ("model".to_owned(), model)));
        let id = response
            .headers()
            .get("x-request-id")
            .and_then(|id| id.to_str().ok());
        let id = id.filter(|id| id.len() <= 128);
        attributes.extend(id.map(|id| ("request_id".to_owned(), id.to_owned())));
    }
    let settings = LegSettings {
        profile: match target.settings.profile {
            UpstreamProfile::OpenaiRealtime => Profile::OpenaiRealtime,
            UpstreamProfile::Raw => Profile::Raw,
        },
        kind,
        max_frame: target.settings.max_frame.as_usize(),
        idle_timeout: target.settings.idle_timeout,
        ping_interval: target.settings.ping_interval,
        metrics: Arc::clone(metrics),
        slot: None,
    };
    Ok((LegSocket::new(web_socket, settings), attributes))
}
