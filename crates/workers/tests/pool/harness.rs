//! Short words for what the tests do again and again.

use std::{future::poll_fn, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use holdline_config::{
    ByteSize, Discovery, Eject, Existing, Keepalive, Rollout, StaticDiscovery, WorkerPool,
};
use holdline_session::{
    Attach, AttachReason, Epoch, FromWorker, Input, InputKind, LegRef, Limits, Payload, Seek, Seq,
    SessionId, Time, ToWorker,
};
use holdline_telemetry::Metrics;
use holdline_workers::{
    Pool, PoolSetup, PoolTls, Resolve, SeekError, SeekRequest, StreamEvent, SystemResolver,
    WorkerState, WorkerStream,
};

use crate::fake::{Call, Fake};

/// Far beyond what anything here takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("did not happen")
}

pub(crate) fn settings(addresses: Vec<SocketAddr>) -> WorkerPool {
    WorkerPool {
        discovery: Discovery::Static(StaticDiscovery { addresses }),
        tls: None,
        connect_timeout: Duration::from_secs(2),
        keepalive: Keepalive {
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(2),
        },
        describe_timeout: Duration::from_secs(2),
        stream_window: ByteSize::kib(64),
        connection_window: ByteSize::mib(16),
        handoffs_per_second: 1_000,
        eject: Eject {
            sessions: 3,
            within: Duration::from_secs(10),
            r#for: Duration::from_secs(30),
        },
        existing: Existing::OnDrain,
        rollout: Rollout::default(),
    }
}

pub(crate) struct Edge {
    pub(crate) pool: Pool,
    pub(crate) metrics: Metrics,
}

impl Edge {
    pub(crate) fn start(settings: WorkerPool) -> Self {
        Self::start_with(settings, Arc::new(SystemResolver))
    }

    pub(crate) fn start_with(settings: WorkerPool, resolver: Arc<dyn Resolve>) -> Self {
        let metrics = Metrics::new();
        let setup = PoolSetup {
            name: "default".to_owned(),
            tls: PoolTls::load(&settings).unwrap(),
            settings,
            required_message_bytes: 1 << 20,
            metrics: metrics.workers.clone(),
        };
        Self {
            pool: Pool::start_with(setup, resolver, std::future::pending()),
            metrics,
        }
    }

    /// With these workers, all of them ready.
    pub(crate) async fn with(workers: &[&Fake]) -> Self {
        let edge = Self::start(settings(workers.iter().map(|fake| fake.address).collect()));
        edge.until_ready(workers.len()).await;
        edge
    }

    pub(crate) async fn until_ready(&self, count: usize) {
        soon(self.pool.until(|workers| {
            workers
                .iter()
                .filter(|worker| worker.state == WorkerState::Ready)
                .count()
                == count
        }))
        .await;
    }

    /// Until the newest worker at this address is in this state.
    pub(crate) async fn until_state(&self, address: SocketAddr, state: &str) {
        soon(self.pool.until(|workers| {
            workers
                .iter()
                .rfind(|worker| worker.address == address)
                .is_some_and(|worker| worker.state.as_str() == state)
        }))
        .await;
    }

    pub(crate) async fn seek(&self, session: u128) -> Result<WorkerStream, SeekError> {
        soon(self.pool.seek(request(session))).await
    }

    /// A session attached to `fake`, which must be the one that is chosen.
    pub(crate) async fn attach(&self, fake: &mut Fake, session: u128) -> (WorkerStream, Call) {
        let mut stream = self.seek(session).await.unwrap();
        assert_eq!(stream.address(), fake.address.to_string());
        let mut call = soon(fake.call()).await;
        soon(call.accept()).await;
        assert_eq!(
            next(&mut stream).await,
            StreamEvent::Message(FromWorker::Accept)
        );
        stream.send(attach());
        (stream, call)
    }
}

pub(crate) fn request(session: u128) -> SeekRequest {
    SeekRequest {
        traceparent: String::new(),
        session: SessionId(session),
        seek: Seek {
            epoch: Epoch(1),
            reason: AttachReason::New,
            schema: 0,
            avoid: None,
            planned: false,
            suspect: None,
            doubt: None,
            failed: Vec::new(),
        },
        attributes: Arc::new([("call_sid".to_owned(), format!("CA{session}"))].into()),
        limits: Limits::default(),
    }
}

pub(crate) fn attach() -> ToWorker {
    ToWorker::Attach(Box::new(Attach {
        reason: AttachReason::New,
        state: Vec::new(),
        schema: 0,
        legs: Vec::new(),
        timers: Vec::new(),
        next_seq: Seq(1),
    }))
}

pub(crate) fn frame(seq: u64, payload: &'static str) -> ToWorker {
    ToWorker::Inputs {
        inputs: [Input {
            seq: Seq(seq),
            at: Time(seq),
            kind: InputKind::Frame {
                leg: LegRef::new("caller", 1),
                payload: Payload::Text(Bytes::from_static(payload.as_bytes())),
            },
        }]
        .into(),
        applied: 0,
    }
}

pub(crate) async fn next(stream: &mut WorkerStream) -> StreamEvent {
    soon(poll_fn(|cx| stream.poll_event(cx, true))).await
}
