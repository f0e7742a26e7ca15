//! Whether an edge would do well with a configuration, here and now: what cannot be known from the file
//! alone. Each check asks with the same code that the edge runs with, takes a bounded time, changes
//! nothing, and shows no secret.
//!
//! | file | part |
//! |---|---|
//! | `examine/secrets.rs` | signatures, keys, tokens |
//! | `examine/certificates.rs` | for how long listeners' certificates are good |
//! | `examine/upstreams.rs` | the services that legs are dialled to, and the clock |
//! | `examine/workers.rs` | workers |
//! | `examine/machine.rs` | files, memory, ports, addresses to listen on |
//! | `examine/rights.rs` | what the API server of Kubernetes allows |

use std::time::Duration;

use holdline_config::Config;
use holdline_legs::Dialer;
use holdline_telemetry::Metrics;
use serde::Serialize;

use crate::{RunError, run, spans};

mod certificates;
mod machine;
#[cfg(feature = "kubernetes")]
mod rights;
mod secrets;
mod upstreams;
mod workers;

/// What came of one check.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: &'static str,
    /// What was looked at, such as `upstream openai`.
    pub about: String,
    /// Whether it is well.
    pub verdict: Verdict,
    /// What was found, in words.
    pub found: String,
    /// What to do; empty where there is nothing to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub advice: String,
}

/// Whether what was looked at is well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Ok,
    /// Calls are taken, and yet somebody should look at it.
    Warning,
    /// Calls would fail.
    Failed,
}

impl Finding {
    fn ok(check: &'static str, about: impl Into<String>, found: impl Into<String>) -> Self {
        Self::new(Verdict::Ok, check, about, found, "")
    }

    fn warning(
        check: &'static str,
        about: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Warning, check, about, found, advice)
    }

    fn failed(
        check: &'static str,
        about: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::new(Verdict::Failed, check, about, found, advice)
    }

    fn new(
        verdict: Verdict,
        check: &'static str,
        about: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            about: about.into(),
            verdict,
            found: found.into(),
            advice: advice.into(),
        }
    }
}

/// Looks at all that an edge with this configuration needs. Nothing is waited for longer than `within`,
/// apart from an upstream's own `connect_timeout`; all is asked side by side. Cancel safe.
///
/// # Errors
/// If an edge could not even start with it: [`verify`](crate::verify).
pub async fn examine(config: &Config, within: Duration) -> Result<Vec<Finding>, RunError> {
    let metrics = Metrics::new();
    run::verify(config)?;
    let dialer = Dialer::new(&config.upstreams, &metrics)?;
    let mut findings = secrets::findings(config);
    findings.extend(certificates::findings(config));
    findings.extend(machine::findings(config));
    findings.extend(machine::addresses(config).await);
    let (upstreams, workers, collector, rights) = tokio::join!(
        upstreams::findings(config, &dialer, within),
        workers::findings(config, &metrics, within),
        collector(config, within),
        rights(config, within),
    );
    findings.extend(upstreams);
    findings.extend(workers?);
    findings.extend(collector);
    findings.extend(rights);
    Ok(findings)
}

/// Whoever spans are sent to, where they are.
async fn collector(config: &Config, within: Duration) -> Option<Finding> {
    const COLLECTOR: &str = "collector";
    let about = config.tracing.endpoint.clone()?;
    Some(match spans::reach(&config.tracing, within).await {
        Ok(()) => Finding::ok(COLLECTOR, about, "can be connected to"),
        Err(why) => Finding::warning(
            COLLECTOR,
            about,
            why,
            "look at `tracing`, and at what lets connections out of here: calls go well, and have no traces",
        ),
    })
}

#[cfg(feature = "kubernetes")]
async fn rights(config: &Config, within: Duration) -> Vec<Finding> {
    rights::findings(config, within).await
}

/// A build that asks for none needs none.
#[cfg(not(feature = "kubernetes"))]
async fn rights(_: &Config, _: Duration) -> Vec<Finding> {
    Vec::new()
}
