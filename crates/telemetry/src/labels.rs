//! Label values that are known beforehand.

use std::time::Duration;

/// Declares an enum whose values are label values.
macro_rules! label {
    (
        $(#[$doc:meta])*
        pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All of them, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Their label values.
            pub(crate) const WORDS: &'static [&'static str] = &[$($word,)+];

            /// The label value.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

label! {
    /// Which leg, as far as metrics tell legs apart: workers choose names, and names from outside
    /// must not become label values.
    pub enum LegKind {
        /// The caller's.
        Caller = "caller",
        /// The one named `model`.
        Model = "model",
        /// Any other.
        Other = "other",
    }
}

impl LegKind {
    /// Of a leg of this name.
    #[must_use]
    pub fn of(leg: &str) -> Self {
        match leg {
            "caller" => Self::Caller,
            // The bridge has a second name for the session that takes over.
            "model" | "model-2" => Self::Model,
            _ => Self::Other,
        }
    }
}

label! {
    /// Which way, seen from the edge.
    pub enum Direction {
        /// Read from the leg's socket.
        In = "in",
        /// Written to it.
        Out = "out",
    }
}

label! {
    /// What a pool makes of a worker.
    pub enum WorkerState {
        /// Not yet connected and described.
        Connecting = "connecting",
        /// A candidate.
        Ready = "ready",
        /// Going away: its sessions move.
        Draining = "draining",
        /// Its connection is gone.
        Lost = "lost",
        /// Set aside after failures.
        Ejected = "ejected",
        /// Needs what this edge or its configuration has not.
        Incompatible = "incompatible",
    }
}

label! {
    /// How far the edge's own end has come.
    pub enum DrainPhase {
        /// Not draining.
        Serving = "serving",
        /// `/readyz` fails, calls are still accepted.
        LameDuck = "lame_duck",
        /// Upgrades are refused, calls go on.
        Refusing = "refusing",
        /// The deadline has come: what remains is closed.
        Closing = "closing",
        /// No session is left.
        Done = "done",
    }
}

label! {
    /// What a session does.
    pub enum SessionState {
        /// Its socket is accepted, and nobody has said yet who calls.
        Starting = "starting",
        /// It has a worker, or is about to have one.
        Running = "running",
        /// It has no worker, and none can be had.
        Held = "held",
        /// Its end has begun.
        Ending = "ending",
    }
}

label! {
    /// How old a session is.
    pub enum AgeRange {
        /// Less than a minute.
        Minute = "under_1m",
        /// Less than five.
        FiveMinutes = "1m_to_5m",
        /// Less than a quarter of an hour.
        Quarter = "5m_to_15m",
        /// Less than an hour.
        Hour = "15m_to_1h",
        /// Older.
        Older = "over_1h",
    }
}

impl AgeRange {
    pub(crate) fn of(age: Duration) -> Self {
        match age.as_secs() {
            0..60 => Self::Minute,
            60..300 => Self::FiveMinutes,
            300..900 => Self::Quarter,
            900..3_600 => Self::Hour,
            _ => Self::Older,
        }
    }
}

label! {
    /// What an opened leg is to the session.
    pub enum Opening {
        /// The first of its kind.
        First = "first",
        /// One after another: the caller came back, or a worker dialled once more.
        Again = "again",
        /// One beside another that is still open: a rollover, where it is the model's.
        Beside = "beside",
    }
}

label! {
    /// A rollout rule that can be in force.
    pub enum RolloutRule {
        /// Versions with a share of their own.
        Weights = "weights",
        /// Calls that belong to a version by an attribute.
        Pins = "pins",
        /// Versions that get no calls.
        Disabled = "disabled",
        /// `existing: eager`.
        Eager = "existing_eager",
        /// `existing: pinned`.
        Pinned = "existing_pinned",
        /// `allow_one_way`.
        OneWay = "allow_one_way",
    }
}
