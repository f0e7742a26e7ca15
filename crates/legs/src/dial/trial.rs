//! One dial for its own sake: whether an upstream would take calls, before there are any.

use std::time::{Duration, SystemTime};

use futures_util::{SinkExt as _, StreamExt as _};
use http::header::DATE;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{Dialer, connect::connect};
use crate::errors::DialError;

/// What an upstream made of a WebSocket on which nothing was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// From the name's resolution to the upgraded WebSocket.
    pub took: Duration,
    /// The time by the upstream's clock, where it tells it, to the second; and by ours.
    pub clocks: Option<(SystemTime, SystemTime)>,
    /// Code and reason, where it closed the WebSocket at once.
    pub closed: Option<(u16, String)>,
}

impl Dialer {
    /// Opens a WebSocket to an upstream as [`Dialer::dial`] does, listens for so long (`within`) whether it is
    /// closed again, and closes it. Nothing is sent on it, so no vendor counts anything. All of it takes
    /// at most the upstream's `connect_timeout`, twice `within` and no more. Cancel safe.
    ///
    /// # Errors
    /// What failed, in words that name hosts and statuses, never a header or a key.
    pub async fn try_out(&self, upstream: &str, within: Duration) -> Result<Trial, String> {
        let target = self.targets.get(upstream).ok_or(DialError::Unknown);
        let target = target.map_err(|error| error.to_string())?;
        let started = Instant::now();
        let request = target.request(None).map_err(|error| error.to_string())?;
        let connected = connect(target, request).await;
        let (mut socket, response) = connected.map_err(|error| error.to_string())?;
        let took = started.elapsed();
        let date = response.headers().get(DATE);
        let date = date.and_then(|date| date.to_str().ok());
        let ours = SystemTime::now();
        // A vendor who does not take the session may say why before it closes.
        let until = Instant::now() + within;
        let closed = loop {
            match timeout_at(until, socket.next()).await {
                Ok(Some(Ok(Message::Close(frame)))) => {
                    break Some(frame.map_or_else(
                        || (1005, String::new()),
                        |frame| (frame.code.into(), frame.reason.to_string()),
                    ));
                }
                Ok(None | Some(Err(_))) => break Some((1006, "without a word".to_owned())),
                Ok(Some(Ok(_))) => {}
                Err(_) => break None,
            }
        };
        if closed.is_none() {
            let frame = CloseFrame {
                code: CloseCode::Normal,
                reason: "".into(),
            };
            // Said out of courtesy: dropping the connection says it, too.
            let _ = timeout(within, socket.send(Message::Close(Some(frame)))).await;
        }
        Ok(Trial {
            took,
            clocks: date
                .and_then(|date| httpdate::parse_http_date(date).ok())
                .map(|theirs| (theirs, ours)),
            closed,
        })
    }
}
