//! A door for the project's fuzz targets, which try a worker's messages without a connection. Not
//! part of what this crate promises: it may change in any release.

use holdline_session::FromWorker;
use holdline_wire::v1;
use prost::Message as _;

use crate::convert::from_worker;

/// What these bytes of a `Serve` stream say.
///
/// # Errors
/// In words, where they cannot be understood.
pub fn understood(message: &[u8]) -> Result<FromWorker, String> {
    let response = v1::ServeResponse::decode(message).map_err(|error| error.to_string())?;
    from_worker(response).map_err(|malformed| malformed.to_string())
}
