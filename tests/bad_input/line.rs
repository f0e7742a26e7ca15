//! A caller who says what Twilio would not.

use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::{
    exchange::{Socket, dial},
    support::soon,
};

pub(crate) const CONNECTED: &str = r#"{"event":"connected","protocol":"Call","version":"1.0.0"}"#;

pub(crate) struct Line {
    pub(crate) socket: Socket,
    pub(crate) call_sid: String,
}

impl Line {
    /// An upgraded socket on the route for bad calls, on which nothing was said yet.
    pub(crate) async fn open(callers: SocketAddr, name: &str) -> Self {
        Self {
            socket: dial(callers, "/bad").await.unwrap(),
            call_sid: format!("CA-{name}"),
        }
    }

    /// A call as far as `start`; `misdeed` is what its worker is to do.
    pub(crate) async fn start(callers: SocketAddr, name: &str, misdeed: Option<&str>) -> Self {
        let mut line = Self::open(callers, name).await;
        line.say(CONNECTED).await;
        let start = start(&line.call_sid, "MZ-1", misdeed);
        line.say(&start).await;
        line
    }

    pub(crate) async fn say(&mut self, text: &str) {
        let message = Message::text(text);
        soon("a message to be taken", self.socket.send(message))
            .await
            .unwrap();
    }

    pub(crate) async fn say_binary(&mut self, bytes: &'static [u8]) {
        let message = Message::Binary(Bytes::from_static(bytes));
        soon("a message to be taken", self.socket.send(message))
            .await
            .unwrap();
    }

    /// Says something that the worker sends back, and hears it: the call is alive.
    pub(crate) async fn is_alive(&mut self, number: u32) {
        let media = media(number);
        self.say(&media).await;
        let heard = soon("an echo", self.socket.next()).await.unwrap().unwrap();
        assert_eq!(heard.to_text().unwrap(), media);
    }

    /// How the edge closes this line.
    pub(crate) async fn closed(mut self) -> (u16, String) {
        loop {
            let heard = soon("a close", self.socket.next()).await;
            if let Message::Close(frame) = heard.expect("a close frame").unwrap() {
                let frame = frame.expect("a close code");
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    }

    pub(crate) async fn hang_up(mut self) {
        self.say(r#"{"event":"stop","streamSid":"MZ-1"}"#).await;
        self.socket.close(None).await.unwrap();
        while let Some(Ok(_)) = soon("a close", self.socket.next()).await {}
    }
}

pub(crate) fn start(call_sid: &str, stream_sid: &str, misdeed: Option<&str>) -> String {
    let parameters = misdeed.map(|misdeed| ("misdeed", misdeed));
    let parameters: serde_json::Map<_, _> = parameters
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let start = json!({
        "event": "start", "sequenceNumber": "1", "streamSid": stream_sid,
        "start": {
            "accountSid": "AC-1", "streamSid": stream_sid, "callSid": call_sid,
            "tracks": ["inbound"], "customParameters": parameters,
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    });
    start.to_string()
}

fn media(number: u32) -> String {
    let (sequence, chunk) = ((number + 1).to_string(), number.to_string());
    let media = json!({
        "event": "media", "sequenceNumber": sequence, "streamSid": "MZ-1",
        "media": {"track": "inbound", "chunk": chunk, "timestamp": "20", "payload": "////"},
    });
    media.to_string()
}
