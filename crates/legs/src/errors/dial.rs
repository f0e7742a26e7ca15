//! Why an outbound leg could not be dialled.

use std::{fmt, io};

use holdline_session::{Close, Fault};

/// What a dial was busy with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    Resolve,
    Connect,
    Tls,
    Upgrade,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "name resolution",
            Self::Connect => "TCP connect",
            Self::Tls => "TLS handshake",
            Self::Upgrade => "WebSocket upgrade",
        })
    }
}

/// Why a dial failed. The text goes to the worker and into logs: it names hosts and statuses, never
/// a header or a key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DialError {
    #[error("no upstream of this name is configured")]
    Unknown,
    #[error("attribute `model` may have letters, digits and `.:_-` only, at most 128")]
    Model,
    #[error("cannot resolve {host}: {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {host}: {source}")]
    Connect { host: String, source: io::Error },
    #[error("TLS with {host} failed: {source}")]
    Tls { host: String, source: io::Error },
    #[error("{host} refused the upgrade with status {status}")]
    Status { host: String, status: u16 },
    #[error("{host} does not speak WebSocket here: {what}")]
    Upgrade { host: String, what: String },
    #[error("connect_timeout ran out during {stage} with {host}")]
    Timeout { host: String, stage: Stage },
}

impl DialError {
    /// The word used in metric labels.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown_upstream",
            Self::Model => "model",
            Self::Resolve { .. } => "resolve",
            Self::Connect { .. } => "connect",
            Self::Tls { .. } => "tls",
            Self::Status {
                status: 401 | 403, ..
            } => "unauthorized",
            Self::Status { status: 429, .. } => "rate_limited",
            Self::Status { status: 500.., .. } => "server_error",
            Self::Status { .. } => "refused",
            Self::Upgrade { .. } => "upgrade",
            Self::Timeout { .. } => "timeout",
        }
    }

    /// Whose fault it was. `Config`: a retry does not help; `Peer` and `Network`: it may.
    fn fault(&self) -> Fault {
        match self {
            Self::Unknown | Self::Model => Fault::Worker,
            Self::Resolve { .. } | Self::Timeout { .. } => Fault::Network,
            Self::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
                Fault::Peer
            }
            Self::Connect { .. } => Fault::Network,
            Self::Tls { source, .. } => fault_of_tls(source),
            Self::Status {
                status: 429 | 500..,
                ..
            }
            | Self::Upgrade { .. } => Fault::Peer,
            Self::Status { .. } => Fault::Config,
        }
    }

    /// As the session is told.
    pub(crate) fn into_close(self) -> Close {
        let mut reason = self.to_string();
        reason.truncate(reason.floor_char_boundary(123));
        Close {
            code: 0,
            reason,
            fault: self.fault(),
            dial_failed: true,
        }
    }
}

/// A certificate that is out of date is the peer's to mend; one that is not trusted, or is for
/// another name, points at `ca` or `url`.
fn fault_of_tls(error: &io::Error) -> Fault {
    use rustls::{CertificateError as Certificate, Error};
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<Error>());
    match cause {
        Some(Error::InvalidCertificate(
            Certificate::Expired
            | Certificate::ExpiredContext { .. }
            | Certificate::NotValidYet
            | Certificate::NotValidYetContext { .. }
            | Certificate::Revoked,
        )) => Fault::Peer,
        Some(Error::InvalidCertificate(_)) => Fault::Config,
        Some(_) => Fault::Peer,
        None => Fault::Network,
    }
}
