//! What can go wrong on the model's side, and when.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The upgrade is answered with this HTTP status; only with [`When::Upgrade`].
    Http(u16),
    /// A close frame with this code and reason: 1011 for a server error, 1008 for a refusal.
    Close {
        /// The close code.
        code: u16,
        /// Its text.
        reason: String,
    },
    /// The connection ends without a close frame (1006).
    Drop,
    /// The connection is reset; bytes under way are lost.
    Reset,
    /// From now on nothing is read or sent, and nothing closes: the peer is gone, and nobody says so.
    Silence,
    /// The session ends as if its time were over: `session_expired`, then close 1001.
    Expire,
    /// The server stops reading, and goes on sending what it had begun.
    StopReading,
    /// An `error` event of type `server_error`; the active response fails, the session lives.
    ServerError,
}

/// The moment of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At the upgrade.
    Upgrade,
    /// As soon as the WebSocket is open, instead of `session.created`.
    Open,
    /// In the middle of a response: after this many audio deltas of the response with this
    /// number (from 1) of the connection.
    Delta {
        /// Which response.
        response: u16,
        /// After how many of its deltas.
        deltas: u32,
    },
    /// This long after the WebSocket was opened.
    After(Duration),
}

/// One failure at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule {
    /// On which connection, counted from 1 in the order of their upgrades; `None` on all.
    pub connection: Option<u16>,
    /// When.
    pub when: When,
    /// What.
    pub fault: Fault,
}

impl FaultRule {
    /// On all connections.
    #[must_use]
    pub fn always(when: When, fault: Fault) -> Self {
        Self {
            connection: None,
            when,
            fault,
        }
    }

    /// The same on each of these connections, counted from 1.
    #[must_use]
    pub fn on_each(connections: RangeInclusive<u16>, when: When, fault: &Fault) -> Vec<Self> {
        connections
            .map(|connection| Self::on(connection, when, fault.clone()))
            .collect()
    }

    /// On one connection, counted from 1.
    #[must_use]
    pub fn on(connection: u16, when: When, fault: Fault) -> Self {
        Self {
            connection: Some(connection),
            when,
            fault,
        }
    }

    pub(crate) fn concerns(&self, connection: u16) -> bool {
        self.connection.is_none_or(|wanted| wanted == connection)
    }
}
