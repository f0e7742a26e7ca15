//! Legs from outside: real sockets on loopback, clients and servers of another library's making.
#![allow(clippy::unwrap_used)]

mod dial;
mod identify;
mod inbound;
mod signature;
mod socket;
mod support;
mod tls;
mod webhook;
