//! The command `holdline-sim`.

use std::{io, process::ExitCode};

use clap::Parser;
use holdline_sim::cli::Cli;

fn main() -> ExitCode {
    Cli::parse().run(&mut io::stdout().lock(), &mut io::stderr())
}
