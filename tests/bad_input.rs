//! Bad input of every kind: told or counted, never a panic, and the call beside it hears nothing.
//!
//! While callers and workers misbehave, another call talks on the same edge. The simulators at its
//! ends count every frame, so that "nothing" is a number.

use std::net::SocketAddr;

use holdline_testkit::twilio::CallerOptions;

use crate::exchange::{Conversation, Edge, Voice};

mod handshakes;
mod line;
mod messages;
mod misdeeds;
mod scripted;
mod workers;

use scripted::Scripted;

/// Further frames that the good call must carry in both directions after all bad ones.
const FURTHER: u64 = 50;

/// An edge with a good call on it, and a second route for bad ones.
struct Scene {
    edge: Edge,
    voice: Voice,
    good: Conversation,
    callers: SocketAddr,
    _worker: Scripted,
}

impl Scene {
    async fn set() -> Self {
        let voice = Voice::start().await;
        let worker = Scripted::start().await;
        let config = format!(
            r#"
listeners:
  - name: twilio
    address: 127.0.0.1:0
    handshake_timeout: 1s
    routes:
      - path: /good
        profile: twilio
        signature: off
        legs: [{{name: model, upstream: openai}}]
        workers: voice
      - {{path: /bad, profile: twilio, signature: off, start_timeout: 500ms, workers: scripted}}
{}  scripted:
    discovery: {{static: {{addresses: ["{}"]}}}}
    eject: {{sessions: 1000, within: 1s, for: 1s}}
"#,
            voice.sections(),
            worker.address()
        );
        let edge = Edge::start(&config, &Voice::variables()).await;
        let callers = edge.address("twilio").await;
        let options = CallerOptions::new(format!("ws://{callers}/good"), 1);
        let good = voice.converse(options).await;
        Self {
            edge,
            voice,
            good,
            callers,
            _worker: worker,
        }
    }

    /// The good call goes on, and was undisturbed; the edge ends well.
    async fn judge(self) {
        let Self {
            edge,
            voice,
            mut good,
            ..
        } = self;
        good.goes_on(FURTHER).await;
        voice.judge(good).await;
        edge.end().await;
    }

    /// Runs `act`, and says by how much a counter has grown since.
    async fn grows(&self, name: &str, labels: &[&str], act: impl Future<Output = ()>) -> f64 {
        let before = self.edge.counter(name, labels).await;
        act.await;
        self.edge.counter(name, labels).await - before
    }
}
