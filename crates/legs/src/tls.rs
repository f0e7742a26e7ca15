//! TLS of a listener, with a certificate that changes under a running edge.

use std::convert::Infallible;

use holdline_config::Tls;
use holdline_telemetry::LegMetrics;
use holdline_tls::{Own, Reloading};
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use crate::SetupError;

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub(crate) struct ListenerTls(Reloading<ServerConfig>);

impl ListenerTls {
    pub(crate) fn load(files: &Tls) -> Result<Self, SetupError> {
        let own = Own {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        // Callers have no certificates: a signature proves who they are.
        Ok(Self(Reloading::server(&own, None, b"http/1.1")?))
    }

    /// For the next handshake: with the certificate as of now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.0.current())
    }

    /// Watches the files for as long as it is polled.
    pub(crate) async fn watch(&self, metrics: &LegMetrics) -> Infallible {
        self.0.watch(|ok| metrics.tls_reloaded(ok)).await
    }
}
