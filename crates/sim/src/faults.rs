//! What goes wrong. No fault takes away the worker where a suspect is kept apart: whatever kills it
//! there looks, by the rules, like the suspect's own doing. All other losses are a call's bad luck,
//! however many of them follow each other.

use holdline_session::Loss;

use crate::{
    coverage::Mark,
    network::Stream,
    plan::{CALM, Fault},
    queue::Happening,
    sockets::{CALLER, State},
    world::{World, ms},
};

impl World {
    pub(crate) fn fault(&mut self, fault: Fault) {
        self.note(|| format!("fault: {fault:?}"));
        match fault {
            Fault::Crash => self.crash(Mark::Crash),
            Fault::Restart => self.crash(Mark::Restart),
            Fault::Outage => self.outage(),
            Fault::CrashLoop => {
                self.crash_loop_until = self.now.0 + self.rng.range(ms(300), ms(1_500));
            }
            Fault::Hang => self.hang(),
            Fault::Drain => self.drain_one(),
            Fault::Roll => self.roll(2, Mark::Roll),
            Fault::RollBack => self.roll(1, Mark::RollBack),
            Fault::SchemaBump => {
                if !self.writes_two && self.workers.iter().any(|one| one.alive && one.version == 2)
                {
                    self.writes_two = true;
                    self.coverage.mark(Mark::SchemaBump);
                }
            }
            Fault::StreamDrop | Fault::Garbage => self.break_stream(fault),
            Fault::Partition => self.partition(),
            Fault::DelaySpike => {
                self.spike_until = self.now.0 + self.rng.range(ms(50), ms(400));
                self.coverage.mark(Mark::DelaySpike);
            }
            Fault::Duplicate => self.double_until = CALM,
            Fault::Mute | Fault::Full | Fault::Deaf | Fault::Slow => self.quirk(fault),
            Fault::BadCommit => self.bad_commit(),
            Fault::EdgeFrozen => {
                let edge = self.rng.index(2);
                self.frozen[edge] = self.now.0 + self.rng.range(ms(150), ms(900));
                self.coverage.mark(Mark::EdgeFrozen);
            }
            Fault::Handover => self.handover(),
            Fault::OperatorMove => self.move_one(2, Mark::OperatorMove),
            Fault::RolloutMove => self.move_one(1, Mark::RolloutMove),
            Fault::SlowCaller => self.slow_reader(CALLER, Mark::SlowCaller),
            Fault::SlowModel => self.slow_reader(1, Mark::SlowModel),
        }
    }

    /// Whether a worker may be taken from its sessions now.
    pub(crate) fn may_take(&self, worker: usize) -> bool {
        self.poison_live.is_none()
            && self.streams.iter().all(|stream| {
                stream.worker != worker || stream.edge_gone || !stream.suspected.is_suspect()
            })
    }

    fn random_worker(&mut self) -> Option<usize> {
        let alive: Vec<_> = (0..self.workers.len())
            .filter(|index| self.workers[*index].alive && self.workers[*index].ready)
            .collect();
        (!alive.is_empty()).then(|| alive[self.rng.index(alive.len())])
    }

    /// A stream that both ends hold.
    fn random_stream(&mut self) -> Option<usize> {
        let live = |stream: &Stream| !stream.edge_gone && stream.agent.is_some();
        let live: Vec<_> = (0..self.streams.len())
            .filter(|index| live(&self.streams[*index]))
            .collect();
        (!live.is_empty()).then(|| live[self.rng.index(live.len())])
    }

    fn crash(&mut self, mark: Mark) {
        let Some(worker) = self.random_worker().filter(|one| self.may_take(*one)) else {
            return;
        };
        self.coverage.mark(mark);
        let loss = if mark == Mark::Restart || self.rng.percent(50) {
            let status = "UNAVAILABLE".to_owned();
            Loss::Failed { status }
        } else {
            let cause = "connection reset".to_owned();
            Loss::Disconnected { cause }
        };
        let version = self.workers[worker].version;
        self.kill(worker, &loss);
        let after = if mark == Mark::Restart {
            self.rng.range(ms(5), ms(30))
        } else {
            self.rng.range(ms(50), ms(300))
        };
        self.spawn(version, after);
    }

    fn outage(&mut self) {
        if !(0..self.workers.len()).all(|worker| self.may_take(worker)) {
            return;
        }
        self.coverage.mark(Mark::Outage);
        let until = if self.rng.percent(50) {
            self.rng.range(ms(100), ms(500))
        } else {
            self.rng.range(ms(900), ms(1_600))
        };
        for worker in 0..self.workers.len() {
            let version = self.workers[worker].version;
            let was_new = !self.workers[worker].draining && self.workers[worker].alive;
            let cause = "power".to_owned();
            self.kill(worker, &Loss::Disconnected { cause });
            if was_new {
                self.spawn(version, until);
            }
        }
    }

    fn hang(&mut self) {
        let Some(worker) = self.random_worker().filter(|one| self.may_take(*one)) else {
            return;
        };
        self.coverage.mark(Mark::Hang);
        let (now, by) = (self.now.0, self.rng.range(ms(60), ms(600)));
        let worker = &mut self.workers[worker];
        worker.hung_since = now;
        worker.hung_until = now + by;
    }

    fn drain_one(&mut self) {
        if self.poison_live.is_some() {
            return;
        }
        if let Some(worker) = self.random_worker() {
            self.coverage.mark(Mark::Drain);
            let version = self.workers[worker].version;
            // The next one may be late: then there is no better place for a while.
            let after = self.rng.range(ms(5), ms(250));
            self.spawn(version, after);
            let grace = self.rng.range(ms(10), ms(300));
            self.drain(worker, grace);
        }
    }

    /// All workers of the other version are replaced, one after the other.
    fn roll(&mut self, to: u32, mark: Mark) {
        let old: Vec<_> = (0..self.workers.len())
            .filter(|index| self.workers[*index].alive && self.workers[*index].version != to)
            .collect();
        if old.is_empty() {
            return;
        }
        self.coverage.mark(mark);
        self.ranks += 1;
        self.rank[to as usize] = self.ranks;
        for worker in old {
            let ready = self.rng.range(ms(5), ms(40));
            self.spawn(to, ready);
            let at = self.now.0 + self.rng.range(ms(20), ms(200));
            self.queue.push(at, Happening::Replaced { worker });
        }
    }

    pub(crate) fn replaced(&mut self, worker: usize) {
        if self.poison_live.is_some() {
            let at = self.now.0 + ms(50);
            return self.queue.push(at, Happening::Replaced { worker });
        }
        let grace = self.rng.range(ms(100), ms(500));
        self.drain(worker, grace);
    }

    fn break_stream(&mut self, fault: Fault) {
        let Some(stream) = self.random_stream() else {
            return;
        };
        if self.poison_live.is_some() || !self.calls[self.streams[stream].call].is_steady() {
            return;
        }
        let loss = if fault == Fault::Garbage {
            self.coverage.mark(Mark::Garbage);
            let what = "no message".to_owned();
            Loss::Malformed { what }
        } else {
            self.coverage.mark(Mark::StreamDrop);
            let status = "RST_STREAM".to_owned();
            Loss::Failed { status }
        };
        self.sever(stream, loss);
    }

    /// The worker that a call is about to leave is lost to it.
    pub(crate) fn bereave(&mut self, call: usize) {
        let left = |stream: &Stream| stream.call == call && !stream.edge_gone;
        let Some(stream) = self.streams.iter().rposition(left) else {
            return;
        };
        if self.poison_live.is_none() && self.calls[call].is_steady() {
            self.coverage.mark(Mark::LeftDies);
            let status = "RST_STREAM".to_owned();
            self.sever(stream, Loss::Failed { status });
        }
    }

    /// The worker that a call is about to go to is lost to it.
    pub(crate) fn fail_target(&mut self, call: usize) {
        let target = self.calls[call].model.target();
        if let Some(stream) = target.and_then(|epoch| self.stream_of(call, epoch)) {
            self.coverage.mark(Mark::TargetDies);
            let status = "RST_STREAM".to_owned();
            self.sever(stream, Loss::Failed { status });
        }
    }

    fn partition(&mut self) {
        let Some(worker) = self.random_worker().filter(|one| self.may_take(*one)) else {
            return;
        };
        self.coverage.mark(Mark::Partition);
        let edge = self.rng.index(2);
        let by = self.rng.range(ms(50), ms(700));
        self.workers[worker].parted_until[edge] = self.now.0 + by;
        let at = self.now.0 + self.rng.range(ms(60), ms(300));
        self.queue.push(at, Happening::Keepalive { edge, worker });
    }

    fn quirk(&mut self, fault: Fault) {
        let Some(index) = self.random_worker() else {
            return;
        };
        let until = self.now.0 + self.rng.range(ms(200), ms(900));
        let worker = &mut self.workers[index];
        match fault {
            Fault::Mute => worker.mute_until = until,
            Fault::Full => worker.full_until = until,
            Fault::Deaf => {
                worker.deaf_until = until;
                // It is soon asked to let go.
                self.drain_after_quirk(index);
            }
            _ => {
                worker.slow_until = until;
                self.coverage.mark(Mark::Slow);
            }
        }
    }

    fn drain_after_quirk(&mut self, worker: usize) {
        if self.may_take(worker) {
            let version = self.workers[worker].version;
            self.spawn(version, 0);
            let at = self.now.0 + ms(5);
            self.queue.push(at, Happening::Replaced { worker });
        }
    }

    fn bad_commit(&mut self) {
        let Some(stream) = self.random_stream() else {
            return;
        };
        if self.poison_live.is_none()
            && self.calls[self.streams[stream].call].is_steady()
            && let Some(agent) = &mut self.streams[stream].agent
        {
            agent.garbled = true;
        }
    }

    fn move_one(&mut self, why: u8, mark: Mark) {
        if let Some(stream) = self.random_stream() {
            self.coverage.mark(mark);
            self.move_off(stream, why);
        }
    }

    fn slow_reader(&mut self, leg: usize, mark: Mark) {
        let call = self.rng.index(self.calls.len());
        let (now, by) = (self.now.0, self.rng.range(ms(200), ms(1_200)));
        let nothing = self.rng.percent(60);
        let socket = &mut self.calls[call].sockets[leg];
        if socket.state == State::Open {
            socket.slow_until = now + by;
            socket.reads_nothing = nothing;
            self.coverage.mark(mark);
        }
    }

    /// A session goes on at the other edge: its sockets move, its streams do not.
    fn handover(&mut self) {
        let call = self.rng.index(self.calls.len());
        if self.calls[call].over || !self.calls[call].begun || self.poison_live.is_some() {
            return;
        }
        if self.frozen_until(call).is_some() {
            return;
        }
        self.coverage.mark(Mark::Handover);
        for stream in 0..self.streams.len() {
            if self.streams[stream].call == call && !self.streams[stream].edge_gone {
                self.streams[stream].edge_gone = true;
                self.say_down(stream, crate::network::Down::Gone);
            }
        }
        let now = self.now;
        let limits = self.plan_limits();
        let one = &mut self.calls[call];
        one.sought = None;
        one.edge = 1 - one.edge;
        if let Err(broken) = one.shell.hand_over(limits, now) {
            return self.fail(call, broken.rule, broken.detail);
        }
        one.model.restored(now);
        self.feed(call, holdline_session::Event::Tick);
    }
}
