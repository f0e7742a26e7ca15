//! The WebSocket legs of a call: inbound from the carrier, outbound to the model.
//!
//! Here bytes become whole messages, and a peer becomes a known caller or a named upstream. A leg
//! knows nothing of workers: what it reads goes up as [`Frame`](holdline_session::Frame)s, what it
//! is to write comes down as [`Payload`](holdline_session::Payload)s, and neither direction ever
//! waits for the other. All that a socket has not yet given or taken lives in one [`LegSocket`],
//! polled by one task.
//!
//! ```text
//! TcpListener -> serve: TLS, HTTP, signature, gate -> IncomingCall -> identify -> Identity
//!                               or, of a webhook: the call's direction as TwiML
//! Dialer::dial: DNS, TCP, TLS, upgrade -> LegSocket
//! ```

mod dial;
mod errors;
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod identify;
mod inbound;
mod profile;
mod signature;
mod socket;
mod tls;
mod webhook;

pub use dial::{Dialer, Trial};
pub use errors::SetupError;
pub use gate::{Direction, Gate, Permit, Refusal, RefusalReason, Token};
pub use identify::{IdentifyError, Identity, identify};
pub use inbound::{Arrivals, Home, IncomingCall, ListenerRuntime, OnCall, RouteRuntime, serve};
pub use socket::{LegEvent, LegSocket};
