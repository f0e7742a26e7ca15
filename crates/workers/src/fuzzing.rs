//! A door for the project's fuzz targets, which try a worker's messages without a connection. Not
//! part of what this crate promises: it may change in any release.

use bytes::Bytes;
use holdline_session::FromWorker;

/// What these bytes of a `Serve` stream say.
///
/// # Errors
/// In words, where they cannot be understood.
pub fn understood(message: &[u8]) -> Result<FromWorker, String> {
    let read = crate::stream::understood(Bytes::copy_from_slice(message));
    read.map_err(|malformed| malformed.to_string())
}
