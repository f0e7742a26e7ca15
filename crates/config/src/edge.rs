//! `drain`, `limits`, `admin`, `log`, `tracing`: the edge as a whole.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use crate::{
    Secret, Threads, defaults,
    reader::At,
    section::section,
    shape::{Purpose, words},
    text,
    units::ANY_TIME,
};

/// Longest time of a drain: a day of calls.
const DRAIN_MAX: Duration = Duration::from_secs(24 * 3_600);

section! {
    /// What the edge does upon SIGTERM.
    #[derive(Copy)]
    pub struct Drain: Default {
        /// How long calls are still accepted while `/readyz` already fails.
        pub lame_duck: Duration [Duration::ZERO..=DRAIN_MAX] = defaults::LAME_DUCK,
        /// Calls that still live so long after SIGTERM are closed.
        pub deadline: Duration [Duration::ZERO..=DRAIN_MAX] = defaults::DEADLINE,
        /// So long before the deadline workers are told.
        pub notice: Duration [Duration::ZERO..=DRAIN_MAX] = defaults::NOTICE,
        /// `Retry-After` of refused upgrades, in whole seconds.
        pub retry_after: Duration [Duration::from_secs(1)..=DRAIN_MAX] = defaults::RETRY_AFTER,
    }
    checked by check_drain
}

fn check_drain(at: &At<'_>) {
    let time = |key, default| at.glance(&[key], &ANY_TIME, default);
    let deadline = time("deadline", defaults::DEADLINE);
    for (key, default) in [
        ("notice", defaults::NOTICE),
        ("lame_duck", defaults::LAME_DUCK),
    ] {
        // `None`, of what cannot be read, is less than any time: then there is nothing to compare.
        if deadline.is_some() && time(key, default) > deadline {
            at.place(key)
                .wrong(format!("`{key}` must not be longer than `deadline`"));
        }
    }
}

section! {
    /// Bounds of the whole edge.
    #[derive(Copy)]
    pub struct Limits: Default {
        /// Most sessions at once; further callers are refused with 503.
        pub sessions: u32 = defaults::SESSIONS,
        /// Most handshakes (TLS and upgrade) in flight; further ones wait.
        pub handshakes: u32 = defaults::HANDSHAKES,
        /// Most callers' sockets of one address at once, of IPv6 one /64; further ones are refused
        /// with 503. Behind a trusted proxy the address that it vouches for counts.
        pub per_address: u32 = defaults::PER_ADDRESS,
        /// Threads that calls are spread over: a number, or `auto` for one for each core that the
        /// process may use.
        pub threads: Threads = defaults::THREADS,
    }
}

section! {
    /// The operator's HTTP port: liveness, readiness, metrics, sessions.
    pub struct Admin: Default {
        /// IP address and port to listen on.
        pub address: SocketAddr [Purpose::Listen] = defaults::ADMIN_ADDRESS,
        /// What operators show as `Authorization: Bearer`, for all but reading on loopback.
        pub token: Option<Secret> = None,
    }
}

section! {
    /// What is logged, and how. Logs go to standard error.
    #[derive(Copy)]
    pub struct Log: Default {
        /// `json`, one object a line, or `text` for people.
        pub format: LogFormat = defaults::LOG_FORMAT,
        /// Least level: `error`, `warn`, `info`, `debug` or `trace`; `RUST_LOG` overrides it.
        pub level: LogLevel = defaults::LOG_LEVEL,
        /// Whether what callers say and send (transcripts, digits, parameters) may be logged.
        pub content: bool = defaults::LOG_CONTENT,
    }
}

section! {
    /// Spans of calls, sent to a collector of OpenTelemetry by OTLP over gRPC.
    pub struct Tracing: Default {
        /// Where the collector listens, `http://` or `https://`; `off`: no spans are made.
        pub endpoint: Option<String> [&text::COLLECTOR_URL] = None,
        /// PEM file with certificates to trust besides the system's.
        pub ca: Option<PathBuf> = None,
        /// Headers of each request, such as `authorization`.
        pub headers: BTreeMap<String, Secret> [(&text::METADATA, 0)] = BTreeMap::new(),
        /// The spans' `service.name`.
        pub service: String [&text::LINE] = defaults::tracing_service(),
    }
}

words! {
    /// The form of log lines.
    pub enum LogFormat {
        /// One JSON object a line.
        Json = "json",
        /// Text for people.
        Text = "text",
    }
}

words! {
    /// The least level that is logged.
    pub enum LogLevel {
        /// A person must act.
        Error = "error",
        /// What one would be woken for.
        Warn = "warn",
        /// A call or a worker changed its fate.
        Info = "info",
        /// Decisions.
        Debug = "debug",
        /// Every frame.
        Trace = "trace",
    }
}
