//! Running `kosoku`, and reading its reports.

use std::{
    collections::BTreeMap, io::Write as _, net::SocketAddr, path::Path, process::Stdio,
    time::Duration,
};

use futures_util::StreamExt as _;
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStderr, Command},
    time::timeout,
};

use crate::{
    exchange::dial,
    support::{soon, tool},
};

/// What the edge is called in reports.
pub(crate) const AGENT: &str = "holdline";
/// How many cases there are besides those of compression.
pub(crate) const WITHOUT_COMPRESSION: usize = 301;
/// A whole run.
const RUN: Duration = Duration::from_secs(180);

/// What one case came to.
#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    behavior: String,
    behavior_close: String,
}

impl Verdict {
    fn is_good(&self) -> bool {
        [&self.behavior, &self.behavior_close]
            .into_iter()
            .all(|verdict| matches!(&**verdict, "OK" | "NON-STRICT" | "INFORMATIONAL"))
    }
}

/// What all cases of a run came to, by their ids.
pub(crate) struct Verdicts(BTreeMap<String, Verdict>);

impl Verdicts {
    fn read(reports: &Path) -> Self {
        let index = std::fs::read_to_string(reports.join("index.json")).unwrap();
        let agents: BTreeMap<String, BTreeMap<String, Verdict>> =
            serde_json::from_str(&index).unwrap();
        Self(agents.into_values().flatten().collect())
    }

    /// Every one of `count` cases is passed.
    pub(crate) fn are_good(&self, count: usize) {
        let bad: Vec<_> = self.0.iter().filter(|(_, it)| !it.is_good()).collect();
        assert!(bad.is_empty(), "{} cases failed: {bad:#?}", bad.len());
        assert_eq!(self.0.len(), count, "cases that were run");
    }

    /// One line with how many cases came to what.
    pub(crate) fn tell(&self, what: &str) {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for verdict in self.0.values() {
            *counts.entry(&verdict.behavior).or_default() += 1;
        }
        let counts: Vec<_> = counts
            .iter()
            .map(|(word, n)| format!("{n} {word}"))
            .collect();
        // Past the test's own capture: the figure is wanted in the log of a good run too.
        let mut out = std::io::stdout().lock();
        let all = self.0.len();
        writeln!(out, "kosoku, {what}: {all} cases: {}", counts.join(", ")).unwrap();
    }
}

/// Runs cases against a server.
pub(crate) async fn fuzz(url: &str, selection: &[&str]) -> Verdicts {
    let reports = tempfile::tempdir().unwrap();
    let run = command(&reports)
        .args(["-p", "2", url])
        .args(selection)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output();
    // The exit status is 1 where a case failed; then the reports say which.
    let output = timeout(RUN, run).await;
    let output = output
        .unwrap_or_else(|_| panic!("kosoku is not done within {RUN:?}"))
        .unwrap();
    assert!(
        reports.path().join("index.json").exists(),
        "kosoku wrote no reports: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Verdicts::read(reports.path())
}

/// `kosoku` as a server that plays a case to whoever asks for it.
pub(crate) struct FuzzingServer {
    child: Child,
    address: SocketAddr,
    reports: TempDir,
    _said: Lines<BufReader<ChildStderr>>,
}

impl FuzzingServer {
    pub(crate) async fn start(selection: &[&str]) -> Self {
        let reports = tempfile::tempdir().unwrap();
        let mut child = command(&reports)
            .args(["-m", "fuzzingserver", "127.0.0.1:0"])
            .args(selection)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = soon("kosoku's address", said.next_line()).await;
        let first = first.unwrap().unwrap();
        let address = first.strip_prefix("fuzzingserver listening on ws://");
        let address = address.unwrap_or_else(|| panic!("{first}"));
        Self {
            child,
            address: address.parse().unwrap(),
            reports,
            _said: said,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.address)
    }

    /// How many cases it has; they are asked for by number, from 1.
    pub(crate) async fn cases(&self) -> usize {
        let mut socket = dial(self.address, "/getCaseCount").await.unwrap();
        let count = soon("a count", socket.next()).await.unwrap().unwrap();
        count.to_text().unwrap().parse().unwrap()
    }

    /// Ends the run.
    pub(crate) async fn verdicts(mut self) -> Verdicts {
        // It may hang up at once.
        let _ = dial(self.address, &format!("/updateReports?agent={AGENT}")).await;
        soon("kosoku to end", self.child.wait()).await.unwrap();
        Verdicts::read(self.reports.path())
    }
}

fn command(reports: &TempDir) -> Command {
    let mut command = Command::new(tool("kosoku"));
    command.arg("-o").arg(reports.path()).kill_on_drop(true);
    command
}
