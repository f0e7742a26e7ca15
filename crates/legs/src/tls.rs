//! TLS of a listener, with a certificate that changes under a running edge.
//!
//! Certificates are renewed every few weeks, calls must not notice. The files are read again every
//! few seconds and compared by content, which also sees what a file watch misses: a ConfigMap or
//! Secret volume swaps a symbolic link two directories up, and no event reaches the file itself.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use holdline_config::Tls;
use holdline_telemetry::LegMetrics;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use sha2::{Digest as _, Sha256};
use tokio::time::{MissedTickBehavior, interval};
use tokio_rustls::TlsAcceptor;

use crate::SetupError;

/// How often the files are compared with what is in use.
const RELOAD_EVERY: Duration = Duration::from_secs(2);

/// The certificate in use, and the files it came from.
#[derive(Debug)]
pub(crate) struct ListenerTls {
    files: Tls,
    current: ArcSwap<ServerConfig>,
    /// What `current` was made of.
    initial: [u8; 32],
}

/// Both files as they were at one moment, or nearly: a swap in between gives a key that does not
/// fit, which is refused, and seen to have changed the next time.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl ListenerTls {
    pub(crate) fn load(files: &Tls) -> Result<Self, SetupError> {
        let found = Files::read(files)?;
        Ok(Self {
            current: ArcSwap::new(found.server_config(files)?),
            initial: found.digest(),
            files: files.clone(),
        })
    }

    /// For the next handshake: with the certificate as of now.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Watches the files for ever. What cannot be used is said once and the old certificate kept.
    pub(crate) async fn watch(&self, metrics: &LegMetrics) {
        let mut seen = self.initial;
        let mut unreadable = false;
        let mut ticks = interval(RELOAD_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || Files::read(&files)).await else {
                return; // The runtime is shutting down.
            };
            match read {
                Ok(found) => {
                    unreadable = false;
                    let digest = found.digest();
                    if digest != seen {
                        seen = digest;
                        self.replace(&found, metrics);
                    }
                }
                Err(error) if !unreadable => {
                    unreadable = true;
                    tracing::warn!(%error, "certificate cannot be read; the old one stays in use");
                    metrics.tls_reloaded(false);
                }
                Err(_) => {}
            }
        }
    }

    fn replace(&self, found: &Files, metrics: &LegMetrics) {
        let replaced = found
            .server_config(&self.files)
            .map(|config| self.current.store(config));
        metrics.tls_reloaded(replaced.is_ok());
        let certificate = self.files.certificate.display();
        match replaced {
            Ok(()) => tracing::info!(%certificate, "certificate reloaded"),
            Err(error) => {
                tracing::warn!(%error, "new certificate is bad; the old one stays in use");
            }
        }
    }
}

impl Files {
    fn read(files: &Tls) -> Result<Self, SetupError> {
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|source| SetupError::Read {
                path: path.to_owned(),
                source,
            })
        };
        Ok(Self {
            certificate: read(&files.certificate)?,
            key: read(&files.key)?,
        })
    }

    fn digest(&self) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.certificate.len().to_be_bytes());
        digest.update(&self.certificate);
        digest.update(&self.key);
        digest.finalize().into()
    }

    fn server_config(&self, files: &Tls) -> Result<Arc<ServerConfig>, SetupError> {
        let of_certificate = |error: String| SetupError::file(&files.certificate, error);
        let chain = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| of_certificate(error.to_string()))?;
        if chain.is_empty() {
            return Err(of_certificate("holds no PEM certificate".to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| SetupError::file(&files.key, error.to_string()))?;
        // Fails, too, where the key is not that of the certificate.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| of_certificate(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}
