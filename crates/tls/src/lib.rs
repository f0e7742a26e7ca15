//! TLS whose certificates change under a running process.
//!
//! A call may live for an hour, a certificate for less. So nobody may be restarted because a file
//! was renewed: connections that are there go on with what they began with, the next one gets what
//! is there then. The same holds for the edge's listeners, for the edge as a client of its workers,
//! and for workers; this crate is what the three have in common.
//!
//! What is deliberately absent: any idea of calls, and a way to trust everybody.

mod material;
mod reload;
mod stream;
mod validity;

pub use material::{Own, TlsError, system, trusted};
pub use reload::Reloading;
pub use stream::Stream;
pub use validity::expiry;
