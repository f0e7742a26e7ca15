//! Outbound legs: from an upstream's name to an open WebSocket.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use holdline_config::Upstream;
use holdline_session::{Attributes, Close};
use holdline_telemetry::Metrics;

use crate::{LegSocket, SetupError};

/// Dials upstreams by name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Dialer {}

impl Dialer {
    /// Makes everything ready that does not depend on the call: URLs, headers, trust anchors.
    ///
    /// # Errors
    /// An upstream that cannot work as configured, or its `ca` cannot be read.
    pub fn new(
        upstreams: &BTreeMap<String, Upstream>,
        metrics: &Metrics,
    ) -> Result<Self, SetupError> {
        let _ = (upstreams, metrics);
        Ok(Self {})
    }

    /// Resolves, connects, does TLS and the WebSocket upgrade, all within the upstream's
    /// `connect_timeout`. Returns the open socket and what is known of it: `upstream`, `profile`,
    /// and for `openai-realtime` `model` and `request_id` where there are such.
    ///
    /// Of `attributes` the profile `openai-realtime` takes `model`, in place of the one in the URL.
    ///
    /// Cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    /// A [`Close`] with code 0 and `dial_failed`, saying what failed and whose fault it was; never
    /// anything of the key.
    pub fn dial(
        &self,
        upstream: &str,
        attributes: &Attributes,
    ) -> impl Future<Output = Result<(LegSocket, Attributes), Close>> + Send + use<> {
        let _ = (upstream, attributes);
        std::future::pending()
    }

    /// The names that can be dialled.
    #[must_use]
    pub fn upstreams(&self) -> BTreeSet<String> {
        BTreeSet::new()
    }
}
