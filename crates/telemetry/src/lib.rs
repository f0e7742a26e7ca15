//! What an operator sees of the edge: metric names and types, and the set-up of logs.
//!
//! Every metric is a field of a struct that its user is handed, never a global: a test counts its
//! own, and a reader finds who writes a metric by its field. Labels are enums or words from the
//! source code, so that no input from outside can add a time series. What is counted per frame is
//! resolved once, when [`Metrics`] is made.

pub mod logging;

mod attachments;
mod buckets;
mod catalogue;
mod census;
mod edge;
mod labels;
mod legs;
mod metrics;
mod register;
mod sessions;
mod words;
mod workers;

pub use attachments::AttachmentMetrics;
pub use buckets::buckets;
pub use catalogue::{Described, Kind, page};
pub use census::Census;
pub use edge::{AdminMetrics, BuildMetrics, DrainMetrics, PodMetrics, SpanMetrics};
pub use labels::{
    AgeRange, Direction, DrainPhase, LegKind, Opening, RolloutRule, SessionState, WorkerState,
};
pub use legs::LegMetrics;
pub use metrics::Metrics;
pub use sessions::{MillisCounter, SessionMetrics};
pub use words::{Label, Values};
pub use workers::{Failing, PoolWorkers, TrackedWorker, WorkerMetrics};
