//! A process with all that it says.

use std::{net::SocketAddr, process::Stdio, sync::Arc};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::support::{holdline, soon};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGKILL: from one instruction to the next.
    Kill,
    /// SIGTERM, which must lead to exit status 0.
    Terminate,
}

/// A child; killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// All lines of standard output and standard error so far.
    said: watch::Receiver<Vec<String>>,
}

impl Running {
    /// Starts the binary under test.
    pub(crate) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = holdline();
        command.args(arguments).envs(variables.iter().copied());
        Self::of(command)
    }

    /// Starts any program.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (keep, said) = watch::channel(Vec::new());
        let keep = Arc::new(keep);
        tokio::spawn(listen(child.stdout.take().unwrap(), Arc::clone(&keep)));
        tokio::spawn(listen(child.stderr.take().unwrap(), keep));
        Self { child, said }
    }

    /// Everything it said.
    pub(crate) fn said(&self) -> String {
        self.said.borrow().join("\n")
    }

    /// The first line of the log like this, waited for if need be.
    pub(crate) async fn logged(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut said = self.said.clone();
        let mut read = 0;
        let reading = async {
            loop {
                let (found, so_far) = {
                    let lines = said.borrow_and_update();
                    let parsed = lines[read..]
                        .iter()
                        .filter_map(|line| serde_json::from_str(line).ok());
                    (parsed.into_iter().find(&wanted), lines.len())
                };
                if let Some(line) = found {
                    return line;
                }
                read = so_far;
                if said.changed().await.is_err() {
                    panic!("the log ended without {what}:\n{}", self.said());
                }
            }
        };
        soon(what, reading).await
    }

    /// The first line of the log with this message.
    pub(crate) async fn told(&self, message: &str) -> Value {
        let what = format!("`{message}` in the log");
        self.logged(&what, |line| line["message"] == message).await
    }

    /// Waits until it has said a line that starts like this.
    pub(crate) async fn line(&self, start: &str) {
        let mut said = self.said.clone();
        let saying = said.wait_for(|lines| lines.iter().any(|line| line.starts_with(start)));
        let what = format!("a line that starts with `{start}`");
        if soon(&what, saying).await.is_err() {
            panic!("a process ended without {what}:\n{}", self.said());
        }
    }

    /// The address of one of the edge's listeners.
    pub(crate) async fn listening(&self, listener: &str) -> SocketAddr {
        let wanted = |line: &Value| line["message"] == "listening" && line["listener"] == *listener;
        let line = self.logged("an address in the log", wanted).await;
        line["address"].as_str().unwrap().parse().unwrap()
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends the signal; the end comes when it comes.
    pub(crate) fn signal(&self, ending: Ending) {
        let pid = i32::try_from(self.id()).unwrap();
        let signal = match ending {
            Ending::Kill => Signal::KILL,
            Ending::Terminate => Signal::TERM,
        };
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Ends it and waits for its end.
    pub(crate) async fn end(&mut self, ending: Ending) {
        self.signal(ending);
        self.ended(ending).await;
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self, ending: Ending) {
        let status = soon("a process to end", self.child.wait()).await.unwrap();
        let good = status.success() == (ending == Ending::Terminate);
        assert!(good, "{status} after {ending:?}:\n{}", self.said());
    }
}

async fn listen(stream: impl AsyncRead + Unpin, keep: Arc<watch::Sender<Vec<String>>>) {
    let mut lines = BufReader::new(stream).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        keep.send_modify(|said| said.push(line));
    }
}
