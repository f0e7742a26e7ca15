//! A pool against workers on real sockets.

#![allow(clippy::unwrap_used, missing_docs)]

mod attach;
mod choose;
mod discover;
mod drain;
mod fake;
mod flow;
mod harness;
mod lost;
mod tls;
