//! Faults done to real processes while calls are up, and the account of what became of each frame.
//!
//! Why beside the simulation: that one proves the engine under every order of events, in a world
//! without sockets. Here are the sockets, the processes, the kernel and the clock. An edge and its
//! workers run as they do in production; the two vendors are simulators, which stamp every 20 ms of
//! audio and so can say, without trusting anything between them, what was lost, doubled or late.
//!
//! ```text
//! cli ─► faults::kills, freeze, partition ... ─► trial: exchange, model, callers ─► verdict: a row
//! ```

mod cli;
mod faults;
mod proc;
mod settings;
mod table;
mod trial;
mod verdict;
mod worker;

pub use cli::Cli;
pub use settings::Settings;
pub use table::Row;
