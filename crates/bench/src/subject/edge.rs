//! The edge, with its workers.

use std::{
    ffi::OsString,
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use holdline_testkit::stage::{Admin, Port};
use rustix::process::Signal;
use tokio::runtime::Runtime;

use super::{EdgeBuild, Ground, LOOK_EVERY, PATH, PATIENCE, at};
use crate::{
    load::Load,
    proc::{Cores, Program, Role},
};

/// An edge with its workers.
#[derive(Debug)]
pub(crate) struct Bench {
    /// Where callers connect.
    pub(crate) entry: SocketAddr,
    /// Where it is asked.
    pub(crate) admin: SocketAddr,
    pub(crate) edge: Program,
    pub(crate) fleet: Fleet,
}

/// The workers of an edge, in places that the edge knows from the start.
#[derive(Debug)]
pub(crate) struct Fleet {
    program: PathBuf,
    folder: PathBuf,
    cores: Cores,
    places: [Port; 2],
    /// In the order of the places; `None` where nobody lives.
    workers: [Option<Program>; 2],
    admin: Admin,
    /// For the admin port alone, which is asked before and after measurements.
    runtime: Runtime,
}

impl Bench {
    /// Starts an edge, and a worker in the first of two places, with these options. `sections` are
    /// further ones of the edge's file.
    ///
    /// # Errors
    /// If one cannot be started.
    pub(crate) fn start(
        build: &EdgeBuild,
        ground: &Ground,
        model: SocketAddr,
        sections: &str,
        options: &[&str],
    ) -> io::Result<Self> {
        let (callers, operators) = (Port::reserve()?, Port::reserve()?);
        let entry = at(&callers);
        let places = [Port::reserve()?, Port::reserve()?];
        let file = ground.folder.join("edge.yaml");
        let workers: Vec<_> = places.iter().map(|place| at(place).to_string()).collect();
        let text = text(ground, entry, model, &workers, operators.number(), sections);
        fs::write(&file, text)?;
        let mut words = build.under.iter().map(OsString::from);
        let mut command = match words.next() {
            None => Command::new(&build.edge),
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(&build.edge);
                command
            }
        };
        command.arg("run").arg("--config").arg(&file);
        let edge = Program::start("edge", command, Role::Tested, ground.cores, &ground.folder)?;
        let mut fleet = Fleet {
            program: build.worker.clone(),
            folder: ground.folder.clone(),
            cores: ground.cores,
            places,
            workers: [None, None],
            admin: Admin::new(operators.number()),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        };
        fleet.start(0, options)?;
        Ok(Self {
            entry,
            admin: at(&operators),
            edge,
            fleet,
        })
    }

    /// Waits until the worker in the first place may be used.
    ///
    /// # Errors
    /// If that takes more than half a minute.
    pub(crate) fn ready(&mut self, load: &mut Load) -> io::Result<()> {
        let waited = self.fleet.ready(0, load);
        waited.map_err(|error| self.edge.blame(&error))
    }
}

impl Fleet {
    /// Starts a worker in a place, with further options.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(&mut self, place: usize, options: &[&str]) -> io::Result<()> {
        let mut command = Command::new(&self.program);
        let address = at(&self.places[place]).to_string();
        command.args(["worker", "--listen", &address]).args(options);
        let name = format!("worker-{place}");
        let started = Program::start(&name, command, Role::Other, self.cores, &self.folder)?;
        self.workers[place] = Some(started);
        Ok(())
    }

    /// CPU time of all workers so far.
    ///
    /// # Errors
    /// If one is gone.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.workers.iter().flatten().map(Program::cpu).sum()
    }

    /// Sends a signal to the worker in a place.
    ///
    /// # Errors
    /// If nobody lives there.
    pub(crate) fn signal(&self, place: usize, signal: Signal) -> io::Result<()> {
        let nobody = || Err(io::Error::other(format!("no worker in place {place}")));
        self.workers[place]
            .as_ref()
            .map_or_else(nobody, |it| it.signal(signal))
    }

    /// Waits until the edge may use the worker in this place.
    ///
    /// # Errors
    /// If that takes more than half a minute.
    pub(crate) fn ready(&mut self, place: usize, load: &mut Load) -> io::Result<()> {
        let address = at(&self.places[place]).to_string();
        let patience = Instant::now() + PATIENCE;
        loop {
            // The edge's admin port may itself still be starting.
            let rows = self.runtime.block_on(self.admin.workers());
            let mut rows = rows.unwrap_or_default().into_iter();
            if rows.any(|row| row.address == address && row.state == "ready") {
                return Ok(());
            }
            if Instant::now() > patience {
                return Err(io::Error::other(format!(
                    "the worker at {address} is not ready within {PATIENCE:?}"
                )));
            }
            load.run(LOOK_EVERY)?;
        }
    }
}

fn text(
    ground: &Ground,
    entry: SocketAddr,
    model: SocketAddr,
    workers: &[String],
    admin: u16,
    sections: &str,
) -> String {
    let (url, ca) = match &ground.tls {
        None => (format!("ws://{model}/v1/realtime"), "off".to_owned()),
        Some(tls) => (
            format!("wss://localhost:{}/v1/realtime", model.port()),
            tls.ca.display().to_string(),
        ),
    };
    format!(
        "listeners:\n\
         \x20 - name: twilio\n\
         \x20   address: {entry}\n\
         \x20   max_connections: 20000\n\
         \x20   routes:\n\
         \x20     - {{path: {PATH}, profile: twilio, signature: off, workers: default,\n\
         \x20        legs: [{{name: model, upstream: openai}}]}}\n\
         upstreams:\n\
         \x20 openai: {{profile: openai-realtime, url: \"{url}\", api_key: off, ca: {ca}}}\n\
         workers:\n\
         \x20 default:\n\
         \x20   discovery: {{static: {{addresses: {workers:?}}}}}\n\
         limits: {{sessions: 20000, handshakes: 1024, per_address: 20000}}\n\
         admin: {{address: \"127.0.0.1:{admin}\"}}\n\
         {sections}"
    )
}
