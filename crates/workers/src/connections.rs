//! All connections to one worker.
//!
//! Mostly one for each thread that has calls there: a stream whose connection is driven by another
//! thread would wake that thread for every message. A further one is made when a worker's server, or
//! the rule that unread streams must not freeze others, allows no more streams on those that are
//! there: a stream queued behind such a limit would wait for some other call to end.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use holdline_telemetry::WorkerMetrics;
use http::Uri;
use tokio::{
    runtime::Handle,
    sync::{Mutex as AsyncMutex, mpsc},
};

use crate::link::{Lease, Link, LinkError, LinkEvent, LinkSettings};

/// Most connections to one worker from one thread.
const LINKS_MAX: usize = 64;
/// News of connections that can stand unread; each has two at most in its life.
const EVENTS_MAX: usize = 2 * LINKS_MAX;

/// The connections to one worker; never empty.
#[derive(Debug)]
pub(crate) struct Connections {
    address: SocketAddr,
    origin: Uri,
    settings: LinkSettings,
    events: mpsc::Sender<LinkEvent>,
    metrics: WorkerMetrics,
    links: Mutex<Vec<Link>>,
    /// Held while a further one is made, so that only one is made at a time.
    growing: AsyncMutex<()>,
}

impl Connections {
    /// Makes the first connection. The receiver tells what becomes of this and further ones.
    pub(crate) async fn open(
        address: SocketAddr,
        settings: LinkSettings,
        metrics: WorkerMetrics,
    ) -> Result<(Arc<Self>, mpsc::Receiver<LinkEvent>), LinkError> {
        let (events, news) = mpsc::channel(EVENTS_MAX);
        let link = Link::connect(address, &settings, events.clone()).await?;
        metrics.connections.inc();
        let connections = Self {
            address,
            origin: origin(address, settings.tls.is_some()),
            settings,
            events,
            metrics,
            links: Mutex::new(vec![link]),
            growing: AsyncMutex::new(()),
        };
        Ok((Arc::new(connections), news))
    }

    /// Without any connection, for tests of what is only written down.
    #[cfg(test)]
    pub(crate) fn none(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self {
            address,
            origin: origin(address, false),
            settings: LinkSettings {
                connect_timeout: std::time::Duration::ZERO,
                keepalive_interval: std::time::Duration::ZERO,
                keepalive_timeout: std::time::Duration::ZERO,
                stream_window: 0,
                connection_window: 0,
                tls: None,
            },
            events: mpsc::channel(1).0,
            metrics: holdline_telemetry::Metrics::new().workers,
            links: Mutex::default(),
            growing: AsyncMutex::default(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What requests name as their authority.
    pub(crate) fn origin(&self) -> Uri {
        self.origin.clone()
    }

    /// A stream on the first connection of this runtime that has one, or on a new connection. Cancel
    /// safe.
    pub(crate) async fn lease(&self) -> Result<(Link, Lease), LinkError> {
        if let Some(leased) = self.lease_now()? {
            return Ok(leased);
        }
        let _growing = self.growing.lock().await;
        if let Some(leased) = self.lease_now()? {
            return Ok(leased);
        }
        let here = Handle::current().id();
        let open = self.lock().iter().filter(|it| it.home() == here).count();
        if open >= LINKS_MAX {
            return Err(LinkError::Full(open));
        }
        let link = Link::connect(self.address, &self.settings, self.events.clone()).await?;
        self.metrics.connections.inc();
        let lease = link.lease().ok_or(LinkError::GoingAway)?;
        self.lock().push(link.clone());
        Ok((link, lease))
    }

    /// `None`: all of this runtime's are in full use.
    fn lease_now(&self) -> Result<Option<(Link, Lease)>, LinkError> {
        let mut links = self.lock();
        links.retain(|link| !link.state().is_closed());
        if links.iter().all(|link| !link.state().is_usable()) {
            return Err(LinkError::GoingAway);
        }
        let here = Handle::current().id();
        Ok(links
            .iter()
            .filter(|link| link.home() == here)
            .find_map(|link| link.lease().map(|lease| (link.clone(), lease))))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Link>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn origin(address: SocketAddr, secure: bool) -> Uri {
    Uri::builder()
        .scheme(if secure { "https" } else { "http" })
        .authority(address.to_string())
        .path_and_query("/")
        .build()
        .unwrap_or_else(|_| Uri::from_static("http://worker/"))
}
