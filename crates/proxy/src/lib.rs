//! The edge: what holds the line while workers come and go.
//!
//! Here meet the sockets of callers and models ([`holdline_legs`]), the streams to workers
//! ([`holdline_workers`]) and, between them, one session engine for each call
//! ([`holdline_session`]). This crate moves what each of them says to the others and decides
//! nothing about a call: all of that is the engine's, which can therefore be tested without a
//! single socket.
//!
//! | module | part |
//! |---|---|
//! | `run` | an edge from its start to its exit |
//! | `call` | one task for each call, around its engine |
//! | `threads` | where calls run |
//! | `table` | who is on the line |
//! | `record`, `chronicle` | what happened to calls, for those who listen or ask |
//! | `steering` | rollout rules that an operator set at run time |
//! | `gate`, `callbook` | what carriers are answered, and what is remembered for that |
//! | `reload` | a configuration that changes under live calls |
//! | `lifecycle`, `drain`, `admission` | how an edge comes to its end, and who is let in until then |
//! | `deletion_cost` | what this edge's pod is worth to Kubernetes |
//! | `admin` | the operator's HTTP port |
//! | `examine` | whether an edge would do well, before it takes calls |
//!
//! What is deliberately absent: knowledge of WebSockets, of gRPC, of any vendor's messages.

mod admin;
mod admission;
mod call;
mod callbook;
mod chronicle;
mod clock;
mod deletion_cost;
mod drain;
mod edge;
mod error;
mod examine;
mod files;
mod gate;
mod id;
mod lifecycle;
mod limits;
mod listeners;
mod order;
mod record;
mod reload;
mod run;
mod spans;
mod status;
mod steering;
mod table;
mod threads;

pub use drain::ExitReport;
pub use error::RunError;
pub use examine::{Finding, Verdict, examine};
pub use lifecycle::{Control, Lifecycle, Phase};
pub use listeners::Listeners;
pub use reload::Reload;
pub use run::{run, verify};
pub use spans::CollectorError;
