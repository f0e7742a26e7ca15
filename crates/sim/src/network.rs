//! Streams between edges and workers: each keeps its order, all of them together do not. A stream
//! that breaks loses what is in flight; what an ended stream had sent may come late, or twice.

use std::collections::VecDeque;

use holdline_session::{Epoch, Event, FromWorker, Loss, MoveReason, Seek, Suspicion, ToWorker};

use crate::{
    coverage::Mark,
    queue::Happening,
    workers::Agent,
    world::{World, ms},
};

/// On its way to the edge.
#[derive(Clone, Debug)]
pub(crate) enum Up {
    Said(FromWorker),
    Lost(Loss),
}

/// On its way to the worker.
#[derive(Clone, Debug)]
pub(crate) enum Down {
    Offer,
    Said(ToWorker),
    Gone,
}

/// One stream between one session and one worker.
pub(crate) struct Stream {
    pub(crate) call: usize,
    pub(crate) epoch: u64,
    pub(crate) worker: usize,
    /// The edge that opened it.
    pub(crate) edge: usize,
    /// What its session was suspected of when it was opened, and still is as its edge knows.
    pub(crate) suspected: Suspected,
    /// The same as its offer says it.
    pub(crate) offered: Suspected,
    /// The same as its worker knows, once it has accepted.
    pub(crate) watched: Suspected,
    /// Its session was denied a place apart from others for as long as it waits for one.
    pub(crate) crowded_out: bool,
    pub(crate) up: VecDeque<Up>,
    pub(crate) down: VecDeque<Down>,
    up_at: u64,
    down_at: u64,
    /// Arrivals that the engine would not hear yet.
    blocked: u32,
    /// The edge is through with it.
    pub(crate) edge_gone: bool,
    /// The worker is through with it, or never knew it.
    pub(crate) worker_gone: bool,
    pub(crate) agent: Option<Agent>,
}

/// Until which inputs are done a session is a suspect, and in doubt.
#[derive(Clone, Copy, Default)]
pub(crate) struct Suspected {
    suspect: Option<u64>,
    doubt: Option<u64>,
}

impl Suspected {
    pub(crate) fn of(seek: &Seek) -> Self {
        Self {
            suspect: seek.suspect.map(|through| through.0),
            doubt: seek.doubt.map(|through| through.0),
        }
    }

    /// Whether the session is kept apart here from all others who may be to blame.
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspect.is_some()
    }

    /// The engine says that no more than this is left.
    pub(crate) fn clear(&mut self, left: Suspicion) {
        if left < Suspicion::Suspect {
            self.suspect = None;
        }
        if left < Suspicion::Doubt {
            self.doubt = None;
        }
    }

    /// All inputs up to this one are done.
    pub(crate) fn done(&mut self, through: u64) {
        self.suspect.take_if(|until| *until <= through);
        self.doubt.take_if(|until| *until <= through);
    }

    /// Whether the two are kept apart.
    pub(crate) fn clashes_with(&self, other: &Self) -> bool {
        let is_watched = |of: &Self| of.suspect.or(of.doubt).is_some();
        is_watched(self) && is_watched(other) && self.suspect.or(other.suspect).is_some()
    }
}

impl World {
    pub(crate) fn open_stream(
        &mut self,
        call: usize,
        epoch: u64,
        worker: usize,
        suspected: Suspected,
    ) {
        let stream = self.streams.len();
        self.streams.push(Stream {
            call,
            epoch,
            worker,
            edge: self.calls[call].edge,
            suspected,
            offered: suspected,
            watched: Suspected::default(),
            crowded_out: self.calls[call].crowded_out,
            up: VecDeque::new(),
            down: VecDeque::new(),
            up_at: 0,
            down_at: 0,
            blocked: 0,
            edge_gone: false,
            worker_gone: false,
            agent: None,
        });
        if self.workers[worker].alive {
            self.say_down(stream, Down::Offer);
        } else {
            self.streams[stream].worker_gone = true;
            let cause = "connection refused".to_owned();
            self.say_up(stream, Up::Lost(Loss::Disconnected { cause }));
        }
    }

    pub(crate) fn stream_of(&self, call: usize, epoch: u64) -> Option<usize> {
        let of = |stream: &Stream| stream.call == call && stream.epoch == epoch;
        self.streams.iter().rposition(of)
    }

    pub(crate) fn say_up(&mut self, stream: usize, message: Up) {
        let at = self.now.0 + self.delay();
        let line = &mut self.streams[stream];
        line.up_at = line.up_at.max(at);
        line.up.push_back(message);
        self.queue.push(line.up_at, Happening::Up { stream });
    }

    pub(crate) fn say_down(&mut self, stream: usize, message: Down) {
        let at = self.now.0 + self.delay();
        let line = &mut self.streams[stream];
        line.down_at = line.down_at.max(at);
        line.down.push_back(message);
        self.queue.push(line.down_at, Happening::Down { stream });
    }

    fn delay(&mut self) -> u64 {
        if self.now.0 < self.spike_until {
            return self.rng.range(1_000, ms(30));
        }
        self.rng.range(100, 600)
    }

    /// Something reaches the edge.
    pub(crate) fn up(&mut self, stream: usize) {
        let line = &self.streams[stream];
        let (call, epoch, edge) = (line.call, line.epoch, line.edge);
        if let Some(until) = self.parted_until(edge, line.worker) {
            return self.queue.push(until, Happening::Up { stream });
        }
        if let Some(until) = self.frozen_until(call) {
            return self.queue.push(until, Happening::Up { stream });
        }
        if matches!(line.up.front(), Some(Up::Said(_)))
            && !self.calls[call].over
            && !self.calls[call].shell.hears(Epoch(epoch))
        {
            self.streams[stream].blocked += 1;
            self.calls[call].is_blocked = true;
            self.coverage.mark(Mark::CommitHeld);
            return;
        }
        let Some(message) = self.streams[stream].up.pop_front() else {
            return;
        };
        if self.calls[call].over {
            return;
        }
        match message {
            Up::Lost(loss) => {
                if !std::mem::replace(&mut self.streams[stream].edge_gone, true) {
                    let epoch = Epoch(epoch);
                    self.feed(call, Event::StreamLost { epoch, loss });
                }
            }
            Up::Said(message) => self.hear(stream, message),
        }
    }

    fn hear(&mut self, stream: usize, message: FromWorker) {
        let line = &self.streams[stream];
        let (call, epoch, gone) = (line.call, Epoch(line.epoch), line.edge_gone);
        if !gone && matches!(message, FromWorker::Reject { retry: true, .. }) {
            self.calls[call].denied(self.now.0, true);
        }
        if gone && self.rng.percent(40) {
            return;
        }
        if gone && self.now.0 < self.double_until {
            self.coverage.mark(Mark::Duplicate);
            let message = message.clone();
            self.feed(call, Event::FromWorker { epoch, message });
        }
        self.feed(call, Event::FromWorker { epoch, message });
    }

    /// The engine may hear again what it would not before.
    pub(crate) fn unblock(&mut self, call: usize) {
        let now = self.now.0;
        let mut still = false;
        for stream in 0..self.streams.len() {
            let line = &mut self.streams[stream];
            if line.call != call || line.blocked == 0 {
                continue;
            }
            if !self.calls[call].shell.hears(Epoch(line.epoch)) {
                still = true;
            } else {
                for _ in 0..std::mem::take(&mut line.blocked) {
                    self.queue.push(now, Happening::Up { stream });
                }
            }
        }
        self.calls[call].is_blocked = still;
    }

    /// Something reaches the worker.
    pub(crate) fn down(&mut self, stream: usize) {
        let line = &self.streams[stream];
        if let Some(until) = self.parted_until(line.edge, line.worker) {
            return self.queue.push(until, Happening::Down { stream });
        }
        let worker = &self.workers[line.worker];
        if worker.hung_until > self.now.0 && worker.alive {
            let until = worker.hung_until;
            return self.queue.push(until, Happening::Down { stream });
        }
        // A worker that comes back has its hands full before it looks at what was called off.
        let gone = matches!(self.streams[stream].down.front(), Some(Down::Gone));
        if gone && worker.hung_until > 0 && self.now.0 < worker.hung_until + ms(6) {
            let until = worker.hung_until + ms(6);
            return self.queue.push(until, Happening::Down { stream });
        }
        let Some(message) = self.streams[stream].down.pop_front() else {
            return;
        };
        if self.streams[stream].worker_gone {
            return;
        }
        match message {
            Down::Offer => self.offered(stream),
            Down::Said(message) => self.told(stream, message),
            Down::Gone => self.let_go(stream),
        }
    }

    /// The worker's end of a stream is gone.
    pub(crate) fn let_go(&mut self, stream: usize) {
        self.streams[stream].agent = None;
        self.streams[stream].worker_gone = true;
    }

    /// A stream breaks, with what is in flight. Both ends learn of it, each in its own time.
    pub(crate) fn sever(&mut self, stream: usize, loss: Loss) {
        let keep = self.rng.index(self.streams[stream].up.len() + 1);
        self.streams[stream].up.truncate(keep);
        self.streams[stream].down.clear();
        self.say_up(stream, Up::Lost(loss));
        self.say_down(stream, Down::Gone);
    }

    /// A connection is declared dead by the edge: nothing of it arrives any more.
    pub(crate) fn keepalive(&mut self, edge: usize, worker: usize) {
        if self.parted_until(edge, worker).is_none() {
            return;
        }
        for stream in 0..self.streams.len() {
            let line = &mut self.streams[stream];
            if line.edge != edge || line.worker != worker || line.edge_gone {
                continue;
            }
            line.edge_gone = true;
            line.up.clear();
            let (call, epoch) = (line.call, Epoch(line.epoch));
            self.say_down(stream, Down::Gone);
            self.coverage.mark(Mark::Keepalive);
            let loss = Loss::Disconnected {
                cause: "keepalive unanswered".to_owned(),
            };
            if !self.calls[call].over {
                self.feed(call, Event::StreamLost { epoch, loss });
            }
        }
    }

    /// The edge is through with a stream.
    pub(crate) fn hang_up(&mut self, call: usize, epoch: Epoch) {
        self.calls[call].sought.take_if(|seek| seek.epoch == epoch);
        if let Some(stream) = self.stream_of(call, epoch.0) {
            self.streams[stream].edge_gone = true;
            self.say_down(stream, Down::Gone);
        }
    }

    pub(crate) fn move_off(&mut self, stream: usize, why: u8) {
        let line = &self.streams[stream];
        let (call, epoch) = (line.call, Epoch(line.epoch));
        if line.edge_gone || self.calls[call].over {
            return;
        }
        if let Some(until) = self.frozen_until(call) {
            return self.queue.push(until, Happening::MoveOff { stream, why });
        }
        let reason = match why {
            0 => MoveReason::Drain,
            1 => MoveReason::Rollout,
            _ => MoveReason::Operator,
        };
        self.feed(call, Event::Move { epoch, reason });
    }

    fn parted_until(&self, edge: usize, worker: usize) -> Option<u64> {
        let until = self.workers[worker].parted_until[edge];
        (until > self.now.0).then_some(until)
    }
}
