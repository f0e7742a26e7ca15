//! `holdline check`: is the file right, and what is in force.

use crate::{Failure, cli::CheckArgs};

/// Prints the configuration with every default, or everything that is wrong with it.
pub(crate) fn check(args: &CheckArgs) -> Result<(), Failure> {
    let config = super::load(&args.file.config)?;
    holdline_proxy::verify(&config).map_err(|error| Failure::misconfigured(&error))?;
    super::print(config.effective_yaml().as_bytes())
}
