//! A worker that does what the caller says: sends media back, or breaks the protocol.
//!
//! A custom parameter of the call, `misdeed`, names what is done on its first attachment; on the
//! next one the worker behaves. `always:NAME` never stops.

use std::net::SocketAddr;

use holdline_wire::v1::{
    self, Command, Inputs, Offer, frame, input, send, serve_request::Message as Said,
    serve_response::Message,
};

use super::misdeeds::{self, MISDEEDS, Misdeed};
use crate::support::{Attachment, BareWorker};

/// Spoken before Attach, when another worker may still be running the call.
pub(crate) const BEFORE_ATTACH: &str = "before_attach";

/// A running worker; ends when dropped.
pub(crate) struct Scripted(BareWorker);

impl Scripted {
    pub(crate) async fn start() -> Self {
        Self(BareWorker::start(serve).await)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// Until the edge hangs up.
async fn serve(mut attachment: Attachment) {
    let Some(offer) = attachment.offer().await else {
        return;
    };
    let deed = deed(&offer);
    if deed == Some(BEFORE_ATTACH) {
        attachment.say(misdeeds::commit(0, |_| {})).await;
    }
    let misdeed = MISDEEDS.iter().find(|it| Some(it.name) == deed);
    attachment.say(Message::Accept(v1::Accept {})).await;
    while let Some(said) = attachment.next().await {
        match said {
            Said::Inputs(inputs) => handle(&attachment, inputs, misdeed).await,
            Said::Release(_) => attachment.say(Message::Released(v1::Released {})).await,
            Said::Offer(_) | Said::Attach(_) => {}
        }
    }
}

async fn handle(attachment: &Attachment, inputs: Inputs, misdeed: Option<&Misdeed>) {
    let last = inputs.inputs.last().unwrap().seq;
    let Some(misdeed) = misdeed else {
        let echo = misdeeds::commit(last, |commit| {
            commit.commands = inputs.inputs.into_iter().filter_map(echo).collect();
        });
        return attachment.say(echo).await;
    };
    for message in (misdeed.says)(last) {
        attachment.say(message).await;
    }
}

/// What this attachment is to do, if anything.
fn deed(offer: &Offer) -> Option<&str> {
    let deed = offer.attributes.get("parameter.misdeed")?;
    match deed.strip_prefix("always:") {
        Some(always) => Some(always),
        None => (offer.epoch == 1).then_some(deed),
    }
}

fn echo(input: v1::Input) -> Option<Command> {
    let input::Kind::Frame(frame) = input.kind? else {
        return None;
    };
    let frame::Payload::Text(text) = frame.payload? else {
        return None;
    };
    let value: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let media = value["event"] == "media";
    media.then(|| Command {
        command: Some(misdeeds::send(Some(send::Payload::Text(text)))),
    })
}
