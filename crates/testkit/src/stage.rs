//! A telephone exchange of processes: an edge, the workers behind it, and callers in front.
//!
//! Every worker slot has two ports and uses one at a time, so that a new version can start beside
//! the old one, as a Deployment with `maxUnavailable: 0` does it. The edge is told all ports from
//! the start, and finds out by itself which of them are alive.

use std::{
    ffi::OsString,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::sleep};

use crate::process::{Launch, Log, LogLine, Process};

mod admin;
mod callers;
mod files;
mod ports;

pub use admin::{Admin, Metrics, WorkerRow};
pub use callers::{ANSWER_WITHIN, Callers, Calling, call};
pub use ports::Port;

/// Longest wait until a process serves.
const START_WITHIN: Duration = Duration::from_secs(60);
/// How often the edge is asked.
const ASK_EVERY: Duration = Duration::from_millis(50);
/// The account's token, for signatures on the machine itself.
pub const AUTH_TOKEN: &str = "demo-token-that-signs-upgrades";
/// The key that the edge shows to the model.
pub const API_KEY: &str = "demo-key-that-workers-never-see";
/// The URL that stands in the TwiML.
pub const PUBLIC_URL: &str = "wss://voice.example.com/twilio/media";

/// Where the workers of a slot live.
#[derive(Debug, Clone)]
pub struct Lodging {
    /// Where the edge reaches them.
    pub host: IpAddr,
    /// Words before the worker's command: a program that runs another one in its own way.
    pub prefix: Vec<OsString>,
    /// Variables of theirs.
    pub env: Vec<(String, String)>,
}

impl Default for Lodging {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            prefix: Vec::new(),
            env: Vec::new(),
        }
    }
}

/// What an exchange is made of.
#[derive(Debug)]
pub struct Plan {
    /// For the files and logs of all processes; must exist.
    pub folder: PathBuf,
    /// The program `holdline`.
    pub holdline: PathBuf,
    /// Where the model listens.
    pub model: SocketAddr,
    /// The slots of the workers.
    pub slots: Vec<Lodging>,
    /// The workers' command; the options of `holdline bridge` follow.
    pub worker: Vec<OsString>,
    /// Words before the edge's command.
    pub edge_prefix: Vec<OsString>,
    /// Variables of the edge.
    pub edge_env: Vec<(String, String)>,
    /// Further sections of the edge's file.
    pub sections: String,
    /// Who is told what the processes log.
    pub lines: Option<mpsc::Sender<LogLine>>,
}

impl Plan {
    /// Workers of `holdline bridge` on the loopback, everything else as shipped.
    #[must_use]
    pub fn new(folder: &Path, holdline: &Path, model: SocketAddr, workers: usize) -> Self {
        Self {
            folder: folder.to_owned(),
            holdline: holdline.to_owned(),
            model,
            slots: vec![Lodging::default(); workers],
            worker: shipped(holdline),
            edge_prefix: Vec::new(),
            edge_env: Vec::new(),
            sections: String::new(),
            lines: None,
        }
    }

    fn log(&self, name: &str) -> Log {
        let file = self.folder.join(format!("{name}.log"));
        match &self.lines {
            None => Log::File(file),
            Some(lines) => Log::Told {
                file,
                lines: lines.clone(),
            },
        }
    }
}

/// A place for a worker process, with what lives there.
#[derive(Debug)]
struct Slot {
    ports: [Port; 2],
    /// Which of the two is in use.
    side: usize,
    process: Option<Process>,
}

/// Something was done to a worker.
#[derive(Debug, Clone)]
pub struct Blow {
    /// When.
    pub at: Instant,
    /// `host:port` of the worker.
    pub worker: String,
}

/// Edge and workers. All processes are killed when it is dropped.
#[derive(Debug)]
pub struct Stage {
    plan: Plan,
    edge: Process,
    slots: Vec<Slot>,
    started: usize,
    admin: Admin,
    url: String,
}

impl Stage {
    /// Starts everything with workers of this version, and waits until calls can come.
    ///
    /// # Errors
    /// If something cannot be started, or does not serve within a minute.
    pub async fn set_up(plan: Plan, version: &str) -> io::Result<Self> {
        let (callers, operators) = (Port::reserve()?, Port::reserve()?);
        let slot = |_: &Lodging| -> io::Result<Slot> {
            Ok(Slot {
                ports: [Port::reserve()?, Port::reserve()?],
                side: 1,
                process: None,
            })
        };
        let slots = plan
            .slots
            .iter()
            .map(slot)
            .collect::<io::Result<Vec<_>>>()?;
        let workers: Vec<_> = plan
            .slots
            .iter()
            .zip(&slots)
            .flat_map(|(lodging, slot)| slot.ports.each_ref().map(|port| port.at(lodging.host)))
            .collect();
        files::write(&plan, callers.number(), operators.number(), &workers)?;
        let mut stage = Self {
            edge: Process::start(edge(&plan))?,
            plan,
            slots,
            started: 0,
            admin: Admin::new(operators.number()),
            url: format!("ws://127.0.0.1:{}/twilio/media", callers.number()),
        };
        for slot in 0..stage.slots.len() {
            stage.start(slot, version).await?;
        }
        Ok(stage)
    }

    /// Where callers connect.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The edge's admin port.
    #[must_use]
    pub fn admin(&self) -> &Admin {
        &self.admin
    }

    /// The edge's process.
    #[must_use]
    pub fn edge(&self) -> &Process {
        &self.edge
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True of an exchange without workers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The worker process of a slot, if there is one.
    #[must_use]
    pub fn worker(&self, slot: usize) -> Option<&Process> {
        self.slots.get(slot)?.process.as_ref()
    }

    /// `host:port` of the worker in a slot.
    #[must_use]
    pub fn address(&self, slot: usize) -> String {
        let Slot { ports, side, .. } = &self.slots[slot];
        ports[*side].at(self.plan.slots[slot].host).to_string()
    }

    /// Workers that are started from now on are `holdline bridge`, whatever the plan says.
    pub fn workers_as_shipped(&mut self) {
        self.plan.worker = shipped(&self.plan.holdline);
    }

    /// Starts a worker on the slot's other port, and waits until the edge may use it. A process
    /// that the slot already has is killed.
    ///
    /// # Errors
    /// If it cannot be started, or does not serve within a minute.
    pub async fn start(&mut self, slot: usize, version: &str) -> io::Result<()> {
        self.launch(slot, version)?;
        self.ready(slot).await
    }

    /// As [`start`](Self::start), without waiting.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&mut self, slot: usize, version: &str) -> io::Result<()> {
        self.slots[slot].side = 1 - self.slots[slot].side;
        self.started += 1;
        let name = format!("worker-{}-{version}", self.started);
        let lodging = &self.plan.slots[slot];
        let mut words = lodging.prefix.clone();
        words.extend(self.plan.worker.iter().cloned());
        let file = files::bridge(&self.plan.folder);
        let address = self.address(slot);
        let options: [OsString; 6] = [
            "--config".into(),
            file.into(),
            "--listen".into(),
            address.into(),
            "--version-label".into(),
            version.into(),
        ];
        words.extend(options);
        self.slots[slot].process = Some(Process::start(Launch {
            log: self.plan.log(&name),
            name,
            words,
            env: lodging.env.clone(),
            own_group: false,
        })?);
        Ok(())
    }

    /// Waits until the edge may use the slot's worker.
    ///
    /// # Errors
    /// If that takes more than a minute.
    pub async fn ready(&self, slot: usize) -> io::Result<()> {
        let address = self.address(slot);
        let ready = |row: &WorkerRow| row.address == address && row.state == "ready";
        let patience = Instant::now() + START_WITHIN;
        loop {
            // The edge's admin port may itself still be starting.
            let rows = self.admin.workers().await.unwrap_or_default();
            if rows.iter().any(ready) {
                return Ok(());
            }
            if Instant::now() > patience {
                return Err(io::Error::other(format!(
                    "the {} did not find the worker at {address} ready within \
                     {START_WITHIN:?}; see the logs in {}",
                    self.edge.name(),
                    self.plan.folder.display()
                )));
            }
            sleep(ASK_EVERY).await;
        }
    }

    /// Replaces a slot's worker by one of this version, the new one first; waits until the old one
    /// has ended. `None` where there was no old one.
    ///
    /// # Errors
    /// If the new one does not serve, or the old one does not end in good order.
    pub async fn replace(&mut self, slot: usize, version: &str) -> io::Result<Option<Blow>> {
        let old = self.slots[slot].process.take();
        let worker = self.address(slot);
        self.start(slot, version).await?;
        let Some(old) = old else {
            return Ok(None);
        };
        let at = Instant::now();
        old.terminate()?;
        if !old.ended().await? {
            return Err(io::Error::other("a drained worker did not exit with 0"));
        }
        Ok(Some(Blow { at, worker }))
    }

    /// `kill -9` of a slot's worker, with nothing in its place yet.
    ///
    /// # Errors
    /// If the system refuses the signal.
    pub async fn kill(&mut self, slot: usize) -> io::Result<Option<Blow>> {
        let worker = self.address(slot);
        let Some(victim) = self.slots[slot].process.take() else {
            return Ok(None);
        };
        let at = Instant::now();
        victim.kill()?;
        victim.ended().await?;
        Ok(Some(Blow { at, worker }))
    }

    /// SIGSTOP for `length`, then SIGCONT: the worker comes back and finds itself fenced. Waits
    /// until the edge may use it again.
    ///
    /// # Errors
    /// If the system refuses a signal, or the worker does not come back.
    pub async fn freeze(&mut self, slot: usize, length: Duration) -> io::Result<Option<Blow>> {
        let worker = self.address(slot);
        let Some(process) = &self.slots[slot].process else {
            return Ok(None);
        };
        let at = Instant::now();
        process.freeze()?;
        sleep(length).await;
        process.thaw()?;
        self.ready(slot).await?;
        Ok(Some(Blow { at, worker }))
    }

    /// Takes note of workers that ended by themselves: the slots, whose processes are gone now.
    ///
    /// # Errors
    /// If the system cannot say.
    pub fn bury(&mut self) -> io::Result<Vec<usize>> {
        let mut dead = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(process) = &mut slot.process
                && process.has_ended()?.is_some()
            {
                slot.process = None;
                dead.push(index);
            }
        }
        Ok(dead)
    }

    /// Ends everything in good order; says whether all of it was.
    ///
    /// # Errors
    /// If a process does not end.
    pub async fn strike(mut self) -> io::Result<bool> {
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
}

/// The command of a worker without faults.
fn shipped(holdline: &Path) -> Vec<OsString> {
    vec![holdline.into(), "bridge".into()]
}

fn edge(plan: &Plan) -> Launch {
    let mut words = plan.edge_prefix.clone();
    let command: [OsString; 4] = [
        plan.holdline.clone().into(),
        "run".into(),
        "--config".into(),
        files::edge(&plan.folder).into(),
    ];
    words.extend(command);
    let mut env = plan.edge_env.clone();
    env.push(("TWILIO_AUTH_TOKEN".to_owned(), AUTH_TOKEN.to_owned()));
    env.push(("OPENAI_API_KEY".to_owned(), API_KEY.to_owned()));
    Launch {
        name: "edge".to_owned(),
        words,
        env,
        log: plan.log("edge"),
        own_group: false,
    }
}
