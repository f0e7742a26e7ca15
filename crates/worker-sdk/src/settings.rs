//! How a worker process serves; the few things that differ from place to place.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
    time::Duration,
};

use crate::{ServeError, Tls};

const TLS_CERT: &str = "HOLDLINE_WORKER_TLS_CERT";
const TLS_KEY: &str = "HOLDLINE_WORKER_TLS_KEY";
const TLS_CLIENT_CA: &str = "HOLDLINE_WORKER_TLS_CLIENT_CA";

/// Where to listen, and how long to go on after SIGTERM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// `HOST:PORT`; port 0 takes any that is free.
    pub address: String,
    /// How long a draining worker waits for its sessions to move away. Keep it below the
    /// orchestrator's own patience, `terminationGracePeriodSeconds`.
    pub grace: Duration,
    /// Certificates; `None` serves without TLS, for networks that are trusted.
    pub tls: Option<Tls>,
}

impl Default for Settings {
    /// `0.0.0.0:50051`, 30 s and no TLS.
    fn default() -> Self {
        Self {
            address: "0.0.0.0:50051".to_owned(),
            grace: Duration::from_secs(30),
            tls: None,
        }
    }
}

impl Settings {
    /// The defaults, with what the environment sets: `HOLDLINE_WORKER_ADDRESS` (`HOST:PORT`),
    /// `HOLDLINE_WORKER_GRACE` (whole seconds, with or without an `s`), and for TLS the names of
    /// PEM files: `HOLDLINE_WORKER_TLS_CERT` and `HOLDLINE_WORKER_TLS_KEY`, with
    /// `HOLDLINE_WORKER_TLS_CLIENT_CA` as in [`Tls::client_ca`]. An empty variable counts as not
    /// set.
    ///
    /// # Errors
    /// [`ServeError::Setting`] where a variable is set to something else, or one of TLS without
    /// those that it needs.
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
        settings.tls = tls([TLS_CERT, TLS_KEY, TLS_CLIENT_CA].map(variable))?;
        Ok(settings)
    }
}

/// A certificate, its key, and perhaps whom to serve. Serving without TLS because one name was
/// forgotten would be worse than not serving.
fn tls(values: [Option<OsString>; 3]) -> Result<Option<Tls>, ServeError> {
    let files = values.map(|it| it.filter(|path| !path.is_empty()).map(PathBuf::from));
    let lacks = |name, needed| bad(name, OsStr::new(""), needed);
    match files {
        [None, None, None] => Ok(None),
        [Some(certificate), Some(key), client_ca] => Ok(Some(Tls {
            certificate,
            key,
            client_ca,
        })),
        [None, ..] => Err(lacks(
            TLS_CERT,
            "the others of TLS need the certificate's file",
        )),
        [_, None, _] => Err(lacks(TLS_KEY, "the certificate needs its key's file")),
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
    fn tls_is_whole_or_not_at_all() {
        let settings = |set: &[&str]| {
            Settings::from_variables(|name| set.contains(&name).then(|| "file.pem".into()))
        };
        let served = settings(&[TLS_CERT, TLS_KEY]).unwrap().tls.unwrap();
        assert_eq!((served.key, served.client_ca), ("file.pem".into(), None));
        let mutual = settings(&[TLS_CERT, TLS_KEY, TLS_CLIENT_CA]).unwrap();
        assert!(mutual.tls.unwrap().client_ca.is_some());
        for (set, missing) in [
            (&[TLS_CERT][..], TLS_KEY),
            (&[TLS_KEY], TLS_CERT),
            (&[TLS_CLIENT_CA], TLS_CERT),
        ] {
            let error = settings(set).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
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
