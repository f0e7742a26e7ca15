//! What this machine, or this container, gives: against what the configured number of calls takes.

use std::{fs, io, num::NonZeroU64};

use holdline_config::Config;
use tokio::net::TcpListener;

use super::Finding;
use crate::files;

const FILES: &str = "open files";
const MEMORY: &str = "memory";
const PORTS: &str = "ports";
const ADDRESS: &str = "address";

/// Of an edge without calls.
const MEMORY_BESIDE: u64 = 64 << 20;
/// Of a talking call with TLS to its model: docs/capacity.md.
const MEMORY_CALL: u64 = 300 << 10;

pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let sessions = u64::from(config.limits.sessions);
    let mut found = vec![files(sessions, config)];
    found.extend(memory_limit().map(|limit| memory(sessions, limit)));
    // Legs that no route has are opened by workers: each call may have one to the same address.
    let dials = !config.upstreams.is_empty();
    if dials && let Some(range) = port_range() {
        found.push(ports(sessions, range));
    }
    found
}

/// Whether what is to be listened on can be had. An edge that runs here has it already.
pub(super) async fn addresses(config: &Config) -> Vec<Finding> {
    let callers = config.listeners.iter();
    let callers = callers.map(|it| (format!("listener {}", it.name), it.address));
    let admin = ("admin".to_owned(), config.admin.address);
    let mut found = Vec::new();
    for (name, address) in callers.chain([admin]) {
        let bound = TcpListener::bind(address).await.map(drop);
        found.push(listens(format!("{name}, {address}"), bound));
    }
    found
}

fn listens(about: String, bound: io::Result<()>) -> Finding {
    match bound {
        Ok(()) => Finding::ok(ADDRESS, about, "can be listened on"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warning(
            ADDRESS,
            about,
            "somebody listens there already",
            "nothing, where it is an edge that runs; else choose another address or stop who has it",
        ),
        Err(error) => Finding::failed(
            ADDRESS,
            about,
            format!("cannot be listened on: {error}"),
            "choose an address of this machine, and a port from 1024 on where this user may have no other",
        ),
    }
}

fn files(sessions: u64, config: &Config) -> Finding {
    let need = files::needed(config, sessions);
    let about = format!("{sessions} calls");
    let limit = match rlimit::Resource::NOFILE.get() {
        // The edge raises its soft limit to it.
        Ok((_, hard)) => hard,
        Err(error) => {
            let found = format!("the limit cannot be read: {error}");
            return Finding::warning(FILES, about, found, "ulimit -Hn");
        }
    };
    let shown = match limit {
        rlimit::INFINITY => "any number".to_owned(),
        limit => limit.to_string(),
    };
    let found = format!("{shown} may be open, {need} may be needed");
    if limit >= need {
        return Finding::ok(FILES, about, found);
    }
    let advice = "raise the hard limit (LimitNOFILE of systemd, --ulimit of a container), or lower `limits.sessions`";
    // One call takes two at least: then not even half of them fit.
    if limit < sessions {
        Finding::failed(FILES, about, found, advice)
    } else {
        Finding::warning(FILES, about, found, advice)
    }
}

fn memory(sessions: u64, limit: NonZeroU64) -> Finding {
    let about = format!("{sessions} calls");
    let usual = MEMORY_BESIDE + sessions * MEMORY_CALL;
    let with_room = MEMORY_BESIDE + sessions * MEMORY_CALL * 2;
    let mib = |bytes: u64| format!("{} MiB", bytes >> 20);
    let found = format!(
        "{} there, {} for as many talking calls, {} with room for slow peers",
        mib(limit.get()),
        mib(usual),
        mib(with_room)
    );
    let advice = "give the edge more memory, or lower `limits.sessions`: docs/capacity.md";
    if limit.get() < usual {
        Finding::failed(MEMORY, about, found, advice)
    } else if limit.get() < with_room {
        Finding::warning(MEMORY, about, found, advice)
    } else {
        Finding::ok(MEMORY, about, found)
    }
}

fn ports(sessions: u64, range: u64) -> Finding {
    let about = format!("{sessions} calls");
    let found = format!("{range} towards each address of an upstream");
    if range < sessions {
        let advice = "widen net.ipv4.ip_local_port_range, or lower `limits.sessions`";
        Finding::failed(PORTS, about, found, advice)
    } else {
        Finding::ok(PORTS, about, found)
    }
}

/// Of the container (cgroup v2, or v1), else of the machine; `None` where neither says.
fn memory_limit() -> Option<NonZeroU64> {
    let of_group = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let of_group = of_group
        .iter()
        .filter_map(|path| number(&fs::read_to_string(path).ok()?));
    let of_machine = fs::read_to_string("/proc/meminfo").ok();
    let of_machine = of_machine.and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        number(line)?.checked_mul(1 << 10)
    });
    of_group.chain(of_machine).min().and_then(NonZeroU64::new)
}

fn port_range() -> Option<u64> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut bounds = text.split_whitespace().map(str::parse::<u64>);
    let (first, last) = (bounds.next()?.ok()?, bounds.next()?.ok()?);
    Some((last + 1).saturating_sub(first))
}

/// The first number of a text.
fn number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::examine::Verdict;

    #[test]
    fn memory_for_calls() {
        let verdict = |mib: u64| memory(1_000, NonZeroU64::new(mib << 20).unwrap()).verdict;
        assert_eq!(verdict(300), Verdict::Failed);
        assert_eq!(verdict(400), Verdict::Warning);
        assert_eq!(verdict(700), Verdict::Ok);
    }

    #[test]
    fn addresses_to_listen_on() {
        let verdict = |kind: io::ErrorKind| listens("admin".to_owned(), Err(kind.into())).verdict;
        assert_eq!(verdict(io::ErrorKind::AddrInUse), Verdict::Warning);
        assert_eq!(verdict(io::ErrorKind::PermissionDenied), Verdict::Failed);
    }

    #[test]
    fn ports_for_calls() {
        assert_eq!(ports(1_000, 28_232).verdict, Verdict::Ok);
        assert_eq!(ports(30_000, 28_232).verdict, Verdict::Failed);
    }

    #[test]
    fn numbers_of_the_kernel() {
        assert_eq!(number(" 16384 kB"), Some(16_384));
        assert_eq!(number("max\n"), None);
    }
}
