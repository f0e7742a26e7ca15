//! The voice worker and the model behind it, for one edge.

use std::net::SocketAddr;

use holdline_testkit::{
    judge,
    openai::{OpenAiSim, SimOptions},
    speech::Utterance,
    twilio::{Action, CallHandle, CallRecord, CallerOptions, Script, StreamEnd, TwilioCaller},
};
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::{
    stage::{API_KEY, Place, Running},
    support::{SETTLE, soon},
};

/// Longest call of these tests.
const LONGEST: Duration = Duration::from_secs(240);
/// A caller says something so often.
const SPEAKS_EVERY: Duration = Duration::from_secs(6);

/// A model, simulated, and a worker process that speaks with it.
pub(crate) struct Voice {
    model: OpenAiSim,
    worker: SocketAddr,
    _bridge: Running,
    _folder: TempDir,
}

/// A call that goes on until it is told to end.
pub(crate) struct Conversation {
    handle: CallHandle,
    task: JoinHandle<CallRecord>,
}

impl Voice {
    /// Starts both; the edge finds the worker when it is there.
    pub(crate) async fn start() -> Self {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let model = OpenAiSim::bind(loopback, SimOptions::default()).await;
        let place = Place::reserve();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bridge.yaml");
        std::fs::write(&file, "instructions: Be brief.\ngreeting: {}\n").unwrap();
        let listen = place.address.to_string();
        let file = file.to_str().unwrap();
        let bridge = Running::start(&["bridge", "--config", file, "--listen", &listen], &[]);
        Self {
            model: model.unwrap(),
            worker: place.address,
            _bridge: bridge,
            _folder: folder,
        }
    }

    /// The edge's sections `upstreams` and `workers`, with the model as `openai` and the worker as
    /// the pool `voice`.
    pub(crate) fn sections(&self) -> String {
        self.sections_with("")
    }

    /// The same with a further upstream: a line of YAML.
    pub(crate) fn sections_with(&self, upstream: &str) -> String {
        let (model, worker) = (self.model.local_addr(), self.worker);
        format!(
            r#"
upstreams:
  {upstream}
  openai:
    profile: openai-realtime
    url: ws://{model}/v1/realtime?model=gpt-realtime-2.1
    api_key: {{env: OPENAI_API_KEY}}
workers:
  voice: {{discovery: {{static: {{addresses: ["{worker}"]}}}}}}
"#
        )
    }

    /// What the edge's environment needs.
    pub(crate) fn variables() -> [(&'static str, &'static str); 1] {
        [("OPENAI_API_KEY", API_KEY)]
    }

    /// The model.
    pub(crate) fn model(&self) -> &OpenAiSim {
        &self.model
    }

    /// Places a call, and waits until caller and model have heard each other.
    pub(crate) async fn converse(&self, mut options: CallerOptions) -> Conversation {
        options.max_length = LONGEST;
        let caller = soon("an upgrade", TwilioCaller::connect(options)).await;
        let caller = caller.unwrap();
        let mut handle = caller.handle();
        let mut script = Script::new();
        let mut at = Duration::from_secs(1);
        for turn in 0.. {
            if at >= LONGEST {
                break;
            }
            script = script.say(at, Utterance::number(turn));
            at += SPEAKS_EVERY;
        }
        let task = tokio::spawn(caller.run(script));
        let heard = handle.wait_for(|call| call.frames_sent > 50 && call.frames_received > 50);
        soon("both to be heard", heard).await.unwrap();
        Conversation { handle, task }
    }

    /// Ends a call and judges it: nobody but its caller ended it, and nothing was lost, doubled or
    /// out of order in either direction.
    pub(crate) async fn judge(&self, conversation: Conversation) -> judge::Account {
        let Conversation { handle, task } = conversation;
        handle.act(Action::HangUp { settle: SETTLE }).unwrap();
        let record = soon("the end of a call", task).await.unwrap();
        let account = judge::account(&record, &self.model.report().connections);
        let ends: Vec<_> = record.streams.iter().map(|stream| &stream.end).collect();
        assert_eq!(ends, [&StreamEnd::Ours]);
        for way in [&account.to_model, &account.to_caller] {
            assert!(way.is_perfect() && way.received > 0, "{:?}", way.summary());
        }
        assert_eq!(account.violations, 0);
        account
    }
}

impl Conversation {
    /// Waits until so many further frames went in both directions.
    pub(crate) async fn goes_on(&mut self, frames: u64) {
        let before = self.handle.progress();
        let more = self.handle.wait_for(|call| {
            call.frames_sent >= before.frames_sent + frames
                && call.frames_received >= before.frames_received + frames
        });
        soon("a call to go on", more).await.unwrap();
    }
}
