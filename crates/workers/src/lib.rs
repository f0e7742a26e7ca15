//! Finding workers, choosing one, and the gRPC stream to it.
//!
//! A worker may go away at any moment, and it is this crate's task that nobody is surprised: it
//! knows who is there ([`Pool::workers`]), who is about to leave, and where a session is better
//! off. What it hands out is one [`WorkerStream`] for each attachment, in the words of the session
//! engine. Nothing of gRPC or of the wire is seen outside.
//!
//! What is deliberately absent: WebSockets, and any decision about a session. This crate says
//! *leave this worker now*; when and how is the engine's business.

mod connections;
mod convert;
mod describe;
mod discovery;
mod drain;
mod framing;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod link;
mod loss;
mod pool;
mod roster;
mod seek;
mod serve;
mod shared;
mod signals;
mod status;
mod stream;
mod tls;
mod worker;

pub use discovery::{NotBuiltIn, Resolve, SystemResolver, supports};
pub use holdline_tls::TlsError;
pub use pool::{Pool, PoolSetup};
pub use seek::{SeekError, SeekRequest};
pub use status::{Leave, Pod, Rollout, WorkerState, WorkerStatus};
pub use stream::{StreamEvent, WorkerStream};
pub use tls::PoolTls;
