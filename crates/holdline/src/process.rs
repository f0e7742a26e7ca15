//! Child processes: this very program again, with other arguments; watched and ended by pid.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    process::Stdio,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    sync::mpsc,
};

/// Longest wait for a process that was told to end.
const EXIT_WITHIN: Duration = Duration::from_secs(60);

/// A log line of a child, parsed.
#[derive(Debug)]
pub(crate) struct LogLine {
    /// Which child said it.
    pub(crate) process: String,
    /// The line: one JSON object.
    pub(crate) line: Value,
}

/// A running child. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts one whose log lines appear on our own standard error.
    pub(crate) fn start(name: &str, args: &[&str], env: &[(&str, &str)]) -> io::Result<Self> {
        // A group of its own: Ctrl-C is for us, who then tell it when its time has come.
        Self::spawn(name, args, env, Stdio::inherit(), Some(0))
    }

    /// Starts one whose log goes to `NAME.log` in `folder`, and each line of it that is JSON to
    /// `lines` as well; when nobody takes them, they wait in the pipe.
    pub(crate) fn start_logged(
        name: &str,
        args: &[&str],
        env: &[(&str, &str)],
        folder: &Path,
        lines: mpsc::Sender<LogLine>,
    ) -> io::Result<Self> {
        let mut process = Self::spawn(name, args, env, Stdio::piped(), None)?;
        let log = File::create(folder.join(format!("{name}.log")))?;
        if let Some(stderr) = process.child.stderr.take() {
            tokio::spawn(keep_log(name.to_owned(), stderr, log, lines));
        }
        Ok(process)
    }

    fn spawn(
        name: &str,
        args: &[&str],
        env: &[(&str, &str)],
        log: Stdio,
        group: Option<i32>,
    ) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(args)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true);
        if let Some(group) = group {
            command.process_group(group);
        }
        let child = command.spawn()?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other("the process ended at once"))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            pid,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Asks it to end in good order.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::TERM)?)
    }

    /// Ends it without a word.
    pub(crate) fn kill(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::KILL)?)
    }

    /// Freezes it.
    pub(crate) fn freeze(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::STOP)?)
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for its end; says whether that was in good order.
    pub(crate) async fn ended(mut self) -> io::Result<bool> {
        match tokio::time::timeout(EXIT_WITHIN, self.child.wait()).await {
            Ok(status) => Ok(status?.success()),
            Err(_) => Err(io::Error::other(format!(
                "{} did not end within {EXIT_WITHIN:?}",
                self.name
            ))),
        }
    }
}

async fn keep_log(
    process: String,
    stderr: tokio::process::ChildStderr,
    mut log: File,
    lines: mpsc::Sender<LogLine>,
) {
    let mut reader = BufReader::new(stderr).lines();
    while let Ok(Some(text)) = reader.next_line().await {
        // A full disk must not stop the show; the lines still count.
        let _ = writeln!(log, "{text}");
        if let Ok(line) = serde_json::from_str(&text) {
            let process = process.clone();
            if lines.send(LogLine { process, line }).await.is_err() {
                break;
            }
        }
    }
    // Whatever follows is read, so that the child never blocks on its log.
    while let Ok(Some(text)) = reader.next_line().await {
        let _ = writeln!(log, "{text}");
    }
}

/// Ports of this machine that were free a moment ago.
pub(crate) fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<_> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}
