//! `holdline completions`: for those who do not want to remember.

use clap::CommandFactory;

use crate::{
    Failure,
    cli::{Cli, CompletionsArgs},
};

/// Prints the script for one shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    // Written to memory first: the generator panics where its output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "holdline", &mut script);
    super::print(&script)
}
