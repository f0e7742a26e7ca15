//! A stand-in for a Kubernetes API server, as far as an edge sees one.
//!
//! A real control plane cannot run where tests run, and would not fail on demand. This one serves
//! lists, in parts if asked, and watches of the four resources that matter under their real paths, and
//! merge patches of one object, with resource versions, bookmarks and `Status` objects as the API reference describes
//! them, and does at a word what real ones do on bad days: it goes away, cuts watches, falls silent, forgets history,
//! refuses tokens and denies rights.
//!
//! What is deliberately absent: everything that only other clients need, such as making and deleting
//! objects by HTTP, and field selectors.

mod answers;
mod cluster;
mod faults;
mod recording;
mod server;
mod store;
mod watching;
mod workload;

pub use cluster::Cluster;
pub use faults::{GoneAs, Verb};
pub use recording::{Recording, RecordingError};
pub use store::Kind;
pub use workload::Workload;
