//! How a worker process serves; the few things that differ from place to place.

use std::{env, time::Duration};

use crate::ServeError;

/// Where to listen, and how long to go on after SIGTERM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `HOST:PORT`; port 0 takes any that is free.
    pub address: String,
    /// How long a draining worker waits for its sessions to move away. Keep it below the
    /// orchestrator's own patience, `terminationGracePeriodSeconds`.
    pub grace: Duration,
}

impl Default for Settings {
    /// `0.0.0.0:50051` and 30 s.
    fn default() -> Self {
        Self {
            address: "0.0.0.0:50051".to_owned(),
            grace: Duration::from_secs(30),
        }
    }
}

impl Settings {
    /// The defaults, with what the environment sets: `HOLDLINE_WORKER_ADDRESS` (`HOST:PORT`) and
    /// `HOLDLINE_WORKER_GRACE` (whole seconds, with or without an `s`).
    ///
    /// # Errors
    /// [`ServeError::Setting`] where a variable is set to something else.
    pub fn from_env() -> Result<Self, ServeError> {
        let mut settings = Self::default();
        if let Some(address) = variable("HOLDLINE_WORKER_ADDRESS")? {
            settings.address = address;
        }
        if let Some(grace) = variable("HOLDLINE_WORKER_GRACE")? {
            let seconds = grace.strip_suffix('s').unwrap_or(&grace).parse();
            let seconds = seconds.map_err(|_| ServeError::Setting {
                name: "HOLDLINE_WORKER_GRACE",
                value: grace.clone(),
                problem: "it takes whole seconds, such as 30s",
            })?;
            settings.grace = Duration::from_secs(seconds);
        }
        Ok(settings)
    }
}

/// An environment variable; an empty one counts as not set.
fn variable(name: &'static str) -> Result<Option<String>, ServeError> {
    match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(value)) => Err(ServeError::Setting {
            name,
            value: value.to_string_lossy().into_owned(),
            problem: "it is not valid Unicode",
        }),
    }
}
