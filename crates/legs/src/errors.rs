//! Everything that goes wrong on a leg, and what each is called outside: the HTTP status before an
//! upgrade, the close code after it, the label in metrics, and whose fault it was.

mod dial;
mod handshake;
mod setup;

use holdline_session::{Close, Fault};
use tokio_tungstenite::tungstenite::Error as WsError;

pub(crate) use self::{
    dial::{DialError, Stage},
    handshake::{HandshakeError, Refused},
};
pub use setup::SetupError;

/// The end of a leg without a close frame.
pub(crate) fn lost(reason: &str) -> Close {
    Close {
        code: 1006,
        reason: reason.to_owned(),
        fault: Fault::Network,
        dial_failed: false,
    }
}

/// What a failed read means, and the code that the peer is told (1006: it cannot be told).
pub(crate) fn close_of_read_error(error: &WsError) -> Close {
    let (code, reason) = match error {
        WsError::Capacity(_) => (1009, "message over the limit of this leg"),
        WsError::Utf8(_) => (1007, "text that is not UTF-8"),
        WsError::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => return lost("the peer hung up without a close frame"),
        WsError::Protocol(_) | WsError::AttackAttempt => (1002, "WebSocket protocol error"),
        error => return lost(&format!("connection lost: {error}")),
    };
    Close {
        code,
        reason: reason.to_owned(),
        fault: Fault::Peer,
        dial_failed: false,
    }
}

/// Whose fault it was that a peer closed with `code`, as RFC 6455 (7.4.1) and the IANA registry
/// define the codes. What is written to a leg comes from the worker, the framing from the edge.
pub(crate) fn fault_of_peer_close(code: u16) -> Fault {
    match code {
        1000 | 1001 | 1005 => Fault::None,
        1002 | 1010 => Fault::Edge,
        1003 | 1007..=1009 => Fault::Worker,
        1006 => Fault::Network,
        _ => Fault::Peer,
    }
}

/// The same for Twilio, which says `stop` when a stream or its call ends. A stream that closes in good
/// order without was closed by something on the way (a proxy that restarts, say), and the call may
/// come back. Where `stop` was said, the fault has no bearing.
pub(crate) fn fault_of_twilio_close(code: u16) -> Fault {
    match code {
        1000 | 1001 | 1005 => Fault::Network,
        code => fault_of_peer_close(code),
    }
}

/// The same for OpenAI, which accepts the upgrade first and checks key and model afterwards: a bad
/// key is closed with 3000, a request that it will never take with 4000. 1001 is no ordinary end
/// there: the session has reached its 60 minutes. (Observed on the wire; not documented.)
pub(crate) fn fault_of_openai_close(code: u16) -> Fault {
    match code {
        1001 => Fault::Peer,
        1008 | 3000..=4999 => Fault::Config,
        code => fault_of_peer_close(code),
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, fault_of_openai_close, fault_of_peer_close, fault_of_twilio_close};

    #[test]
    fn a_close_names_whose_fault_it_was() {
        let cases = [
            (1000, Fault::None, Fault::None),
            (1001, Fault::None, Fault::Peer),
            (1002, Fault::Edge, Fault::Edge),
            (1006, Fault::Network, Fault::Network),
            (1008, Fault::Worker, Fault::Config),
            (1009, Fault::Worker, Fault::Worker),
            (1011, Fault::Peer, Fault::Peer),
            (3000, Fault::Peer, Fault::Config),
            (4000, Fault::Peer, Fault::Config),
        ];
        for (code, any, openai) in cases {
            assert_eq!(fault_of_peer_close(code), any, "{code}");
            assert_eq!(fault_of_openai_close(code), openai, "{code}");
            let ordinary = any == Fault::None;
            let twilio = if ordinary { Fault::Network } else { any };
            assert_eq!(fault_of_twilio_close(code), twilio, "{code}");
        }
    }
}
