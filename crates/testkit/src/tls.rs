//! TLS for the simulators from PEM text, with the ring provider and no global state.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why a certificate or key cannot be used; a mistake in what was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The text is not PEM, or holds nothing of what is needed.
    #[error("no usable {what} in the PEM text: {error}")]
    Pem {
        /// A certificate or a private key.
        what: &'static str,
        /// What the parser says.
        error: rustls::pki_types::pem::Error,
    },
    /// rustls refuses it.
    #[error("the certificate or the key is refused: {0}")]
    Refused(#[from] rustls::Error),
}

/// A server's side: its certificate chain and private key.
///
/// # Errors
/// [`TlsError`] when the PEM text does not fit.
pub fn server(chain_pem: &str, key_pem: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let chain = certificates(chain_pem)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| TlsError::Pem {
        what: "private key",
        error,
    })?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// A client's side, trusting these roots and no others.
///
/// # Errors
/// [`TlsError`] when the PEM text does not fit.
pub fn client(roots_pem: &str) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(roots_pem)? {
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |error| TlsError::Pem {
        what: "certificate",
        error,
    };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(wrong)?;
    if all.is_empty() {
        Err(wrong(rustls::pki_types::pem::Error::NoItemsFound))
    } else {
        Ok(all)
    }
}
