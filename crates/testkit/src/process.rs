//! Child processes: an edge, workers, whatever stands around them; watched and ended by pid.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
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
pub struct LogLine {
    /// Which child said it.
    pub process: String,
    /// The line: one JSON object.
    pub line: Value,
}

/// Where a child's standard error goes.
#[derive(Debug, Clone)]
pub enum Log {
    /// To our own standard error.
    Ours,
    /// To a file, which is made, or emptied.
    File(PathBuf),
    /// To a file, and each line that is JSON to `lines` as well; when nobody takes them, they wait
    /// in the pipe.
    Told {
        /// The file, which is made, or emptied.
        file: PathBuf,
        /// Who listens.
        lines: mpsc::Sender<LogLine>,
    },
}

/// What is started, and how.
#[derive(Debug, Clone)]
pub struct Launch {
    /// What the child is called in messages and in log lines.
    pub name: String,
    /// The program, then its arguments.
    pub words: Vec<OsString>,
    /// Variables beside our own ones.
    pub env: Vec<(String, String)>,
    /// Its log.
    pub log: Log,
    /// A process group of its own: Ctrl-C is then for us alone, who tell the child when its time
    /// has come.
    pub own_group: bool,
}

/// A running child. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts it. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the program cannot be run, or its log cannot be written.
    pub fn start(launch: Launch) -> io::Result<Self> {
        let Launch {
            name,
            words,
            env,
            log,
            own_group,
        } = launch;
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| io::Error::other(format!("{name}: there is no program to start")))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(match &log {
                Log::Ours => Stdio::inherit(),
                Log::File(file) => File::create(file)?.into(),
                Log::Told { .. } => Stdio::piped(),
            })
            .kill_on_drop(true);
        if own_group {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|error| {
            let program = Path::new(program).display();
            io::Error::new(error.kind(), format!("cannot run {program}: {error}"))
        })?;
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw)
            .ok_or_else(|| io::Error::other(format!("{name} ended at once")))?;
        if let (Log::Told { file, lines }, Some(stderr)) = (log, child.stderr.take()) {
            tokio::spawn(keep_log(name.clone(), stderr, File::create(file)?, lines));
        }
        Ok(Self { name, child, pid })
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Asks it to end in good order.
    ///
    /// # Errors
    /// If the system refuses the signal.
    pub fn terminate(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::TERM)?)
    }

    /// Ends it without a word.
    ///
    /// # Errors
    /// If the system refuses the signal.
    pub fn kill(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::KILL)?)
    }

    /// Freezes it.
    ///
    /// # Errors
    /// If the system refuses the signal.
    pub fn freeze(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::STOP)?)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// If the system refuses the signal.
    pub fn thaw(&self) -> io::Result<()> {
        Ok(kill_process(self.pid, Signal::CONT)?)
    }

    /// Whether it has ended by itself, and how.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end, at most a minute; says whether that was in good order.
    ///
    /// # Errors
    /// If it does not end in time.
    pub async fn ended(mut self) -> io::Result<bool> {
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
///
/// # Errors
/// If the system has none.
pub fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<_> = (0..count)
        .map(|_| std::net::TcpListener::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()?;
    listeners
        .iter()
        .map(|listener| Ok(listener.local_addr()?.port()))
        .collect()
}
