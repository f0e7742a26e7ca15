//! Everything that goes wrong on a leg, and what each is called outside: the HTTP status before an
//! upgrade, the close code after it, the label in metrics, and whose fault it was.

use std::path::PathBuf;

/// A listener or an upstream cannot be set up as configured. Nothing was started; a retry helps
/// only after the named thing is mended.
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
