//! A whole telephone exchange on this machine: the edge and its workers as processes, and both
//! vendors as simulators in the test's own process, so that one clock judges everything.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use holdline_config::HoldSound;
use holdline_testkit::{
    openai::{Keys, OpenAiSim, SimOptions},
    twilio::{CallerOptions, Secret, Signing, TwilioCaller},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::soon;

mod admin;
mod place;
mod running;
mod webhook;

pub(crate) use admin::get;
pub(crate) use place::Place;
pub(crate) use running::{Ending, Running};
pub(crate) use webhook::{Asked, Webhook};

/// What callers' upgrades are signed with.
pub(crate) const AUTH_TOKEN: &str = "7d1f6a3c0b5e4d2f9a8b7c6d5e4f3a2b";
/// What the model's leg is opened with.
pub(crate) const API_KEY: &str = "sk-line-held-0123456789";
/// What webhooks are asked with.
pub(crate) const HOOK_SECRET: &str = "Bearer hook-secret-4f1c9e";
/// The URL in the TwiML, which is what is signed.
pub(crate) const PUBLIC_URL: &str = "wss://voice.example.com/twilio/media";

/// Time between two looks at the edge, which tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is particular to a test.
pub(crate) struct Plan {
    pub(crate) model: SimOptions,
    /// Workers to begin with.
    pub(crate) bridges: usize,
    /// Further ones that may be started later.
    pub(crate) spares: usize,
    /// The bridge's file.
    pub(crate) agent: String,
    /// The edge's `session`, in YAML.
    pub(crate) session: &'static str,
    /// Of the edge.
    pub(crate) log_level: &'static str,
    /// Whether the edge may show what callers send along.
    pub(crate) content: bool,
}

impl Plan {
    /// Two workers that greet.
    pub(crate) fn new() -> Self {
        Self {
            model: SimOptions::default(),
            bridges: 2,
            spares: 0,
            agent: "instructions: You are a receptionist. Be brief.\ngreeting: {}\n".to_owned(),
            session: "{}",
            log_level: "info",
            content: false,
        }
    }
}

/// Edge, workers and model. Everything ends when it is dropped.
pub(crate) struct Stage {
    folder: TempDir,
    pub(crate) model: OpenAiSim,
    pub(crate) edge: Running,
    /// The workers started so far, dead ones too.
    pub(crate) bridges: Vec<Running>,
    places: Vec<Place>,
    pub(crate) callers: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Stage {
    /// Starts everything and waits until calls can come.
    pub(crate) async fn set(mut plan: Plan) -> Self {
        plan.model.keys = Keys::Only([API_KEY.to_owned()].into());
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let model = OpenAiSim::bind(loopback, plan.model).await.unwrap();
        let places: Vec<_> = (0..plan.bridges + plan.spares)
            .map(|_| Place::reserve())
            .collect();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("bridge.yaml"), &plan.agent).unwrap();
        let file = folder.path().join("edge.yaml");
        let log = format!(
            "{{format: json, level: {}, content: {}}}",
            plan.log_level, plan.content
        );
        let text = edge_file(model.local_addr(), &places, plan.session, &log);
        std::fs::write(&file, text).unwrap();
        let arguments = ["run", "--config", file.to_str().unwrap()];
        let secrets = [
            ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
            ("OPENAI_API_KEY", API_KEY),
        ];
        let edge = Running::start(&arguments, &secrets);
        let callers = edge.listening("twilio").await;
        let admin = edge.listening("admin").await;
        let mut stage = Self {
            folder,
            model,
            edge,
            bridges: Vec::new(),
            places,
            callers,
            admin,
        };
        for _ in 0..plan.bridges {
            stage.start_bridge().await;
        }
        stage
    }

    /// Starts a further worker process, and waits until the edge may use it. Its number is its
    /// version.
    pub(crate) async fn start_bridge(&mut self) -> usize {
        let version = format!("v{}", self.bridges.len());
        self.start_version(&version).await
    }

    /// As [`Stage::start_bridge`], of this version.
    pub(crate) async fn start_version(&mut self, version: &str) -> usize {
        let number = self.bridges.len();
        let config = self.folder.path().join("bridge.yaml");
        let address = self.places[number].address.to_string();
        let arguments = [
            "bridge",
            "--config",
            config.to_str().unwrap(),
            "--listen",
            &address,
            "--version-label",
            version,
        ];
        let secrets = [("BOOKING_TOKEN", HOOK_SECRET)];
        self.bridges.push(Running::start(&arguments, &secrets));
        let ready = |row: &Value| row["address"] == *address && row["state"] == "ready";
        self.worker(&format!("worker {number} to be ready"), ready)
            .await;
        number
    }

    /// Which worker has the call, once one has it.
    pub(crate) async fn serving(&self) -> usize {
        let row = self
            .worker("a worker with a call", |row| row["sessions"] == 1)
            .await;
        let address = row["address"].as_str().unwrap();
        let mut places = self.places.iter();
        places
            .position(|it| it.address.to_string() == address)
            .unwrap()
    }

    /// Ends the serving worker in this way, a new one first where that is the way of doing it.
    pub(crate) async fn replace_serving(&mut self, ending: Ending) -> usize {
        let serving = self.serving().await;
        if ending == Ending::Terminate {
            self.start_bridge().await;
        }
        self.bridges[serving].end(ending).await;
        if ending == Ending::Kill {
            self.start_bridge().await;
        }
        serving
    }

    /// Calls, with a signature.
    pub(crate) async fn call(&self, number: u32) -> TwilioCaller {
        let mut options = self.caller(number);
        options.parameters = [("tenant".to_owned(), "blue-door".to_owned())].into();
        soon("an upgrade", TwilioCaller::connect(options))
            .await
            .unwrap()
    }

    /// A caller whom the edge believes.
    pub(crate) fn caller(&self, number: u32) -> CallerOptions {
        let mut options = CallerOptions::new(self.url(), number);
        options.public_url = Some(PUBLIC_URL.to_owned());
        options.signing = Signing::AuthToken(Secret::new(AUTH_TOKEN));
        options.hold_sound = Some(hold_sound());
        options
    }

    /// Where callers connect.
    pub(crate) fn url(&self) -> String {
        format!("ws://{}/twilio/media", self.callers)
    }

    /// A path of the edge's admin port.
    pub(crate) async fn ask(&self, path: &str) -> String {
        get(self.admin, path).await
    }

    /// Waits until the edge knows of a worker like this.
    async fn worker(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                let rows: Vec<Value> = serde_json::from_str(&self.ask("/workers").await).unwrap();
                if let Some(row) = rows.into_iter().find(&wanted) {
                    return row;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon(what, looking).await
    }
}

/// What an edge lets held callers hear where its file says nothing else.
fn hold_sound() -> Arc<[u8]> {
    let sound = HoldSound::Default.audio().unwrap();
    let frames = (0..sound.frames()).flat_map(|number| sound.frame(number).to_vec());
    frames.collect()
}

/// Where callers of Twilio come in, and the model that they talk to. What may follow at once is another
/// upstream.
pub(crate) fn listener_and_model(model: SocketAddr) -> String {
    format!(
        r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    routes:
      - path: /twilio/media
        profile: twilio
        signature: {{public_url: "{PUBLIC_URL}", auth_token: {{env: TWILIO_AUTH_TOKEN}}}}
        legs: [{{name: model, upstream: openai}}]
        workers: default
upstreams:
  openai:
    profile: openai-realtime
    url: ws://{model}/v1/realtime?model=gpt-realtime-2.1
    api_key: {{env: OPENAI_API_KEY}}
"#
    )
}

fn edge_file(model: SocketAddr, places: &[Place], session: &str, log: &str) -> String {
    let workers: Vec<_> = places.iter().map(|it| it.address.to_string()).collect();
    let front = listener_and_model(model);
    format!(
        r#"{front}
workers:
  default: {{discovery: {{static: {{addresses: {workers:?}}}}}}}
session: {session}
drain: {{lame_duck: 0s, deadline: 60s, notice: 1s}}
admin: {{address: "127.0.0.1:0"}}
log: {log}
"#
    )
}
