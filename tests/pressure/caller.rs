//! A caller of Twilio's dialect who says much and reads nothing.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    exchange::{Socket, dial},
    support::soon,
};

pub(crate) struct Caller {
    socket: Socket,
    /// Its callSid.
    pub(crate) name: String,
    sent: u64,
}

impl Caller {
    /// A call as far as `start`; `deed` is what its worker is to do.
    pub(crate) async fn start(edge: SocketAddr, path: &str, name: &str, deed: &str) -> Self {
        let start = json!({
            "event": "start", "sequenceNumber": "1", "streamSid": "MZ-1",
            "start": {
                "accountSid": "AC-1", "streamSid": "MZ-1", "callSid": name, "tracks": ["inbound"],
                "customParameters": {"deed": deed},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            },
        });
        let mut caller = Self {
            socket: dial(edge, path).await.unwrap(),
            name: name.to_owned(),
            sent: 0,
        };
        caller.say(start.to_string()).await;
        caller
    }

    /// Says so many frames of 20 ms, as fast as they are taken.
    pub(crate) async fn flood(&mut self, frames: u64) {
        let payload = "/".repeat(216);
        for _ in 0..frames {
            self.sent += 1;
            // Twilio writes `event` first.
            let media = format!(
                r#"{{"event":"media","streamSid":"MZ-1","media":{{"track":"inbound","chunk":"{}","payload":"{payload}"}}}}"#,
                self.sent
            );
            self.say(media).await;
        }
    }

    /// Says `stop`, as Twilio does, and reads what is left.
    pub(crate) async fn hang_up(mut self) {
        self.say(r#"{"event":"stop","streamSid":"MZ-1"}"#.to_owned())
            .await;
        while let Some(Ok(_)) = soon("a close", self.socket.next()).await {}
    }

    async fn say(&mut self, text: String) {
        // The edge always reads its caller, unless it has given it up.
        let _ = soon(
            "a message to be taken",
            self.socket.send(Message::text(text)),
        )
        .await;
    }
}
