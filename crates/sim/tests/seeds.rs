//! Seeds keep every promise, and a checker that is lied to notices.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use holdline_sim::{Bug, Options, log_of, run_seed, run_seeds};

/// Seeds of an ordinary test run; `HOLDLINE_SIM_SEEDS` asks for more.
fn seeds() -> u64 {
    let asked = std::env::var("HOLDLINE_SIM_SEEDS").ok();
    asked.map_or(10_000, |count| count.parse().unwrap())
}

#[test]
fn every_seed_keeps_every_promise_and_every_case_occurs() {
    let summary = run_seeds(0, seeds(), 1, Options::default(), &|_| {});
    if let Some((seed, violation)) = &summary.failed {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}.log"));
        fs::write(&path, log_of(*seed, Options::default())).unwrap();
        panic!(
            "seed {seed}: {violation:?}; its event log: {}",
            path.display()
        );
    }
    let rare = summary.rare();
    assert!(rare.is_empty(), "in fewer than 1 % of the seeds: {rare:?}");
    assert!(summary.inputs >= 500 * summary.seeds, "too few inputs");
    assert!(summary.handoffs >= 3 * summary.seeds, "too few handoffs");
}

#[test]
fn a_seed_runs_the_same_way_again_recorded_or_not() {
    for seed in 0..40 {
        let plain = run_seed(seed, Options::default());
        let record = Options {
            record: true,
            ..Options::default()
        };
        let (first, second) = (run_seed(seed, record), run_seed(seed, record));
        assert_eq!(first.lines, second.lines);
        assert_eq!(first.views, second.views);
        assert_eq!(
            (plain.steps, plain.inputs, plain.handoffs),
            (first.steps, first.inputs, first.handoffs)
        );
        assert!(plain.lines.is_empty() && !first.lines.is_empty());
    }
}

#[test]
fn a_run_does_not_depend_on_the_number_of_threads() {
    let one = run_seeds(100, 60, 1, Options::default(), &|_| {});
    let three = run_seeds(100, 60, 3, Options::default(), &|_| {});
    assert_eq!((one.seeds, one.inputs), (three.seeds, three.inputs));
    assert!(one.shares().eq(three.shares()));
}

/// Every bug, and the promises that it breaks. A bug is found only where the broken promise is one
/// that a person would name for it: a checker that is red for some other reason proves little.
const PLANTED: &[(Bug, &[&str])] = &[
    (
        Bug::FenceSkipped,
        &[
            "a commit is applied once, and only one of the worker in force",
            "a late message is fenced, and counted",
            "a broken rule is refused, and only that",
        ],
    ),
    (
        Bug::ReplaySkipsOne,
        &[
            "inputs come in order and without a hole",
            "stuck is who had work and time",
        ],
    ),
    (
        Bug::ReplayRepeatsOne,
        &["inputs come in order and without a hole"],
    ),
    (
        Bug::CommitAppliedTwice,
        &["a commit is applied once, and only one of the worker in force"],
    ),
    (
        Bug::CommandLost,
        &[
            "every command of an applied commit is handed over",
            "each command of an applied commit is handed over once, in order",
        ],
    ),
    (
        Bug::CommandsSwapped,
        &["each command of an applied commit is handed over once, in order"],
    ),
    (Bug::TimersLostAtHandoff, &["timers survive a handoff"]),
    (Bug::TimersRestartAtHandoff, &["timers survive a handoff"]),
    (
        Bug::FiredTimerNeverDelivered,
        &[
            "inputs come in order and without a hole",
            "stuck is who had work and time",
        ],
    ),
    (
        Bug::StaleMarkLost,
        &["stale is what was set again or cancelled since"],
    ),
    (
        Bug::LegsAsOfNow,
        &["a worker is told the legs as of the last commit"],
    ),
    (
        Bug::StateKeyLost,
        &["a worker gets the state of the last commit"],
    ),
    (
        Bug::StateOfEarlierAttach,
        &["a worker gets the state of the last commit"],
    ),
    (Bug::StrikesForgotten, &["a poison call ends at its limit"]),
    (
        Bug::StrikeNotCleared,
        &[
            "strikes are counted, and progress clears them",
            "the view is true: link, strikes, end",
        ],
    ),
    (
        Bug::SuspectNotKeptApart,
        &["a suspect is kept apart while that can be had, and a reader of the schema is sought"],
    ),
    (
        Bug::IsolationEndless,
        &["a suspect is kept apart while that can be had, and a reader of the schema is sought"],
    ),
    (
        Bug::IsolationAlone,
        &["a suspect is kept apart while that can be had, and a reader of the schema is sought"],
    ),
    (
        Bug::CrowdedByNobody,
        &["a poison call kills no more workers than its limit"],
    ),
    (
        Bug::ExternalTwice,
        &[
            "what happens outside is an input once, and that is said",
            "an input stays what it is",
        ],
    ),
    (
        Bug::ExternalLost,
        &[
            "as many inputs come as things happen",
            "an input keeps its time, and none comes back",
        ],
    ),
    (
        Bug::DoubtUntold,
        &["a suspect is kept apart while that can be had, and a reader of the schema is sought"],
    ),
    (
        Bug::SuspectFlagIgnored,
        &[
            "no suspect beside one that could be to blame as well",
            "a healthy call is never ended as poison",
        ],
    ),
    (
        Bug::FailedForgotten,
        &["who failed a session is known to whoever picks the next"],
    ),
    (Bug::LossUnsaid, &["loss is always said"]),
    (
        Bug::GapUnderstated,
        &["a gap is what was dropped, and nothing else"],
    ),
    (
        Bug::LogBoundIgnored,
        &[
            "the log is bounded",
            // That it has no room is said to who asks for some, too.
            "what happens outside is an input once, and that is said",
        ],
    ),
    (Bug::WindowTooWide, &["inputs go out on credit"]),
    (
        Bug::HighMarkIgnored,
        &["a commit waits for a leg over its high mark"],
    ),
    (Bug::StuckTooEarly, &["stuck is who had work and time"]),
    (Bug::OfferCutShort, &["an offer has its time"]),
    (Bug::ReleaseCutShort, &["a release has its time"]),
    (
        Bug::AbsenceBlamed,
        &[
            "stuck is who had work and time",
            "an offer has its time",
            "a release has its time",
            "an input stays what it is",
            "an input keeps its time, and none comes back",
            "nobody gives up early",
            "a lost caller is awaited",
            "who failed a session is known to whoever picks the next",
            "a suspect is kept apart while that can be had, and a reader of the schema is sought",
        ],
    ),
    (
        Bug::StrikePauseSkipped,
        &["a suspect waits for its next worker"],
    ),
    (Bug::GivesUpTooEarly, &["nobody gives up early"]),
    (
        Bug::PatienceAnew,
        &["a call that nothing is done for is handed back"],
    ),
    (Bug::ResumeWindowCut, &["a lost caller is awaited"]),
    (Bug::OldSnapshotRestored, &["what is applied stays applied"]),
    (Bug::CallerNotRead, &["the caller is always read"]),
    (
        Bug::HoldUnsaid,
        &[
            "the view is true: position, end, frames",
            "inputs come in order and without a hole",
        ],
    ),
    (Bug::EndSaidTwice, &["Finished is the last word"]),
    (Bug::HoldSoundEarly, &["the hold sound has its time"]),
    (
        Bug::HoldSoundNotStopped,
        &["the hold sound stops with the hold"],
    ),
    (
        Bug::HoldSoundTooFast,
        &["the hold sound is never far ahead"],
    ),
    (
        Bug::HoldSoundBursts,
        &[
            "the hold sound is never far ahead",
            "the hold sound is heard once, in order",
        ],
    ),
    (Bug::HoldSoundHeld, &["the hold sound does not run dry"]),
    (
        Bug::HoldSoundUntold,
        &[
            "an input stays what it is",
            "nothing is delivered that did not happen",
        ],
    ),
    (
        Bug::EndNeverSaid,
        &["every session ends", "the view is true: link, strikes, end"],
    ),
];

#[test]
fn every_planted_bug_is_found() {
    assert_eq!(PLANTED.len(), Bug::ALL.len(), "each bug has its row");
    let mut wrong = Vec::new();
    for (bug, rules) in PLANTED {
        let options = Options {
            bug: Some(*bug),
            ..Options::default()
        };
        let summary = run_seeds(0, 400, 1, options, &|_| {});
        let (seed, violation) = summary
            .failed
            .unwrap_or_else(|| panic!("{} was not found", bug.as_str()));
        if !rules.contains(&violation.rule.as_str()) {
            wrong.push(format!("{} in seed {seed}: {violation:?}", bug.as_str()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
