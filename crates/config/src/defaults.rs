//! Every default of the file, in one place. The reader, the JSON Schema and the effective
//! configuration take them from here.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{ByteSize, Existing, LogFormat, LogLevel, Threads};

// listeners

pub(crate) const MAX_CONNECTIONS: u32 = 2_000;
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// `start` follows the upgrade at once; a caller that takes seconds is none.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(5);
/// Media comes every 20 ms, silence too: a minute without is a dead peer.
pub(crate) const CALLER_IDLE_TIMEOUT: Option<Duration> = Some(Duration::from_secs(60));
/// A media message has some 300 bytes; `start` with all its parameters a few KiB.
pub(crate) const CALLER_MAX_FRAME: ByteSize = ByteSize::kib(64);

/// Who calls whom is what a worker asks first.
pub(crate) fn webhook_parameters() -> Vec<String> {
    vec!["From".to_owned(), "To".to_owned()]
}

// upstreams

pub(crate) const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// A model may say nothing for as long as nobody speaks to it; pings tell whether it lives.
pub(crate) const UPSTREAM_IDLE_TIMEOUT: Option<Duration> = None;
pub(crate) const UPSTREAM_MAX_FRAME: ByteSize = ByteSize::mib(16);
pub(crate) const PING_INTERVAL: Option<Duration> = Some(Duration::from_secs(20));

// workers

pub(crate) const DNS_INTERVAL: Duration = Duration::from_secs(1);
/// Short enough that a watch which went silent is noticed soon; a new one costs the API server little.
pub(crate) const KUBERNETES_WATCH: Duration = Duration::from_secs(60);

/// The label that Kubernetes recommends for it.
pub(crate) fn version_label() -> String {
    "app.kubernetes.io/version".to_owned()
}

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
pub(crate) const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const STREAM_WINDOW: ByteSize = ByteSize::kib(64);
/// Many times the window of a stream: else a few attachments that are not read freeze the rest.
pub(crate) const CONNECTION_WINDOW: ByteSize = ByteSize::mib(64);
pub(crate) const HANDOFFS_PER_SECOND: u32 = 1_000;
pub(crate) const EJECT_SESSIONS: u32 = 3;
pub(crate) const EJECT_WITHIN: Duration = Duration::from_secs(10);
pub(crate) const EJECT_FOR: Duration = Duration::from_secs(10);
pub(crate) const EXISTING: Existing = Existing::OnDrain;
/// More than one, since one call may bring its own trouble with it.
pub(crate) const SET_ASIDE_SESSIONS: u32 = 5;
pub(crate) const SET_ASIDE_WITHIN: Duration = Duration::from_secs(30);
pub(crate) const PROBE_AFTER: Duration = Duration::from_secs(60);

// session: the engine has the same defaults for those who use it without a file

pub(crate) const LOG_BYTES: ByteSize = ByteSize::mib(4);
pub(crate) const LOG_FRAMES: u32 = 8_192;
pub(crate) const LOG_AGE: Duration = Duration::from_secs(30);
pub(crate) const PAUSE_PERCENT: u8 = 50;
pub(crate) const WINDOW_INPUTS: u32 = 256;
pub(crate) const WINDOW_BYTES: ByteSize = ByteSize::mib(1);
pub(crate) const STATE_BYTES: ByteSize = ByteSize::mib(1);
pub(crate) const STATE_KEYS: u32 = 1_024;
pub(crate) const KEY_BYTES: ByteSize = ByteSize::bytes(256);
pub(crate) const VALUE_BYTES: ByteSize = ByteSize::kib(256);
pub(crate) const MESSAGE_BYTES: ByteSize = ByteSize::mib(1);
pub(crate) const TIMERS: u32 = 64;
pub(crate) const TIMER_MAX: Duration = Duration::from_secs(24 * 3_600);
pub(crate) const COMMANDS: u32 = 4_096;
pub(crate) const LEGS: u32 = 8;
pub(crate) const LEG_HIGH: ByteSize = ByteSize::mib(1);
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
pub(crate) const OFFER_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_millis(500);
pub(crate) const PROGRESS_TIMEOUT: Duration = Duration::from_secs(1);
pub(crate) const SEEK_MIN: Duration = Duration::from_millis(5);
pub(crate) const SEEK_MAX: Duration = Duration::from_millis(500);
/// Most losses are over within a second: a sound after each of them would only disturb.
pub(crate) const HOLD_AFTER: Duration = Duration::from_secs(2);
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30);
pub(crate) const POISON_LIMIT: u32 = 3;
/// An outage that takes several workers shows itself as such within less.
pub(crate) const STRIKE_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const ISOLATION_WAIT: Duration = Duration::from_secs(1);
pub(crate) const RESUME_WINDOW: Duration = Duration::from_secs(15);
pub(crate) const RESUME_ATTEMPTS: u32 = 3;
pub(crate) const END_TIMEOUT: Duration = Duration::from_secs(5);

// drain

/// Endpoints learn late that this edge is not ready.
pub(crate) const LAME_DUCK: Duration = Duration::from_secs(5);
pub(crate) const DEADLINE: Duration = Duration::from_secs(3_600);
pub(crate) const NOTICE: Duration = Duration::from_secs(60);
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(5);

// limits, admin, kubernetes, log

pub(crate) const SESSIONS: u32 = 10_000;
pub(crate) const HANDSHAKES: u32 = 256;
/// Half of a listener's connections. Twilio's streams come from few addresses, and a proxy that is not
/// trusted is one.
pub(crate) const PER_ADDRESS: u32 = 1_000;
pub(crate) const THREADS: Threads = Threads::Auto;
/// Of this host alone: sessions and metrics are nobody else's business unless one says so.
pub(crate) const ADMIN_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9_090);
/// A scale-down picks among edges by their order of magnitude; a minute is exact enough.
pub(crate) const DELETION_COST_INTERVAL: Duration = Duration::from_secs(60);
pub(crate) const LOG_FORMAT: LogFormat = LogFormat::Json;
pub(crate) const LOG_LEVEL: LogLevel = LogLevel::Info;
pub(crate) const LOG_CONTENT: bool = false;

// tracing

pub(crate) fn tracing_service() -> String {
    "holdline".to_owned()
}
