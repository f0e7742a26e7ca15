//! The faults, one module for each.

pub(crate) mod churn;
pub(crate) mod clock;
pub(crate) mod descriptors;
pub(crate) mod disk;
pub(crate) mod freeze;
pub(crate) mod kills;
pub(crate) mod memory;
pub(crate) mod partition;
pub(crate) mod poison;
