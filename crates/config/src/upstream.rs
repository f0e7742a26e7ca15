//! `upstreams`: the services that outbound legs are dialled to.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use crate::{ByteSize, Secret};

/// One service that legs are dialled to.
#[derive(Clone, PartialEq, Debug)]
pub struct Upstream {
    /// The service's dialect.
    pub profile: UpstreamProfile,
    /// `wss://` or `ws://` URL.
    pub url: String,
    /// Sent as `Authorization: Bearer`.
    pub api_key: Option<Secret>,
    /// Further headers of the upgrade.
    pub headers: BTreeMap<String, String>,
    /// PEM file with certificates to trust besides the system's.
    pub ca: Option<PathBuf>,
    /// Longest time from the name's resolution to the upgraded WebSocket.
    pub connect_timeout: Duration,
    /// A service silent for so long is closed; `off` for never.
    pub idle_timeout: Option<Duration>,
    /// Largest WebSocket message taken from the service.
    pub max_frame: ByteSize,
    /// How often a ping is sent; `off` for never.
    pub ping_interval: Option<Duration>,
}

/// What the edge knows of an upstream's dialect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UpstreamProfile {
    /// OpenAI Realtime.
    OpenaiRealtime,
    /// Any WebSocket server; nothing is read out of its messages.
    Raw,
}
