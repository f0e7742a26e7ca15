//! TLS to the workers of a pool: this edge proves itself to them, and they to it.
//!
//! Who may serve calls is decided here. An address from discovery is a hint, not a proof: with TLS a
//! worker is whoever holds a certificate of the pool's own authority, for the pool's name.

use std::{convert::Infallible, fmt, io, net::SocketAddr};

use holdline_config::{Discovery, WorkerPool};
use holdline_telemetry::WorkerMetrics;
use holdline_tls::{Own, Reloading, Stream, TlsError};
use rustls::{CertificateError, ClientConfig, Error, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// gRPC is HTTP/2; whoever agrees to nothing else by ALPN is no gRPC server.
const PROTOCOL: &[u8] = b"h2";

/// A pool's certificates and authorities, ready for use.
pub struct PoolTls {
    config: Reloading<ClientConfig>,
    /// `None`: each worker's certificate is for its own IP address.
    name: Option<ServerName<'static>>,
}

impl PoolTls {
    /// Reads the files that a pool's `tls` names; `None` where it has none.
    ///
    /// # Errors
    /// A file cannot be read or used. A retry helps only after it is mended.
    pub fn load(pool: &WorkerPool) -> Result<Option<Self>, TlsError> {
        let Some(tls) = &pool.tls else {
            return Ok(None);
        };
        let own = tls.certificate.clone().zip(tls.key.clone());
        let own = own.map(|(certificate, key)| Own { certificate, key });
        let found = match &pool.discovery {
            Discovery::Static(_) | Discovery::Kubernetes(_) => None,
            Discovery::Dns(dns) => Some(&dns.name),
        };
        let name = tls.server_name.as_ref().or(found);
        let name = name.map(|name| ServerName::try_from(name.clone()));
        Ok(Some(Self {
            config: Reloading::client(tls.ca.clone(), own.as_ref(), PROTOCOL)?,
            name: name.transpose().map_err(|_| TlsError::File {
                path: tls.ca.clone(),
                what: "`server_name` is neither a DNS name nor an address".to_owned(),
            })?,
        }))
    }

    /// Does the handshake; with the files as of now. Cancel safe: dropping it drops the connection.
    ///
    /// # Errors
    /// In words for the operator: what is wrong, and on whose side it is to be mended.
    pub(crate) async fn connect(
        &self,
        tcp: TcpStream,
        address: SocketAddr,
    ) -> Result<Stream, String> {
        let name = self.name.clone();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(address.ip().into()));
        let connector = TlsConnector::from(self.config.current());
        let tls = connector
            .connect(name.clone(), tcp)
            .await
            .map_err(|error| refused(&error, &name.to_str()))?;
        if tls.get_ref().1.alpn_protocol() != Some(PROTOCOL) {
            return Err(
                "speaks TLS, but not HTTP/2 (no ALPN `h2`): it is no gRPC server".to_owned(),
            );
        }
        Ok(Stream::Tls(Box::new(tls.into())))
    }

    /// Watches the files for as long as it is polled.
    pub(crate) async fn watch(&self, metrics: &WorkerMetrics) -> Infallible {
        self.config.watch(|ok| metrics.tls_reloaded(ok)).await
    }
}

impl fmt::Debug for PoolTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolTls")
            .field("files", &self.config)
            .field("name", &self.name)
            .finish()
    }
}

/// Why a handshake failed, and who can mend it.
fn refused(error: &io::Error, name: &str) -> String {
    use CertificateError as Certificate;
    let Some(cause) = tls_error(error) else {
        return format!("ended the TLS handshake: {error}");
    };
    let whose = match cause {
        Error::InvalidCertificate(
            Certificate::UnknownIssuer | Certificate::BadSignature | Certificate::InvalidPurpose,
        ) => {
            "its certificate is of no authority in the pool's `tls.ca`: not one of our workers, \
             or `ca` is out of date"
        }
        Error::InvalidCertificate(
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. },
        ) => {
            return format!(
                "its certificate is not for `{name}`: issue it for that name, or set the pool's \
                 `tls.server_name`"
            );
        }
        Error::InvalidCertificate(Certificate::Expired | Certificate::ExpiredContext { .. }) => {
            "its certificate has expired: renew it at the worker"
        }
        Error::InvalidMessage(_) => {
            "does not speak TLS: start it with a certificate, or set the pool's `tls: off`"
        }
        Error::AlertReceived(_) => return turned_away(cause),
        _ => "TLS handshake failed",
    };
    format!("{whose} ({cause})")
}

/// What a worker's alert says. With TLS 1.3 a worker looks at this edge's certificate only after
/// the edge's side of the handshake is done, so the alert comes where the first answer should.
pub(crate) fn alert(error: &io::Error) -> Option<String> {
    let cause = tls_error(error)?;
    matches!(cause, Error::AlertReceived(_)).then(|| turned_away(cause))
}

fn turned_away(cause: &Error) -> String {
    format!(
        "turned this edge away: it does not accept the certificate in the pool's `tls.certificate` \
         ({cause})"
    )
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}
