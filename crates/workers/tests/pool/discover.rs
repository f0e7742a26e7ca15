//! Workers that come, go and are not yet what they will be.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::BoxFuture;
use holdline_config::{Discovery, DnsDiscovery};
use holdline_session::MoveReason;
use holdline_telemetry::Metrics;
use holdline_workers::{Pool, PoolSetup, Resolve, SeekError, StreamEvent};

use crate::{
    fake::{Fake, version},
    harness::{Edge, next, request, settings, soon},
};

/// A name whose addresses a test changes; `None`: it cannot be looked up.
#[derive(Clone)]
struct Name(Arc<Mutex<Option<Vec<SocketAddr>>>>);

impl Name {
    fn new(addresses: &[SocketAddr]) -> Self {
        Self(Arc::new(Mutex::new(Some(addresses.to_vec()))))
    }

    fn set(&self, addresses: Option<&[SocketAddr]>) {
        *self.0.lock().unwrap() = addresses.map(<[SocketAddr]>::to_vec);
    }
}

impl Resolve for Name {
    fn resolve(&self, _: String, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let found = self.0.lock().unwrap().clone();
        let found = found.ok_or_else(|| io::ErrorKind::NotFound.into());
        Box::pin(std::future::ready(found))
    }
}

fn by_name(name: &Name) -> Edge {
    let mut by_name = settings(Vec::new());
    by_name.discovery = Discovery::Dns(DnsDiscovery {
        name: "workers.example".to_owned(),
        port: 50_051,
        interval: Duration::from_millis(10),
    });
    Edge::start_with(by_name, Arc::new(name.clone()))
}

#[tokio::test]
async fn removal_from_dns_drains_and_the_worker_is_forgotten_with_its_last_session() {
    let (mut old, new) = (Fake::start(version("v1")), Fake::start(version("v1")));
    let name = Name::new(&[old.address]);
    let edge = by_name(&name);
    edge.until_ready(1).await;
    let (mut stream, _call) = edge.attach(&mut old, 1).await;
    name.set(Some(&[new.address]));
    assert_eq!(
        next(&mut stream).await,
        StreamEvent::Move(MoveReason::Drain)
    );
    assert_eq!(edge.pool.workers().len(), 2);
    drop(stream);
    soon(edge.pool.until(|workers| workers.len() == 1)).await;
    assert_eq!(edge.pool.workers()[0].address, new.address);
}

#[tokio::test]
async fn a_failed_look_up_keeps_what_is_known() {
    let fake = Fake::start(version("v1"));
    let name = Name::new(&[fake.address]);
    let edge = by_name(&name);
    edge.until_ready(1).await;
    name.set(None);
    soon(async {
        while edge.metrics.workers.discovery_failures.get() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(edge.pool.ready());
}

#[tokio::test]
async fn an_address_that_returns_is_connected_to_anew() {
    let mut fake = Fake::start(version("v1"));
    let name = Name::new(&[fake.address]);
    let edge = by_name(&name);
    edge.until_ready(1).await;
    let (stream, _call) = edge.attach(&mut fake, 1).await;
    name.set(Some(&[]));
    edge.until_state(fake.address, "draining").await;
    name.set(Some(&[fake.address]));
    edge.until_ready(1).await;
    let workers = edge.pool.workers();
    assert_eq!(workers.len(), 2);
    assert_eq!(workers[0].id, stream.worker());
    assert_eq!(workers[0].state.as_str(), "draining");
    assert_eq!(edge.metrics.workers.connections.get(), 2);
}

#[tokio::test]
async fn an_address_that_never_answered_is_just_forgotten() {
    let nobody = Fake::start(version("v1")).kill();
    let name = Name::new(&[nobody]);
    let edge = by_name(&name);
    edge.until_state(nobody, "connecting").await;
    name.set(Some(&[]));
    soon(edge.pool.until(<[_]>::is_empty)).await;
}

#[tokio::test]
async fn a_worker_without_a_health_service_serves() {
    let mut script = version("v1");
    script.health = None;
    let fake = Fake::start(script);
    let edge = Edge::with(&[&fake]).await;
    assert!(edge.seek(1).await.is_ok());
}

#[tokio::test]
async fn a_worker_that_does_not_serve_yet_is_waited_for() {
    let mut script = version("v1");
    script.health = Some(false);
    let fake = Fake::start(script);
    let edge = Edge::start(settings(vec![fake.address]));
    soon(edge.pool.until(|workers| {
        workers
            .iter()
            .any(|worker| worker.detail == "does not serve yet")
    }))
    .await;
    assert!(!edge.pool.ready());
    fake.set_health(true);
    edge.until_ready(1).await;
}

#[tokio::test]
async fn after_shutdown_nothing_is_found_and_what_is_open_stays_open() {
    let mut fake = Fake::start(version("v1"));
    let (shut_down, down) = tokio::sync::oneshot::channel::<()>();
    let setup = PoolSetup {
        name: "default".to_owned(),
        tls: None,
        settings: settings(vec![fake.address]),
        required_message_bytes: 0,
        metrics: Metrics::new().workers,
    };
    let pool = Pool::start(setup, async {
        let _ = down.await;
    });
    soon(pool.until_ready()).await;
    let mut stream = soon(pool.seek(request(1))).await.unwrap();
    shut_down.send(()).unwrap();
    soon(pool.until(|_| !pool.ready())).await;
    let error = soon(pool.seek(request(2))).await.unwrap_err();
    assert_eq!(error, SeekError::Closed);
    soon(soon(fake.call()).await.accept()).await;
    assert!(matches!(next(&mut stream).await, StreamEvent::Message(_)));
}
