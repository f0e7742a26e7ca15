//! An edge over real sockets: callers on one side, workers built with the SDK on the other.
//!
//! Everything runs in this process, so that each test can watch what no outsider sees; the whole
//! process is tested elsewhere.
#![allow(clippy::unwrap_used)]

mod admin;
mod admission;
mod drain;
mod handoff;
mod legs;
mod relay;
mod resume;
mod support;
