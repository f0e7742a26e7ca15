//! From PEM files to what rustls takes.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};

/// Longest PEM file, in bytes: the bundle of a large organisation has some hundred KiB.
const FILE_MAX: u64 = 4 << 20;

/// The files of an own certificate, both PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Own {
    /// The certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// The private key of the first of them.
    pub key: PathBuf,
}

/// A file of certificates or keys cannot be used. A retry helps only after it is mended.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it. Never anything of its content.
        what: String,
    },
}

impl TlsError {
    fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

/// One file as it was at one moment. Not `Debug`: it may be a key.
pub(crate) struct Pem {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Pem {
    pub(crate) fn read(path: &Path) -> Result<Self, TlsError> {
        let failed = |source| TlsError::Read {
            path: path.to_owned(),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        let read = file.take(FILE_MAX + 1).read_to_end(&mut bytes);
        if read.map_err(failed)? as u64 > FILE_MAX {
            return Err(TlsError::file(path, "is over 4 MiB, too large for PEM"));
        }
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }

    pub(crate) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found = CertificateDer::pem_slice_iter(&self.bytes).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|error| TlsError::file(&self.path, error.to_string()))?;
        if found.is_empty() {
            return Err(TlsError::file(&self.path, "holds no PEM certificate"));
        }
        Ok(found)
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.bytes)
            .map_err(|error| TlsError::file(&self.path, error.to_string()))
    }

    fn add_to(&self, roots: &mut RootCertStore) -> Result<(), TlsError> {
        for certificate in self.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::file(&self.path, error.to_string()))?;
        }
        Ok(())
    }
}

/// The authorities that the system trusts; none where it names none. Reads files.
pub fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some system certificates cannot be loaded");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    roots
}

/// Adds the authorities in a PEM file to those that are trusted already.
///
/// # Errors
/// The file cannot be read, or holds none.
pub fn trusted(roots: &mut RootCertStore, file: &Path) -> Result<(), TlsError> {
    Pem::read(file)?.add_to(roots)
}

/// A server that shows `own`; with `clients`, only to those who show a certificate of one of these
/// authorities.
pub(crate) fn server(
    (certificate, key): (&Pem, &Pem),
    clients: Option<&Pem>,
    protocol: &[u8],
) -> Result<ServerConfig, TlsError> {
    let of_certificate =
        |error: rustls::Error| TlsError::file(&certificate.path, error.to_string());
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(of_certificate)?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            authorities.add_to(&mut roots)?;
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build();
            builder.with_client_cert_verifier(
                verifier.map_err(|error| TlsError::file(&authorities.path, error.to_string()))?,
            )
        }
    };
    // Fails, too, where the key is not that of the certificate.
    let mut config = builder
        .with_single_cert(certificate.certificates()?, key.key()?)
        .map_err(of_certificate)?;
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// A client that trusts these authorities alone, and shows `own` to servers that ask.
pub(crate) fn client(
    authorities: &Pem,
    own: Option<(&Pem, &Pem)>,
    protocol: &[u8],
) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    authorities.add_to(&mut roots)?;
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::file(&authorities.path, error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificate.certificates()?, key.key()?)
            .map_err(|error| TlsError::file(&certificate.path, error.to_string()))?,
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
