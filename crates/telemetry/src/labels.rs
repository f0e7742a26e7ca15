//! Label values that are known beforehand.

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
