//! All addresses of a name, looked up again and again.

use std::{io, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use holdline_config::DnsDiscovery;
use holdline_telemetry::{Failing, WorkerMetrics};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

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
    let search = Search {
        dns,
        resolver,
        metrics,
        outage: None,
    };
    stream::unfold((ticks, search), |(mut ticks, mut search)| async move {
        loop {
            ticks.tick().await;
            if let Some(found) = search.once().await {
                return Some((found, (ticks, search)));
            }
        }
    })
    .boxed()
}

struct Search {
    dns: DnsDiscovery,
    resolver: Arc<dyn Resolve>,
    metrics: WorkerMetrics,
    /// Since when the name cannot be looked up.
    outage: Option<(Instant, Failing)>,
}

impl Search {
    /// `None`: the name cannot be looked up. That is told once, and so is its end.
    async fn once(&mut self) -> Option<Endpoints> {
        let name = &self.dns.name;
        let looking = self.resolver.resolve(name.clone(), self.dns.port);
        let found = timeout(RESOLVE_TIMEOUT, looking)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match found {
            Ok(addresses) => {
                if let Some((since, _)) = self.outage.take() {
                    let length = since.elapsed();
                    tracing::info!(%name, ?length, "workers' name is resolved again");
                }
                Some(plain(addresses))
            }
            Err(error) => {
                self.metrics.discovery_failures.inc();
                if self.outage.is_none() {
                    tracing::warn!(%name, %error, "workers' name not resolved; those that are known stay");
                    self.outage = Some((Instant::now(), self.metrics.discovery_fails()));
                }
                None
            }
        }
    }
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

    /// Looked up once a second, with these answers and none after them.
    fn scripted(
        script: impl IntoIterator<Item = io::Result<Vec<SocketAddr>>>,
        metrics: &Metrics,
    ) -> BoxStream<'static, Endpoints> {
        let dns = DnsDiscovery {
            name: "workers.example".to_owned(),
            port: 50_051,
            interval: Duration::from_secs(1),
        };
        let resolver = Arc::new(Scripted(Mutex::new(script.into_iter().collect())));
        resolved(dns, resolver, metrics.workers.clone())
    }

    fn failure() -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::NotFound.into())
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_look_up_says_nothing_and_the_next_one_counts() {
        let metrics = Metrics::new();
        let script = [Ok(vec![address(1)]), failure(), Ok(vec![address(2)])];
        let mut found = scripted(script, &metrics);
        assert_eq!(found.next().await.unwrap(), plain([address(1)]));
        assert_eq!(found.next().await.unwrap(), plain([address(2)]));
        assert_eq!(metrics.workers.discovery_failures.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_cannot_be_looked_up_is_shown_until_it_can() {
        let metrics = Metrics::new();
        let shown = |count| {
            let line = format!("holdline_discovery_failing {count}\n");
            metrics.render().contains(&line)
        };
        let script = [failure(), failure(), Ok(vec![address(1)]), failure()];
        let mut found = scripted(script, &metrics);
        assert!(shown(0));
        assert_eq!(found.next().await.unwrap(), plain([address(1)]));
        assert!(shown(0), "it is over");
        // The last failure is followed by silence.
        let silence = timeout(Duration::from_secs(2), found.next()).await;
        assert!(silence.is_err() && shown(1));
        assert_eq!(metrics.workers.discovery_failures.get(), 3);
        drop(found);
        assert!(shown(0), "nobody searches");
    }
}
