//! An edge of any configuration, and what a voice call needs behind it.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;
use tokio::{net::TcpStream, process::Command};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite};

use crate::{
    stage::{Ending, Running, get},
    support::{holdline, soon},
};

mod voice;

pub(crate) use voice::{Conversation, Voice};

/// A WebSocket to an edge, or to someone else.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// What every edge of these tests has besides what a test is about.
const REST: &str = "drain: {lame_duck: 0s, deadline: 60s, notice: 1s}\n";
/// The operator's port, where a test says nothing else of it.
const ADMIN: &str = "address: \"127.0.0.1:0\"";

/// An edge process; killed when dropped.
pub(crate) struct Edge {
    process: Running,
    admin: SocketAddr,
    _folder: TempDir,
}

impl Edge {
    /// Starts an edge whose listeners, upstreams, workers and limits are `config`, and waits until it
    /// listens.
    pub(crate) async fn start(config: &str, variables: &[(&str, &str)]) -> Self {
        Self::with_admin(config, ADMIN, variables).await
    }

    /// As [`Edge::start`], with these keys of `admin`.
    pub(crate) async fn with_admin(config: &str, admin: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = holdline();
        command.envs(variables.iter().copied());
        Self::run(command, config, admin).await
    }

    /// As [`Edge::start`], for an edge that may open so many files.
    pub(crate) async fn with_open_files(config: &str, most: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -n $1 && shift && exec \"$@\"", "sh"]);
        command.arg(most.to_string());
        command.arg(holdline().as_std().get_program());
        Self::run(command, config, ADMIN).await
    }

    async fn run(mut command: Command, config: &str, admin: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("holdline.yaml");
        std::fs::write(&file, format!("{config}\n{REST}admin: {{{admin}}}\n")).unwrap();
        command.args(["run", "--config"]).arg(&file);
        let process = Running::of(command);
        // The last one that is told.
        let admin = process.listening("admin").await;
        Self {
            process,
            admin,
            _folder: folder,
        }
    }

    /// Where a listener listens.
    pub(crate) async fn address(&self, listener: &str) -> SocketAddr {
        self.process.listening(listener).await
    }

    /// Where operators ask.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Everything that it said so far.
    pub(crate) fn said(&self) -> String {
        self.process.said()
    }

    /// The first line of the log like this, waited for if need be.
    pub(crate) async fn logged(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.process.logged(what, wanted).await
    }

    /// The first line of the log with this message.
    pub(crate) async fn told(&self, message: &str) -> Value {
        self.process.told(message).await
    }

    /// The sum of a counter over all of its series that have these labels, such as `why="tls"`.
    pub(crate) async fn counter(&self, name: &str, labels: &[&str]) -> f64 {
        let text = get(self.admin, "/metrics").await;
        let series = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (found, has) = series.split_once('{').unwrap_or((series, ""));
            let fits = found == name && labels.iter().all(|label| has.contains(label));
            fits.then(|| value.parse::<f64>().unwrap())
        });
        series.sum()
    }

    /// What the process occupies, as Linux counts it.
    pub(crate) fn memory(&self) -> Memory {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.unwrap().trim().trim_end_matches(" kB");
            kib.parse::<u64>().unwrap() << 10
        };
        Memory {
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
        }
    }

    /// Sends a signal; what comes of it comes when it comes.
    pub(crate) fn signal(&self, ending: Ending) {
        self.process.signal(ending);
    }

    /// SIGTERM. The edge must end well, having said nothing but log lines (a panic is none) and
    /// broken off no call.
    pub(crate) async fn end(self) {
        self.signal(Ending::Terminate);
        self.ended().await;
    }

    /// Waits for its end after SIGTERM, which must be as good.
    pub(crate) async fn ended(mut self) {
        self.process.ended(Ending::Terminate).await;
        let said = self.process.said();
        for line in said.lines() {
            let parsed: Value = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("not a log line ({error}): {line}"));
            assert_ne!(parsed["level"], "ERROR", "{line}");
        }
    }
}

/// Memory of a process, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident: u64,
    /// The most that it ever was.
    pub(crate) peak: u64,
}

/// Opens a WebSocket.
pub(crate) async fn dial(address: SocketAddr, path: &str) -> Result<Socket, tungstenite::Error> {
    let stream = soon("a connection", TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    let url = format!("ws://{address}{path}");
    let (socket, _) = soon("an upgrade", client_async(url, stream)).await?;
    Ok(socket)
}
