//! From the command line to a serving worker.

use std::io::{self, Write};

use holdline_telemetry::logging::{self, Format, LoggingError};
use holdline_worker::{ServeError, Settings};

use crate::{Bridge, Config, ConfigError, Options, config::LogFormat};

/// Why the bridge did not run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The agent's file: whoever wrote it has to mend it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Logs.
    #[error("logs cannot be set up")]
    Logging(#[from] LoggingError),
    /// Serving.
    #[error("the worker cannot serve")]
    Serve(#[from] ServeError),
    /// The verdict of `--check` could not be written.
    #[error("standard output cannot be written to")]
    Output(#[from] io::Error),
}

/// Runs until SIGTERM, then until the last call has moved away or the grace is over; or, with
/// `check`, says whether the file can be used.
///
/// # Errors
/// [`RunError`].
pub async fn run(options: Options) -> Result<(), RunError> {
    let mut config = Config::load(&options.config)?;
    if let Some(label) = options.version_label {
        config.version = Some(label);
    }
    let bridge = Bridge::new(&config)?;
    if options.check {
        let mut out = io::stdout().lock();
        writeln!(out, "{}: the file can be used", options.config.display())?;
        return Ok(());
    }
    let format = match (options.log_format.as_deref(), config.log.format) {
        (Some("text"), _) | (None, LogFormat::Text) => Format::Text,
        _ => Format::Json,
    };
    let (_log, _) = logging::init(format, &config.log.level, io::stderr())?;
    let settings = Settings {
        address: options.listen,
        grace: options.grace,
        tls: options.tls.files(),
    };
    holdline_worker::run_with(bridge, settings).await?;
    Ok(())
}
