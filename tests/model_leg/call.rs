//! One call through real processes, whose model can be made to fail.

use std::net::SocketAddr;

use holdline_testkit::{
    openai::{OpenAiSim, SimOptions},
    speech::Utterance,
    twilio::{Action, CallHandle, CallRecord, CallerOptions, Progress, Script, TwilioCaller},
};
use serde_json::Value;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    exchange::Edge,
    stage::{API_KEY, Ending, Place, Running, get},
    support::{SETTLE, soon},
};

/// Time between two looks at the edge, which tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is particular to a call.
pub(crate) struct Plan {
    pub(crate) model: SimOptions,
    /// Keys of `model:` in the bridge's file, each on its line.
    pub(crate) link: String,
    /// `off`, or what the bridge's file says of it.
    pub(crate) greeting: &'static str,
    /// Another model than the simulator.
    pub(crate) model_at: Option<String>,
    /// Where the model's leg is opened again; `None`: where it was before.
    pub(crate) again: Option<String>,
    pub(crate) workers: usize,
}

impl Plan {
    /// A model that greets in two seconds, and answers in seven.
    pub(crate) fn new() -> Self {
        let answers = vec![vec![Utterance::QUEEN_OF_CLUBS], vec![Utterance::PRUDENTLY]];
        Self {
            model: SimOptions {
                answers,
                ..SimOptions::default()
            },
            link: String::new(),
            greeting: "{}",
            model_at: None,
            again: None,
            workers: 1,
        }
    }
}

/// Edge, workers, model and a caller. Everything ends when it is dropped.
pub(crate) struct Call {
    pub(crate) model: OpenAiSim,
    pub(crate) edge: Edge,
    workers: Vec<(Place, Running)>,
    pub(crate) caller: CallHandle,
    task: JoinHandle<CallRecord>,
    _folder: TempDir,
}

impl Call {
    /// Starts everything, and calls.
    pub(crate) async fn begin(plan: Plan) -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let model = OpenAiSim::bind(loopback, plan.model).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bridge.yaml");
        let upstream = if plan.again.is_some() {
            "again"
        } else {
            "openai"
        };
        let agent = format!(
            "instructions: Be brief.\ngreeting: {}\nmodel:\n  upstream: {upstream}\n{}",
            plan.greeting, plan.link
        );
        std::fs::write(&file, agent).unwrap();
        let workers: Vec<_> = (0..plan.workers)
            .map(|_| {
                let place = Place::reserve();
                let running = worker(file.to_str().unwrap(), &place);
                (place, running)
            })
            .collect();
        let addresses = workers.iter().map(|(place, _)| place.address).collect();
        let simulator = format!("ws://{}", model.local_addr());
        let first = plan.model_at.unwrap_or(simulator);
        let again = plan.again.unwrap_or_else(|| first.clone());
        let config = edge_config(&first, &again, addresses);
        let edge = Edge::start(&config, &[("OPENAI_API_KEY", API_KEY)]).await;
        for (place, _) in &workers {
            ready(&edge, place.address).await;
        }
        let url = format!("ws://{}/twilio/media", edge.address("twilio").await);
        let caller = TwilioCaller::connect(CallerOptions::new(url, 1));
        let caller = soon("an upgrade", caller).await.unwrap();
        Self {
            model,
            edge,
            workers,
            caller: caller.handle(),
            task: tokio::spawn(caller.run(Script::new())),
            _folder: folder,
        }
    }

    /// Waits until the greeting was heard.
    pub(crate) async fn is_greeted(&mut self) {
        let model = self.model.wait_for(|it| it.responses_done >= 1);
        soon("the greeting", model).await;
        self.hears("the greeting", |it| it.frames_received > 0)
            .await;
        self.hears("its end", |it| !it.playing).await;
    }

    /// The caller says something, and the model notices.
    pub(crate) async fn asks(&self, utterance: Utterance, turns: u64) {
        self.caller.act(Action::Say(utterance)).unwrap();
        let noticed = self.model.wait_for(|it| it.turns_started >= turns);
        soon("a turn to be noticed", noticed).await;
    }

    /// Waits until the model has begun so many responses and the caller hears the newest.
    pub(crate) async fn is_answered(&mut self, responses: u64) {
        let begun = self.model.wait_for(|it| it.responses_started >= responses);
        soon("a response", begun).await;
        let before = self.caller.progress().frames_received;
        self.hears("an answer", |it| it.frames_received > before + 20)
            .await;
    }

    pub(crate) async fn hears(&mut self, what: &str, wanted: impl Fn(&Progress) -> bool) {
        let reached = soon(what, self.caller.wait_for(wanted)).await;
        assert!(
            reached.is_some(),
            "the call ended before {what}:\n{}",
            self.said()
        );
    }

    /// Waits for so many connections of the model's.
    pub(crate) async fn has_connections(&self, connections: u64) {
        let opened = self.model.wait_for(|it| it.connections >= connections);
        soon("a connection to the model", opened).await;
    }

    /// SIGKILL for the worker that has the call.
    pub(crate) async fn kill_worker(&mut self) {
        let row = worker_row(&self.edge, |row| row["sessions"] == 1).await;
        let address = row["address"].as_str().unwrap().to_owned();
        let serving = self
            .workers
            .iter_mut()
            .find(|(place, _)| place.address.to_string() == address);
        serving.unwrap().1.end(Ending::Kill).await;
    }

    /// The caller hangs up.
    pub(crate) async fn hang_up(self) -> Ended {
        self.caller.act(Action::HangUp { settle: SETTLE }).unwrap();
        self.over("caller_hung_up").await
    }

    /// Waits for the end, which is for this reason.
    pub(crate) async fn over(self, reason: &str) -> Ended {
        let said = self.said();
        let record = soon("the end of the call", self.task).await.unwrap();
        let ended = self.edge.told("call ended").await;
        assert_eq!(ended["reason"], reason, "{ended}\n{said}");
        assert_eq!(record.streams[0].violation_count, 0);
        let report = self.model.report();
        self.edge.end().await;
        Ended {
            record,
            connections: report.connections,
            refused: report.refused_upgrades,
            log: ended,
        }
    }

    /// What the workers said.
    pub(crate) fn said(&self) -> String {
        let said = self.workers.iter().map(|(_, worker)| worker.said());
        said.collect::<Vec<_>>().join("\n---\n")
    }
}

/// What remains of a call.
pub(crate) struct Ended {
    pub(crate) record: CallRecord,
    pub(crate) connections: Vec<holdline_testkit::openai::ConnectionRecord>,
    /// Upgrades that the model refused.
    pub(crate) refused: u64,
    /// The edge's last line about it.
    pub(crate) log: Value,
}

/// All are of the same version: a call moves when its worker is lost, and not before.
fn worker(file: &str, place: &Place) -> Running {
    let listen = place.address.to_string();
    Running::start(&["bridge", "--config", file, "--listen", &listen], &[])
}

async fn ready(edge: &Edge, address: SocketAddr) {
    let address = address.to_string();
    worker_row(edge, |row| {
        row["address"] == *address && row["state"] == "ready"
    })
    .await;
}

async fn worker_row(edge: &Edge, wanted: impl Fn(&Value) -> bool) -> Value {
    let looking = async {
        loop {
            let rows = get(edge.admin(), "/workers").await;
            let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
            if let Some(row) = rows.into_iter().find(&wanted) {
                return row;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    soon("a worker", looking).await
}

/// Dials take a second at most, so that a test of one that never ends is short.
fn edge_config(first: &str, again: &str, workers: Vec<SocketAddr>) -> String {
    let workers: Vec<_> = workers.iter().map(ToString::to_string).collect();
    let upstream = |url: &str| {
        format!(
            "{{profile: openai-realtime, url: \"{url}/v1/realtime?model=gpt-realtime-2.1\", \
             api_key: {{env: OPENAI_API_KEY}}, connect_timeout: 1s}}"
        )
    };
    format!(
        r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /twilio/media
        profile: twilio
        signature: off
        legs: [{{name: model, upstream: openai}}]
        workers: voice
upstreams:
  openai: {}
  again: {}
workers:
  voice: {{discovery: {{static: {{addresses: {workers:?}}}}}}}
"#,
        upstream(first),
        upstream(again),
    )
}
