//! What the system says of a process: its memory and its descriptors.

use std::{fs, io};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// Resident memory in bytes.
///
/// # Errors
/// If the process is gone.
pub(crate) fn resident(pid: Pid) -> io::Result<u64> {
    status(pid, "VmRSS:")
}

/// Address space in bytes.
///
/// # Errors
/// If the process is gone.
pub(crate) fn address_space(pid: Pid) -> io::Result<u64> {
    status(pid, "VmSize:")
}

/// Open descriptors.
///
/// # Errors
/// If the process is gone.
pub(crate) fn descriptors(pid: Pid) -> io::Result<u64> {
    let entries = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero()))?;
    Ok(entries.count() as u64)
}

/// Limits the descriptors of a running process, for good.
///
/// # Errors
/// If the system does not allow it.
pub(crate) fn limit_descriptors(pid: Pid, to: u64) -> io::Result<()> {
    let limit = Rlimit {
        current: Some(to),
        maximum: Some(to),
    };
    prlimit(Some(pid), Resource::Nofile, limit)?;
    Ok(())
}

/// Limits the address space of a running process, in bytes, or no longer.
///
/// # Errors
/// If the system does not allow it.
pub(crate) fn limit_memory(pid: Pid, to: Option<u64>) -> io::Result<()> {
    let limit = Rlimit {
        current: to,
        maximum: None,
    };
    prlimit(Some(pid), Resource::As, limit)?;
    Ok(())
}

fn status(pid: Pid, key: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()))?;
    let kib = |line: &str| {
        line.strip_prefix(key)?
            .trim()
            .strip_suffix(" kB")?
            .parse()
            .ok()
    };
    let kib: Option<u64> = text.lines().find_map(kib);
    kib.map(|kib| kib * 1_024)
        .ok_or_else(|| io::Error::other(format!("the system says nothing of {key}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_can_be_looked_at() {
        let us = rustix::process::getpid();
        assert!(resident(us).unwrap() > 1 << 20);
        assert!(address_space(us).unwrap() >= resident(us).unwrap());
        let before = descriptors(us).unwrap();
        let _file = fs::File::open("/dev/null").unwrap();
        // Other tests of this process may open and close some at the same time.
        assert!(before > 2 && descriptors(us).unwrap() > 2);
    }
}
