//! The way to the API server of Kubernetes.
//!
//! Two parts of the edge ask it for something: the search for workers, and the cost of the edge's own
//! pod. For both it is the same server with the same bad days, so how it is reached, how long it is
//! waited for and what its refusals mean is said here, once.
//!
//! What is deliberately absent: retries and logs. Who asks knows what a failure means.

mod access;
mod trouble;

pub use access::{ANSWER_WITHIN, Access, answered};
pub use trouble::{Trouble, Verb};
