//! What a call costs: the edge beside plain relays, under the same load, on the same machine.
//!
//! Why a command and not `cargo bench`: what counts is a whole process among other processes,
//! measured from outside, and a figure in microseconds means nothing without what nginx needs for
//! the same at the same minute. So all subjects take turns, round after round, and what is reported
//! first are ratios within a round.
//!
//! ```text
//! cli ─► suite: rounds of trials ─► trial: subject, load, clocks ─► facts ─► report: tables, plots
//! ```

mod cli;
mod ext_proc;
mod facts;
mod load;
mod page;
mod proc;
mod report;
mod stalling;
mod subject;
mod suite;
mod trial;
mod worker;

pub use cli::Cli;
