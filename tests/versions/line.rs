//! An edge, workers that come and go at fixed places, and callers who count what they hear.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    exchange::{Socket, dial},
    stage::{Ending, Place, Running, get},
    support::{Caller, example, soon},
};

const FILE: &str = "holdline.yaml";
/// Time between two looks at the edge, which tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// So long a call without a worker is held, where a test says nothing else.
const GIVE_UP: &str = "1s";

/// Everything ends when it is dropped.
pub(crate) struct Line {
    folder: TempDir,
    places: Vec<Place>,
    pub(crate) edge: Running,
    /// Where callers of the route `raw` come in, and those of the route `twilio`.
    callers: SocketAddr,
    admin: SocketAddr,
    give_up: &'static str,
}

impl Line {
    /// An edge with so many places for workers, and these rules of its pool.
    pub(crate) async fn start(places: usize, rules: &str) -> Self {
        Self::holding(places, rules, GIVE_UP).await
    }

    /// The same, with so much time for a call without a worker.
    pub(crate) async fn holding(places: usize, rules: &str, give_up: &'static str) -> Self {
        let places: Vec<_> = (0..places).map(|_| Place::reserve()).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE);
        std::fs::write(&file, config(&places, rules, give_up)).unwrap();
        let edge = Running::start(&["run", "--config", file.to_str().unwrap()], &[]);
        Self {
            callers: edge.listening("callers").await,
            admin: edge.listening("admin").await,
            folder,
            places,
            edge,
            give_up,
        }
    }

    /// Changes the rules of the pool under live calls.
    pub(crate) async fn rules(&self, rules: &str) {
        // In one step, as every careful program does.
        let new = self.folder.path().join("new.yaml");
        std::fs::write(&new, config(&self.places, rules, self.give_up)).unwrap();
        std::fs::rename(&new, self.folder.path().join(FILE)).unwrap();
        self.edge.told("configuration taken up").await;
    }

    /// Starts a worker at a place, with arguments of the echo worker, and waits until it is ready.
    pub(crate) async fn worker(&self, place: usize, arguments: &[&str]) -> Running {
        self.worker_with(place, arguments, "60s").await
    }

    /// The same, with so much time after SIGTERM.
    pub(crate) async fn worker_with(
        &self,
        place: usize,
        arguments: &[&str],
        grace: &str,
    ) -> Running {
        let mut command = self.command(place, arguments);
        command.env("HOLDLINE_WORKER_GRACE", grace);
        let worker = Running::of(command);
        self.is(place, "ready").await;
        worker
    }

    /// How a worker is started.
    pub(crate) fn command(&self, place: usize, arguments: &[&str]) -> Command {
        let mut command = Command::new(example("echo-worker"));
        command.args(arguments).env("LISTEN", self.address(place));
        command.kill_on_drop(true);
        command
    }

    pub(crate) fn address(&self, place: usize) -> String {
        self.places[place].address.to_string()
    }

    /// Waits until the worker at a place is in this state, and shows it.
    pub(crate) async fn is(&self, place: usize, state: &str) -> Value {
        let address = self.address(place);
        let looking = async {
            loop {
                let rows: Vec<Value> =
                    serde_json::from_str(&get(self.admin, "/workers").await).unwrap();
                let wanted = |row: &&Value| row["address"] == *address && row["state"] == state;
                if let Some(row) = rows.iter().find(wanted) {
                    return row.clone();
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon(&format!("worker {place} to be {state}"), looking).await
    }

    /// SIGTERM to a worker, and its good end.
    pub(crate) async fn retire(&self, mut worker: Running) {
        worker.end(Ending::Terminate).await;
    }

    /// So many callers, each of whom has been answered once.
    pub(crate) async fn call(&self, callers: usize) -> Vec<Counting> {
        let mut all = Vec::new();
        for _ in 0..callers {
            let caller = Caller::connect(self.callers).await;
            let mut caller = Counting { caller, heard: 0 };
            caller.asks().await;
            all.push(caller);
        }
        all
    }

    /// A caller of Twilio's, who has been answered once: the socket, and which version answered.
    pub(crate) async fn twilio(&self, number: usize, tenant: &str) -> (Socket, String) {
        let mut socket = dial(self.callers, "/twilio").await.unwrap();
        let (stream_sid, call_sid) = (stream_sid(number), call_sid(number));
        let start = json!({
            "event": "start",
            "sequenceNumber": "1",
            "streamSid": stream_sid,
            "start": {
                "streamSid": stream_sid,
                "callSid": call_sid,
                "accountSid": "AC00000000000000000000000000000000",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {"tenant": tenant},
            },
        });
        let connected = json!({"event": "connected", "protocol": "Call", "version": "1.0.0"});
        for message in [connected, start] {
            let message = Message::text(message.to_string());
            socket.send(message).await.unwrap();
        }
        let version = answered(&mut socket).await;
        (socket, version)
    }

    /// Lines of the log so far with this message.
    pub(crate) fn lines(&self, message: &str) -> Vec<Value> {
        let said = self.edge.said();
        let lines = said
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines
            .filter(|line: &Value| line["message"] == message)
            .collect()
    }

    /// Waits until so many lines have this message, and shows all that have.
    pub(crate) async fn told(&self, message: &str, count: usize) -> Vec<Value> {
        let looking = async {
            while self.lines(message).len() < count {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        soon(&format!("{count} times `{message}`"), looking).await;
        self.lines(message)
    }
}

/// What Twilio calls a caller's stream.
pub(crate) fn stream_sid(number: usize) -> String {
    format!("MZ{number:032}")
}

/// What Twilio calls a caller's call.
pub(crate) fn call_sid(number: usize) -> String {
    format!("CA{number:032}")
}

/// Which version answers a caller of Twilio's next.
async fn answered(socket: &mut Socket) -> String {
    let answer = soon("an answer", socket.next()).await.unwrap().unwrap();
    let answer = answer.into_text().unwrap();
    answer.split(' ').nth(1).unwrap().to_owned()
}

/// Lets a caller of Twilio's say something until this version answers.
pub(crate) async fn reaches(socket: &mut Socket, number: usize, version: &str) {
    let mark = json!({
        "event": "mark",
        "sequenceNumber": "2",
        "streamSid": stream_sid(number),
        "mark": {"name": "heard"},
    });
    let talking = async {
        loop {
            let mark = Message::text(mark.to_string());
            socket.send(mark).await.unwrap();
            if answered(socket).await == version {
                return;
            }
        }
    };
    soon(&format!("an answer by {version}"), talking).await;
}

/// Waits until the other side has closed a socket.
pub(crate) async fn until_closed(mut socket: Socket) {
    while let Some(Ok(_)) = soon("the end of a call", socket.next()).await {}
}

/// What a field of these lines says, each thing once.
pub(crate) fn words(lines: &[Value], field: &str) -> BTreeSet<String> {
    let words = lines.iter().filter_map(|line| line[field].as_str());
    words.map(str::to_owned).collect()
}

/// A caller to whom every answer tells its number: none is lost, and none given twice.
pub(crate) struct Counting {
    caller: Caller,
    heard: u64,
}

impl Counting {
    /// Says something, and tells which version answered.
    pub(crate) async fn asks(&mut self) -> String {
        self.caller.say("who").await;
        let answer = self.caller.hear().await;
        let words: Vec<_> = answer.split(' ').collect();
        self.heard += 1;
        assert_eq!(words[0], self.heard.to_string(), "{answer}");
        words[1].to_owned()
    }

    /// Talks until this version answers.
    pub(crate) async fn reaches(&mut self, version: &str) {
        let talking = async { while self.asks().await != version {} };
        soon(&format!("an answer by {version}"), talking).await;
    }

    pub(crate) async fn hangs_up(self) {
        self.caller.hang_up().await;
    }

    /// Waits until the other side has ended the call.
    pub(crate) async fn until_let_go(self) {
        self.caller.until_closed().await;
    }
}

fn config(places: &[Place], rules: &str, give_up: &str) -> String {
    let addresses: Vec<_> = places.iter().map(|it| it.address.to_string()).collect();
    format!(
        r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes:
      - {{path: /call, profile: raw, workers: default}}
      - {{path: /twilio, profile: twilio, signature: off, workers: default}}
workers:
  default: {{{rules} discovery: {{static: {{addresses: {addresses:?}}}}}}}
session: {{hold: {{give_up: {give_up}, sound: off}}}}
drain: {{lame_duck: 0s, deadline: 60s, notice: 1s}}
admin: {{address: "127.0.0.1:0"}}
"#
    )
}
