//! Spans on their way to a collector.
//!
//! A collector that is slow or away costs spans and nothing else: no call ever waits for it, and each
//! wait for it is bounded.

use std::{error::Error as _, time::Duration};

use holdline_telemetry::SpanMetrics;
use tokio::{
    sync::mpsc::{Receiver, Sender},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tonic::{
    Code, Request, Status, client::Grpc, codegen::http::uri::PathAndQuery, transport::Channel,
};
use tonic_prost::ProstCodec;
use tracing::{info, warn};

use super::{
    Collector,
    otlp::{EXPORT, Export, Exported, ResourceSpans, Scope, ScopeSpans, Span},
};
use crate::record::cut;

/// Spans that are sent together.
const BATCH: usize = 512;
/// How long the first of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// Longest wait for the collector's answer, from the connection on.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often a batch is sent, where a retry may help: a collector is restarted more often than an edge.
const TRIES: u32 = 3;
/// How long a retry waits.
const PAUSE: Duration = Duration::from_secs(1);
/// How long the end of the process waits for the last spans.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
/// Largest answer that is read: a number and a line.
const ANSWER_MAX: usize = 64 << 10;

/// Whoever sends spans on, if anybody.
#[derive(Debug, Default)]
pub(crate) struct Exporter(Option<Running>);

#[derive(Debug)]
struct Running {
    queue: Sender<Span>,
    task: JoinHandle<()>,
}

impl Exporter {
    /// Sends what is waiting there. `queue`: its other end, of which nobody else has a strong one.
    pub(super) fn start(
        collector: Collector,
        counts: SpanMetrics,
        queue: Sender<Span>,
        waiting: Receiver<Span>,
    ) -> Self {
        let endpoint = collector.endpoint.uri().to_string();
        let courier = Courier {
            client: client(&collector),
            collector,
            counts,
            failing: false,
        };
        let task = tokio::spawn(courier.run(waiting));
        info!(endpoint, "spans of calls are sent");
        Self(Some(Running { queue, task }))
    }

    /// Takes no more spans, and waits until those in the queue are sent, for five seconds at most.
    pub(crate) async fn finish(self) {
        let Some(Running { queue, mut task }) = self.0 else {
            return;
        };
        drop(queue);
        if timeout(FLUSH_WITHIN, &mut task).await.is_err() {
            task.abort();
            warn!("the last spans are lost: the collector did not take them in time");
        }
    }
}

struct Courier {
    collector: Collector,
    client: Grpc<Channel>,
    counts: SpanMetrics,
    /// Whether spans were lost the last time: told once.
    failing: bool,
}

impl Courier {
    /// Until the queue is closed and empty.
    async fn run(mut self, mut waiting: Receiver<Span>) {
        loop {
            let spans = gather(&mut waiting).await;
            if spans.is_empty() {
                return;
            }
            self.send(spans).await;
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let export = self.export_of(spans);
        let mut tries = 1;
        let answer = loop {
            match self.export(export.clone()).await {
                Err(status) if tries < TRIES && may_help(status.code()) => sleep(PAUSE).await,
                answer => break answer,
            }
            tries += 1;
        };
        let (lost, why) = match answer {
            Ok(exported) => match exported.partial_success {
                Some(partial) => (
                    u64::try_from(partial.rejected_spans)
                        .unwrap_or(0)
                        .min(count),
                    partial.error_message,
                ),
                None => (0, String::new()),
            },
            Err(status) => (count, in_words(&status)),
        };
        self.counts.count("sent", count - lost);
        self.counts.count("failed", lost);
        if lost > 0 && !self.failing {
            warn!(
                spans = lost,
                why = cut(&why),
                "spans are lost: the collector did not take them"
            );
        } else if lost == 0 && self.failing {
            info!("the collector takes spans again");
        }
        self.failing = lost > 0;
    }

    async fn export(&mut self, export: Export) -> Result<Exported, Status> {
        let Ok(answer) = timeout(ANSWER_WITHIN, self.call(export)).await else {
            // Its connection may lead nowhere, which TCP would find out much later.
            self.client = client(&self.collector);
            return Err(Status::deadline_exceeded(format!(
                "no answer within {ANSWER_WITHIN:?}"
            )));
        };
        answer
    }

    async fn call(&mut self, export: Export) -> Result<Exported, Status> {
        let mut request = Request::new(export);
        *request.metadata_mut() = self.collector.headers.clone();
        let ready = self.client.ready().await;
        ready.map_err(|error| Status::from_error(Box::new(error)))?;
        let path = PathAndQuery::from_static(EXPORT);
        let answer = self.client.unary(request, path, ProstCodec::default());
        Ok(answer.await?.into_inner())
    }

    fn export_of(&self, spans: Vec<Span>) -> Export {
        let scope = Some(Scope {
            name: "holdline".to_owned(),
        });
        Export {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.collector.resource.clone()),
                scope_spans: vec![ScopeSpans { scope, spans }],
            }],
        }
    }
}

/// Connects when there is something to send, and again after the connection was lost.
fn client(collector: &Collector) -> Grpc<Channel> {
    Grpc::new(collector.endpoint.connect_lazy()).max_decoding_message_size(ANSWER_MAX)
}

/// Spans that are sent together; none once the queue is closed and empty.
async fn gather(waiting: &mut Receiver<Span>) -> Vec<Span> {
    let mut spans = Vec::new();
    if waiting.recv_many(&mut spans, BATCH).await == 0 {
        return spans;
    }
    let others = async {
        while spans.len() < BATCH {
            let room = BATCH - spans.len();
            if waiting.recv_many(&mut spans, room).await == 0 {
                return;
            }
        }
    };
    // What has come by then is enough.
    let _ = timeout(GATHER, others).await;
    spans
}

/// Whether a retry may help: not where the collector understood and refused.
fn may_help(code: Code) -> bool {
    !matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::ResourceExhausted
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::Unauthenticated
    )
}

/// What the collector said, or what became of the connection.
fn in_words(status: &Status) -> String {
    let mut words = format!("{:?}: {}", status.code(), status.message());
    let mut source = status.source();
    while let Some(error) = source {
        source = error.source();
        if source.is_none() {
            words.push_str(": ");
            words.push_str(&error.to_string());
        }
    }
    words
}
