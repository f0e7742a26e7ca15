//! What any bytes from outside may do to this project: nothing but what is foreseen.
//!
//! Each target takes bytes as a peer could send them and panics where something is wrong. The bodies
//! are here, in an ordinary crate, so that two can use them: `cargo test` replays the corpus and all
//! inputs that once found something, on any toolchain; the folder `fuzz` beside `crates` makes
//! libFuzzer binaries of them, which look for new ones.
//!
//! | target | the bytes are |
//! |---|---|
//! | `twilio` | messages of a caller on a `twilio` route, one a line |
//! | `openai` | messages of a model, one a line, the last two bytes its close code |
//! | `upgrade` | a whole connection to a listener: HTTP, then WebSocket |
//! | `webhook` | the body of a request to the TwiML webhook |
//! | `config` | a configuration file |
//! | `worker` | what legs, clock and workers do to a session, the workers in the wire's own form |
//! | `snapshot` | a session's snapshot, less its checksum |
//! | `sdk` | what an edge says to a worker |

mod config;
mod edge;
mod profile;
mod reader;
mod sdk;
mod snapshot;
mod upgrade;
mod webhook;
mod worker;
mod world;

/// One way in.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and that of its folders in `fuzz/corpus` and `fuzz/regressions`.
    pub name: &'static str,
    /// Takes the bytes.
    ///
    /// # Panics
    /// Where they did what they must not be able to do.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    target("twilio", profile::twilio),
    target("openai", profile::openai),
    target("upgrade", upgrade::run),
    target("webhook", webhook::run),
    target("config", config::run),
    target("worker", worker::run),
    target("snapshot", snapshot::run),
    target("sdk", sdk::run),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Runs the target of this name.
///
/// # Panics
/// Where there is none, and where the bytes did what they must not be able to do.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("there is no fuzz target {name}"));
    (target.run)(bytes);
}

/// The inputs that the corpus began with.
#[cfg(test)]
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/");
    let entries = std::fs::read_dir(format!("{folder}{target}"));
    let paths = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let seeds = paths.filter(|path| path.to_string_lossy().contains("seed-"));
    let seeds: Vec<_> = seeds.flat_map(std::fs::read).collect();
    assert!(!seeds.is_empty(), "{target} has no seeds");
    seeds
}
