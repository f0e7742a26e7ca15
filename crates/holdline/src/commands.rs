//! One file for each sub-command.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use holdline_config::{Config, ConfigErrors};
use tokio::runtime::Builder;

use crate::Failure;

pub(crate) mod bridge;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod operate;
pub(crate) mod probe;
pub(crate) mod run;
pub(crate) mod schema;

/// What is still running once a command is done gets this long to end.
const PARTING: Duration = Duration::from_secs(1);

/// Reads the edge's configuration, with all that is wrong in the failure.
fn load(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|errors| said(&errors))
}

/// All that is wrong with a configuration, in words.
pub(crate) fn said(errors: &ConfigErrors) -> Failure {
    let count = errors.errors().len();
    let noun = if count == 1 { "error" } else { "errors" };
    let words = format!("{count} {noun} in the configuration\n{errors}");
    Failure::Misconfigured(words.trim_end().to_owned())
}

/// Prints what was asked for.
fn print(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().write_all(text) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// Does a command's work on a runtime of all cores, with IO and time.
fn block_on<T, E: Into<Failure>>(work: impl Future<Output = Result<T, E>>) -> Result<T, Failure> {
    block_on_with(Builder::new_multi_thread(), work)
}

/// As [`block_on`], on a runtime of this kind. Some work cannot be called
/// back, such as a name being looked up with no resolver in reach: a process that is done does not
/// wait for its end, which may take tens of seconds.
fn block_on_with<T, E: Into<Failure>>(
    mut builder: Builder,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure> {
    let runtime = builder.enable_all().thread_name("holdline").build()?;
    let outcome = runtime.block_on(work);
    runtime.shutdown_timeout(PARTING);
    outcome.map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc,
        time::{Duration, Instant},
    };

    use super::{Failure, block_on};

    #[test]
    fn a_command_that_is_done_does_not_wait_for_what_cannot_be_called_back() {
        // Nobody ever sends: a lookup without an answer.
        let (_resolver, answer) = mpsc::channel::<()>();
        let begun = Instant::now();
        let done = block_on(async move {
            tokio::task::spawn_blocking(move || answer.recv_timeout(Duration::from_secs(30)));
            Ok::<_, Failure>("done")
        });
        assert!(matches!(done, Ok("done")));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
