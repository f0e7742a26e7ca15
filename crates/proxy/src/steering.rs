//! Rollout rules that an operator sets at run time, over those of the configuration.
//!
//! They are for the minutes in which something goes wrong and nobody wants to wait for a change of a
//! file to reach the edge. So they hold at once, and until the file itself says something new about the
//! pool's rules, the operator takes them back, or the edge ends. A change of the file that is about
//! something else leaves them in force: it was made by somebody who did not think of them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use holdline_config::{Config, Steer, WorkerPool};
use holdline_session::Time;
use holdline_workers::Pool;
use tracing::warn;

/// The rules of all pools of one edge.
#[derive(Debug)]
pub(crate) struct Steering {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Grows with each change.
    revision: u64,
    pools: BTreeMap<String, Steered>,
}

#[derive(Debug)]
struct Steered {
    settings: WorkerPool,
    over: Option<Over>,
}

#[derive(Clone, Debug)]
struct Over {
    steer: Steer,
    since: Time,
}

/// Rules in force.
#[derive(Clone, Debug)]
pub(crate) struct InForce {
    pub(crate) pool: String,
    pub(crate) steer: Steer,
    /// Since when an operator's; `None`: the configuration's.
    pub(crate) since: Option<Time>,
}

impl InForce {
    /// Whose they are, in a word.
    pub(crate) const fn source(&self) -> &'static str {
        match self.since {
            Some(_) => "operator",
            None => "configuration",
        }
    }
}

/// Why rules are not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotSet {
    /// There is no such pool.
    NoPool,
    /// Somebody else has changed rules meanwhile.
    Changed,
}

impl Steering {
    /// The configuration's rules.
    pub(crate) fn new(config: &Config) -> Self {
        let steered = |(name, settings): (&String, &WorkerPool)| {
            let settings = settings.clone();
            (
                name.clone(),
                Steered {
                    settings,
                    over: None,
                },
            )
        };
        Self {
            inner: Mutex::new(Inner {
                revision: 1,
                pools: config.workers.iter().map(steered).collect(),
            }),
        }
    }

    /// The configuration was read again: what it says of a pool now.
    pub(crate) fn take_up(&self, name: &str, settings: &WorkerPool, pool: &Pool) {
        let mut inner = self.lock();
        let Some(steered) = inner.pools.get_mut(name) else {
            return;
        };
        let news = steered.settings.rollout != settings.rollout
            || steered.settings.existing != settings.existing;
        if news && steered.over.take().is_some() {
            warn!(
                pool = name,
                "the configuration has new rollout rules: those that an operator set end"
            );
        }
        steered.settings = settings.clone();
        pool.set_rules(&steered.in_force());
        inner.revision += u64::from(news);
    }

    /// An operator's rules for a pool, or (`None`) those of the configuration again. `make` gets those
    /// in force; where it fails, nothing changes. `revision`: the rules must still be these.
    ///
    /// # Errors
    /// They are not set, for this reason or that of `make`.
    pub(crate) fn set<E: From<NotSet>>(
        &self,
        now: Time,
        name: &str,
        pool: &Pool,
        revision: Option<u64>,
        make: impl FnOnce(&Steer) -> Result<Option<Steer>, E>,
    ) -> Result<(), E> {
        let mut inner = self.lock();
        if revision.is_some_and(|revision| revision != inner.revision) {
            return Err(NotSet::Changed.into());
        }
        let Some(steered) = inner.pools.get_mut(name) else {
            return Err(NotSet::NoPool.into());
        };
        let made = make(&steered.steer())?;
        steered.over = made.map(|steer| Over { steer, since: now });
        pool.set_rules(&steered.in_force());
        inner.revision += 1;
        Ok(())
    }

    /// A number that changes with the rules, and the rules of each pool.
    pub(crate) fn show(&self) -> (u64, Vec<InForce>) {
        let inner = self.lock();
        let shown = inner.pools.iter().map(|(name, steered)| InForce {
            pool: name.clone(),
            steer: steered.steer(),
            since: steered.over.as_ref().map(|over| over.since),
        });
        (inner.revision, shown.collect())
    }

    /// A number that changes with the rules.
    pub(crate) fn revision(&self) -> u64 {
        self.lock().revision
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock would be a bug of ours; rules must hold nonetheless.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Steered {
    fn steer(&self) -> Steer {
        match &self.over {
            Some(over) => over.steer.clone(),
            None => Steer {
                existing: self.settings.existing,
                rollout: self.settings.rollout.clone(),
            },
        }
    }

    fn in_force(&self) -> WorkerPool {
        let Steer { existing, rollout } = self.steer();
        WorkerPool {
            existing,
            rollout,
            ..self.settings.clone()
        }
    }
}
