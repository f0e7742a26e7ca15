//! A call of two hours, in seconds: an hour of the model's is 20 s here. Twenty deploys under it, two
//! model sessions that are replaced before they end, and a caller whose connection is reset: one
//! session from the first word to the last, and nothing lost that anybody could have had.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use holdline_testkit::{
    judge,
    openai::{OpenAiSim, SimOptions},
    speech::Utterance,
    twilio::{Action, CallerOptions, Redirect, Script, StreamEnd, TwilioCaller},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    caller_return::{ask_webhook, assert_lost_only_while_away, stream_url},
    exchange::Edge,
    stage::{API_KEY, Ending, Place, Running, get},
    support::{SETTLE, soon},
};

const DEPLOYS: usize = 20;
/// After so many of them the caller's connection is reset.
const RESET_AFTER: usize = 10;
/// Between two deploys: a second and a half of the call.
const FRAMES_BETWEEN: u64 = 75;
/// When a model session ends by itself.
const HOUR: Duration = Duration::from_secs(20);
/// The webhook's round trip, in which the caller has no stream.
const AWAY: Duration = Duration::from_millis(300);
/// A question, its answer, and a moment of silence.
const SPEAKS_EVERY: Duration = Duration::from_secs(8);
const LONGEST: Duration = Duration::from_secs(120);
/// Time between two looks at the edge, which tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hours_twenty_deploys_two_model_sessions_and_one_reset() {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let model = OpenAiSim::bind(loopback, simulator()).await.unwrap();
    let mut pool = Pool::start();
    let config = edge_config(&model, &pool);
    let edge = Edge::start(&config, &[("OPENAI_API_KEY", API_KEY)]).await;
    pool.add(&edge).await;

    let address = edge.address("twilio").await;
    let mut options = CallerOptions::new("", 1);
    options.max_length = LONGEST;
    let call_sid = options.call_sid.clone();
    options.url = stream_url(address, &call_sid).await;
    options.redirect = Some(Redirect {
        url: stream_url(address, &call_sid).await,
        after: AWAY,
        limit: 1,
    });
    let caller = soon("an upgrade", TwilioCaller::connect(options)).await;
    let caller = caller.unwrap();
    let mut handle = caller.handle();
    let call = tokio::spawn(caller.run(script()));

    for deploy in 0..DEPLOYS {
        let frames = FRAMES_BETWEEN * (deploy as u64 + 1);
        let talk = handle.wait_for(|it| it.frames_sent >= frames);
        soon("the call to go on", talk).await.unwrap();
        if deploy == RESET_AFTER {
            handle.act(Action::Reset).unwrap();
            let back = handle.wait_for(|it| it.streams == 2);
            soon("the caller's return", back).await.unwrap();
        }
        pool.add(&edge).await;
        pool.end_oldest().await;
    }
    pool.rolled_over(2).await;
    let quiet = |it: &holdline_testkit::twilio::Progress| !it.playing && !it.speaking;
    soon("a quiet moment", handle.wait_for(quiet))
        .await
        .unwrap();
    handle.act(Action::HangUp { settle: SETTLE }).unwrap();
    let record = soon("the end of the call", call).await.unwrap();

    let ended = edge.told("call ended").await;
    assert_eq!(ended["reason"], "caller_hung_up", "{ended}");
    assert_eq!(ended["resumes"], 1, "{ended}");
    let attachments = ended["attachments"].as_u64().unwrap();
    assert!(attachments > DEPLOYS as u64, "{ended}");
    let calls = edge.said();
    assert_eq!(calls.matches("\"call ended\"").count(), 1, "one session");
    let report = model.report();
    let served = report.connections.iter().filter(|it| it.call.is_some());
    assert!(served.count() >= 3, "three model sessions heard the caller");
    for connection in &report.connections {
        assert!(connection.errors.is_empty(), "{:?}", connection.errors);
        let end = &connection.closed.as_ref().unwrap().1;
        assert!(end.starts_with("closed by the client: 1000"), "{end}");
    }
    assert_eq!(record.streams[0].end, StreamEnd::Reset);
    let account = judge::account(&record, &report.connections);
    assert_lost_only_while_away(&record, &account);
    assert!(account.to_model.received > 1_000 && account.to_caller.received > 300);
    assert!(ask_webhook(address, &call_sid).await.contains("<Hangup/>"));
    edge.end().await;
}

fn simulator() -> SimOptions {
    SimOptions {
        session_limit: HOUR,
        answers: vec![
            vec![Utterance::QUEEN_OF_CLUBS],
            vec![Utterance::SEVEN_OF_HEARTS],
            vec![Utterance::YOUNG_MAN],
        ],
        ..SimOptions::default()
    }
}

fn script() -> Script {
    let mut script = Script::new();
    let mut at = Duration::from_secs(4);
    for turn in 0.. {
        if at >= LONGEST {
            break;
        }
        let words = [Utterance::QUEEN_OF_CLUBS, Utterance::YOUNG_MAN][turn % 2];
        script = script.say(at, words);
        at += SPEAKS_EVERY;
    }
    script
}

/// Workers, each of a version of its own.
struct Pool {
    places: Vec<Place>,
    running: Vec<Running>,
    /// How many have been ended.
    ended: usize,
    file: PathBuf,
    _folder: TempDir,
}

impl Pool {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bridge.yaml");
        let agent = "instructions: Be brief.\ngreeting: {}\n\
                     model: {rollover: {after: 12s, by: 18s}}\n";
        std::fs::write(&file, agent).unwrap();
        Self {
            places: (0..=DEPLOYS).map(|_| Place::reserve()).collect(),
            running: Vec::new(),
            ended: 0,
            file,
            _folder: folder,
        }
    }

    /// Starts the next version, and waits until the edge may use it.
    async fn add(&mut self, edge: &Edge) {
        let number = self.running.len();
        let listen = self.places[number].address.to_string();
        let version = format!("v{number}");
        let file = self.file.to_str().unwrap();
        let arguments = ["bridge", "--config", file, "--listen", &listen];
        let arguments = [&arguments[..], &["--version-label", &version]].concat();
        self.running.push(Running::start(&arguments, &[]));
        let looking = async {
            loop {
                let rows = get(edge.admin(), "/workers").await;
                let rows: Vec<Value> = serde_json::from_str(&rows).unwrap();
                let ready = |row: &Value| row["address"] == *listen && row["state"] == "ready";
                if rows.iter().any(ready) {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon("a new worker", looking).await;
    }

    /// Waits until the workers have replaced the model's session so often.
    async fn rolled_over(&self, times: usize) {
        let said = "a new model session has taken the old one's place";
        let looking = async {
            loop {
                let logs = self.running.iter().map(|worker| worker.said());
                let found: usize = logs.map(|log| log.matches(said).count()).sum();
                if found >= times {
                    return;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon("new model sessions", looking).await;
    }

    /// SIGTERM for the oldest, which must end well.
    async fn end_oldest(&mut self) {
        self.running[self.ended].end(Ending::Terminate).await;
        self.ended += 1;
    }
}

fn edge_config(model: &OpenAiSim, pool: &Pool) -> String {
    let model = model.local_addr();
    let workers: Vec<_> = pool
        .places
        .iter()
        .map(|it| it.address.to_string())
        .collect();
    format!(
        r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /twilio/media/{{token}}
        profile: twilio
        signature: off
        webhook: {{path: /twilio/voice, public_url: "https://voice.example.com/twilio/voice"}}
        legs: [{{name: model, upstream: openai}}]
        workers: voice
upstreams:
  openai:
    profile: openai-realtime
    url: ws://{model}/v1/realtime?model=gpt-realtime-2.1
    api_key: {{env: OPENAI_API_KEY}}
workers:
  voice: {{discovery: {{static: {{addresses: {workers:?}}}}}}}
"#
    )
}
