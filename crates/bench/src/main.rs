//! The command `holdline-bench`.

use std::process::ExitCode;

use clap::Parser;
use holdline_bench::Cli;

fn main() -> ExitCode {
    Cli::parse().run()
}
