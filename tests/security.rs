//! What strangers can do: to the ports of an edge, with its secrets, and as a worker. What each of
//! these tests shows is said in `docs/security.md`.

mod admin;
mod http;
mod mutual_tls;
pub(crate) mod raw;
mod secrets;
mod upstreams;
