//! A ready-made voice worker: callers of Twilio Media Streams talk to OpenAI Realtime.
//!
//! The edge owns both sockets. This worker owns what is said over them: turns, interruptions,
//! function calls, keys, gaps, and a lost model session. All that it remembers is the session's
//! state, so it can be replaced between any two frames.
//!
//! ```text
//!  inputs ──► worker ──► core (no IO, no clock) ──► actions ──► worker ──► commands, state
//!                          │ reads and writes                      └─► webhook (HTTP, as a job)
//!                          └─► state: clock, playback, turn, history ...
//! ```
//!
//! Both legs carry mu-law, so audio crosses as the base64 text that it came in; only an
//! [`AudioHook`] makes it be decoded.

mod audio;
mod core;
mod ids;
mod log;
mod options;
mod private;
mod run;
mod state;
mod time;
mod webhook;
mod wire;
mod worker;

pub mod config;

pub use self::{
    audio::{AudioHook, Gain},
    config::{Config, ConfigError},
    options::{Options, TlsOptions},
    run::{RunError, run},
    worker::{Attached, Bridge},
};
