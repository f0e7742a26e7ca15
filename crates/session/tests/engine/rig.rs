//! What the scenarios are written with: a session, its clock, and words for what happens to it.

use std::time::Duration;

use bytes::Bytes;
use holdline_session::{
    Attach, Attributes, Class, Close, Command, Commit, EndReason, Epoch, Event, Fault, Frame,
    FromWorker, Gap, HangupCause, Input, InputKind, LegName, LegRef, Limits, Loss, Output, Payload,
    Report, Seek, Seq, Session, SessionId, Setup, Time, ToWorker, View, WorkerId,
};

/// Where the clocks of all scenarios begin.
pub(crate) const START: Time = Time(1_000_000_000);

pub(crate) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn caller() -> LegRef {
    LegRef::new("caller", 1)
}

pub(crate) fn model() -> LegRef {
    LegRef::new("model", 1)
}

pub(crate) fn text(words: &str) -> Payload {
    Payload::Text(Bytes::copy_from_slice(words.as_bytes()))
}

/// A session, what time it is, and all that the session has asked for and nobody has looked at.
pub(crate) struct Rig {
    pub(crate) session: Session,
    pub(crate) now: Time,
    pub(crate) limits: Limits,
    out: Vec<Output>,
}

impl Rig {
    /// A new session with default limits and one upstream, `openai`.
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Limits)) -> Self {
        Self::dialling(&[], change)
    }

    /// As `with`, while the shell already dials some legs.
    pub(crate) fn dialling(legs: &[&str], change: impl FnOnce(&mut Limits)) -> Self {
        // Most tests follow a suspect from worker to worker, and one looks at the pause between.
        let mut limits = Limits {
            strike_pause: Duration::ZERO,
            ..Limits::default()
        };
        change(&mut limits);
        let setup = Setup {
            id: SessionId(7),
            limits: limits.clone(),
            caller: Attributes::from([("call_sid".to_owned(), "CA1".to_owned())]),
            dialled: legs.iter().map(|leg| LegName::new(leg)).collect(),
            upstreams: ["openai".to_owned()].into(),
        };
        let mut out = Vec::new();
        let session = Session::new(setup, START, &mut out);
        Self {
            session,
            now: START,
            limits,
            out,
        }
    }

    /// A session that a worker runs, with the caller's `LegOpened` committed.
    pub(crate) fn running(change: impl FnOnce(&mut Limits)) -> (Self, Epoch) {
        let mut rig = Self::with(change);
        let epoch = rig.attach();
        rig.commit(epoch, 1);
        rig.take();
        (rig, epoch)
    }

    /// As `running`, with an open model leg whose `LegOpened` is committed too.
    pub(crate) fn bridged(change: impl FnOnce(&mut Limits)) -> (Self, Epoch) {
        let mut rig = Self::dialling(&[LegName::MODEL], change);
        let epoch = rig.attach();
        rig.feed(Event::LegOpened {
            leg: model(),
            attributes: Attributes::default(),
        });
        rig.commit(epoch, 2);
        rig.take();
        (rig, epoch)
    }

    pub(crate) fn feed(&mut self, event: Event) {
        self.session.handle(self.now, event, &mut self.out);
    }

    /// Lets time pass as a punctual shell does: the engine is called whenever it asked to be.
    pub(crate) fn advance(&mut self, by: Duration) {
        let until = self.now + by;
        let mut patience = Patience::default();
        while let Some(wake) = self.session.next_wake().filter(|wake| *wake <= until) {
            self.now = patience.wake(self.now, wake);
            self.feed(Event::Tick);
        }
        self.now = until;
        self.feed(Event::Tick);
    }

    /// Lets time pass while the edge itself does not run.
    pub(crate) fn freeze(&mut self, by: Duration) {
        self.now = self.now + by;
        self.feed(Event::Tick);
    }

    /// All outputs since the last `take`.
    pub(crate) fn take(&mut self) -> Outs {
        Outs(std::mem::take(&mut self.out))
    }

    pub(crate) fn view(&self) -> View {
        self.session.view(self.now)
    }

    /// The epoch of the last `Seek` that nobody has taken.
    pub(crate) fn sought(&self) -> Epoch {
        Outs(self.out.clone()).seeks().last().unwrap().epoch
    }

    /// As `sought`, where that was taken long ago: lets the present offer fail, and waits for the next.
    pub(crate) fn sought_again(&mut self) -> Epoch {
        let before = Outs(self.out.clone()).seeks().len();
        while Outs(self.out.clone()).seeks().len() == before {
            let wake = self.session.next_wake().unwrap();
            self.now = self.now.max(wake);
            self.feed(Event::Tick);
        }
        self.sought()
    }

    /// Answers the open `Seek`: a worker is found and takes the session.
    pub(crate) fn attach(&mut self) -> Epoch {
        let epoch = self.sought();
        self.offer(epoch);
        self.said(epoch, FromWorker::Accept);
        epoch
    }

    pub(crate) fn offer(&mut self, epoch: Epoch) {
        self.feed(Event::Offered {
            epoch,
            worker: WorkerId(epoch.0),
            version: format!("v{epoch}"),
        });
    }

    pub(crate) fn said(&mut self, epoch: Epoch, message: FromWorker) {
        self.feed(Event::FromWorker { epoch, message });
    }

    /// A commit that says nothing but how far it got.
    pub(crate) fn commit(&mut self, epoch: Epoch, through: u64) {
        self.commit_with(epoch, through, vec![]);
    }

    /// One commit for each input, as they come after a loss.
    pub(crate) fn commit_each(&mut self, epoch: Epoch, through: u64) {
        for seq in self.view().committed.0 + 1..=through {
            self.commit(epoch, seq);
        }
    }

    pub(crate) fn commit_with(&mut self, epoch: Epoch, through: u64, commands: Vec<Command>) {
        self.commit_all(
            epoch,
            Commit {
                through: Seq(through),
                commands,
                ..Commit::default()
            },
        );
    }

    pub(crate) fn commit_all(&mut self, epoch: Epoch, commit: Commit) {
        self.said(epoch, FromWorker::Commit(commit));
    }

    pub(crate) fn lose(&mut self, epoch: Epoch) {
        self.feed(Event::StreamLost {
            epoch,
            loss: Loss::Disconnected {
                cause: "killed".to_owned(),
            },
        });
    }

    /// Twenty milliseconds of the caller's voice.
    pub(crate) fn media(&mut self, words: &str) {
        self.frame(caller(), Class::Media { ms: 20 }, words);
    }

    pub(crate) fn control(&mut self, words: &str) {
        self.frame(caller(), Class::Control, words);
    }

    pub(crate) fn frame(&mut self, leg: LegRef, class: Class, words: &str) {
        let payload = text(words);
        let frame = Frame { class, payload };
        self.feed(Event::Frame { leg, frame });
    }

    pub(crate) fn closed(&mut self, leg: LegRef, fault: Fault) {
        let close = Close {
            code: if fault == Fault::None { 1000 } else { 1006 },
            reason: "gone".to_owned(),
            fault,
            dial_failed: false,
        };
        self.feed(Event::LegClosed { leg, close });
    }

    pub(crate) fn written(&mut self, leg: LegRef, frames: u64, bytes: u64) {
        self.feed(Event::LegWritten {
            leg,
            frames,
            bytes,
            sound: 0,
        });
    }
}

/// A shell's clock. The engine asks for it a bounded number of times at any one moment.
#[derive(Default)]
pub(crate) struct Patience {
    at_once: u32,
}

impl Patience {
    /// The time at which the engine is called that asked for `wake`.
    pub(crate) fn wake(&mut self, now: Time, wake: Time) -> Time {
        self.at_once = if wake > now { 0 } else { self.at_once + 1 };
        assert!(
            self.at_once < 16,
            "the engine is asked again and again and does nothing"
        );
        now.max(wake)
    }
}

/// Outputs, with words to ask about them.
#[derive(Clone, Debug)]
pub(crate) struct Outs(pub(crate) Vec<Output>);

impl Outs {
    pub(crate) fn seeks(&self) -> Vec<Seek> {
        let seeks = self.0.iter().filter_map(|out| match out {
            Output::Seek(seek) => Some(seek.clone()),
            _ => None,
        });
        seeks.collect()
    }

    /// What went to legs, as `leg:words`.
    pub(crate) fn sends(&self) -> Vec<String> {
        let sends = self.0.iter().filter_map(|out| match out {
            Output::Send { leg, payload } => {
                let words = String::from_utf8_lossy(payload.bytes());
                Some(format!("{leg}:{words}"))
            }
            _ => None,
        });
        sends.collect()
    }

    pub(crate) fn attach(&self, epoch: Epoch) -> Option<Attach> {
        self.0.iter().find_map(|out| match out {
            Output::ToWorker {
                epoch: to,
                message: ToWorker::Attach(attach),
            } if *to == epoch => Some((**attach).clone()),
            _ => None,
        })
    }

    pub(crate) fn inputs(&self, epoch: Epoch) -> Vec<Input> {
        let inputs = self.0.iter().filter_map(|out| match out {
            Output::ToWorker {
                epoch: to,
                message: ToWorker::Inputs { inputs, .. },
            } if *to == epoch => Some(inputs.clone()),
            _ => None,
        });
        inputs.flatten().collect()
    }

    pub(crate) fn seqs(&self, epoch: Epoch) -> Vec<u64> {
        self.inputs(epoch).iter().map(|input| input.seq.0).collect()
    }

    /// Of how many applied commits each message with inputs tells.
    pub(crate) fn applied(&self, epoch: Epoch) -> Vec<u64> {
        let told = self.0.iter().filter_map(|out| match out {
            Output::ToWorker {
                epoch: of,
                message: ToWorker::Inputs { applied, .. },
            } if *of == epoch => Some(*applied),
            _ => None,
        });
        told.collect()
    }

    pub(crate) fn kinds(&self, epoch: Epoch) -> Vec<InputKind> {
        self.inputs(epoch)
            .into_iter()
            .map(|input| input.kind)
            .collect()
    }

    pub(crate) fn released(&self) -> Vec<Epoch> {
        let releases = self.0.iter().filter_map(|out| match out {
            Output::ToWorker {
                epoch,
                message: ToWorker::Release { .. },
            } => Some(*epoch),
            _ => None,
        });
        releases.collect()
    }

    pub(crate) fn hangup(&self, epoch: Epoch) -> Option<HangupCause> {
        self.0.iter().find_map(|out| match out {
            Output::Hangup { epoch: of, cause } if *of == epoch => Some(cause.clone()),
            _ => None,
        })
    }

    /// Legs that the shell is to close, with their codes.
    pub(crate) fn closes(&self) -> Vec<(LegRef, u16)> {
        let closes = self.0.iter().filter_map(|out| match out {
            Output::CloseLeg { leg, code, .. } => Some((leg.clone(), *code)),
            _ => None,
        });
        closes.collect()
    }

    /// Legs that the shell is to dial.
    pub(crate) fn dials(&self) -> Vec<LegRef> {
        let dials = self.0.iter().filter_map(|out| match out {
            Output::OpenLeg { leg, .. } => Some(leg.clone()),
            _ => None,
        });
        dials.collect()
    }

    pub(crate) fn reports(&self) -> impl Iterator<Item = &Report> {
        self.0.iter().filter_map(|out| match out {
            Output::Report(report) => Some(report),
            _ => None,
        })
    }

    pub(crate) fn says(&self, report: &Report) -> bool {
        self.reports().any(|said| said == report)
    }

    /// Kinds of the losses that were reported.
    pub(crate) fn losses(&self) -> Vec<&'static str> {
        let losses = self.reports().filter_map(|report| match report {
            Report::Lost { kind, .. } => Some(*kind),
            _ => None,
        });
        losses.collect()
    }

    pub(crate) fn ending(&self) -> Option<EndReason> {
        self.reports().find_map(|report| match report {
            Report::Ending { reason, .. } => Some(*reason),
            _ => None,
        })
    }

    /// Seqs of the media that was reported as lost.
    pub(crate) fn media_lost(&self) -> Vec<(u64, u64)> {
        let gaps = self.reports().filter_map(|report| match report {
            Report::MediaLost(gap) => Some((gap.first.0, gap.last.0)),
            _ => None,
        });
        gaps.collect()
    }

    pub(crate) fn media_dropped(&self) -> Vec<u64> {
        let gaps = self.reports().filter_map(|report| match report {
            Report::MediaDropped(gap) => Some(gap.first.0),
            _ => None,
        });
        gaps.collect()
    }

    pub(crate) fn finished(&self) -> bool {
        self.0.last() == Some(&Output::Finished)
    }
}

pub(crate) fn send(leg: &str, words: &str) -> Command {
    Command::Send {
        leg: LegName::new(leg),
        incarnation: None,
        payload: text(words),
    }
}

pub(crate) fn open(leg: &str, upstream: &str) -> Command {
    Command::OpenLeg {
        leg: LegName::new(leg),
        upstream: upstream.to_owned(),
        attributes: Attributes::default(),
    }
}

pub(crate) fn close(leg: &str) -> Command {
    Command::CloseLeg {
        leg: LegName::new(leg),
        incarnation: None,
        code: 1000,
        reason: "done".to_owned(),
    }
}

pub(crate) fn set(name: &str, after: Duration, tag: u64) -> Command {
    Command::SetTimer {
        name: name.to_owned(),
        after,
        tag,
    }
}

pub(crate) fn cancel(name: &str) -> Command {
    Command::CancelTimer {
        name: name.to_owned(),
    }
}

/// A commit that changes keys and nothing else.
pub(crate) fn puts(through: u64, schema: u32, entries: &[(&str, &str)]) -> Commit {
    Commit {
        through: Seq(through),
        schema,
        put: entries
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Bytes::copy_from_slice(value.as_bytes())))
            .collect(),
        ..Commit::default()
    }
}

/// The gap, where the input is one.
pub(crate) fn as_gap(kind: &InputKind) -> Option<&Gap> {
    match kind {
        InputKind::Gap(gap) => Some(gap),
        _ => None,
    }
}
