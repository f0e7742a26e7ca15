//! A worker that does what the call's parameter `deed` says, and counts what it is told.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use holdline_wire::v1::{
    self, Command, command, frame, input, send, serve_request::Message as Said,
    serve_response::Message,
};
use tokio::sync::watch;

use crate::support::{Attachment, BareWorker};

/// Says 256 KiB to the caller for each frame of its.
pub(crate) const SHOUT: &str = "shout";
/// Says 8 KiB to the model for each frame of the caller's.
pub(crate) const FORWARD: &str = "forward";
/// Commits nothing until it is released.
pub(crate) const WITHHOLD: &str = "withhold";
/// Reads nothing until it is released.
pub(crate) const UNREAD: &str = "unread";

/// What a call's worker was told.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Told {
    /// Frames of the caller's media.
    pub(crate) media: u64,
    /// Frames that gaps stand for.
    pub(crate) gaps: u64,
    /// Messages of the model.
    pub(crate) model: u64,
    /// Of these, how many came out of turn.
    pub(crate) disorder: u64,
    ended: bool,
}

type Calls = HashMap<String, Told>;

/// A running worker; ends when dropped.
pub(crate) struct Puppet {
    worker: BareWorker,
    shared: Shared,
}

#[derive(Clone)]
struct Shared {
    calls: Arc<watch::Sender<Calls>>,
    released: Arc<watch::Sender<bool>>,
}

impl Puppet {
    pub(crate) async fn start() -> Self {
        let shared = Shared {
            calls: Arc::new(watch::Sender::new(Calls::new())),
            released: Arc::new(watch::Sender::new(false)),
        };
        let ours = shared.clone();
        let serve = move |attachment| {
            let shared = ours.clone();
            let last = 0;
            let serving = Serving {
                attachment,
                shared,
                last,
            };
            serving.run()
        };
        Self {
            worker: BareWorker::start(serve).await,
            shared,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.worker.address
    }

    /// Lets those go on that withhold something.
    pub(crate) fn release(&self) {
        self.shared.released.send_replace(true);
    }

    /// Waits until a call has ended: what its worker was told.
    pub(crate) async fn ended(&self, call_sid: &str) -> Told {
        let mut calls = self.shared.calls.subscribe();
        let ended = |calls: &Calls| calls.get(call_sid).is_some_and(|call| call.ended);
        calls.wait_for(ended).await.unwrap()[call_sid]
    }

    /// Waits until so many messages of models have come, over all calls.
    pub(crate) async fn heard_of_model(&self, messages: u64) {
        let mut calls = self.shared.calls.subscribe();
        let all = |calls: &Calls| calls.values().map(|call| call.model).sum::<u64>() >= messages;
        calls.wait_for(all).await.unwrap();
    }
}

/// One call, or what is left of it.
struct Serving {
    attachment: Attachment,
    shared: Shared,
    /// The last input that was read.
    last: u64,
}

impl Serving {
    /// Until the edge hangs up.
    async fn run(mut self) {
        let Some(offer) = self.attachment.offer().await else {
            return;
        };
        let call_sid = offer.attributes["call_sid"].clone();
        let deed = offer.attributes["parameter.deed"].clone();
        self.attachment.say(Message::Accept(v1::Accept {})).await;
        let Some(Said::Attach(_)) = self.attachment.next().await else {
            return;
        };
        let mut released = self.shared.released.subscribe();
        let mut free = deed != WITHHOLD && deed != UNREAD;
        loop {
            tokio::select! {
                said = self.attachment.next(), if free || deed != UNREAD => match said {
                    Some(Said::Inputs(inputs)) => for input in inputs.inputs {
                        let answers = self.hear(&call_sid, &deed, input);
                        if free {
                            self.commit(answers).await;
                        }
                    },
                    Some(Said::Release(_)) => {
                        self.attachment.say(Message::Released(v1::Released {})).await;
                    }
                    Some(Said::Offer(_) | Said::Attach(_)) => {}
                    None => return,
                },
                () = set(&mut released), if !free => {
                    free = true;
                    self.commit(Vec::new()).await;
                }
            }
        }
    }

    /// Counts what came; what is to be done for it.
    fn hear(&mut self, call_sid: &str, deed: &str, input: v1::Input) -> Vec<Command> {
        let mut commands = Vec::new();
        let calls = self.shared.calls.borrow();
        let mut told = calls.get(call_sid).copied().unwrap_or_default();
        drop(calls);
        self.last = input.seq;
        match input.kind {
            Some(input::Kind::Frame(frame)) if frame.leg == "caller" && is_media(&frame) => {
                told.media += 1;
                commands = answers(deed);
            }
            Some(input::Kind::Frame(frame)) if frame.leg == "caller" => {}
            Some(input::Kind::Frame(frame)) => {
                told.disorder += u64::from(number(&frame) != told.model);
                told.model += 1;
            }
            Some(input::Kind::Gap(gap)) => told.gaps += gap.frames,
            Some(input::Kind::SessionEnded(_)) => told.ended = true,
            _ => {}
        }
        self.shared.calls.send_modify(|calls| {
            calls.insert(call_sid.to_owned(), told);
        });
        commands
    }

    async fn commit(&self, commands: Vec<Command>) {
        if self.last == 0 {
            return;
        }
        let commit = Message::Commit(v1::Commit {
            through_seq: self.last,
            state_schema: 1,
            commands,
            ..v1::Commit::default()
        });
        self.attachment.say(commit).await;
    }
}

/// Waits until it is true.
async fn set(flag: &mut watch::Receiver<bool>) {
    // Its sender is with the puppet, which may be gone before its attachments.
    let _ = flag.wait_for(|set| *set).await;
}

fn is_media(frame: &v1::Frame) -> bool {
    let Some(frame::Payload::Text(text)) = &frame.payload else {
        return false;
    };
    text.starts_with(br#"{"event":"media""#)
}

fn number(frame: &v1::Frame) -> u64 {
    match &frame.payload {
        Some(frame::Payload::Binary(bytes)) => u64::from_be_bytes(*bytes.first_chunk().unwrap()),
        other => panic!("{other:?}"),
    }
}

/// What is said for one frame of the caller.
fn answers(deed: &str) -> Vec<Command> {
    let (leg, bytes) = match deed {
        SHOUT => ("caller", 256 << 10),
        FORWARD => ("model", 8 << 10),
        _ => return Vec::new(),
    };
    let send = command::Command::Send(v1::Send {
        leg: leg.to_owned(),
        incarnation: 0,
        payload: Some(send::Payload::Text(vec![b'x'; bytes].into())),
    });
    let command = Some(send);
    vec![Command { command }]
}
