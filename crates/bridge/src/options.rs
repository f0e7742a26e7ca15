//! What the command line says.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser};
use holdline_worker::Tls;

/// A voice worker for Holdline: callers of Twilio talk to a model of OpenAI.
///
/// The edge holds the sockets of both; this program holds nothing, so it can be replaced in the
/// middle of any sentence. What the agent is and can do stands in one YAML file.
#[derive(Clone, Debug, Parser)]
#[command(name = "holdline-bridge", version, after_long_help = AFTER_HELP)]
pub struct Options {
    /// The agent's file.
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "HOLDLINE_BRIDGE_CONFIG",
        default_value = "bridge.yaml"
    )]
    pub config: PathBuf,

    /// Reads and validates the file, says what is wrong with it, and ends.
    #[arg(long)]
    pub check: bool,

    /// Where the edge reaches this worker.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "HOLDLINE_WORKER_ADDRESS",
        default_value = "0.0.0.0:50051"
    )]
    pub listen: String,

    /// What the edge shows as this worker's version, in place of the file's `version`. Sessions
    /// move from older versions to newer ones, so give every release its own.
    #[arg(long, value_name = "LABEL", env = "HOLDLINE_WORKER_VERSION")]
    pub version_label: Option<String>,

    /// How long to go on after SIGTERM while calls move to other workers. Keep it below
    /// terminationGracePeriodSeconds.
    #[arg(long, value_name = "DURATION", env = "HOLDLINE_WORKER_GRACE", default_value = "30s", value_parser = grace)]
    pub grace: Duration,

    /// The worker's certificates.
    #[command(flatten)]
    pub tls: TlsOptions,

    /// Form of log lines, in place of the file's `log.format`.
    #[arg(long, value_name = "FORMAT", env = "HOLDLINE_LOG_FORMAT", value_parser = ["json", "text"])]
    pub log_format: Option<String>,
}

/// TLS on the way from the edge: PEM files, loaded again when they change.
#[derive(Clone, Debug, Default, Args)]
pub struct TlsOptions {
    /// Serves TLS with this certificate chain.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDLINE_WORKER_TLS_CERT",
        requires = "tls_key"
    )]
    pub tls_cert: Option<PathBuf>,

    /// The private key of --tls-cert.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDLINE_WORKER_TLS_KEY",
        requires = "tls_cert"
    )]
    pub tls_key: Option<PathBuf>,

    /// Serves only edges with a certificate of these authorities.
    #[arg(
        long,
        value_name = "FILE",
        env = "HOLDLINE_WORKER_TLS_CLIENT_CA",
        requires = "tls_cert"
    )]
    pub tls_client_ca: Option<PathBuf>,
}

impl TlsOptions {
    /// The same as words of a command line, for a bridge that is started by another program.
    #[must_use]
    pub fn arguments(&self) -> Vec<OsString> {
        [
            ("--tls-cert", &self.tls_cert),
            ("--tls-key", &self.tls_key),
            ("--tls-client-ca", &self.tls_client_ca),
        ]
        .into_iter()
        .filter_map(|(name, path)| Some([name.into(), path.as_ref()?.into()]))
        .flatten()
        .collect()
    }

    /// The files for the worker; `None` without TLS.
    #[must_use]
    pub fn files(self) -> Option<Tls> {
        let (certificate, key) = self.tls_cert.zip(self.tls_key)?;
        Some(Tls {
            certificate,
            key,
            client_ca: self.tls_client_ca,
        })
    }
}

const AFTER_HELP: &str = "\
The smallest file:

  instructions: You are the receptionist of Blue Door Dental. Be brief.

Try it:      holdline-bridge --config bridge.yaml --check
Run it:      holdline-bridge --config bridge.yaml --listen 0.0.0.0:50051
Replace it:  start the new one, then send SIGTERM to the old one. Its calls move; it ends with
             status 0 once none is left. A second SIGTERM ends it at once.

Environment: each option above names its variable; the option wins. RUST_LOG sets the log filter.
Secrets of webhooks are named in the file ({env: NAME} or {file: PATH}) and never stand in it.
The model's API key belongs to the edge: this program never sees it.";

fn grace(text: &str) -> Result<Duration, String> {
    let text = match text.parse::<u64>() {
        Ok(seconds) => format!("{seconds}s"),
        Err(_) => text.to_owned(),
    };
    humantime::parse_duration(&text).map_err(|why| format!("{why}; write it like 30s"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Options::command().debug_assert();
        let options = Options::try_parse_from(["holdline-bridge", "--grace", "5s"]).unwrap();
        assert_eq!(options.grace, Duration::from_secs(5));
        assert!(Options::try_parse_from(["holdline-bridge", "--grace", "soon"]).is_err());
    }

    #[test]
    fn tls_is_whole_and_says_itself_again() {
        assert!(Options::try_parse_from(["holdline-bridge", "--tls-client-ca", "ca"]).is_err());
        assert!(Options::try_parse_from(["holdline-bridge", "--tls-cert", "crt"]).is_err());
        let words = [
            "--tls-cert",
            "crt",
            "--tls-key",
            "key",
            "--tls-client-ca",
            "ca",
        ];
        let line = ["holdline-bridge"].into_iter().chain(words);
        let tls = Options::try_parse_from(line).unwrap().tls;
        assert_eq!(tls.arguments(), words.map(OsString::from));
        assert_eq!(tls.files().unwrap().client_ca, Some("ca".into()));
    }
}
