//! Holdline's configuration: YAML to validated types.
//!
//! An operator meets this file first, and mostly at a bad moment. So nothing is guessed: a key that
//! is not known is refused (with the nearest one that is), a size or a time needs its unit, and all
//! errors are told at once, each with its path, line and column.
//!
//! How it works: the YAML library reads the file into a tree that keeps every entry; sections, each
//! declared once with its fields, ranges and defaults, read their part of the tree and collect what
//! is wrong; the lines of what was found are looked up in a second pass. The same declarations give
//! the JSON Schema and the effective configuration.

mod config;
mod defaults;
mod edge;
mod errors;
mod hold;
mod kubernetes;
mod listener;
mod reader;
mod reload;
mod rollout;
mod schema;
mod secret;
mod section;
mod session;
mod shape;
mod signature;
mod text;
mod threads;
mod tree;
mod units;
mod upstream;
mod webhook;
mod workers;

pub use config::Config;
pub use edge::{Admin, Drain, Limits, Log, LogFormat, LogLevel, Tracing};
pub use errors::{ConfigError, ConfigErrors};
pub use hold::{Audio, Hold, HoldSound};
pub use kubernetes::{Kubernetes, PodDeletionCost};
pub use listener::{CallerProfile, DialledLeg, Listener, Route, Takeover, Tls};
pub use reload::{Changes, Reread};
pub use rollout::{Pin, Rollout, SetAside, Steer};
pub use secret::{Secret, SecretSource};
pub use session::{LogLimits, Resume, Seek, SessionSettings, StateLimits, Timers, Window};
pub use signature::{SharedKey, Signature};
pub use threads::Threads;
pub use units::ByteSize;
pub use upstream::{Upstream, UpstreamProfile};
pub use webhook::{Fallback, Webhook};
pub use workers::{
    Discovery, DnsDiscovery, Eject, Existing, Keepalive, KubernetesDiscovery, StaticDiscovery,
    WorkerPool, WorkerTls,
};
