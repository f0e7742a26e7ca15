#![allow(clippy::unwrap_used)]

use super::*;

static NO_ATTRIBUTES: Attributes = Attributes::new();
static RULES: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(Rules::default);

const SCHEMAS: &[u32] = &[1, 2];

fn worker(id: u64) -> Candidate<'static> {
    Candidate {
        worker: WorkerId(id),
        unfit: None,
        runs: true,
        version: "v1",
        rank: 1,
        rollout: None,
        reads: SCHEMAS,
        writes: 1,
        ejected: false,
        aside: false,
        capacity: None,
        sessions: 0,
        others: Suspicion::None,
    }
}

fn wish() -> Wish<'static> {
    Wish {
        session: SessionId(7),
        attributes: &NO_ATTRIBUTES,
        rules: &RULES,
        home: None,
        schema: 1,
        avoid: None,
        planned: false,
        suspicion: Suspicion::None,
        failed: &[],
        tried: &[],
    }
}

fn picked(candidates: &[Candidate<'_>], wish: &Wish<'_>) -> u64 {
    pick(candidates.iter().copied(), wish).unwrap().0
}

fn refused(candidates: &[Candidate<'_>], wish: &Wish<'_>) -> String {
    pick(candidates.iter().copied(), wish).unwrap_err().words
}

#[test]
fn one_that_is_set_aside_is_better_than_none_but_not_than_a_place_to_leave() {
    let ejected = Candidate {
        ejected: true,
        ..worker(1)
    };
    let version_aside = Candidate {
        aside: true,
        sessions: 50,
        ..worker(2)
    };
    assert_eq!(picked(&[ejected, version_aside], &wish()), 2);
    assert_eq!(picked(&[ejected], &wish()), 1);
    let planned = Wish {
        planned: true,
        avoid: Some(WorkerId(9)),
        ..wish()
    };
    assert_eq!(refused(&[ejected], &planned), "1 worker: 1 set aside");
}

#[test]
fn the_newest_version_wins_over_the_least_loaded() {
    let old = worker(1);
    let new = Candidate {
        rank: 2,
        sessions: 50,
        ..worker(2)
    };
    assert_eq!(picked(&[old, new], &wish()), 2);
    assert_eq!(picked(&[new, old], &wish()), 2);
}

fn rollout(deployment: &str, revision: u64) -> Rollout {
    Rollout {
        deployment: deployment.into(),
        revision,
    }
}

#[test]
fn a_newer_rollout_wins_even_if_its_version_is_the_same_or_was_older_before() {
    let (first, second) = (rollout("d", 1), rollout("d", 2));
    let old = Candidate {
        rank: 9,
        rollout: Some(&first),
        ..worker(1)
    };
    let new = Candidate {
        rollout: Some(&second),
        sessions: 50,
        ..worker(2)
    };
    assert_eq!(picked(&[old, new], &wish()), 2);
    assert_eq!(picked(&[new, old], &wish()), 2);
}

#[test]
fn rollouts_of_two_deployments_have_no_order() {
    let (old, current, other) = (rollout("d", 6), rollout("d", 7), rollout("e", 1));
    let of = |id, rollout, sessions| Candidate {
        rollout: Some(rollout),
        sessions,
        ..worker(id)
    };
    let all = [of(1, &old, 0), of(2, &current, 9), of(3, &other, 8)];
    assert_eq!(picked(&all, &wish()), 3);
    let all = [of(1, &old, 0), of(3, &other, 9), of(2, &current, 8)];
    assert_eq!(picked(&all, &wish()), 2);
}

#[test]
fn a_rollout_that_cannot_take_the_session_makes_no_other_old() {
    let (old, current, other) = (rollout("d", 6), rollout("d", 7), rollout("e", 1));
    let of = |id, rollout, sessions| Candidate {
        rollout: Some(rollout),
        sessions,
        ..worker(id)
    };
    let leaving = Candidate {
        unfit: Some("draining"),
        ..of(2, &current, 0)
    };
    let all = [of(1, &old, 3), leaving, of(3, &other, 4)];
    assert_eq!(picked(&all, &wish()), 1);
}

#[test]
fn load_is_seen_in_relation_to_capacity() {
    let small = Candidate {
        capacity: Some(10),
        sessions: 2,
        ..worker(1)
    };
    let large = Candidate {
        capacity: Some(100),
        sessions: 15,
        ..worker(2)
    };
    assert_eq!(picked(&[small, large], &wish()), 2);
}

#[test]
fn a_full_worker_is_passed_over_for_an_older_version() {
    let full = Candidate {
        rank: 2,
        capacity: Some(3),
        sessions: 3,
        ..worker(2)
    };
    assert_eq!(picked(&[worker(1), full], &wish()), 1);
    assert_eq!(refused(&[full], &wish()), "1 worker: 1 full");
}

#[test]
fn ties_depend_on_the_session_alone_and_spread() {
    let workers: Vec<_> = (1..=4).map(worker).collect();
    let reversed: Vec<_> = workers.iter().rev().copied().collect();
    let mut counts = [0_u32; 5];
    for n in 0..400_u128 {
        let wish = Wish {
            session: SessionId(n << 60 | n),
            ..wish()
        };
        let choice = picked(&workers, &wish);
        assert_eq!(choice, picked(&reversed, &wish));
        counts[usize::try_from(choice).unwrap()] += 1;
    }
    assert!(counts[1..].iter().all(|count| *count > 60), "{counts:?}");
}

#[test]
fn a_worker_to_avoid_is_the_last_resort_unless_the_move_is_planned() {
    let avoid = Wish {
        avoid: Some(WorkerId(2)),
        ..wish()
    };
    let busy = Candidate {
        sessions: 900,
        rank: 0,
        ..worker(1)
    };
    assert_eq!(picked(&[busy, worker(2)], &avoid), 1);
    assert_eq!(picked(&[worker(2)], &avoid), 2);
    let planned = Wish {
        planned: true,
        ..avoid
    };
    assert_eq!(
        refused(&[worker(2)], &planned),
        "1 worker: 1 the one to leave"
    );
}

#[test]
fn suspects_are_kept_apart() {
    let with = |others| Candidate {
        others,
        ..worker(1)
    };
    let under = |suspicion| Wish {
        suspicion,
        ..wish()
    };
    let [none, doubt, suspect] = [Suspicion::None, Suspicion::Doubt, Suspicion::Suspect];
    for (one, other) in [(suspect, suspect), (suspect, doubt), (doubt, suspect)] {
        assert_eq!(picked(&[with(other), worker(2)], &under(one)), 2);
        let none = pick([with(other)].into_iter(), &under(one)).unwrap_err();
        assert_eq!(none.words, "1 worker: 1 with another suspect session");
        assert!(none.crowded);
        let draining = Candidate {
            unfit: Some("draining"),
            ..with(other)
        };
        let none = pick([draining].into_iter(), &under(one)).unwrap_err();
        assert!(!none.crowded, "it would not take it alone either");
    }
    for (one, other) in [(none, suspect), (suspect, none), (doubt, doubt)] {
        assert_eq!(picked(&[with(other)], &under(one)), 1);
    }
}

#[test]
fn new_sessions_have_no_schema_to_read() {
    let reads_nothing = Candidate {
        reads: &[],
        ..worker(1)
    };
    assert_eq!(
        picked(
            &[reads_nothing],
            &Wish {
                schema: 0,
                ..wish()
            }
        ),
        1
    );
}

#[test]
fn a_refusal_says_what_each_worker_lacks() {
    let draining = |id| Candidate {
        unfit: Some("draining"),
        ..worker(id)
    };
    let wish = Wish {
        schema: 4,
        ..wish()
    };
    assert_eq!(
        refused(&[draining(1), worker(2), draining(3)], &wish),
        "3 workers: 1 cannot read schema 4, 2 draining"
    );
    assert_eq!(refused(&[], &wish), "no worker is known");
}

#[test]
fn a_worker_tried_in_vain_is_not_tried_again() {
    let tried = [WorkerId(1)];
    let wish = Wish {
        tried: &tried,
        ..wish()
    };
    assert_eq!(picked(&[worker(1), worker(2)], &wish), 2);
    assert_eq!(
        refused(&[worker(1)], &wish),
        "1 worker: 1 could not be reached"
    );
}

#[test]
fn a_worker_that_failed_the_session_is_the_last_resort_however_new() {
    let new = Candidate {
        version: "v2",
        rank: 2,
        ..worker(1)
    };
    let newer_but_failed = Candidate {
        worker: WorkerId(2),
        ..new
    };
    let old = worker(3);
    let failed = [(WorkerId(2), "v2".to_owned())];
    let wish = Wish {
        failed: &failed,
        ..wish()
    };
    // One loss says nothing of the version,
    assert_eq!(picked(&[newer_but_failed, new, old], &wish), 1);
    assert_eq!(picked(&[newer_but_failed, old], &wish), 3);
    assert_eq!(picked(&[newer_but_failed], &wish), 2);
    // but a second one does: a version that works comes before another worker of that one.
    let failed = [
        (WorkerId(2), "v2".to_owned()),
        (WorkerId(9), "v2".to_owned()),
    ];
    let wish = Wish {
        failed: &failed,
        ..wish
    };
    assert_eq!(picked(&[newer_but_failed, new, old], &wish), 3);
    assert_eq!(picked(&[newer_but_failed, new], &wish), 1);
}
