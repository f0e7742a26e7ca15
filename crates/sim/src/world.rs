//! The world: calls at two edges, workers, and the network between, run in the order of one queue.

use std::time::Duration;

use holdline_session::{EndReason, Event, LegName, Limits, Output, Report, Seek, Time, ToWorker};

use crate::{
    coverage::{Coverage, Mark},
    journal,
    model::Model,
    network::{Down, Stream},
    plan::{CALM, CallPlan, HORIZON, Plan},
    queue::{Happening, Queue},
    rng::Rng,
    shell::{Bug, Shell},
    sockets::{CALLER, LEGS, Socket, State},
    workers::Worker,
};

/// A shell that is called this much later than it wanted was not merely busy (the engine's rule
/// for what it holds against others).
const ABSENCE: Duration = Duration::from_millis(50);
/// Ticks in a row at one moment: more is an engine that never rests.
const RESTLESS: u32 = 16;

/// Milliseconds in simulated microseconds.
pub(crate) const fn ms(ms: u64) -> u64 {
    ms * 1_000
}

/// A promise that was not kept, and where.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The promise.
    pub rule: String,
    /// How it was broken.
    pub detail: String,
    /// Which call of the seed; calls are numbered from 0.
    pub call: usize,
    /// The step in which it showed.
    pub step: u64,
}

/// How a seed is run.
#[derive(Clone, Copy, Default, Debug)]
pub struct Options {
    /// A mistake to be planted.
    pub bug: Option<Bug>,
    /// Whether to keep the event log.
    pub record: bool,
    /// Stop after this step, if the seed gets that far.
    pub until: Option<u64>,
}

/// One call.
pub(crate) struct Call {
    pub(crate) plan: CallPlan,
    pub(crate) edge: usize,
    pub(crate) shell: Shell,
    pub(crate) model: Model,
    pub(crate) sockets: [Socket; 4],
    /// What is sought and has not been answered.
    pub(crate) sought: Option<Seek>,
    pub(crate) begun: bool,
    pub(crate) over: bool,
    pub(crate) farewell_said: bool,
    /// News from outside that it was told.
    pub(crate) told: u64,
    pub(crate) poisoned_at: Option<u64>,
    /// Workers that its poison has killed, and those among them at which it was placed though others
    /// were there who could be to blame as well.
    pub(crate) poison_kills: u32,
    pub(crate) excused_kills: u32,
    /// Since when it was denied a place apart from others, and whether that was for as long as it
    /// waits for one when it last sought.
    denied_since: Option<u64>,
    pub(crate) crowded_out: bool,
    /// Something waits until the engine hears again.
    pub(crate) is_blocked: bool,
    /// The earliest planned `Wake`.
    wake_at: u64,
    /// Ticks at the same moment, in a row.
    restless: (u64, u32),
    /// What the engine wanted at its beginning.
    first: Vec<Output>,
}

impl Call {
    /// Whether a further loss would not be one in a row.
    pub(crate) fn is_steady(&self) -> bool {
        !self.begun || self.over || self.model.is_steady()
    }

    /// Whether those who were there, rather than that nobody was, kept it from a worker.
    pub(crate) fn denied(&mut self, now: u64, crowded: bool) {
        self.denied_since = crowded.then(|| self.denied_since.unwrap_or(now));
    }
}

/// Everything of one seed.
pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) now: Time,
    pub(crate) queue: Queue,
    pub(crate) calls: Vec<Call>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) names: [LegName; 4],
    /// Rank of each version; greater is newer.
    pub(crate) rank: [u64; 3],
    pub(crate) ranks: u64,
    /// Version 2 writes schema 2.
    pub(crate) writes_two: bool,
    pub(crate) frozen: [u64; 2],
    pub(crate) spike_until: u64,
    pub(crate) double_until: u64,
    /// Workers die of every call that they get until then.
    pub(crate) crash_loop_until: u64,
    /// After a crash of the workers' own no worker comes for longer than a suspect waits for isolation.
    pub(crate) slow_restarts: bool,
    /// The call whose poison is on its way or at work.
    pub(crate) poison_live: Option<usize>,
    /// Makes every payload its own.
    pub(crate) counter: u64,
    pub(crate) coverage: Coverage,
    pub(crate) violation: Option<Violation>,
    pub(crate) step: u64,
    pub(crate) lines: Option<Vec<String>>,
    limits: Limits,
    options: Options,
    out: Vec<Output>,
}

impl World {
    pub(crate) fn new(seed: u64, options: Options) -> Self {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(&mut rng);
        let mut world = Self {
            rng,
            now: Time(0),
            queue: Queue::default(),
            calls: Vec::new(),
            workers: Vec::new(),
            streams: Vec::new(),
            names: LEGS.map(LegName::new),
            rank: [0, 1, 2],
            ranks: 2,
            writes_two: false,
            frozen: [0; 2],
            spike_until: 0,
            double_until: 0,
            crash_loop_until: 0,
            slow_restarts: plan.slow_restarts,
            poison_live: None,
            counter: 0,
            coverage: Coverage::default(),
            violation: None,
            step: 0,
            lines: options.record.then(Vec::new),
            limits: plan.limits.clone(),
            options,
            out: Vec::new(),
        };
        for (small, mark) in [
            (plan.small_log, Mark::SmallLog),
            (plan.small_window, Mark::SmallWindow),
            (plan.workers == 1, Mark::OneWorker),
        ] {
            if small {
                world.coverage.mark(mark);
            }
        }
        for _ in 0..plan.workers {
            world.spawn(1, 0);
        }
        for (call, one) in plan.calls.into_iter().enumerate() {
            world.queue.push(one.starts, Happening::Start { call });
            world.add_call(one);
        }
        for (at, fault) in plan.faults {
            world.queue.push(at, Happening::Fault { fault });
        }
        world
    }

    fn add_call(&mut self, plan: CallPlan) {
        let now = Time(plan.starts);
        let id = self.calls.len() as u128 + 1;
        let (limits, bug) = (self.limits.clone(), self.options.bug);
        let mut first = Vec::new();
        let shell = Shell::new(id, limits.clone(), plan.dialled, bug, now, &mut first);
        let model = Model::new(limits, plan.dialled, now);
        self.calls.push(Call {
            edge: plan.edge,
            shell,
            model,
            sockets: Default::default(),
            sought: None,
            begun: false,
            over: false,
            farewell_said: false,
            told: 0,
            poisoned_at: None,
            poison_kills: 0,
            excused_kills: 0,
            denied_since: None,
            crowded_out: false,
            is_blocked: false,
            wake_at: u64::MAX,
            restless: (0, 0),
            first,
            plan,
        });
    }

    /// Runs until nothing is left to happen, or something that must not.
    pub(crate) fn run(&mut self) {
        while self.violation.is_none()
            && let Some((at, what)) = self.queue.pop()
        {
            if at > HORIZON || self.options.until.is_some_and(|until| self.step >= until) {
                break;
            }
            self.now = Time(at.max(self.now.0));
            self.happens(what);
        }
        if self.violation.is_none() && self.options.until.is_none() {
            self.finish();
        }
    }

    pub(crate) fn frozen_until(&self, call: usize) -> Option<u64> {
        let until = self.frozen[self.calls[call].edge];
        (until > self.now.0).then_some(until)
    }

    /// Whether this mistake is planted.
    pub(crate) fn plants(&self, bug: Bug) -> bool {
        self.options.bug == Some(bug)
    }

    pub(crate) fn plan_limits(&self) -> Limits {
        self.limits.clone()
    }

    /// Adds a line to the event log, if there is one.
    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(journal::line(self.step, self.now, &line()));
        }
    }

    /// The first broken promise stands.
    pub(crate) fn fail(&mut self, call: usize, rule: &str, detail: String) {
        self.note(|| format!("s{call} VIOLATION: {rule}: {detail}"));
        self.violation.get_or_insert(Violation {
            rule: rule.to_owned(),
            detail,
            call,
            step: self.step,
        });
    }

    fn happens(&mut self, what: Happening) {
        if let Some(call) = what.call()
            && let Some(until) = self.frozen_until(call)
        {
            return self.queue.push(until, what);
        }
        if matches!(what.call(), Some(call) if self.calls[call].over) {
            return;
        }
        match what {
            Happening::Start { call } => self.start(call),
            Happening::Wake { call } => self.wake(call),
            Happening::Caller { call } => self.caller(call),
            Happening::Recant { call, size } => self.recant(call, size),
            Happening::Farewell { call } => self.farewell(call),
            Happening::CallerTrouble { call } => self.caller_trouble(call),
            Happening::Return { call } => self.caller_returns(call),
            Happening::LastResort { call } => self.last_resort(call),
            Happening::Talk { call, leg, opening } => self.talk(call, leg, opening),
            Happening::Dialled { call, leg, opening } => self.dialled(call, leg, opening),
            Happening::Write { call, leg, opening } => self.write(call, leg, opening),
            Happening::Closed { call, leg, opening } => self.closed(call, leg, opening),
            Happening::Found { call, epoch } => self.found(call, epoch),
            Happening::Up { stream } => self.up(stream),
            Happening::Down { stream } => self.down(stream),
            Happening::Work { stream } => self.work(stream),
            Happening::Outside { stream, seq } => self.outside(stream, seq),
            Happening::MoveOff { stream, why } => self.move_off(stream, why),
            Happening::Ready { worker } => self.workers[worker].ready = true,
            Happening::Replaced { worker } => self.replaced(worker),
            Happening::Exit { worker } => self.exit(worker),
            Happening::Keepalive { edge, worker } => self.keepalive(edge, worker),
            Happening::Fault { fault } => {
                if self.now.0 < CALM {
                    self.fault(fault);
                }
            }
        }
    }

    /// A call comes in.
    fn start(&mut self, call: usize) {
        let mut out = std::mem::take(&mut self.calls[call].first);
        let one = &mut self.calls[call];
        one.begun = true;
        one.sockets[CALLER] = Socket::new(1, State::Open);
        let (ends, trouble, dialled) = (one.plan.ends, one.plan.trouble, one.plan.dialled);
        self.note(|| format!("s{call} comes in"));
        if dialled {
            self.dial(call, 1, 1);
        }
        self.settle(call, &mut out);
        self.queue.push(self.now.0, Happening::Caller { call });
        self.queue.push(ends, Happening::Farewell { call });
        if let Some((at, _)) = trouble {
            self.queue.push(at, Happening::CallerTrouble { call });
        }
    }

    /// Hands an event to the engine, has the model check what it does, and does it.
    pub(crate) fn feed(&mut self, call: usize, event: Event) {
        if self.violation.is_some() || self.calls[call].over {
            return;
        }
        self.step += 1;
        if self.lines.is_some() {
            let edge = self.calls[call].edge;
            self.note(|| format!("s{call}@e{edge} <- {}", journal::event(&event)));
        }
        let one = &mut self.calls[call];
        let wake = one.shell.next_wake();
        let late = wake.map_or(Duration::ZERO, |due| self.now.since(due));
        let late = if late >= ABSENCE {
            late
        } else {
            Duration::ZERO
        };
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        one.model.before(self.now, late, &event);
        one.shell.handle(self.now, event, &mut out);
        self.settle(call, &mut out);
        self.out = out;
    }

    /// Checks a step and performs its outputs.
    fn settle(&mut self, call: usize, out: &mut Vec<Output>) {
        if self.lines.is_some() {
            for output in &*out {
                self.note(|| format!("s{call}    -> {}", journal::output(output)));
            }
        }
        let one = &mut self.calls[call];
        let checked = one
            .model
            .after(&one.shell, self.now, out, &mut self.coverage);
        if let Err(broken) = checked {
            return self.fail(call, broken.rule, broken.detail);
        }
        for output in out.drain(..) {
            self.perform(call, output);
        }
        if self.calls[call].is_blocked {
            self.unblock(call);
        }
        if !self.calls[call].shell.reads(&self.names[CALLER]) {
            self.fail(call, "the caller is always read", "it was not".to_owned());
        }
        self.rearm(call);
    }

    fn perform(&mut self, call: usize, output: Output) {
        match output {
            Output::Send { .. }
            | Output::HoldSound { .. }
            | Output::OpenLeg { .. }
            | Output::CloseLeg { .. } => {
                self.leg_output(call, &output);
            }
            Output::Seek(seek) => {
                let epoch = seek.epoch.0;
                let planned = seek.planned;
                self.seeks(call);
                self.calls[call].sought = Some(seek);
                if planned && self.rng.percent(5) {
                    self.bereave(call);
                }
                let at = self.now.0 + self.rng.range(100, ms(3));
                self.queue.push(at, Happening::Found { call, epoch });
            }
            Output::ToWorker { epoch, message } => {
                let release = matches!(message, ToWorker::Release { .. });
                if let Some(stream) = self.stream_of(call, epoch.0) {
                    self.say_down(stream, Down::Said(message));
                }
                if release && self.rng.percent(12) {
                    self.fail_target(call);
                }
            }
            Output::Hangup { epoch, .. } => self.hang_up(call, epoch),
            Output::Report(Report::Ending { reason, .. }) => self.ends(call, reason),
            Output::Report(Report::Cleared { epoch, left }) => {
                if let Some(stream) = self.stream_of(call, epoch.0) {
                    self.streams[stream].suspected.clear(left);
                }
            }
            // Whoever is without a worker from now on has been denied nothing yet.
            Output::Report(Report::Lost { .. } | Report::Attached { .. }) => {
                self.calls[call].denied_since = None;
            }
            Output::Report(_) => {}
            Output::Finished => {
                self.calls[call].over = true;
                self.poison_live.take_if(|live| *live == call);
            }
        }
    }

    fn seeks(&mut self, call: usize) {
        let wait = self.limits.isolation_wait.as_micros() as u64;
        let one = &mut self.calls[call];
        let since = one.denied_since;
        one.crowded_out = since.is_some_and(|since| self.now.0 >= since + wait);
    }

    /// A healthy call never ends as poisoned, at whichever edge the poison is.
    fn ends(&mut self, call: usize, reason: EndReason) {
        self.poison_live.take_if(|live| *live == call);
        if reason != EndReason::Poisoned || self.calls[call].poisoned_at.is_some() {
            return;
        }
        let detail = "it was never given poison".to_owned();
        self.fail(call, "a healthy call is never ended as poison", detail);
    }

    fn rearm(&mut self, call: usize) {
        let one = &mut self.calls[call];
        if let Some(wake) = one.shell.next_wake()
            && wake.0 < one.wake_at
        {
            one.wake_at = wake.0;
            let at = wake.0.max(self.now.0);
            self.queue.push(at, Happening::Wake { call });
        }
    }

    fn wake(&mut self, call: usize) {
        let one = &mut self.calls[call];
        one.wake_at = u64::MAX;
        let due = one.shell.next_wake().is_some_and(|due| due <= self.now);
        if !due {
            return self.rearm(call);
        }
        let (at, count) = one.restless;
        one.restless = if at == self.now.0 {
            (at, count + 1)
        } else {
            (self.now.0, 0)
        };
        if one.restless.1 > RESTLESS {
            let detail = format!("{RESTLESS} ticks at one moment");
            return self.fail(call, "the engine rests", detail);
        }
        self.feed(call, Event::Tick);
    }

    /// All is over: nothing that comes now has any effect, and nothing was forgotten.
    fn finish(&mut self) {
        for call in 0..self.calls.len() {
            let one = &mut self.calls[call];
            if let Err(broken) = one.model.finish(&one.shell) {
                return self.fail(call, broken.rule, broken.detail);
            }
            let mut out = Vec::new();
            one.shell.handle(self.now, Event::Tick, &mut out);
            if !out.is_empty() || one.shell.next_wake().is_some() {
                let detail = format!("{out:?}");
                return self.fail(call, "after Finished comes nothing", detail);
            }
        }
    }
}
