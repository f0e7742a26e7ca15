//! What goes wrong with the API server, in words that someone who sees them for the first time can
//! act on, and how often they are said.

use std::{error::Error, fmt, time::Duration};

use holdline_telemetry::{Failing, WorkerMetrics};
use kube::{client::AuthError, config::InferConfigError, core::Status};
use tokio::time::Instant;

/// First wait after trouble; doubles.
const WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// What was asked of the API server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
        })
    }
}

/// Why nothing new is known. All of it is tried again.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The version to go on from is too old: only a list helps.
    #[error("the version to go on from is gone")]
    Gone,
    #[error(
        "no way to the API server is known: run the edge in a pod with a ServiceAccount token, or \
         name a file in KUBECONFIG ({0})"
    )]
    NoConfig(String),
    #[error(
        "the API server does not allow this edge to {verb} {resource} in namespace `{namespace}`. \
         Bind a Role with this rule to its ServiceAccount: {{apiGroups: [\"{group}\"], \
         resources: [{resource}], verbs: [{}]}}",
        if *.verb == Verb::Get { "get" } else { "list, watch" }
    )]
    Forbidden {
        verb: Verb,
        group: &'static str,
        resource: &'static str,
        namespace: String,
    },
    #[error("the API server does not accept this edge's credentials, which are read anew: {0}")]
    Unauthorized(String),
    #[error("no credentials for the API server: {0}")]
    NoCredentials(&'static str),
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    #[error("the API server said nothing for {0:?}")]
    Silent(Duration),
    #[error("the API server answered {code}: {message}")]
    Refused { code: u16, message: String },
    #[error("the API server's answer cannot be read: {0}")]
    Malformed(String),
    #[error("more than {0} objects")]
    TooMany(usize),
    #[error("Service `{0}` selects no pods")]
    NoSelector(String),
}

impl Trouble {
    pub(super) fn config(error: InferConfigError) -> Self {
        Self::NoConfig(innermost(&error))
    }

    /// What an error of the client means, after this was asked for.
    pub(super) fn of(
        error: kube::Error,
        verb: Verb,
        (group, resource): (&'static str, &'static str),
        namespace: &str,
    ) -> Self {
        match error {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden {
                verb,
                group,
                resource,
                namespace: namespace.to_owned(),
            },
            kube::Error::Api(status) => Self::said(&status),
            kube::Error::SerdeError(error) => Self::Malformed(error.to_string()),
            error => match credentials(&error) {
                Some(why) => Self::NoCredentials(why),
                None => Self::Unreachable(innermost(&error)),
            },
        }
    }

    /// What the API server's own words mean.
    pub(super) fn said(status: &Status) -> Self {
        match status.code {
            401 => Self::Unauthorized(status.message.clone()),
            410 => Self::Gone,
            code => Self::Refused {
                code,
                message: status.message.clone(),
            },
        }
    }

    /// A list from the beginning needs no version: one that is refused for it is not tried again at
    /// once.
    pub(super) fn of_a_list(self) -> Self {
        match self {
            Self::Gone => Self::Refused {
                code: 410,
                message: "the list went stale while it was read".to_owned(),
            },
            other => other,
        }
    }

    /// Two of the same kind are the same trouble still, even if the words differ.
    fn is_like(&self, other: &Self) -> bool {
        let away = |it: &Self| matches!(it, Self::Unreachable(_) | Self::Silent(_));
        std::mem::discriminant(self) == std::mem::discriminant(other) || (away(self) && away(other))
    }

    /// Whether it stays until a person does something.
    fn needs_a_person(&self) -> bool {
        matches!(self, Self::Forbidden { .. } | Self::NoConfig(_))
    }
}

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

/// Errors of authentication can hold what a credential plugin printed: none of it is passed on.
fn credentials(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let is_one = chain(error).any(|error| error.is::<AuthError>());
    is_one.then_some("the token or the plugin that KUBECONFIG names cannot be used")
}

/// The innermost cause, which says what happened where the outer ones say only where.
fn innermost(error: &(dyn Error + 'static)) -> String {
    chain(error)
        .last()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use holdline_telemetry::Metrics;

    use super::*;

    fn forbidden(verb: Verb, resource: (&'static str, &'static str)) -> Trouble {
        let status = Status::failure("no", "Forbidden").with_code(403).boxed();
        Trouble::of(kube::Error::Api(status), verb, resource, "voice")
    }

    #[test]
    fn a_denied_verb_is_named_with_the_rule_that_allows_it() {
        let words = forbidden(Verb::List, ("discovery.k8s.io", "endpointslices")).to_string();
        assert_eq!(
            words,
            "the API server does not allow this edge to list endpointslices in namespace `voice`. \
             Bind a Role with this rule to its ServiceAccount: {apiGroups: [\"discovery.k8s.io\"], \
             resources: [endpointslices], verbs: [list, watch]}"
        );
        let words = forbidden(Verb::Get, ("", "services")).to_string();
        assert!(words.ends_with("{apiGroups: [\"\"], resources: [services], verbs: [get]}"));
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
        outage.goes_on(&forbidden(Verb::List, ("", "pods")));
        assert!(shown(1));
        assert_eq!(metrics.workers.discovery_failures.get(), 2);
        outage.is_over();
        assert!(shown(0));

        let mut optional = Outage::new("pods", false, metrics.workers.clone());
        optional.goes_on(&forbidden(Verb::List, ("", "pods")));
        assert!(shown(0));
        assert_eq!(metrics.workers.discovery_failures.get(), 2);
    }
}
