//! The echo example as a process of its own, with real signals.

use std::{path::PathBuf, process::Stdio};

use holdline_wire::v1::{
    self, input::Kind, serve_request::Message as Request, serve_response::Message,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStderr, Command},
};
use tonic::transport::Channel;

use crate::edge::{Stream, connect, fresh, input, puts, soon, texts};

struct Process {
    child: Child,
    /// Kept open: a logger without a reader would fail.
    _log: BufReader<ChildStderr>,
    channel: Channel,
}

impl Process {
    async fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(example())
            .args(arguments)
            .env("HOLDLINE_WORKER_ADDRESS", "127.0.0.1:0")
            .env("HOLDLINE_WORKER_VERSION", "echo-7")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{error}: build it with `cargo build -p holdline-worker --examples`")
            });
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            let read = soon("a line of the log", log.read_line(&mut line)).await;
            assert_ne!(read.unwrap(), 0, "the process ended");
            if let Some((_, rest)) = line.split_once("address=") {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
        };
        Self {
            child,
            _log: log,
            channel: connect(&address).await,
        }
    }

    async fn attach(&self) -> Stream {
        let mut stream = Stream::open(self.channel.clone()).await;
        let offer = v1::Offer {
            session_id: crate::edge::SESSION.to_owned(),
            epoch: 1,
            ..v1::Offer::default()
        };
        stream.say(Request::Offer(offer)).await;
        assert_eq!(stream.hear().await, Message::Accept(v1::Accept {}));
        stream.say(Request::Attach(fresh())).await;
        stream
    }

    /// The shell's `kill`, since signals have no other safe way from here.
    async fn terminate(&self) {
        let pid = self.child.id().expect("it runs").to_string();
        let kill = Command::new("kill").args(["-TERM", &pid]).status().await;
        assert!(kill.unwrap().success());
    }

    async fn exit_code(mut self) -> Option<i32> {
        soon("the exit", self.child.wait()).await.unwrap().code()
    }
}

/// Examples are built beside the tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let profile = tests.ancestors().nth(2).unwrap();
    profile.join("examples").join("echo")
}

fn text(seq: u64, leg: &str, text: &str) -> v1::Input {
    let frame = v1::Frame {
        leg: leg.to_owned(),
        incarnation: 1,
        payload: Some(v1::frame::Payload::Text(text.to_owned().into())),
    };
    input(seq, Kind::Frame(frame))
}

#[tokio::test]
async fn sigterm_lets_sessions_move_and_then_exits_with_0() {
    let process = Process::start(&[]).await;
    let mut stream = process.attach().await;
    stream.inputs(vec![text(1, "caller", "hello")]).await;
    let commit = stream.commit().await;
    assert_eq!(texts(&commit), ["hello"]);
    assert_eq!(puts(&commit), [("frames", "1".to_owned())]);

    process.terminate().await;
    assert!(matches!(stream.hear().await, Message::Draining(_)));
    stream.inputs(vec![text(2, "caller", "still")]).await;
    assert_eq!(texts(&stream.commit().await), ["still"]);
    stream.say(Request::Release(v1::Release::default())).await;
    assert_eq!(stream.hear().await, Message::Released(v1::Released {}));
    drop(stream);
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_second_sigterm_does_not_wait() {
    let process = Process::start(&[]).await;
    let mut stream = process.attach().await;
    stream.inputs(vec![text(1, "caller", "hello")]).await;
    stream.commit().await;
    process.terminate().await;
    assert!(matches!(stream.hear().await, Message::Draining(_)));
    process.terminate().await;
    assert_eq!(process.exit_code().await, Some(0));
}

#[tokio::test]
async fn frames_are_relayed_where_asked() {
    let process = Process::start(&["--to", "model"]).await;
    let mut stream = process.attach().await;
    let there_and_back = vec![text(1, "caller", "there"), text(2, "model", "back")];
    stream.inputs(there_and_back).await;
    let commit = stream.commit().await;
    let legs: Vec<_> = commit
        .commands
        .iter()
        .filter_map(|command| match command.command.as_ref()? {
            v1::command::Command::Send(send) => Some(send.leg.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(legs, ["model", "caller"]);
}
