//! A worker that does what its callers say.

use std::net::SocketAddr;

use holdline_wire::v1::{
    self, Command, Input, command::Command as Kind, frame, input, send,
    serve_request::Message as Said, serve_response::Message,
};

use crate::support::{Attachment, BareWorker};

/// Commands to a leg that is not there, more than a call's log has room for what became of them.
const RESULTS: usize = 64;

/// A running worker; ends when dropped.
pub(super) struct Obedient(BareWorker);

impl Obedient {
    pub(super) async fn start() -> Self {
        Self(BareWorker::start(serve).await)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// Until the edge hangs up, or somebody says `die`.
async fn serve(mut attachment: Attachment) {
    let Some(offer) = attachment.offer().await else {
        return;
    };
    attachment.say(Message::Accept(v1::Accept {})).await;
    let mut sulks = false;
    while let Some(said) = attachment.next().await {
        match said {
            Said::Attach(_) | Said::Offer(_) => {}
            Said::Release(_) => attachment.say(Message::Released(v1::Released {})).await,
            Said::Inputs(inputs) => {
                for input in inputs.inputs {
                    let words = words(&input, &offer.session_id);
                    if words == "die" {
                        return;
                    }
                    sulks |= words == "sulk";
                    if !sulks {
                        attachment.say(obey(input.seq, &words)).await;
                    }
                }
            }
        }
    }
}

/// What a caller said; at the beginning, the name of the session is to be said.
fn words(input: &Input, session: &str) -> String {
    match &input.kind {
        Some(input::Kind::LegOpened(_)) => format!("session {session}"),
        Some(input::Kind::Frame(frame)) => match &frame.payload {
            Some(frame::Payload::Text(text)) => String::from_utf8(text.to_vec()).unwrap(),
            _ => String::new(),
        },
        _ => String::new(),
    }
}

fn obey(through_seq: u64, words: &str) -> Message {
    let end = |hand_back| {
        Kind::EndSession(v1::EndSession {
            reason: "it was said".to_owned(),
            hand_back,
        })
    };
    let commands = match words {
        "" => vec![],
        "end" => vec![end(false)],
        "hand back" => vec![end(true)],
        "close" => vec![Kind::CloseLeg(v1::CloseLeg {
            leg: "caller".to_owned(),
            code: 1000,
            ..v1::CloseLeg::default()
        })],
        "results" => vec![tell("nobody", "x"); RESULTS],
        other => vec![tell("caller", other)],
    };
    let command = |kind| Command {
        command: Some(kind),
    };
    Message::Commit(v1::Commit {
        through_seq,
        state_schema: 1,
        commands: commands.into_iter().map(command).collect(),
        ..v1::Commit::default()
    })
}

fn tell(leg: &str, words: &str) -> Kind {
    Kind::Send(v1::Send {
        leg: leg.to_owned(),
        incarnation: 0,
        payload: Some(send::Payload::Text(words.as_bytes().to_vec().into())),
    })
}
