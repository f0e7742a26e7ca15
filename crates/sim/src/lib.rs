//! A simulated world around the session engine.
//!
//! Examples show that the engine can keep its promises; this shows that it does, for every fault
//! at every moment that dice can find. Calls at two edges, workers of two versions, both legs of
//! every call and the network between are simulated; a reference model says what each side must
//! have seen, and is asked after every step. All of it follows from one number, the seed: no
//! clock, no threads, no hash iteration inside.

mod callers;
pub mod cli;
mod coverage;
mod digest;
mod faults;
mod file;
mod journal;
mod model;
mod models;
mod network;
mod picker;
mod plan;
mod program;
mod queue;
mod rng;
mod runner;
mod shell;
mod sockets;
mod workers;
mod world;

pub use file::log_of;
pub use runner::{Outcome, Summary, run_seed, run_seeds};
pub use shell::Bug;
pub use world::{Options, Violation};
