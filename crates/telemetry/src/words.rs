//! The values that labels can have.
//!
//! Most of these words belong to other crates, which count with them. They are gathered here so that
//! the page of metrics, the dashboard and the alerts can be checked against them; a word that is not
//! here fails every test that counts with it.

use crate::{
    AgeRange, Direction, DrainPhase, LegKind, Opening, RolloutRule, SessionState, WorkerState,
};

/// A label, and what its values can be.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What stands there.
    pub values: Values,
}

/// What a label's values can be.
#[derive(Clone, Copy, Debug)]
pub enum Values {
    /// These.
    Words(&'static [&'static str]),
    /// Others, which are bounded all the same; this says by what.
    Bounded(&'static str),
}

impl Label {
    const fn words(name: &'static str, words: &'static [&'static str]) -> Self {
        let values = Values::Words(words);
        Self { name, values }
    }

    const fn bounded(name: &'static str, by: &'static str) -> Self {
        let values = Values::Bounded(by);
        Self { name, values }
    }

    /// Whether this can be a value of it.
    #[must_use]
    pub fn can_be(&self, value: &str) -> bool {
        match self.values {
            Values::Words(words) => words.contains(&value),
            Values::Bounded(_) => true,
        }
    }
}

/// Sees to it, in tests, that a series is one of those that the page of metrics tells of.
pub(crate) fn expect(labels: &[Label], values: &[&str]) {
    debug_assert_eq!(labels.len(), values.len());
    for (label, value) in labels.iter().zip(values) {
        debug_assert!(
            label.can_be(value),
            "`{value}` is no value of the label `{}`: add it to telemetry/src/words.rs",
            label.name
        );
    }
}

pub(crate) const STATE: Label = Label::words("state", SessionState::WORDS);
pub(crate) const AGE: Label = Label::words("age", AgeRange::WORDS);
pub(crate) const LEG: Label = Label::words("leg", LegKind::WORDS);
pub(crate) const DIRECTION: Label = Label::words("direction", Direction::WORDS);
pub(crate) const HOW: Label = Label::words("how", Opening::WORDS);
pub(crate) const PHASE: Label = Label::words("phase", DrainPhase::WORDS);
pub(crate) const WORKER_STATE: Label = Label::words("state", WorkerState::WORDS);
pub(crate) const RULE: Label = Label::words("rule", RolloutRule::WORDS);

pub(crate) const FAULT: Label = Label::words(
    "fault",
    &["none", "peer", "network", "edge", "worker", "config"],
);
pub(crate) const CODE: Label = Label::words(
    "code",
    &[
        "1000", "1001", "1002", "1003", "1005", "1006", "1007", "1008", "1009", "1010", "1011",
        "1012", "1013", "1014", "1015", "3xxx", "4xxx", "other",
    ],
);
/// How a session can end; `aborted` is one whose task failed.
pub(crate) const END: Label = Label::words(
    "reason",
    &[
        "caller_hung_up",
        "caller_lost",
        "worker",
        "handed_back",
        "gave_up",
        "poisoned",
        "log_overflow",
        "edge_deadline",
        "operator",
        "superseded",
        "caller_protocol",
        "unknown",
        "aborted",
    ],
);
/// Which reason goes with whose fault. `superseded` is not there: no edge of this release says it.
pub(crate) const ENDS: &[[&str; 2]] = &[
    ["caller_hung_up", "none"],
    ["caller_lost", "network"],
    ["caller_protocol", "peer"],
    ["worker", "none"],
    ["handed_back", "none"],
    ["gave_up", "worker"],
    ["poisoned", "worker"],
    ["log_overflow", "peer"],
    ["log_overflow", "worker"],
    ["operator", "none"],
    ["edge_deadline", "edge"],
    ["aborted", "edge"],
];
pub(crate) const DROPPED: Label = Label::words(
    "reason",
    &[
        "leg_gone",
        "incarnation_gone",
        "unknown_upstream",
        "name_in_use",
        "too_many_legs",
        "ending",
    ],
);
pub(crate) const STREAM: Label = Label::words(
    "result",
    &[
        "joined",
        "token",
        "foreign_token",
        "no_proof",
        "over",
        "busy",
    ],
);
pub(crate) const ATTACHED: Label =
    Label::words("reason", &["new", "handoff", "recovery", "resume"]);
/// Why a session moved, or how its worker was lost.
pub(crate) const CAUSE: Label = Label::words(
    "cause",
    &[
        "drain",
        "rollout",
        "operator",
        "stream",
        "connection",
        "stuck",
        "refused",
        "release",
        "ended",
        "handoff",
        "recovery",
        "resume",
    ],
);
/// Which reason of a handoff goes with which cause.
pub(crate) const MOVES: &[[&str; 2]] = &[
    ["handoff", "drain"],
    ["handoff", "rollout"],
    ["handoff", "operator"],
    ["recovery", "stream"],
    ["recovery", "connection"],
    ["recovery", "stuck"],
    ["recovery", "refused"],
    ["recovery", "release"],
    ["recovery", "ended"],
];
pub(crate) const FAILED: Label = Label::words(
    "why",
    &[
        "offer",
        "stream",
        "connection",
        "stuck",
        "refused",
        "release",
        "ended",
    ],
);
pub(crate) const HANDOFF: Label = Label::words("result", &["ok", "unfinished"]);
pub(crate) const UPGRADE: Label = Label::words(
    "reason",
    &[
        "not_found",
        "method",
        "too_large",
        "form",
        "http_version",
        "body",
        "no_upgrade",
        "websocket_version",
        "websocket_key",
        "signature",
        "connections",
        "address",
        "draining",
        "full",
        "token",
        "socket",
        "tls",
        "http",
        "gone",
        "timeout",
    ],
);
pub(crate) const WEBHOOK: Label =
    Label::words("answer", &["connect", "hang_up", "fallback", "refused"]);
pub(crate) const SIGNATURE: Label =
    Label::words("why", &["missing", "settings", "unknown_key", "mismatch"]);
pub(crate) const DIAL: Label = Label::words(
    "why",
    &[
        "unknown_upstream",
        "model",
        "resolve",
        "connect",
        "tls",
        "unauthorized",
        "rate_limited",
        "server_error",
        "refused",
        "upgrade",
        "timeout",
    ],
);
pub(crate) const LOADED: Label = Label::words("result", &["ok", "failed"]);
pub(crate) const RELOADED: Label = Label::words("result", &["ok", "refused"]);
pub(crate) const EJECTED: Label = Label::words("why", &["sessions_failed", "version_failed"]);
pub(crate) const CONNECT: Label = Label::words(
    "why",
    &[
        "timeout",
        "connect",
        "tls",
        "http2",
        "going_away",
        "full",
        "describe",
        "closed",
        "describe_timeout",
    ],
);
pub(crate) const ADMIN: Label = Label::words(
    "why",
    &[
        "form",
        "host",
        "cross_site",
        "token",
        "token_missing",
        "token_unset",
        "full",
        "malformed",
        "slow",
        "too_large",
        "content_type",
    ],
);
pub(crate) const CUT: Label = Label::words("how", &["ended", "aborted"]);

pub(crate) const SPANS: Label = Label::words("result", &["sent", "failed", "dropped"]);

pub(crate) const VERSION: Label = Label::bounded(
    "version",
    "as the worker says; empty until then; at most 16 of a pool at once, all others are `other`",
);
pub(crate) const BUILD: Label = Label::bounded("version", "of this build");
pub(crate) const FINGERPRINT: Label =
    Label::bounded("fingerprint", "12 hexadecimal digits; one at a time");
pub(crate) const POOL: Label = Label::bounded("pool", "as configured");
pub(crate) const RULED: Label = Label::bounded("version", "as configured, at most 64 of a pool");
