//! Where workers are: a stream of endpoint sets, whatever the source.
//!
//! A source says which addresses there are *now*; the difference to what was known is worked out
//! in one place, [`changes`]. A further source (Kubernetes EndpointSlices) is another arm of
//! [`endpoints`].

use std::{collections::BTreeSet, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use holdline_config::{Discovery, DnsDiscovery};
use holdline_telemetry::WorkerMetrics;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Longest time for one look-up.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Most addresses taken from one answer.
const ENDPOINTS_MAX: usize = 1_024;

/// Looks up names; the system's resolver, but for tests.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of a name, each with `port`.
    ///
    /// # Errors
    /// The name could not be looked up; what was known of it stays in force.
    fn resolve(&self, name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
    }
}

/// All addresses, each time that they are known anew.
pub(crate) fn endpoints(
    discovery: &Discovery,
    resolver: Arc<dyn Resolve>,
    metrics: WorkerMetrics,
) -> BoxStream<'static, BTreeSet<SocketAddr>> {
    match discovery {
        Discovery::Static(fixed) => {
            let addresses = fixed.addresses.iter().copied().collect();
            stream::iter([addresses]).chain(stream::pending()).boxed()
        }
        Discovery::Dns(dns) => resolved(dns.clone(), resolver, metrics),
    }
}

fn resolved(
    dns: DnsDiscovery,
    resolver: Arc<dyn Resolve>,
    metrics: WorkerMetrics,
) -> BoxStream<'static, BTreeSet<SocketAddr>> {
    let mut ticks = interval(dns.interval.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = (ticks, dns, resolver, metrics, false);
    stream::unfold(
        started,
        |(mut ticks, dns, resolver, metrics, mut failing)| async move {
            loop {
                ticks.tick().await;
                let looking = resolver.resolve(dns.name.clone(), dns.port);
                let found = timeout(RESOLVE_TIMEOUT, looking)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                match found {
                    Ok(addresses) => {
                        let set = addresses.into_iter().take(ENDPOINTS_MAX).collect();
                        return Some((set, (ticks, dns, resolver, metrics, false)));
                    }
                    Err(error) => {
                        metrics.discovery_failures.inc();
                        if !failing {
                            tracing::warn!(name = %dns.name, %error,
                            "workers' name not resolved; those that are known stay");
                        }
                        failing = true;
                    }
                }
            }
        },
    )
    .boxed()
}

/// What is different from what was known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) added: Vec<SocketAddr>,
    pub(crate) removed: Vec<SocketAddr>,
}

/// Compares what is known with what was found.
pub(crate) fn changes<'a>(
    known: impl Iterator<Item = &'a SocketAddr>,
    found: &BTreeSet<SocketAddr>,
) -> Changes {
    let known: BTreeSet<SocketAddr> = known.copied().collect();
    Changes {
        added: found.difference(&known).copied().collect(),
        removed: known.difference(found).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::VecDeque, sync::Mutex};

    use holdline_config::StaticDiscovery;
    use holdline_telemetry::Metrics;

    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    struct Scripted(Mutex<VecDeque<io::Result<Vec<SocketAddr>>>>);

    impl Resolve for Scripted {
        fn resolve(
            &self,
            name: String,
            port: u16,
        ) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            assert_eq!((name.as_str(), port), ("workers.example", 50_051));
            let answer = self.0.lock().unwrap().pop_front();
            Box::pin(async move {
                match answer {
                    Some(answer) => answer,
                    None => std::future::pending().await,
                }
            })
        }
    }

    #[test]
    fn differences_are_found_in_both_directions() {
        let known = [address(1), address(2)];
        let found = [address(2), address(3)].into();
        assert_eq!(
            changes(known.iter(), &found),
            Changes {
                added: vec![address(3)],
                removed: vec![address(1)],
            }
        );
        assert_eq!(changes(known.iter(), &known.into()), Changes::default());
    }

    #[tokio::test]
    async fn a_fixed_list_is_told_once() {
        let fixed = Discovery::Static(StaticDiscovery {
            addresses: vec![address(1), address(1), address(2)],
        });
        let mut found = endpoints(&fixed, Arc::new(SystemResolver), Metrics::new().workers);
        assert_eq!(found.next().await.unwrap().len(), 2);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(found.poll_next_unpin(&mut cx).is_pending());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_up_says_nothing_and_the_next_one_counts() {
        let script = [
            Ok(vec![address(1)]),
            Err(io::ErrorKind::NotFound.into()),
            Ok(vec![address(2)]),
        ];
        let dns = Discovery::Dns(DnsDiscovery {
            name: "workers.example".to_owned(),
            port: 50_051,
            interval: Duration::from_secs(1),
        });
        let metrics = Metrics::new().workers;
        let resolver = Arc::new(Scripted(Mutex::new(script.into_iter().collect())));
        let mut found = endpoints(&dns, resolver, metrics.clone());
        assert_eq!(found.next().await.unwrap(), [address(1)].into());
        assert_eq!(found.next().await.unwrap(), [address(2)].into());
        assert_eq!(metrics.discovery_failures.get(), 1);
    }
}
