//! Choosing a worker: a pure function over what is known at that moment.

use std::{cmp::Ordering, collections::BTreeMap};

use holdline_config::Existing;
use holdline_session::{Attributes, SessionId, Suspicion, WorkerId};

use super::rules::{Home, Rules, Standing, mix};
use crate::Rollout;

/// What a worker without a limit is taken to hold when its load is compared with others'.
const NOMINAL_CAPACITY: u32 = 1_000;

/// Why there is no place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NoPlace {
    /// Why each worker is unsuitable, in words.
    pub(crate) words: String,
    /// One would be suitable, were the session, or another there, under less suspicion.
    pub(crate) crowded: bool,
}

/// What keeps a session from a worker that takes it but for who else is there. The last thing that
/// is looked at, so that where it is said there is no other reason.
const CROWDED: &str = "with another suspect session";

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish<'a> {
    pub(crate) session: SessionId,
    /// What is known of the call, for pins.
    pub(crate) attributes: &'a Attributes,
    pub(crate) rules: &'a Rules,
    /// Where it comes from; `None`: a new session, or not known any more.
    pub(crate) home: Option<&'a Home>,
    /// Schema of its state; 0: none yet.
    pub(crate) schema: u32,
    /// The worker that it leaves.
    pub(crate) avoid: Option<WorkerId>,
    /// Whether `avoid` is ruled out, rather than the last resort.
    pub(crate) planned: bool,
    /// What it is suspected of: some are kept apart from each other.
    pub(crate) suspicion: Suspicion,
    /// Workers that failed the session, with their versions.
    pub(crate) failed: &'a [(WorkerId, String)],
    /// Workers that were just tried in vain.
    pub(crate) tried: &'a [WorkerId],
}

/// A worker as this function sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    pub(crate) worker: WorkerId,
    /// `None`: it takes sessions; else the word for what keeps it from that.
    pub(crate) unfit: Option<&'static str>,
    /// It runs, though it may be about to go.
    pub(crate) runs: bool,
    pub(crate) version: &'a str,
    /// Greater is newer.
    pub(crate) rank: u64,
    /// Which rollout made it, where that can be read: it then counts more than the rank.
    pub(crate) rollout: Option<&'a Rollout>,
    pub(crate) reads: &'a [u32],
    /// Schema that it writes; 0: not known.
    pub(crate) writes: u32,
    /// It is set aside: the very last resort, and none for a move that is only planned.
    pub(crate) ejected: bool,
    /// Its version is set aside: the last resort.
    pub(crate) aside: bool,
    pub(crate) capacity: Option<u32>,
    pub(crate) sessions: usize,
    /// The gravest suspicion against a session there other than the one in question.
    pub(crate) others: Suspicion,
}

/// The best place: one that is not set aside, nor its version, that has not failed the session, that the
/// rules say, of the Deployment that it leaves, of the newest rollout of its Deployment or the newest
/// version, then the least load in relation to capacity, then one that depends on the session alone.
///
/// # Errors
/// Why there is none.
pub(crate) fn pick<'a>(
    candidates: impl Iterator<Item = Candidate<'a>>,
    wish: &Wish<'_>,
) -> Result<WorkerId, NoPlace> {
    let all: Vec<Candidate<'a>> = candidates.collect();
    let mut fit: Vec<(Rank, Candidate<'a>)> = Vec::new();
    let mut newest = Newest::default();
    let mut refusals: BTreeMap<String, usize> = BTreeMap::new();
    for candidate in &all {
        if let Some(why) = refusal(candidate, &all, wish) {
            *refusals.entry(why).or_default() += 1;
            continue;
        }
        newest.note(candidate);
        fit.push((Rank::of(candidate, wish), *candidate));
    }
    fit.into_iter()
        .max_by(|(rank, one), (known, other)| {
            rank.cmp(known)
                .then_with(|| newest.compare(one, other))
                .then_with(|| compare(one, other, wish.session))
        })
        .map(|(_, candidate)| candidate.worker)
        .ok_or_else(|| NoPlace {
            words: in_words(&refusals),
            crowded: refusals.contains_key(CROWDED),
        })
}

/// Whether a session is better off with `chosen` than where it is, though it could stay there: by the
/// rules and by age, not by load, so that nothing is ever moved back.
pub(crate) fn is_better(chosen: &Candidate<'_>, current: &Candidate<'_>, wish: &Wish<'_>) -> bool {
    let mut newest = Newest::default();
    newest.note(chosen);
    newest.note(current);
    let standing = |candidate: &Candidate<'_>| {
        let by_rules = Standing::of(candidate.version, wish.session, wish.attributes, wish.rules);
        (!candidate.aside, by_rules)
    };
    standing(chosen)
        .cmp(&standing(current))
        .then_with(|| newest.compare(chosen, current))
        .is_gt()
}

/// Where a candidate stands for a session but for age and load; greater is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    admitted: bool,
    sound: bool,
    trust: Trust,
    pinned: bool,
    kept: bool,
    standing: Standing,
    same_deployment: bool,
}

impl Rank {
    fn of(candidate: &Candidate<'_>, wish: &Wish<'_>) -> Self {
        let (version, rules) = (candidate.version, wish.rules);
        let standing = Standing::of(version, wish.session, wish.attributes, rules);
        let stays = rules.existing == Existing::Pinned;
        let deployment = candidate.rollout.map(|rollout| &rollout.deployment);
        Self {
            admitted: !candidate.ejected,
            sound: !candidate.aside,
            trust: trust(candidate, wish),
            pinned: standing.pinned,
            kept: stays && wish.home.is_some_and(|home| *home.version == *version),
            standing,
            same_deployment: deployment.is_some()
                && deployment == wish.home.and_then(|home| home.deployment.as_ref()),
        }
    }
}

/// Whether a session that goes there could never go back: the candidate writes another schema than
/// the session has, which neither the worker that it comes from reads nor any other version of which one
/// runs. One that is about to go counts: the last of a deploy still shows what its release reads. So
/// does one that was lost, or the crash of the last would cost its sessions; and where nobody knows any
/// more where a session comes from, that may have been such a release.
fn is_one_way(candidate: &Candidate<'_>, all: &[Candidate<'_>], wish: &Wish<'_>) -> bool {
    let writes = candidate.writes;
    let changes = wish.schema != 0 && writes != 0 && writes != wish.schema;
    changes
        && !wish.rules.rollout.allow_one_way
        && wish
            .home
            .is_some_and(|home| home.writes != writes && !home.reads.contains(&writes))
        && !all.iter().any(|other| {
            other.runs && other.version != candidate.version && other.reads.contains(&writes)
        })
}

/// The newest rollout of each Deployment among those who take the session. Rollouts of different
/// Deployments have no order: two that are kept side by side on purpose do not swap calls.
#[derive(Default)]
struct Newest<'a>(BTreeMap<&'a str, u64>);

impl<'a> Newest<'a> {
    fn note(&mut self, candidate: &Candidate<'a>) {
        if let Some(rollout) = candidate.rollout {
            let newest = self.0.entry(&rollout.deployment).or_default();
            *newest = rollout.revision.max(*newest);
        }
    }

    /// Greater is newer. The order learnt from drains rules where one of the two has no rollout.
    fn compare(&self, a: &Candidate<'_>, b: &Candidate<'_>) -> Ordering {
        let current = self.is_current(a).cmp(&self.is_current(b));
        current.then_with(|| match (a.rollout, b.rollout) {
            (Some(_), Some(_)) => Ordering::Equal,
            _ => a.rank.cmp(&b.rank),
        })
    }

    fn is_current(&self, candidate: &Candidate<'_>) -> bool {
        let newest = |rollout: &Rollout| self.0.get(&*rollout.deployment).copied();
        candidate
            .rollout
            .is_none_or(|rollout| newest(rollout) == Some(rollout.revision))
    }
}

/// How far a worker is trusted with the session; greater is better.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Trust {
    /// It failed the session, or is being left by it.
    Failed,
    /// Another of its version failed the session, and it was not the only one to do so.
    Doubted,
    Full,
}

fn trust(candidate: &Candidate<'_>, wish: &Wish<'_>) -> Trust {
    let failed = |(worker, _): &(WorkerId, String)| *worker == candidate.worker;
    let of_version = |(_, version): &(WorkerId, String)| version == candidate.version;
    if wish.avoid == Some(candidate.worker) || wish.failed.iter().any(failed) {
        Trust::Failed
    } else if wish.failed.len() > 1 && wish.failed.iter().any(of_version) {
        Trust::Doubted
    } else {
        Trust::Full
    }
}

fn refusal(candidate: &Candidate<'_>, all: &[Candidate<'_>], wish: &Wish<'_>) -> Option<String> {
    if let Some(word) = candidate.unfit {
        return Some(word.to_owned());
    }
    if wish.tried.contains(&candidate.worker) {
        return Some("could not be reached".to_owned());
    }
    // Without a worker a session is worse off than with a doubtful one; where it is, it is not.
    if candidate.ejected && wish.planned {
        return Some("set aside".to_owned());
    }
    if wish.planned && wish.avoid == Some(candidate.worker) {
        return Some("the one to leave".to_owned());
    }
    if wish.schema != 0 && !candidate.reads.contains(&wish.schema) {
        return Some(format!("cannot read schema {}", wish.schema));
    }
    if wish.rules.is_disabled(candidate.version) {
        return Some("of a disabled version".to_owned());
    }
    // Even where there is no other place: whether calls cross for good is for people to say.
    if is_one_way(candidate, all, wish) {
        return Some(format!(
            "writes schema {}, which no other version reads (see allow_one_way)",
            candidate.writes
        ));
    }
    let full = |capacity| candidate.sessions >= usize::try_from(capacity).unwrap_or(usize::MAX);
    if candidate.capacity.is_some_and(full) {
        return Some("full".to_owned());
    }
    if wish.suspicion.is_apart_from(candidate.others) {
        return Some(CROWDED.to_owned());
    }
    None
}

/// Greater is better, of two that are equally new.
fn compare(a: &Candidate<'_>, b: &Candidate<'_>, session: SessionId) -> Ordering {
    let load = |of: &Candidate<'_>, other: &Candidate<'_>| {
        of.sessions as u128 * u128::from(other.capacity.unwrap_or(NOMINAL_CAPACITY))
    };
    load(b, a)
        .cmp(&load(a, b))
        .then_with(|| affinity(session, a.worker).cmp(&affinity(session, b.worker)))
}

/// A fixed but arbitrary number for each pair.
fn affinity(session: SessionId, worker: WorkerId) -> u64 {
    mix(session, worker.0)
}

fn in_words(refusals: &BTreeMap<String, usize>) -> String {
    let total: usize = refusals.values().sum();
    let parts: Vec<String> = refusals
        .iter()
        .map(|(why, count)| format!("{count} {why}"))
        .collect();
    match total {
        0 => "no worker is known".to_owned(),
        1 => format!("1 worker: {}", parts.join(", ")),
        _ => format!("{total} workers: {}", parts.join(", ")),
    }
}

#[cfg(test)]
mod tests;
