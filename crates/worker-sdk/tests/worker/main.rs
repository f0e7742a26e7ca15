//! Workers over real sockets, against an edge that follows a script.
#![allow(clippy::unwrap_used)]

mod attach;
mod commits;
mod drain;
mod edge;
mod faults;
mod jobs;
mod legs;
mod pressure;
mod process;
mod script;
mod services;
mod timers;
mod tls;
