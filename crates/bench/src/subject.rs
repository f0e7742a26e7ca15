//! Who is measured: our edge, the relays that it is compared with, and no relay at all.
//!
//! Every one gets the same: one core, callers in front, the model behind, a configuration that a
//! careful operator would write for long WebSockets, and no log of requests.

mod edge;
mod envoy;
mod pushpin;
mod relays;
mod rivals;

use std::{
    env, io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use holdline_testkit::stage::Port;
use rustls::ServerConfig;

use crate::{
    load::Load,
    proc::{Cores, Program, Role},
};

pub(crate) use edge::Bench;
use edge::Fleet;
pub(crate) use rivals::{RIVALS, is_rival};

/// Longest wait until a program serves.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// With 100 calls Pushpin's processes need a whole core.
const PUSHPIN_CALLS: u32 = 100;
/// The path that callers ask for.
pub(crate) const PATH: &str = "/twilio/media";

/// Who is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Subject {
    /// Callers connect to the model itself.
    Direct,
    /// The edge with a worker behind it: every frame goes through the worker.
    Edge(EdgeBuild),
    /// nginx, relaying.
    Nginx(PathBuf),
    /// HAProxy, relaying.
    Haproxy(PathBuf),
    /// Envoy, relaying.
    Envoy(PathBuf),
    /// Envoy with every frame of callers through a gRPC processor, and back.
    ExtProc(PathBuf),
    /// Pushpin, relaying.
    Pushpin(PathBuf),
}

/// A build of the edge, so that two of them can be compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EdgeBuild {
    pub(crate) name: String,
    pub(crate) edge: PathBuf,
    /// The program that has the worker inside: this one, or that of another build.
    pub(crate) worker: PathBuf,
    /// Words before the edge's command: a program that runs another one in its own way.
    pub(crate) under: Vec<String>,
}

/// What everybody is given.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) folder: PathBuf,
    pub(crate) cores: Cores,
    /// Of the model, where it speaks TLS.
    pub(crate) tls: Option<ModelTls>,
}

/// The model's certificate.
#[derive(Clone, Debug)]
pub(crate) struct ModelTls {
    pub(crate) server: Arc<ServerConfig>,
    /// PEM file that proves it.
    pub(crate) ca: PathBuf,
}

/// A subject that runs.
#[derive(Debug)]
pub(crate) struct Rig {
    /// Where callers connect.
    pub(crate) entry: SocketAddr,
    /// `None` where there is nothing between callers and model.
    pub(crate) tested: Option<Program>,
    /// Ends after what is tested.
    beside: Beside,
}

/// Who must be there with it.
#[derive(Debug)]
enum Beside {
    Nobody,
    Fleet(Box<Fleet>),
    Processor(Program),
}

impl Ground {
    /// What the model listens with.
    pub(crate) fn model_tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.as_ref().map(|tls| tls.server.clone())
    }
}

impl Subject {
    /// As in tables and on the command line.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Direct => "direct",
            Self::Edge(build) => &build.name,
            Self::Nginx(_) => "nginx",
            Self::Haproxy(_) => "haproxy",
            Self::Envoy(_) => "envoy",
            Self::ExtProc(_) => "ext_proc",
            Self::Pushpin(_) => "pushpin",
        }
    }

    /// With how many calls it is tried: where its core is full with fewer, more tell nothing.
    pub(crate) fn most_calls(&self) -> u32 {
        match self {
            Self::Pushpin(_) => PUSHPIN_CALLS,
            _ => u32::MAX,
        }
    }

    /// Whether it can speak TLS to the model; our own callers do not.
    pub(crate) fn can_dial_tls(&self) -> bool {
        !matches!(self, Self::Direct | Self::Pushpin(_))
    }

    /// Starts it, and waits until it serves.
    ///
    /// # Errors
    /// If it does not start, or does not serve within half a minute.
    pub(crate) fn start(&self, ground: &Ground, load: &mut Load) -> io::Result<Rig> {
        let model = load.model()?;
        // Kept until the program has it.
        let port = Port::reserve()?;
        let entry = at(&port);
        let tested = match self {
            Self::Direct => {
                return Ok(Rig {
                    entry: model,
                    tested: None,
                    beside: Beside::Nobody,
                });
            }
            Self::Edge(build) => {
                let mut bench = Bench::start(build, ground, model, "", &[])?;
                bench.ready(load)?;
                return Ok(Rig {
                    entry: bench.entry,
                    tested: Some(bench.edge),
                    beside: Beside::Fleet(Box::new(bench.fleet)),
                });
            }
            Self::ExtProc(program) => return ext_proc(program, ground, load, entry),
            Self::Nginx(program) => relays::nginx(program, ground, entry, model)?,
            Self::Haproxy(program) => relays::haproxy(program, ground, entry, model)?,
            Self::Envoy(program) => envoy::envoy(program, ground, entry, model, None)?,
            Self::Pushpin(program) => pushpin::pushpin(program, ground, entry, model)?,
        };
        listens(&tested, entry, load)?;
        Ok(Rig {
            entry,
            tested: Some(tested),
            beside: Beside::Nobody,
        })
    }
}

fn ext_proc(
    program: &Path,
    ground: &Ground,
    load: &mut Load,
    entry: SocketAddr,
) -> io::Result<Rig> {
    let port = Port::reserve()?;
    let at = at(&port);
    let mut command = Command::new(env::current_exe()?);
    command.args(["ext-proc", "--listen", &at.to_string()]);
    let (cores, folder) = (ground.cores, &ground.folder);
    let processor = Program::start("ext-proc", command, Role::Other, cores, folder)?;
    listens(&processor, at, load)?;
    let tested = envoy::envoy(program, ground, entry, load.model()?, Some(at))?;
    listens(&tested, entry, load)?;
    Ok(Rig {
        entry,
        tested: Some(tested),
        beside: Beside::Processor(processor),
    })
}

fn at(port: &Port) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port.number()).into()
}

/// Waits until a program takes connections.
fn listens(program: &Program, at: SocketAddr, load: &mut Load) -> io::Result<()> {
    let patience = Instant::now() + PATIENCE;
    while TcpStream::connect(at).is_err() {
        load.run(LOOK_EVERY)?;
        if Instant::now() > patience {
            let error = io::Error::other(format!("does not serve within {PATIENCE:?}"));
            return Err(program.blame(&error));
        }
    }
    Ok(())
}

impl Rig {
    /// CPU time of what is tested so far; zero where there is nothing.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.tested
            .as_ref()
            .map_or(Ok(Duration::ZERO), Program::cpu)
    }

    /// CPU time so far of the worker or processor that handles the frames; zero where there is none.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn cpu_beside(&self) -> io::Result<Duration> {
        match &self.beside {
            Beside::Nobody => Ok(Duration::ZERO),
            Beside::Fleet(fleet) => fleet.cpu(),
            Beside::Processor(processor) => processor.cpu(),
        }
    }

    /// Resident memory of what is tested, in bytes.
    ///
    /// # Errors
    /// If it is gone, or was never there.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        let nobody = || Err(io::Error::other("there is no program to be weighed"));
        self.tested.as_ref().map_or_else(nobody, Program::resident)
    }

    /// The error, with what the program said.
    pub(crate) fn blame(&self, error: io::Error) -> io::Error {
        match &self.tested {
            None => error,
            Some(tested) => tested.blame(&error),
        }
    }
}
