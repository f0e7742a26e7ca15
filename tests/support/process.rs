//! Child processes. Each is killed when its handle is dropped.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader, Lines},
    process::{Child, ChildStderr, ChildStdout, Command},
};

use super::soon;

/// The binary under test.
pub(crate) fn holdline() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdline"));
    command.kill_on_drop(true);
    command.env_remove("RUST_LOG");
    command
}

/// A worker process on a free port.
pub(crate) struct WorkerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Kept open, so that the worker can go on writing.
    _out: Lines<BufReader<ChildStdout>>,
}

impl WorkerProcess {
    /// Numbers what it hears.
    pub(crate) async fn start(version: &str) -> Self {
        Self::spawn(&[version]).await
    }

    /// Sends back what it hears as it came, on every leg.
    pub(crate) async fn verbatim() -> Self {
        Self::spawn(&["echo", "--verbatim"]).await
    }

    async fn spawn(arguments: &[&str]) -> Self {
        let path = example("echo-worker");
        let mut child = Command::new(&path)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| {
                let build = "cargo build -p holdline --example echo-worker";
                panic!("cannot run {}: {error}; `{build}` makes it", path.display())
            });
        let mut out = lines(child.stdout.take().unwrap());
        let first = soon("a worker's address", out.next_line()).await;
        let first = first.unwrap().unwrap();
        let address = first.strip_prefix("listening ").unwrap().parse().unwrap();
        Self {
            child,
            address,
            _out: out,
        }
    }

    /// SIGKILL: from one instruction to the next.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, then its exit.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        terminate(&mut self.child).await
    }
}

/// Writes the file of an edge with one `raw` route at `/call`.
pub(crate) fn raw_edge_config(folder: &Path, workers: impl Iterator<Item = SocketAddr>) -> PathBuf {
    let addresses: Vec<_> = workers.map(|it| it.to_string()).collect();
    let file = folder.join("holdline.yaml");
    let text = format!(
        r#"
listeners:
  - name: callers
    address: 127.0.0.1:0
    routes: [{{path: /call, profile: raw, workers: default}}]
workers:
  default: {{discovery: {{static: {{addresses: {addresses:?}}}}}}}
drain: {{lame_duck: 0s, deadline: 60s, notice: 1s}}
admin: {{address: "127.0.0.1:0"}}
"#
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// An edge process with one `raw` route at `/call`, its log in JSON.
pub(crate) struct EdgeProcess {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    pub(crate) callers: SocketAddr,
    _config: Option<TempDir>,
}

impl EdgeProcess {
    pub(crate) async fn start(workers: &[&WorkerProcess]) -> Self {
        let config = tempfile::tempdir().unwrap();
        let file = raw_edge_config(config.path(), workers.iter().map(|it| it.address));
        let mut edge = Self::of(&file).await;
        edge._config = Some(config);
        edge
    }

    /// With this file, which outlives it; its first listener is for callers.
    pub(crate) async fn of(file: &Path) -> Self {
        let mut child = holdline()
            .arg("run")
            .arg("--config")
            .arg(file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut edge = Self {
            log: lines(child.stderr.take().unwrap()),
            child,
            callers: SocketAddr::from(([0, 0, 0, 0], 0)),
            _config: None,
        };
        let listening = edge.logged("listening").await;
        assert_eq!(listening["listener"], "callers");
        edge.callers = listening["address"].as_str().unwrap().parse().unwrap();
        edge
    }

    /// The next line of the log with this message; those before it are passed over.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        let reading = async {
            loop {
                let line = self.log.next_line().await.unwrap();
                let line = line.unwrap_or_else(|| panic!("the log ended before `{message}`"));
                let line: Value = serde_json::from_str(&line).unwrap();
                if line["message"] == message {
                    return line;
                }
            }
        };
        soon(&format!("`{message}` in the log"), reading).await
    }

    /// Sends a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// SIGTERM, then its exit.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        terminate(&mut self.child).await
    }
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    let option = format!("-{name}");
    let sent = Command::new("kill").args([&option, &pid]).status().await;
    assert!(sent.unwrap().success());
}

async fn terminate(child: &mut Child) -> ExitStatus {
    signal(child, "TERM").await;
    soon("a process to end", child.wait()).await.unwrap()
}

fn lines<R: AsyncRead + Unpin>(stream: R) -> Lines<BufReader<R>> {
    BufReader::new(stream).lines()
}

/// An example of this package: cargo builds it with the tests, beside them.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    profile.join("examples").join(name)
}
