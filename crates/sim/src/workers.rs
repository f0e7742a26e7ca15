//! Workers: processes of two versions that run the program for whoever is attached, and fail in
//! every way that there is.

use std::collections::{BTreeSet, VecDeque};

use holdline_session::{
    Attach, Commit, FromWorker, Input, InputKind, Loss, Payload, Seq, ToWorker,
};

use crate::{
    coverage::Mark,
    network::Up,
    plan::Poison,
    program::Program,
    queue::Happening,
    shell::Bug,
    world::{World, ms},
};

/// What weak poison kills before it does no more harm.
const WEAK_KILLS: u32 = 2;

/// A worker process. All times are simulated microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) version: u32,
    pub(crate) alive: bool,
    pub(crate) ready: bool,
    pub(crate) draining: bool,
    pub(crate) died_at: u64,
    pub(crate) hung_since: u64,
    pub(crate) hung_until: u64,
    pub(crate) mute_until: u64,
    pub(crate) full_until: u64,
    pub(crate) deaf_until: u64,
    pub(crate) slow_until: u64,
    /// Cut off from each edge until then.
    pub(crate) parted_until: [u64; 2],
}

/// A worker's end of a stream.
#[derive(Default)]
pub(crate) struct Agent {
    program: Option<Program>,
    inbox: VecDeque<Input>,
    /// A part of the gap at the front is done.
    partial: bool,
    working: bool,
    releasing: bool,
    stuck: bool,
    /// How far each commit went that the edge has not said to be applied, and how many it has.
    unapplied: VecDeque<u64>,
    applied: u64,
    /// The next commit breaks a rule.
    pub(crate) garbled: bool,
    /// Outside work that this agent has begun.
    begun: BTreeSet<u64>,
}

impl World {
    /// Starts a worker process, which is ready a little later.
    pub(crate) fn spawn(&mut self, version: u32, after: u64) {
        let worker = self.workers.len();
        self.workers.push(Worker {
            version,
            alive: true,
            ..Worker::default()
        });
        self.queue
            .push(self.now.0 + after, Happening::Ready { worker });
    }

    /// A process is gone, and with it all that it had not yet sent, or some of it.
    pub(crate) fn kill(&mut self, worker: usize, loss: &Loss) {
        let dead = &mut self.workers[worker];
        if !std::mem::replace(&mut dead.alive, false) {
            return;
        }
        dead.died_at = self.now.0;
        self.note(|| format!("worker w{worker} is gone: {loss:?}"));
        for stream in 0..self.streams.len() {
            if self.streams[stream].worker != worker || self.streams[stream].worker_gone {
                continue;
            }
            let keep = self.rng.index(self.streams[stream].up.len() + 1);
            self.streams[stream].up.truncate(keep);
            self.let_go(stream);
            self.say_up(stream, Up::Lost(loss.clone()));
        }
    }

    /// A worker is told to go: it hands its sessions over.
    pub(crate) fn drain(&mut self, worker: usize, grace: u64) {
        if !self.workers[worker].alive || self.workers[worker].draining {
            return;
        }
        self.workers[worker].draining = true;
        self.note(|| format!("worker w{worker} drains for {grace} us"));
        let by_itself = self.rng.percent(50);
        for stream in 0..self.streams.len() {
            if self.streams[stream].worker != worker || self.streams[stream].edge_gone {
                continue;
            }
            if by_itself && self.streams[stream].agent.is_some() {
                let draining = FromWorker::Draining { within: None };
                self.say_up(stream, Up::Said(draining));
            } else {
                let at = self.now.0 + self.rng.range(200, ms(5));
                self.queue.push(at, Happening::MoveOff { stream, why: 0 });
            }
        }
        self.queue
            .push(self.now.0 + grace, Happening::Exit { worker });
    }

    /// The grace of a drained worker is over.
    pub(crate) fn exit(&mut self, worker: usize) {
        if !self.may_take(worker) {
            let at = self.now.0 + ms(50);
            return self.queue.push(at, Happening::Exit { worker });
        }
        let holds = |stream: &crate::network::Stream| {
            stream.worker == worker && !stream.edge_gone && stream.agent.is_some()
        };
        if self.workers[worker].alive && self.streams.iter().any(holds) {
            self.coverage.mark(Mark::DrainCut);
        }
        self.kill(worker, &Loss::Ended);
    }

    pub(crate) fn offered(&mut self, stream: usize) {
        let worker = &self.workers[self.streams[stream].worker];
        let now = self.now.0;
        if now < worker.mute_until {
            return self.coverage.mark(Mark::Mute);
        }
        if worker.draining || now < worker.full_until {
            if !worker.draining {
                self.coverage.mark(Mark::Full);
            }
            let reject = FromWorker::Reject {
                reason: "no room".to_owned(),
                retry: true,
            };
            return self.say_up(stream, Up::Said(reject));
        }
        if !self.plants(Bug::SuspectFlagIgnored) && self.has_clash(stream) {
            let reject = FromWorker::Reject {
                reason: "a suspect is here, or would be".to_owned(),
                retry: true,
            };
            return self.say_up(stream, Up::Said(reject));
        }
        let line = &mut self.streams[stream];
        line.watched = line.offered;
        line.agent = Some(Agent::default());
        self.say_up(stream, Up::Said(FromWorker::Accept));
    }

    /// Whether another session is at the worker of this stream, from whichever edge, beside which
    /// this one must not run.
    fn has_clash(&self, stream: usize) -> bool {
        let line = &self.streams[stream];
        self.streams.iter().any(|other| {
            other.worker == line.worker
                && other.call != line.call
                && (other.agent.is_some() || !other.edge_gone)
                && other.watched.clashes_with(&line.offered)
        })
    }

    pub(crate) fn told(&mut self, stream: usize, message: ToWorker) {
        let worker = &self.workers[self.streams[stream].worker];
        let deaf = worker.deaf_until > self.now.0 && self.poison_live.is_none();
        if self.streams[stream].agent.is_none() {
            return;
        }
        match message {
            ToWorker::Attach(attach) => return self.attached(stream, &attach),
            ToWorker::Inputs { inputs, applied } => {
                let line = &mut self.streams[stream];
                if let Some(agent) = &mut line.agent {
                    agent.inbox.extend(inputs);
                    // A commit that goes down with its worker has cleared nobody.
                    while agent.applied < applied
                        && let Some(through) = agent.unapplied.pop_front()
                    {
                        agent.applied += 1;
                        line.watched.done(through);
                    }
                }
            }
            ToWorker::Release { .. } if deaf => return self.coverage.mark(Mark::Deaf),
            ToWorker::Release { .. } => {
                if let Some(agent) = &mut self.streams[stream].agent {
                    agent.releasing = true;
                }
            }
        }
        self.schedule(stream);
    }

    fn attached(&mut self, stream: usize, attach: &Attach) {
        if self.has_clash(stream) {
            let call = self.streams[stream].call;
            let detail = format!("epoch {}", self.streams[stream].epoch);
            return self.fail(
                call,
                "no suspect beside one that could be to blame as well",
                detail,
            );
        }
        let line = &mut self.streams[stream];
        let version = self.workers[line.worker].version;
        let write = if self.writes_two { version } else { 1 };
        let program = Program::load(attach, write);
        self.streams[stream].agent.get_or_insert_default().program = Some(program);
        let worker = self.streams[stream].worker;
        if self.now.0 < self.crash_loop_until && self.may_take(worker) {
            self.coverage.mark(Mark::CrashLoop);
            return self.crashes(worker, "a call came");
        }
        self.begin_outside(stream);
        self.check_complaint(stream);
    }

    fn schedule(&mut self, stream: usize) {
        let line = &mut self.streams[stream];
        let slow = self.now.0 < self.workers[line.worker].slow_until;
        let Some(agent) = &mut line.agent else { return };
        if !agent.working {
            agent.working = true;
            let after = if slow {
                self.rng.range(ms(6), ms(12))
            } else {
                self.rng.range(100, 1_500)
            };
            self.queue
                .push(self.now.0 + after, Happening::Work { stream });
        }
    }

    /// An agent does some of its inputs and commits them.
    pub(crate) fn work(&mut self, stream: usize) {
        if let Some(until) = self.hangs_until(stream) {
            return self.queue.push(until, Happening::Work { stream });
        }
        let most = self.rng.range(1, 6);
        let within_gap = self.rng.percent(25);
        let call = self.streams[stream].call;
        let Some(agent) = &mut self.streams[stream].agent else {
            return;
        };
        agent.working = false;
        let Some(program) = agent.program.as_mut().filter(|_| !agent.stuck) else {
            return;
        };
        let (mut commands, mut done, mut poison) = (Vec::new(), 0, None);
        while done < most
            && let Some(input) = agent.inbox.front()
        {
            poison = poison_in(&input.kind);
            if poison == Some(Poison::Weak) && self.calls[call].poison_kills >= WEAK_KILLS {
                poison = None;
                self.poison_live.take_if(|live| *live == call);
            }
            if poison.is_some() {
                break;
            }
            let seq = first_seq(input, agent.partial, program);
            let whole = !within_gap || seq == input.seq.0;
            let through = if whole { input.seq.0 } else { seq };
            program.step(seq, through, &input.kind, &mut commands);
            agent.partial = !whole;
            done += 1;
            if !whole {
                break;
            }
            agent.inbox.pop_front();
        }
        if let Some(kind) = poison {
            // What was done before it may be committed, or may go down with the worker.
            if done == 0 || self.rng.percent(50) {
                return self.poisoned(stream, kind);
            }
        }
        if done > 0 {
            self.commit(stream, commands);
        }
        self.after_work(stream);
    }

    fn commit(&mut self, stream: usize, commands: Vec<holdline_session::Command>) {
        let calm = self.poison_live.is_none();
        let Some(agent) = &mut self.streams[stream].agent else {
            return;
        };
        let Some(program) = &mut agent.program else {
            return;
        };
        let mut commit = program.commit(commands);
        agent.unapplied.push_back(commit.through.0);
        if std::mem::take(&mut agent.garbled) && calm {
            commit.through = Seq(commit.through.0 + 1_000);
            self.coverage.mark(Mark::BadCommit);
        }
        self.say_up(stream, Up::Said(FromWorker::Commit(commit)));
        self.begin_outside(stream);
        self.check_complaint(stream);
    }

    fn after_work(&mut self, stream: usize) {
        let Some(agent) = &self.streams[stream].agent else {
            return;
        };
        if !agent.inbox.is_empty() {
            self.schedule(stream);
        } else if agent.releasing {
            self.say_up(stream, Up::Said(FromWorker::Released));
            self.let_go(stream);
        }
    }

    fn poisoned(&mut self, stream: usize, kind: Poison) {
        let worker = self.streams[stream].worker;
        self.note(|| format!("poison reaches w{worker}"));
        match kind {
            Poison::Crash | Poison::Weak => {
                self.counts_kill(stream);
                self.coverage.mark(if kind == Poison::Weak {
                    Mark::PoisonWeak
                } else {
                    Mark::PoisonCrash
                });
                self.crashes(worker, "panicked");
            }
            Poison::Hang => {
                self.coverage.mark(Mark::PoisonHang);
                if let Some(agent) = &mut self.streams[stream].agent {
                    agent.stuck = true;
                }
            }
            Poison::Rule => {
                self.coverage.mark(Mark::PoisonRule);
                let through = Seq(u64::MAX);
                let commit = Commit {
                    through,
                    ..Commit::default()
                };
                self.say_up(stream, Up::Said(FromWorker::Commit(commit)));
            }
        }
    }

    /// A poison call ends at its limit; only what it does beside others, where it found no place apart
    /// from them, is not counted.
    fn counts_kill(&mut self, stream: usize) {
        let line = &self.streams[stream];
        let (call, excused) = (line.call, line.crowded_out);
        let limit = self.plan_limits().poison_limit;
        let one = &mut self.calls[call];
        one.poison_kills += 1;
        one.excused_kills += u32::from(excused);
        let (kills, excused) = (one.poison_kills, one.excused_kills);
        if kills - excused > limit {
            let detail = format!("{kills}, {excused} of them where it was crowded");
            self.fail(
                call,
                "a poison call kills no more workers than its limit",
                detail,
            );
        }
    }

    /// A process fails by itself, and another is started in its place.
    fn crashes(&mut self, worker: usize, status: &str) {
        let version = self.workers[worker].version;
        let status = status.to_owned();
        self.kill(worker, &Loss::Failed { status });
        let wait = self.plan_limits().isolation_wait.as_micros() as u64;
        let after = if self.slow_restarts {
            self.rng.range(wait, wait * 4)
        } else {
            self.rng.range(ms(20), ms(120))
        };
        if after > wait && !self.workers.iter().any(|one| one.alive && one.ready) {
            self.coverage.mark(Mark::SlowRestart);
        }
        self.spawn(version, after);
    }

    /// Starts the outside work that the state speaks of and that this agent has not begun.
    fn begin_outside(&mut self, stream: usize) {
        let Some(agent) = &mut self.streams[stream].agent else {
            return;
        };
        let Some(program) = &agent.program else {
            return;
        };
        let new: Vec<u64> = program.works.difference(&agent.begun).copied().collect();
        for seq in new {
            agent.begun.insert(seq);
            let after = self.rng.range(ms(10), ms(150));
            self.queue
                .push(self.now.0 + after, Happening::Outside { stream, seq });
        }
    }

    pub(crate) fn outside(&mut self, stream: usize, seq: u64) {
        if let Some(until) = self.hangs_until(stream) {
            return self.queue.push(until, Happening::Outside { stream, seq });
        }
        let Some(agent) = &mut self.streams[stream].agent else {
            return;
        };
        let Some(program) = agent.program.as_mut().filter(|_| !agent.stuck) else {
            return;
        };
        let mut commands = Vec::new();
        if program.finish(seq, &mut commands) {
            self.commit(stream, commands);
        }
    }

    fn hangs_until(&self, stream: usize) -> Option<u64> {
        let worker = &self.workers[self.streams[stream].worker];
        (worker.alive && worker.hung_until > self.now.0).then_some(worker.hung_until)
    }

    /// The worker in force may notice what cannot be. One of the past is fenced, whatever it saw.
    fn check_complaint(&mut self, stream: usize) {
        let line = &mut self.streams[stream];
        let (call, epoch) = (line.call, line.epoch);
        let program = line.agent.as_mut().and_then(|agent| agent.program.as_mut());
        if let Some(what) = program.and_then(|program| program.complaint.take()) {
            self.fail(call, "worker's view", format!("epoch {epoch}: {what}"));
        }
    }
}

fn first_seq(input: &Input, partial: bool, program: &Program) -> u64 {
    match &input.kind {
        InputKind::Gap(_) if partial => program.next_seq(),
        InputKind::Gap(gap) => gap.first.0,
        _ => input.seq.0,
    }
}

fn poison_in(kind: &InputKind) -> Option<Poison> {
    match kind {
        InputKind::Frame { leg, payload } if leg.name.is_caller() => poison_of(payload),
        _ => None,
    }
}

fn poison_of(payload: &Payload) -> Option<Poison> {
    match payload.bytes().first() {
        Some(b'X') => Some(Poison::Crash),
        Some(b'H') => Some(Poison::Hang),
        Some(b'R') => Some(Poison::Rule),
        Some(b'W') => Some(Poison::Weak),
        _ => None,
    }
}
