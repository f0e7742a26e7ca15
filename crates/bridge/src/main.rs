//! The command `holdline-bridge`.

use std::{error::Error, io::Write, process::ExitCode};

use clap::Parser;
use holdline_bridge::Options;

#[tokio::main]
async fn main() -> ExitCode {
    match holdline_bridge::run(Options::parse()).await {
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
