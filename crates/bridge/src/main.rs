//! The command `holdline-bridge`.

use std::{error::Error, io::Write, process::ExitCode, time::Duration};

use clap::Parser;
use holdline_bridge::Options;
use tokio::runtime::Runtime;

/// What is still running once the bridge is done gets this long to end.
const PARTING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut words = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                words.push_str(&format!(": {error}"));
                cause = error.source();
            }
            // Nobody is left to be told if standard error is gone.
            let _ = writeln!(std::io::stderr(), "holdline-bridge: {words}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the bridge. A name that is being looked up cannot be called back: with no resolver in reach,
/// waiting for it would keep a bridge that is done alive for tens of seconds.
fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let runtime = Runtime::new()?;
    let outcome = runtime.block_on(holdline_bridge::run(options));
    runtime.shutdown_timeout(PARTING);
    Ok(outcome?)
}
