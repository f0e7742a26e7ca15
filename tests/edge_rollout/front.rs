//! What stands in front of edges: sends each connection to one whose readiness probe succeeds, as a
//! Service does with what kubelets find.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

use crate::support::soon;

/// Between two probes of one edge.
pub(super) const PERIOD: Duration = Duration::from_millis(100);
/// Longest wait for the answer to one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// So many failures in a row, and an edge gets no new connections.
const FAILURES: u32 = 2;

/// Ends with all its connections when it is dropped.
pub(super) struct Front {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

struct Shared {
    /// Where callers are taken, oldest first.
    ready: watch::Sender<Vec<SocketAddr>>,
    next: AtomicUsize,
    refused: AtomicUsize,
}

impl Front {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            ready: watch::Sender::new(Vec::new()),
            next: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            tasks: std::sync::Mutex::new(tasks),
        }
    }

    /// Probes one more edge from now on.
    pub(super) fn add(&self, callers: SocketAddr, admin: SocketAddr) {
        let shared = Arc::clone(&self.shared);
        let mut tasks = self.tasks.lock().unwrap();
        tasks.spawn(probe(shared, callers, admin));
    }

    pub(super) async fn is_ready(&self, callers: SocketAddr) {
        let mut ready = self.shared.ready.subscribe();
        let wanted = ready.wait_for(|ready| ready.contains(&callers));
        soon("an edge to be ready", wanted).await.unwrap();
    }

    pub(super) async fn is_not_ready(&self, callers: SocketAddr) {
        let mut ready = self.shared.ready.subscribe();
        let wanted = ready.wait_for(|ready| !ready.contains(&callers));
        soon("an edge to be unready", wanted).await.unwrap();
    }

    /// Connections that found no edge.
    pub(super) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }
}

/// The status that a path is answered with; `None` where nobody listens.
pub(super) async fn status(admin: SocketAddr, path: &str) -> Option<u16> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let uri = format!("http://{admin}{path}").parse().unwrap();
    let answer = timeout(ANSWER_WITHIN, client.get(uri)).await.ok()?;
    answer.ok().map(|answer| answer.status().as_u16())
}

async fn probe(shared: Arc<Shared>, callers: SocketAddr, admin: SocketAddr) {
    let mut failures = 0;
    loop {
        failures = match status(admin, "/readyz").await {
            Some(200) => 0,
            _ => failures + 1,
        };
        shared.ready.send_if_modified(|ready| {
            let before = ready.len();
            if failures >= FAILURES {
                ready.retain(|address| *address != callers);
            } else if failures == 0 && !ready.contains(&callers) {
                ready.push(callers);
            }
            ready.len() != before
        });
        tokio::time::sleep(PERIOD).await;
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let (mut caller, _) = listener.accept().await.unwrap();
        let next = shared.next.fetch_add(1, Ordering::Relaxed);
        let chosen = {
            let ready = shared.ready.borrow();
            ready.get(next % ready.len().max(1)).copied()
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let edge = match chosen {
                Some(address) => TcpStream::connect(address).await.ok(),
                None => None,
            };
            let Some(mut edge) = edge else {
                shared.refused.fetch_add(1, Ordering::Relaxed);
                return;
            };
            let _ = caller.set_nodelay(true).and(edge.set_nodelay(true));
            // Who breaks it off is the test's business.
            let _ = copy_bidirectional(&mut caller, &mut edge).await;
        });
    }
}
