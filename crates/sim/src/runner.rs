//! Runs seeds, on as many threads as asked for. Inside a seed there is only one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use crate::{
    coverage::{Coverage, Tally},
    world::{Options, Violation, World},
};

/// What came of one seed.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which.
    pub seed: u64,
    /// The first broken promise, if there is one.
    pub violation: Option<Violation>,
    /// Inputs of all its calls.
    pub inputs: u64,
    /// Attachments after the first of each call.
    pub handoffs: u64,
    /// Steps of all engines.
    pub steps: u64,
    /// The event log, where it was asked for.
    pub lines: Vec<String>,
    /// All calls at the end of the run, one line each, where the log was asked for.
    pub views: Vec<String>,
    coverage: Coverage,
}

/// What came of many seeds.
#[derive(Clone, Default, Debug)]
pub struct Summary {
    /// How many were run.
    pub seeds: u64,
    /// Inputs of all of them.
    pub inputs: u64,
    /// Handoffs of all of them.
    pub handoffs: u64,
    /// The failing seed with the lowest number, with its violation.
    pub failed: Option<(u64, Violation)>,
    tally: Tally,
}

impl Summary {
    /// Every fault, transition and report with the share of seeds in which it occurred, in percent.
    pub fn shares(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.tally.shares()
    }

    /// What occurred in fewer than one in a hundred seeds.
    #[must_use]
    pub fn rare(&self) -> Vec<&'static str> {
        self.tally.rare()
    }

    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.inputs += outcome.inputs;
        self.handoffs += outcome.handoffs;
        self.tally.add(outcome.coverage);
        if let Some(violation) = outcome.violation {
            self.failed.get_or_insert((outcome.seed, violation));
        }
    }

    fn join(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.inputs += other.inputs;
        self.handoffs += other.handoffs;
        self.tally.join(&other.tally);
        self.failed = match (self.failed.take(), other.failed) {
            (Some(a), Some(b)) => Some(if a.0 <= b.0 { a } else { b }),
            (a, b) => a.or(b),
        };
    }
}

/// Runs one seed. The same seed and options give the same outcome, at any time and anywhere.
///
/// A panic of the engine, whose own checks are on in debug builds, is a violation like any other.
#[must_use]
pub fn run_seed(seed: u64, options: Options) -> Outcome {
    let mut world = World::new(seed, options);
    let run = catch_unwind(AssertUnwindSafe(|| world.run()));
    if let Err(panic) = run {
        let words = panic.downcast_ref::<String>().cloned().or_else(|| {
            panic
                .downcast_ref::<&str>()
                .map(|words| (*words).to_owned())
        });
        let detail = words.unwrap_or_else(|| "no words".to_owned());
        world.fail(0, "the engine does not panic", detail);
    }
    let inputs = world.calls.iter().map(|call| call.model.inputs()).sum();
    let handoffs = world.calls.iter().map(|call| call.model.handoffs()).sum();
    let now = world.now;
    let views = if options.record {
        let views = world.calls.iter().enumerate();
        views
            .map(|(call, one)| format!("s{call}@e{} {:?}", one.edge, one.shell.view(now)))
            .collect()
    } else {
        Vec::new()
    };
    Outcome {
        seed,
        violation: world.violation,
        inputs,
        handoffs,
        steps: world.step,
        lines: world.lines.unwrap_or_default(),
        views,
        coverage: world.coverage,
    }
}

/// Runs `seeds` seeds from `from` on `jobs` threads, until one fails. `progress` is called from
/// any of them with the number of seeds done.
#[must_use]
pub fn run_seeds(
    from: u64,
    seeds: u64,
    jobs: usize,
    options: Options,
    progress: &(dyn Fn(u64) + Sync),
) -> Summary {
    let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        let mut summary = Summary::default();
        while !stop.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= seeds {
                break;
            }
            let outcome = run_seed(from.wrapping_add(index), options);
            if outcome.violation.is_some() {
                stop.store(true, Ordering::Relaxed);
            }
            summary.add(outcome);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        summary
    };
    let mut total = Summary::default();
    if jobs <= 1 {
        total.join(work());
        return total;
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            // A thread cannot fail: what panics in a seed is caught there.
            if let Ok(summary) = thread.join() {
                total.join(summary);
            }
        }
    });
    total
}
