//! What is wrong before anything was started.

use std::path::{Path, PathBuf};

use holdline_tls::TlsError;

/// A listener or an upstream cannot be set up as configured. A retry helps only after the named
/// thing is mended.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// An upstream cannot be dialled as configured.
    #[error("upstream `{upstream}`: {what}")]
    Upstream {
        /// Which.
        upstream: String,
        /// What is wrong with it, and what would be right.
        what: String,
    },
}

impl From<TlsError> for SetupError {
    fn from(error: TlsError) -> Self {
        match error {
            TlsError::Read { path, source } => Self::Read { path, source },
            TlsError::File { path, what } => Self::File { path, what },
        }
    }
}

impl SetupError {
    pub(crate) fn file(path: &Path, what: impl Into<String>) -> Self {
        Self::File {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}
