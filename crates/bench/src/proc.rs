//! Programs under test and beside it: where they run, what they cost, how they end.
//!
//! Everything is read from outside. A program's own metrics would be part of what is measured, and
//! rivals have none that could be compared.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::time::clock_getcpuclockid;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
    thread::{CpuSet, sched_setaffinity},
};

/// Which cores are for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Cores {
    /// For the program under test.
    pub(crate) tested: usize,
    /// For the load, the workers, and everything else.
    pub(crate) others: usize,
}

/// Who a program is to the measurement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// It is measured.
    Tested,
    /// It must be there.
    Other,
}

/// A running program with all its children, which end when it is dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Cores {
    /// Keeps the calling thread, and what it starts, on the core of this role.
    ///
    /// # Errors
    /// If there is no such core.
    pub(crate) fn take(self, role: Role) -> io::Result<()> {
        let core = match role {
            Role::Tested => self.tested,
            Role::Other => self.others,
        };
        let mut set = CpuSet::new();
        set.set(core);
        sched_setaffinity(None, &set).map_err(|error| {
            io::Error::other(format!("core {core} cannot be used: {error}; see --cores"))
        })
    }
}

impl Program {
    /// Starts a program on the core of its role; what it says goes to a file in the folder.
    ///
    /// # Errors
    /// If it cannot be started.
    pub(crate) fn start(
        name: &str,
        mut command: Command,
        role: Role,
        cores: Cores,
        folder: &Path,
    ) -> io::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        // A child begins with the cores of the thread that makes it.
        cores.take(role)?;
        let started = command.spawn();
        cores.take(Role::Other)?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = started
            .map_err(|error| io::Error::other(format!("{program} cannot be started: {error}")))?;
        Ok(Self {
            name: name.to_owned(),
            child,
            log,
        })
    }

    /// What went wrong, with the end of what the program said.
    pub(crate) fn blame(&self, error: &io::Error) -> io::Error {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        let said: Vec<_> = lines.into_iter().rev().collect();
        io::Error::other(format!(
            "{}: {error}; it said: {}",
            self.name,
            said.join(" | ")
        ))
    }

    /// CPU time of the program and its children so far.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.family()?.into_iter().map(cpu).sum()
    }

    /// Resident memory in bytes, each page that several of them share counted once.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn resident(&self) -> io::Result<u64> {
        self.family()?.into_iter().map(resident).sum()
    }

    /// Sends a signal to the program itself.
    ///
    /// # Errors
    /// If it is gone.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(self.pid()?, signal)?)
    }

    /// Sends a signal to the program itself, and waits until it has ended.
    ///
    /// # Errors
    /// If it is gone, does not end in this time, or says that it failed.
    pub(crate) fn end(&mut self, signal: Signal, within: Duration) -> io::Result<()> {
        let ended = pidfd_open(self.pid()?, PidfdFlags::empty())?;
        self.signal(signal)?;
        let within = Timespec::try_from(within).map_err(io::Error::other)?;
        poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&within))?;
        let wrong = match self.child.try_wait()? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => status.to_string(),
            None => "it does not end".to_owned(),
        };
        Err(self.blame(&io::Error::other(wrong)))
    }

    fn pid(&self) -> io::Result<Pid> {
        pid(self.child.id()).ok_or_else(|| io::Error::other("a process without an id"))
    }

    /// The program and all that it started, and they.
    fn family(&self) -> io::Result<Vec<Pid>> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // Gone meanwhile: then it is nobody's.
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if let Some(parent) = parent(&stat) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(member) = family.get(next) {
            let theirs = children.remove(member).unwrap_or_default();
            family.extend(theirs);
            next += 1;
        }
        Ok(family.into_iter().filter_map(pid).collect())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Whoever is gone already cannot be killed, and need not be.
        for member in self.family().unwrap_or_default() {
            let _ = kill_process(member, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, all its threads together, those that ended too.
///
/// # Errors
/// If it is gone.
pub(crate) fn cpu(pid: Pid) -> io::Result<Duration> {
    let pid = nix::unistd::Pid::from_raw(pid.as_raw_nonzero().get());
    Ok(clock_getcpuclockid(pid)?.now()?.into())
}

fn resident(pid: Pid) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero()))?;
    let kib = |line: &str| {
        let number = line.strip_prefix("Pss:")?.trim().strip_suffix(" kB")?;
        number.parse::<u64>().ok()
    };
    let found = text.lines().find_map(kib);
    found
        .map(|kib| kib << 10)
        .ok_or_else(|| io::Error::other("the kernel does not tell what memory a process has"))
}

/// CPU time of this very process so far.
///
/// # Errors
/// If the system cannot say.
pub(crate) fn own_cpu() -> io::Result<Duration> {
    cpu(rustix::process::getpid())
}

/// The fourth field; the second, a name in parentheses, may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_measured_with_its_children_and_ends_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 60 & sleep 60"]);
        let cores = Cores {
            tested: 0,
            others: 0,
        };
        let program = Program::start("sh", command, Role::Tested, cores, folder.path()).unwrap();
        let family = loop {
            let family = program.family().unwrap();
            if family.len() == 3 {
                break family;
            }
        };
        assert!(program.cpu().unwrap() > Duration::ZERO);
        assert!(program.resident().unwrap() > 0);
        drop(program);
        let lives = |pid: &Pid| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while family.iter().any(lives) {}
    }

    #[test]
    fn a_parent_is_found_behind_any_name() {
        assert_eq!(parent("7 (a) b) (c) S 42 7 7 0"), Some(42));
    }
}
