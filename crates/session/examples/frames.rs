//! Hands the engine frames of a call as the edge does, for counting the instructions that one costs.
//!
//! Usage: `frames COUNT`. Each frame of the caller is logged, handed out, committed by the worker with a
//! command to send it to the model, and told as written: four steps of the engine.

use std::error::Error;

use bytes::Bytes;
use holdline_session::{
    Attributes, Class, Command, Commit, Epoch, Event, Frame, FromWorker, LegName, LegRef, Limits,
    Output, Payload, Seq, Session, SessionId, Setup, Time, WorkerId,
};

/// Between two frames.
const FRAME_MICROS: u64 = 20_000;
/// As large as Twilio's for 20 ms.
const FRAME_BYTES: usize = 382;
const EPOCH: Epoch = Epoch(1);

struct Call {
    session: Session,
    now: Time,
    out: Vec<Output>,
}

impl Call {
    /// A call that a worker runs, with both legs open.
    fn begin() -> Self {
        let mut out = Vec::new();
        let now = Time(1_000_000_000);
        let setup = Setup {
            id: SessionId(7),
            limits: Limits::default(),
            caller: Attributes::new(),
            dialled: vec![LegName::new(LegName::MODEL)],
            upstreams: ["openai".to_owned()].into(),
        };
        let session = Session::new(setup, now, &mut out);
        let mut call = Self { session, now, out };
        call.feed(Event::Offered {
            epoch: EPOCH,
            worker: WorkerId(1),
            version: "v1".to_owned(),
        });
        call.said(FromWorker::Accept);
        call.feed(Event::LegOpened {
            leg: LegRef::new(LegName::MODEL, 1),
            attributes: Attributes::new(),
        });
        // The caller's `LegOpened`, and the model's.
        call.said(FromWorker::Commit(Commit {
            through: Seq(2),
            ..Commit::default()
        }));
        call
    }

    fn feed(&mut self, event: Event) {
        self.session.handle(self.now, event, &mut self.out);
    }

    fn said(&mut self, message: FromWorker) {
        let epoch = EPOCH;
        self.feed(Event::FromWorker { epoch, message });
    }

    /// One frame, its whole way; how many were sent to the model.
    fn frame(&mut self, seq: u64, payload: &Payload) -> usize {
        self.now = Time(self.now.0 + FRAME_MICROS);
        self.feed(Event::Frame {
            leg: LegRef::new("caller", 1),
            frame: Frame {
                class: Class::Media { ms: 20 },
                payload: payload.clone(),
            },
        });
        self.said(FromWorker::Commit(Commit {
            through: Seq(seq),
            commands: vec![Command::Send {
                leg: LegName::new(LegName::MODEL),
                incarnation: None,
                payload: payload.clone(),
            }],
            ..Commit::default()
        }));
        self.feed(Event::LegWritten {
            leg: LegRef::new(LegName::MODEL, 1),
            frames: 1,
            bytes: payload.len() as u64,
            sound: 0,
        });
        let sent = self
            .out
            .iter()
            .filter(|it| matches!(it, Output::Send { .. }))
            .count();
        self.out.clear();
        sent
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let count: u64 = std::env::args()
        .nth(1)
        .ok_or("usage: frames COUNT")?
        .parse()?;
    let mut call = Call::begin();
    call.out.clear();
    let payload = Payload::Text(Bytes::from(vec![b'x'; FRAME_BYTES]));
    let sent: usize = (3..3 + count).map(|seq| call.frame(seq, &payload)).sum();
    if sent as u64 == count {
        Ok(())
    } else {
        Err(format!("of {count} frames {sent} were sent to the model").into())
    }
}
