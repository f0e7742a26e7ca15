//! The demo's stage: an edge, the workers behind it, and what is done to them.
//!
//! Every worker slot has two ports and uses one at a time, so that a new version can start beside
//! the old one, as a Deployment with `maxUnavailable: 0` does it. The edge is told all ports from
//! the start, and finds out by itself which of them are alive.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::{sync::mpsc, time::sleep};

use super::handoffs::{Deed, Done};
use crate::process::{LogLine, Process, free_ports};

/// Longest wait until a process serves.
const START_WITHIN: Duration = Duration::from_secs(30);
/// How often the edge is asked.
const ASK_EVERY: Duration = Duration::from_millis(100);
/// The account's token, for signatures on the demo's own machine.
pub(super) const AUTH_TOKEN: &str = "demo-token-that-signs-upgrades";
/// The key that the simulated model asks for.
pub(super) const API_KEY: &str = "demo-key-that-workers-never-see";
/// The URL that stands in the demo's TwiML.
pub(super) const PUBLIC_URL: &str = "wss://voice.example.com/twilio/media";

/// A worker process and its place.
#[derive(Debug)]
struct Slot {
    ports: [u16; 2],
    /// Which of the two is in use.
    side: usize,
    process: Option<Process>,
}

impl Slot {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[self.side])
    }
}

/// What the operator sees of a worker.
#[derive(Debug, Clone)]
pub(super) struct WorkerRow {
    pub(super) address: String,
    pub(super) version: String,
    pub(super) state: String,
    pub(super) sessions: u64,
}

/// Edge and workers.
#[derive(Debug)]
pub(super) struct Stage {
    folder: PathBuf,
    lines: mpsc::Sender<LogLine>,
    edge: Process,
    slots: Vec<Slot>,
    bridge_config: String,
    started: usize,
    client: Client<HttpConnector, Empty<Bytes>>,
    admin: String,
    /// Where callers connect.
    pub(super) url: String,
    /// What was done to the workers, so far.
    pub(super) deeds: Vec<Done>,
}

impl Stage {
    /// Starts everything with workers of `v1`, and waits until calls can come.
    pub(super) async fn set_up(
        folder: &Path,
        workers: usize,
        model: std::net::SocketAddr,
        lines: mpsc::Sender<LogLine>,
    ) -> io::Result<Self> {
        let ports = free_ports(2 + 2 * workers)?;
        let (callers, admin, worker_ports) = (ports[0], ports[1], &ports[2..]);
        let config = write_file(
            folder,
            "edge.yaml",
            &edge_config(callers, admin, worker_ports, model),
        )?;
        let bridge_config = write_file(folder, "bridge.yaml", BRIDGE_CONFIG)?;
        let edge = Process::start_logged(
            "edge",
            &["run", "--config", &config.to_string_lossy()],
            &[
                ("TWILIO_AUTH_TOKEN", AUTH_TOKEN),
                ("OPENAI_API_KEY", API_KEY),
            ],
            folder,
            lines.clone(),
        )?;
        let slots = worker_ports
            .chunks_exact(2)
            .map(|pair| Slot {
                ports: [pair[0], pair[1]],
                side: 1,
                process: None,
            })
            .collect();
        let mut stage = Self {
            folder: folder.to_owned(),
            lines,
            edge,
            slots,
            bridge_config: bridge_config.to_string_lossy().into_owned(),
            started: 0,
            client: Client::builder(TokioExecutor::new()).build_http(),
            admin: format!("http://127.0.0.1:{admin}"),
            url: format!("ws://127.0.0.1:{callers}/twilio/media"),
            deeds: Vec::new(),
        };
        for slot in 0..workers {
            stage.start_beside(slot, "v1").await?;
        }
        Ok(stage)
    }

    /// Replaces one worker after another by one of `version`: the new one first.
    pub(super) async fn roll(&mut self, deed: Deed, version: &str) -> io::Result<()> {
        for slot in 0..self.slots.len() {
            let old = self.slots[slot].process.take();
            let address = self.slots[slot].address();
            self.start_beside(slot, version).await?;
            if let Some(old) = old {
                self.note(deed, address);
                old.terminate()?;
                if !old.ended().await? {
                    return Err(io::Error::other("a drained worker did not exit with 0"));
                }
            }
        }
        Ok(())
    }

    /// `kill -9`, and a replacement some time later, as a Deployment would have it.
    pub(super) async fn kill(&mut self, slot: usize, version: &str) -> io::Result<()> {
        let slot = slot % self.slots.len();
        let address = self.slots[slot].address();
        if let Some(victim) = self.slots[slot].process.take() {
            self.note(Deed::Kill, address);
            victim.kill()?;
            victim.ended().await?;
        }
        self.start_beside(slot, version).await
    }

    /// SIGSTOP for `length`, then SIGCONT: the worker comes back and finds itself fenced.
    pub(super) async fn freeze(&mut self, slot: usize, length: Duration) -> io::Result<()> {
        let slot = slot % self.slots.len();
        self.note(Deed::Freeze, self.slots[slot].address());
        if let Some(process) = &self.slots[slot].process {
            process.freeze()?;
            sleep(length).await;
            process.thaw()?;
        }
        self.wait_ready(&self.slots[slot].address()).await
    }

    /// What the edge says of its workers.
    pub(super) async fn workers(&self) -> io::Result<Vec<WorkerRow>> {
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let rows = self.ask("/workers").await?;
        let rows = rows.as_array().cloned().unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| WorkerRow {
                address: text(row, "address"),
                version: text(row, "version"),
                state: text(row, "state"),
                sessions: row["sessions"].as_u64().unwrap_or_default(),
            })
            .collect())
    }

    /// Ends everything in good order; says whether all of it was.
    pub(super) async fn strike(mut self) -> io::Result<bool> {
        self.edge.terminate()?;
        let mut good = self.edge.ended().await?;
        for slot in &mut self.slots {
            if let Some(process) = slot.process.take() {
                process.terminate()?;
                good &= process.ended().await?;
            }
        }
        Ok(good)
    }

    fn note(&mut self, deed: Deed, worker: String) {
        let at = Instant::now();
        self.deeds.push(Done { deed, at, worker });
    }

    /// Starts a worker on the slot's other port, and waits until the edge may use it.
    async fn start_beside(&mut self, slot: usize, version: &str) -> io::Result<()> {
        let slot = &mut self.slots[slot];
        slot.side = 1 - slot.side;
        self.started += 1;
        let address = slot.address();
        let name = format!("worker-{}-{version}", self.started);
        slot.process = Some(Process::start_logged(
            &name,
            &[
                "bridge",
                "--config",
                &self.bridge_config,
                "--listen",
                &address,
                "--version-label",
                version,
            ],
            &[],
            &self.folder,
            self.lines.clone(),
        )?);
        self.wait_ready(&address).await
    }

    async fn wait_ready(&self, address: &str) -> io::Result<()> {
        let patience = Instant::now() + START_WITHIN;
        loop {
            // The edge's admin port may itself still be starting.
            let rows = self.workers().await.unwrap_or_default();
            let ready = |row: &WorkerRow| row.address == address && row.state == "ready";
            if rows.iter().any(ready) {
                return Ok(());
            }
            if Instant::now() > patience {
                let name = self.edge.name();
                return Err(io::Error::other(format!(
                    "the {name} did not find the worker at {address} ready within \
                     {START_WITHIN:?}; see the logs in {}",
                    self.folder.display()
                )));
            }
            sleep(ASK_EVERY).await;
        }
    }

    async fn ask(&self, path: &str) -> io::Result<Value> {
        let uri = format!("{}{path}", self.admin);
        let uri = uri.parse().map_err(io::Error::other)?;
        let answer = self.client.get(uri).await.map_err(io::Error::other)?;
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(io::Error::other)?;
        serde_json::from_slice(&body.to_bytes()).map_err(io::Error::other)
    }
}

fn write_file(folder: &Path, name: &str, content: &str) -> io::Result<PathBuf> {
    let path = folder.join(name);
    std::fs::write(&path, content)?;
    Ok(path)
}

fn edge_config(callers: u16, admin: u16, workers: &[u16], model: std::net::SocketAddr) -> String {
    let addresses: Vec<_> = workers
        .iter()
        .map(|port| format!("\"127.0.0.1:{port}\""))
        .collect();
    format!(
        "# The demo's edge: everything that is not here has its shipped default.\n\
         listeners:\n\
         \x20 - name: twilio\n\
         \x20   address: 127.0.0.1:{callers}\n\
         \x20   routes:\n\
         \x20     - path: /twilio/media\n\
         \x20       profile: twilio\n\
         \x20       signature:\n\
         \x20         public_url: {PUBLIC_URL}\n\
         \x20         auth_token: {{env: TWILIO_AUTH_TOKEN}}\n\
         \x20       legs:\n\
         \x20         - {{name: model, upstream: openai}}\n\
         \x20       workers: default\n\
         upstreams:\n\
         \x20 openai:\n\
         \x20   profile: openai-realtime\n\
         \x20   url: ws://{model}/v1/realtime?model=gpt-realtime-2.1\n\
         \x20   api_key: {{env: OPENAI_API_KEY}}\n\
         workers:\n\
         \x20 default:\n\
         \x20   discovery: {{static: {{addresses: [{}]}}}}\n\
         admin: {{address: \"127.0.0.1:{admin}\"}}\n\
         log: {{format: json, level: info}}\n",
        addresses.join(", ")
    )
}

const BRIDGE_CONFIG: &str = "\
# The demo's worker: greets, listens, and may be interrupted.
instructions: You are the receptionist of a dentist. Be brief.
greeting: {}
";
