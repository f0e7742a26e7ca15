//! One file for each sub-command.

use std::path::Path;

use holdline_config::{Config, ConfigErrors};
use tokio::runtime::Runtime;

use crate::Failure;

pub(crate) mod bridge;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod dev;
pub(crate) mod run;
pub(crate) mod schema;

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

/// A runtime on all cores, with IO and time.
fn runtime() -> Result<Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.enable_all().thread_name("holdline").build()?)
}
