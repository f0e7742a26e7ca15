//! Spans, as a collector gets them: one that OpenTelemetry's and gRPC's own packages make up.

use std::{net::SocketAddr, path::Path, time::Duration};

use holdline_wire::v1::{self, serve_request::Message as Said, serve_response::Message};
use serde_json::Value;
use tokio::{process::Command, sync::mpsc};

use crate::{
    exchange::Edge,
    stage::{Place, Running},
    support::{BareWorker, Caller, WorkerProcess, soon, tool, workspace},
    tls::certificates::{Authority, CHAIN, KEY},
};

const TOKEN: &str = "Bearer c0llect0r";

/// Said once, when spans begin to be lost.
const LOST: &str = "spans are lost: the collector did not take them";

/// A process that takes spans.
struct Collector {
    process: Running,
    address: SocketAddr,
}

impl Collector {
    async fn start() -> Self {
        Self::with(&[]).await
    }

    async fn with(arguments: &[&str]) -> Self {
        let mut command = Command::new(tool("python"));
        command
            .arg(workspace().join("tests/tools/collector.py"))
            .arg(TOKEN)
            .args(arguments);
        let process = Running::of(command);
        let address = process.listening("spans").await;
        Self { process, address }
    }

    /// The key `endpoint` of who sends spans here.
    fn endpoint(&self) -> String {
        format!("endpoint: \"http://{}\"", self.address)
    }

    /// The first span of this name, and all that came so far.
    async fn until(&self, name: &str) -> (Value, Vec<Value>) {
        let found = self.process.logged(name, |span| span["name"] == name).await;
        let said = self.process.said();
        let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
        let spans = lines.filter(|line: &Value| line["name"].is_string());
        (found, spans.collect())
    }
}

/// An edge with these keys of `tracing`, once it knows these workers. It logs all that it could.
async fn edge(tracing: &str, workers: &[(SocketAddr, &str)]) -> Edge {
    let addresses: Vec<_> = workers.iter().map(|it| it.0.to_string()).collect();
    let config = format!(
        r#"
listeners:
  - {{name: callers, address: "127.0.0.1:0", routes: [{{path: /call, profile: raw, workers: default}}]}}
workers:
  default: {{discovery: {{static: {{addresses: {addresses:?}}}}}}}
log: {{level: trace}}
tracing: {{service: line, headers: {{authorization: {{env: OTLP_TOKEN}}}}, {tracing}}}
"#
    );
    let edge = Edge::start(&config, &[("OTLP_TOKEN", TOKEN)]).await;
    for (_, version) in workers {
        let ready = |line: &Value| line["message"] == "worker ready" && line["version"] == *version;
        edge.logged("a worker", ready).await;
    }
    edge
}

/// A caller who says one thing, hears of it and hangs up; then the session's name.
async fn short_call(edge: &Edge) -> Value {
    let mut caller = Caller::connect(edge.address("callers").await).await;
    caller.say("one").await;
    assert!(caller.hear().await.contains("one"));
    caller.hang_up().await;
    edge.told("call ended").await["session"].clone()
}

fn time(span: &Value, end: &str) -> u64 {
    span[end].as_u64().unwrap()
}

#[tokio::test]
async fn a_call_is_a_trace_of_attachments_and_handoffs() {
    let collector = Collector::start().await;
    let mut workers = [
        WorkerProcess::start("a").await,
        WorkerProcess::start("b").await,
    ];
    let addresses = workers.each_ref().map(|worker| worker.address);
    let known = [(addresses[0], "a"), (addresses[1], "b")];
    let edge = edge(&collector.endpoint(), &known).await;
    let mut caller = Caller::connect(edge.address("callers").await).await;
    caller.say("one").await;
    // Its number, who heard it, what it was.
    let answer = caller.hear().await;
    let serving = usize::from(answer.split(' ').nth(1) == Some("b"));
    workers[serving].kill().await;
    let serving = addresses[serving].to_string();
    caller.say("two").await;
    caller.hear().await;
    caller.hang_up().await;
    let ended = edge.told("call ended").await;
    // Spans that still wait are sent before the process ends.
    edge.end().await;

    let (call, spans) = collector.until("call").await;
    let id = call["id"].as_str().unwrap();
    for span in &spans {
        assert_eq!(span["trace"], ended["session"], "{span}");
        assert_eq!(span["process"]["service.name"], "line");
        assert_eq!(
            span["process"]["service.version"],
            env!("CARGO_PKG_VERSION")
        );
        let whole = span["name"] == "call";
        let parent = if whole { "" } else { id };
        assert_eq!(span["parent"], parent, "{span}");
        assert!(time(span, "start") >= time(&call, "start"), "{span}");
        assert!(time(span, "end") <= time(&call, "end"), "{span}");
        assert!(time(span, "start") <= time(span, "end"), "{span}");
    }
    let told = &call["attributes"];
    assert_eq!(told["session"], ended["session"]);
    assert_eq!(
        (&told["reason"], &told["fault"]),
        (&"caller_hung_up".into(), &"none".into())
    );
    assert_eq!(
        (&told["path"], &told["handoffs"]),
        (&"/call".into(), &1.into())
    );
    assert_eq!(
        (&call["kind"], &call["status"]),
        (&"SPAN_KIND_SERVER".into(), &"STATUS_CODE_UNSET".into())
    );

    let named = |name| spans.iter().filter(move |span| span["name"] == name);
    let attachments: Vec<_> = named("attachment").collect();
    let [first, second] = attachments.as_slice() else {
        panic!("{attachments:?}");
    };
    assert_eq!(first["attributes"]["worker"], *serving);
    assert_ne!(second["attributes"]["worker"], *serving);
    assert_eq!(
        (&first["kind"], &first["status"]),
        (&"SPAN_KIND_CLIENT".into(), &"STATUS_CODE_ERROR".into())
    );
    assert_eq!(second["status"], "STATUS_CODE_UNSET");
    let handoffs: Vec<_> = named("handoff").collect();
    let [handoff] = handoffs.as_slice() else {
        panic!("{handoffs:?}");
    };
    let told = &handoff["attributes"];
    assert_eq!(
        (&told["reason"], &told["from"]),
        (&"recovery".into(), &(*serving).into())
    );
    assert_eq!(time(handoff, "start"), time(first, "end"));
    assert!(time(second, "start") <= time(handoff, "end"));
}

#[tokio::test]
async fn a_worker_is_told_its_place_in_the_trace() {
    let (heard, mut attached) = mpsc::unbounded_channel();
    let worker = BareWorker::start(move |mut attachment| {
        let heard = heard.clone();
        async move {
            let Some(offer) = attachment.offer().await else {
                return;
            };
            attachment.say(Message::Accept(v1::Accept {})).await;
            while let Some(said) = attachment.next().await {
                if let Said::Attach(attach) = said {
                    let _ = heard.send((offer.session_id, attach.traceparent));
                    // And goes away, which ends the attachment's span.
                    return;
                }
            }
        }
    })
    .await;
    let collector = Collector::start().await;
    let edge = edge(&collector.endpoint(), &[(worker.address, "bare")]).await;
    let _caller = Caller::connect(edge.address("callers").await).await;
    let (session, traceparent) = soon("an attachment", attached.recv()).await.unwrap();
    let (first, _) = collector.until("attachment").await;
    let id = first["id"].as_str().unwrap();
    assert_eq!(traceparent, format!("00-{session}-{id}-01"));
}

#[tokio::test]
async fn spans_are_sent_by_tls_and_again_if_need_be() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    authority.issue().put(folder.path());
    let place = |name| folder.path().join(name);
    std::fs::write(place("ca.crt"), authority.pem()).unwrap();
    let (chain, key) = (place(CHAIN), place(KEY));
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let arguments = ["--reluctant", "--tls", &path(&chain), &path(&key)];
    let collector = Collector::with(&arguments).await;
    let worker = WorkerProcess::start("v1").await;
    let port = collector.address.port();
    let ca = place("ca.crt");
    let tracing = format!("endpoint: \"https://localhost:{port}\", ca: {ca:?}");
    let edge = edge(&tracing, &[(worker.address, "v1")]).await;
    let session = short_call(&edge).await;
    let (call, _) = collector.until("call").await;
    assert_eq!(call["trace"], session);
    let lost = edge.told(LOST).await;
    assert_eq!(
        (&lost["spans"], &lost["why"]),
        (&1.into(), &"one too many".into())
    );
    // However much is logged.
    assert!(!edge.said().contains("c0llect0r"));
    edge.end().await;
}

/// Nobody takes the spans: calls do not notice, and what is lost is counted and told once.
#[tokio::test]
async fn a_collector_that_is_away_costs_spans_and_nothing_else() {
    let nobody = Place::reserve();
    let worker = WorkerProcess::start("v1").await;
    let tracing = format!("endpoint: \"http://{}\"", nobody.address);
    let edge = edge(&tracing, &[(worker.address, "v1")]).await;
    short_call(&edge).await;
    let failed = async {
        // An attachment and a call.
        while edge.counter("holdline_spans_total", &["failed"]).await < 2.0 {
            // The edge counts only for those who ask.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    soon("the count", failed).await;
    let told = edge.told(LOST).await;
    assert!(told["why"].as_str().unwrap().contains("refused"), "{told}");
    assert!(!edge.said().contains("c0llect0r"));
    edge.end().await;
}
