//! All addresses of a name, looked up again and again.

use std::{io, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use holdline_config::DnsDiscovery;
use holdline_telemetry::WorkerMetrics;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Endpoints, Resolve, plain};

/// Longest time for one look-up.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The addresses, each time that they were looked up.
pub(super) fn resolved(
    dns: DnsDiscovery,
    resolver: Arc<dyn Resolve>,
    metrics: WorkerMetrics,
) -> BoxStream<'static, Endpoints> {
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
                        let found = plain(addresses);
                        return Some((found, (ticks, dns, resolver, metrics, false)));
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{collections::VecDeque, net::SocketAddr, sync::Mutex};

    use futures_util::future::BoxFuture;
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

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_up_says_nothing_and_the_next_one_counts() {
        let script = [
            Ok(vec![address(1)]),
            Err(io::ErrorKind::NotFound.into()),
            Ok(vec![address(2)]),
        ];
        let dns = DnsDiscovery {
            name: "workers.example".to_owned(),
            port: 50_051,
            interval: Duration::from_secs(1),
        };
        let metrics = Metrics::new().workers;
        let resolver = Arc::new(Scripted(Mutex::new(script.into_iter().collect())));
        let mut found = resolved(dns, resolver, metrics.clone());
        assert_eq!(found.next().await.unwrap(), plain([address(1)]));
        assert_eq!(found.next().await.unwrap(), plain([address(2)]));
        assert_eq!(metrics.discovery_failures.get(), 1);
    }
}
