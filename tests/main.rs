//! Tests of whole processes: the real binary, real workers, real signals.
#![allow(clippy::unwrap_used)]

mod command_line;
mod edge_pause;
mod stage;
mod streamdouble;
mod support;
mod voice_call;
mod worker_loss;
