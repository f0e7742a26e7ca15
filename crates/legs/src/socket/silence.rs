//! How long a peer may be silent.

use std::time::Duration;

use tokio::time::Instant;

/// Pings in a row that may stay without any message from the peer. One missed pong proves nothing.
const PINGS_UNANSWERED: u32 = 2;

/// Watches a peer's silence. Decides by comparing clocks, so that a late timer does no harm.
#[derive(Debug)]
pub(super) struct Silence {
    idle_timeout: Option<Duration>,
    ping_interval: Option<Duration>,
    /// The last sign of life.
    heard: Instant,
    /// Pings since then, and when the last one was sent (or `heard`).
    pings: u32,
    pinged: Instant,
    /// Whether the socket is being read. If not, silence is our own doing.
    reading: bool,
}

/// What a silence means.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Quiet {
    /// Nothing yet; look again then.
    Fine(Option<Instant>),
    /// A ping is due, and counts as sent.
    Ping,
    /// The peer is gone, for this reason.
    Gone(String),
}

impl Silence {
    pub(super) fn new(
        idle_timeout: Option<Duration>,
        ping_interval: Option<Duration>,
        now: Instant,
    ) -> Self {
        Self {
            idle_timeout,
            ping_interval,
            heard: now,
            pings: 0,
            pinged: now,
            reading: true,
        }
    }

    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.pinged = now;
        self.pings = 0;
    }

    /// Tells whether the socket is read from now on. A peer that was not read starts afresh.
    pub(super) fn set_reading(&mut self, reading: bool, now: Instant) {
        if reading && !self.reading {
            self.heard(now);
        }
        self.reading = reading;
    }

    pub(super) fn check(&mut self, now: Instant) -> Quiet {
        if !self.reading {
            return Quiet::Fine(None);
        }
        let idle_at = self.idle_timeout.map(|timeout| self.heard + timeout);
        if idle_at.is_some_and(|at| at <= now) {
            let timeout = self.idle_timeout.unwrap_or_default();
            return Quiet::Gone(format!("nothing received for {timeout:?}"));
        }
        let ping_at = self.ping_interval.map(|interval| self.pinged + interval);
        if ping_at.is_some_and(|at| at <= now) {
            if self.pings == PINGS_UNANSWERED {
                return Quiet::Gone(format!(
                    "{PINGS_UNANSWERED} pings in a row without an answer"
                ));
            }
            self.pings += 1;
            self.pinged = now;
            return Quiet::Ping;
        }
        Quiet::Fine(idle_at.into_iter().chain(ping_at).min())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Quiet, Silence};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pings_are_sent_before_a_silent_peer_is_given_up() {
        let start = Instant::now();
        let mut silence = Silence::new(None, Some(SECOND), start);
        assert_eq!(silence.check(start), Quiet::Fine(Some(start + SECOND)));
        assert_eq!(silence.check(start + SECOND), Quiet::Ping);
        assert_eq!(
            silence.check(start + SECOND),
            Quiet::Fine(Some(start + 2 * SECOND))
        );
        // Long after, as when the edge was suspended: the next ping gets its full time.
        assert_eq!(silence.check(start + 60 * SECOND), Quiet::Ping);
        assert_eq!(
            silence.check(start + 60 * SECOND),
            Quiet::Fine(Some(start + 61 * SECOND))
        );
        assert!(matches!(silence.check(start + 61 * SECOND), Quiet::Gone(_)));
    }

    #[test]
    fn a_sign_of_life_starts_all_over() {
        let start = Instant::now();
        let mut silence = Silence::new(Some(3 * SECOND), Some(SECOND), start);
        assert_eq!(silence.check(start + SECOND), Quiet::Ping);
        assert_eq!(silence.check(start + 2 * SECOND), Quiet::Ping);
        silence.heard(start + 2 * SECOND);
        assert_eq!(silence.check(start + 3 * SECOND), Quiet::Ping);
        assert_eq!(silence.check(start + 4 * SECOND), Quiet::Ping);
        assert!(matches!(silence.check(start + 5 * SECOND), Quiet::Gone(_)));
    }

    #[test]
    fn a_peer_that_is_not_read_is_not_silent() {
        let start = Instant::now();
        let mut silence = Silence::new(Some(SECOND), None, start);
        silence.set_reading(false, start);
        assert_eq!(silence.check(start + 9 * SECOND), Quiet::Fine(None));
        silence.set_reading(true, start + 9 * SECOND);
        assert_eq!(
            silence.check(start + 9 * SECOND),
            Quiet::Fine(Some(start + 10 * SECOND))
        );
        assert!(matches!(silence.check(start + 10 * SECOND), Quiet::Gone(_)));
    }
}
