//! An OpenAI Realtime server (GA), for tests and demos without an account.
//!
//! It answers with real speech in the sizes and at the speed of the real one, detects turns
//! in audio time, cancels, truncates, calls tools, and fails on request. It learns which
//! call a connection serves from the identities in the caller's audio.

mod answers;
mod conversation;
pub mod faults;
pub mod options;
pub mod record;
mod response;
mod server;
mod session;
mod settings;
pub mod vad;

pub use faults::{Fault, FaultRule, When};
pub use options::{Keys, SimOptions, Speed, Timing, ToolScript, ToolTime};
pub use record::{ConnectionRecord, Outcome, ResponseRecord, SimReport};
pub use server::{OpenAiSim, SimError, SimProgress};
