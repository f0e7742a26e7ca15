//! How a worker process serves; the few things that differ from place to place.

use std::{
    env,
    ffi::{OsStr, OsString},
    time::Duration,
};

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
    /// `HOLDLINE_WORKER_GRACE` (whole seconds, with or without an `s`). An empty variable counts
    /// as not set.
    ///
    /// # Errors
    /// [`ServeError::Setting`] where a variable is set to something else.
    pub fn from_env() -> Result<Self, ServeError> {
        Self::from_variables(|name| env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, ServeError> {
        let text = |name: &'static str| match variable(name) {
            Some(value) if !value.is_empty() => match value.into_string() {
                Ok(value) => Ok(Some(value)),
                Err(value) => Err(bad(name, &value, "it is not valid Unicode")),
            },
            _ => Ok(None),
        };
        let mut settings = Self::default();
        if let Some(address) = text("HOLDLINE_WORKER_ADDRESS")? {
            settings.address = address;
        }
        const GRACE: &str = "HOLDLINE_WORKER_GRACE";
        if let Some(grace) = text(GRACE)? {
            let seconds = grace.strip_suffix('s').unwrap_or(&grace).parse();
            let problem = "it takes whole seconds, such as 30s";
            let seconds = seconds.map_err(|_| bad(GRACE, OsStr::new(&grace), problem))?;
            settings.grace = Duration::from_secs(seconds);
        }
        Ok(settings)
    }
}

fn bad(name: &'static str, value: &OsStr, problem: &'static str) -> ServeError {
    ServeError::Setting {
        name,
        value: value.to_string_lossy().into_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(address: &str, grace: &str) -> Result<Settings, ServeError> {
        Settings::from_variables(|name| {
            let value = match name {
                "HOLDLINE_WORKER_ADDRESS" => address,
                "HOLDLINE_WORKER_GRACE" => grace,
                _ => return None,
            };
            Some(value.into())
        })
    }

    #[test]
    fn variables_override_the_defaults() {
        assert_eq!(with("", "").unwrap(), Settings::default());
        for grace in ["5", "5s"] {
            let settings = with("[::1]:7000", grace).unwrap();
            assert_eq!(settings.address, "[::1]:7000");
            assert_eq!(settings.grace, Duration::from_secs(5));
        }
    }

    #[test]
    fn a_bad_variable_is_named() {
        for grace in ["soon", "-1", "1.5s", "s"] {
            let error = with("", grace).unwrap_err().to_string();
            assert!(error.contains("HOLDLINE_WORKER_GRACE"), "{error}");
            assert!(error.contains(grace), "{error}");
        }
    }
}
