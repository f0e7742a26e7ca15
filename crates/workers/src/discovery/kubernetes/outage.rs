//! How often trouble with the API server is said, and how soon it is asked again.

use std::time::Duration;

use holdline_kube::Trouble;
use holdline_telemetry::{Failing, WorkerMetrics};
use tokio::time::Instant;

/// First wait after trouble; doubles.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A time of trouble: each kind is told once, and so is the end.
#[derive(Debug)]
pub(super) struct Outage {
    resource: &'static str,
    required: bool,
    metrics: WorkerMetrics,
    since: Option<(Instant, Option<Failing>)>,
    told: Option<Trouble>,
    failures: u32,
}

impl Outage {
    pub(super) fn new(resource: &'static str, required: bool, metrics: WorkerMetrics) -> Self {
        Self {
            resource,
            required,
            metrics,
            since: None,
            told: None,
            failures: 0,
        }
    }

    /// One more failure. Returns how long to wait.
    pub(super) fn goes_on(&mut self, trouble: &Trouble) -> Duration {
        if self.required {
            self.metrics.discovery_failures.inc();
        }
        let (required, metrics) = (self.required, &self.metrics);
        self.since.get_or_insert_with(|| {
            let failing = required.then(|| metrics.discovery_fails());
            (Instant::now(), failing)
        });
        if !self.told.as_ref().is_some_and(|told| told.is_like(trouble)) {
            self.tell(trouble);
            self.told = Some(trouble.clone());
        }
        self.failures = self.failures.saturating_add(1);
        jittered(wait(self.failures))
    }

    /// A watch was silent; it is taken up again at once.
    pub(super) fn silent(&self, length: Duration) {
        if self.required {
            self.metrics.discovery_failures.inc();
        }
        tracing::info!(
            resource = self.resource,
            ?length,
            "silent watch is taken up anew"
        );
    }

    /// All is well.
    pub(super) fn is_over(&mut self) {
        self.told = None;
        self.failures = 0;
        if let Some((since, _)) = self.since.take() {
            let length = since.elapsed();
            tracing::info!(
                resource = self.resource,
                ?length,
                "API server is followed again"
            );
        }
    }

    fn tell(&self, trouble: &Trouble) {
        let (resource, why) = (self.resource, trouble.to_string());
        match (self.required, trouble.needs_a_person()) {
            (true, true) => tracing::error!(
                resource,
                why,
                "no workers can be found; those that are known stay"
            ),
            (true, false) => tracing::warn!(
                resource,
                why,
                "workers cannot be looked for; those that are known stay"
            ),
            (false, _) => tracing::info!(
                resource,
                why,
                "not readable: the order of versions is learnt from what workers do"
            ),
        }
    }
}

fn wait(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    WAIT_MIN.saturating_mul(1 << doublings).min(WAIT_MAX)
}

/// Between half of it and all: edges that lost one API server do not come back to it together.
fn jittered(wait: Duration) -> Duration {
    // Without randomness the wait is merely not spread.
    let spread = getrandom::u32().unwrap_or(u32::MAX);
    wait / 2 + (wait / 2).mul_f64(f64::from(spread) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use holdline_kube::Verb;
    use holdline_telemetry::Metrics;

    use super::*;

    fn forbidden() -> Trouble {
        Trouble::Forbidden {
            verb: Verb::List,
            group: "",
            resource: "pods",
            namespace: "voice".to_owned(),
        }
    }

    #[test]
    fn waits_grow_to_their_bound_and_are_spread() {
        assert_eq!(wait(1), WAIT_MIN);
        assert_eq!(wait(3), WAIT_MIN * 4);
        assert_eq!(wait(u32::MAX), WAIT_MAX);
        let spread = jittered(WAIT_MAX);
        assert!((WAIT_MAX / 2..=WAIT_MAX).contains(&spread), "{spread:?}");
    }

    #[test]
    fn a_failing_search_is_shown_until_it_is_over() {
        let metrics = Metrics::new();
        let shown = |count| {
            let text = metrics.render();
            let line = format!("holdline_discovery_failing {count}\n");
            text.contains(&line)
        };
        let mut outage = Outage::new("endpointslices", true, metrics.workers.clone());
        outage.goes_on(&Trouble::Silent(WAIT_MIN));
        outage.goes_on(&forbidden());
        assert!(shown(1));
        assert_eq!(metrics.workers.discovery_failures.get(), 2);
        outage.is_over();
        assert!(shown(0));

        let mut optional = Outage::new("pods", false, metrics.workers.clone());
        optional.goes_on(&forbidden());
        assert!(shown(0));
        assert_eq!(metrics.workers.discovery_failures.get(), 2);
    }
}
