//! The binary: what the command line says, and which crate does it.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

mod cli;
mod commands;
mod demo;
mod dev;
mod failure;
mod http;

use cli::{Cli, Command};
use failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // One provider of cryptography for the whole process; it can be installed only once, and this
    // is the first line that could.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to be told if standard error is gone.
            let _ = writeln!(io::stderr(), "holdline: {failure}");
            failure.into()
        }
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Run(args) => commands::run::run(&args),
        Command::Demo(args) => commands::demo::demo(args),
        Command::Dev(args) => commands::dev::dev(args),
        Command::Check(args) => commands::check::check(&args),
        Command::Doctor(args) => commands::doctor::doctor(&args),
        Command::Probe(args) => commands::probe::probe(&args),
        Command::Sessions(args) => commands::operate::sessions::sessions(&args),
        Command::Session(args) => commands::operate::sessions::session(&args),
        Command::Move(args) => commands::operate::sessions::leave(&args),
        Command::End(args) => commands::operate::sessions::end(&args),
        Command::Workers(args) => commands::operate::workers::workers(&args),
        Command::Drain(args) => commands::operate::workers::drain(&args),
        Command::Rollout(args) => commands::operate::rollout::rollout(&args),
        Command::Top(args) => commands::operate::top::top(&args),
        Command::Schema => commands::schema::schema(),
        Command::Completions(args) => commands::completions::completions(&args),
        Command::Bridge(options) => commands::bridge::bridge(*options),
    }
}
