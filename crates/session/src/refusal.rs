//! Why a commit is refused, whole.

/// A broken rule of the worker protocol. Always the worker's fault; the same commit would be
/// refused again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// A name for the rule, for metrics.
    pub(crate) rule: &'static str,
    /// In words, for the worker's author.
    pub(crate) detail: String,
}

impl Refusal {
    pub(crate) fn new(rule: &'static str, detail: String) -> Self {
        Self { rule, detail }
    }
}
