//! An edge, workers that come and go at fixed places, and callers who count what they hear.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    stage::{Ending, Place, Running, get},
    support::{Caller, example, soon},
};

/// Time between two looks at the edge, which tells its state only to those who ask.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Everything ends when it is dropped.
pub(crate) struct Line {
    _folder: TempDir,
    places: Vec<Place>,
    pub(crate) edge: Running,
    /// Where callers of the route `raw` come in, and those of the route `twilio`.
    pub(crate) callers: SocketAddr,
    admin: SocketAddr,
}

impl Line {
    /// An edge with so many places for workers, and these rules of its pool.
    pub(crate) async fn start(places: usize, rules: &str) -> Self {
        let places: Vec<_> = (0..places).map(|_| Place::reserve()).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdline.yaml");
        std::fs::write(&file, config(&places, rules)).unwrap();
        let edge = Running::start(&["run", "--config", file.to_str().unwrap()], &[]);
        Self {
            callers: edge.listening("callers").await,
            admin: edge.listening("admin").await,
            _folder: folder,
            places,
            edge,
        }
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

fn config(places: &[Place], rules: &str) -> String {
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
session: {{hold: {{give_up: 1s, sound: off}}}}
drain: {{lame_duck: 0s, deadline: 60s, notice: 1s}}
admin: {{address: "127.0.0.1:0"}}
"#
    )
}
