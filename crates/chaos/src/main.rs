//! The command `holdline-chaos`.

use std::process::ExitCode;

use clap::Parser;
use holdline_chaos::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
