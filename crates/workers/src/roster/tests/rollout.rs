//! Rollout rules over a whole roster: who is placed where, and who is told to leave.
#![allow(clippy::unwrap_used)]

use holdline_config::{Existing, SetAside};

use super::*;
use crate::Rollout;

impl World {
    fn rules(&mut self, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.roster.rules().clone();
        change(&mut rules);
        self.roster.set_rules(rules);
    }

    fn version_of(&self, reserved: &Reserved) -> String {
        reserved.version.to_string()
    }

    /// All sessions of a worker that are told to leave now.
    fn told(&mut self, worker: WorkerId) -> usize {
        let now = self.now;
        let due = self.roster.leaving(worker, now).is_some();
        (0..1_000)
            .take_while(|_| due && self.roster.move_one(worker, now))
            .count()
    }

    fn rolled(&mut self, worker: WorkerId, deployment: &str, revision: u64) {
        let mut pod = Pod::new(format!("{worker:?}"), "pod".to_owned());
        pod.rollout = Some(Rollout {
            deployment: deployment.into(),
            revision,
        });
        self.roster.set_pod(worker, Some(&Arc::new(pod)));
    }
}

/// The pod's label tells which version a worker is.
fn label(world: &mut World, worker: WorkerId, version: &str) {
    let mut pod = Pod::new(format!("{worker:?}"), "pod".to_owned());
    pod.version = Some(version.to_owned());
    world.roster.set_pod(worker, Some(&Arc::new(pod)));
}

fn leaves(worker: WorkerId) -> Seek {
    Seek {
        avoid: Some(worker),
        planned: true,
        ..seek()
    }
}

#[test]
fn weights_bind_handoffs_too() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.ready(2, "v1");
    world.ready(3, "v2");
    world
        .rules(|rules| rules.rollout.weights = [("v1".to_owned(), 7), ("v2".to_owned(), 3)].into());
    for session in 0..200 {
        let place = world.attach(session);
        let before = world.version_of(&place);
        let next = world.seek(session, &leaves(place.worker)).unwrap();
        // Of v2 there is one worker: what leaves it for once has nowhere else to go.
        if before == "v1" {
            assert_eq!(world.version_of(&next), "v1");
        }
        world.roster.release(next.worker, next.place, world.now);
    }
    let canary = world.roster.leaving(old, world.now);
    assert_eq!(canary, None, "weights alone move nobody");
}

#[test]
fn a_version_that_the_weights_forget_is_told_once_for_the_same_rules() {
    let mut world = World::new();
    world.ready(1, "v1");
    world.ready(2, "v3");
    let told = |world: &mut World| world.roster.next_weightless().as_deref().map(str::to_owned);
    assert_eq!(told(&mut world), None, "without weights all are alike");
    let weights = |rules: &mut Rules| {
        rules.rollout.weights = [("v1".to_owned(), 9), ("v2".to_owned(), 1)].into();
    };
    world.rules(weights);
    assert_eq!(told(&mut world).as_deref(), Some("v3"));
    world.ready(3, "v3");
    let (leaving, nameless) = (world.ready(4, "v4"), world.ready(5, ""));
    world.roster.drain(leaving, Cause::Health, None, world.now);
    world.rules(|rules| rules.handoffs_per_second = 1);
    assert_eq!(told(&mut world), None);

    label(&mut world, nameless, "v5");
    assert_eq!(told(&mut world).as_deref(), Some("v5"));
    world.rules(|rules| rules.rollout.disabled = vec!["v5".to_owned()]);
    assert_eq!(
        told(&mut world).as_deref(),
        Some("v3"),
        "the rules are others"
    );
    assert_eq!(told(&mut world), None);
}

#[test]
fn a_pin_is_kept_when_there_is_a_worker_and_served_by_others_when_there_is_none() {
    let mut world = World::new();
    world.ready(1, "v1");
    world.rules(|rules| {
        rules.rollout.pins = vec![holdline_config::Pin {
            attribute: "parameter.tenant".to_owned(),
            equals: "acme".to_owned(),
            version: "v2".to_owned(),
        }];
    });
    let acme = Attributes::from([("parameter.tenant".to_owned(), "acme".to_owned())]);
    let acme = Arc::new(acme);
    let place = |world: &mut World| {
        let id = SessionId(1);
        let reserved = world.roster.reserve(id, &acme, &seek(), &[], world.now);
        reserved.unwrap().version.to_string()
    };
    assert_eq!(place(&mut world), "v1");
    world.ready(2, "v2");
    assert_eq!(place(&mut world), "v2");
    for _ in 0..10 {
        assert_eq!(place(&mut world), "v2");
    }
    let other = world.attach(9);
    assert_eq!(world.version_of(&other), "v1", "the least loaded");
}

#[test]
fn a_disabled_version_is_emptied_at_once_and_gets_nothing() {
    let mut world = World::new();
    let bad = world.ready(1, "v3");
    for session in 0..50 {
        world.attach(session);
    }
    world.rules(|rules| rules.rollout.disabled = vec!["v3".to_owned()]);
    let words = "1 worker: 1 of a disabled version";
    assert_eq!(world.seek(99, &seek()).unwrap_err().words, words);
    assert!(!world.roster.ready(world.now));
    assert_eq!(world.told(bad), 0, "no place is better than this one yet");

    world.ready(2, "v1");
    assert!(world.roster.leaving(bad, world.now).unwrap().at_once);
    assert_eq!(world.told(bad), 50);
}

#[test]
fn eager_calls_go_to_the_newest_and_never_back() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.rolled(old, "d", 1);
    let place = world.attach(1);
    let new = world.ready(2, "v2");
    world.rolled(new, "d", 2);
    assert_eq!(world.told(old), 0, "on_drain");
    world.rules(|rules| rules.existing = Existing::Eager);
    assert_eq!(world.told(old), 1);
    assert_eq!(place.signals.take_move(), Some(MoveReason::Rollout));
    let next = world.seek(1, &leaves(old)).unwrap();
    assert_eq!(next.worker, new);
    world.roster.attached(next.worker, next.place);
    assert_eq!(world.told(new), 0);
}

/// A worker that names no version can be met before its pod is known.
#[test]
fn a_version_that_its_pod_tells_late_is_newer_than_one_that_drains() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.ready(2, "v1");
    world.roster.drain(old, Cause::Health, None, world.now);
    let new = world.ready(3, "");
    label(&mut world, new, "v2");
    for session in 0..10 {
        let place = world.attach(session);
        assert_eq!(world.version_of(&place), "v2");
    }
}

#[test]
fn pinned_calls_stay_with_their_version_to_the_last() {
    let mut world = World::new();
    world.rules(|rules| rules.existing = Existing::Pinned);
    let old = world.ready(1, "v1");
    world.attach(1);
    world.ready(2, "v2");
    let left = Some(Duration::from_secs(60));
    world.roster.drain(old, Cause::Message, left, world.now);
    assert_eq!(world.told(old), 0);
    let sister = world.ready(3, "v1");
    assert_eq!(world.seek(1, &leaves(old)).unwrap().worker, sister);
    world.roster.drain(sister, Cause::Health, None, world.now);
    world.later(Duration::from_secs(58));
    assert_eq!(world.told(old), 1, "better another version than none");
}

#[test]
fn a_lost_worker_s_pinned_calls_go_to_another_of_its_version() {
    let mut world = World::new();
    world.rules(|rules| rules.existing = Existing::Pinned);
    let old = world.ready(1, "v1");
    let place = world.attach(1);
    let sister = world.ready(2, "v1");
    world.roster.drain(old, Cause::Health, None, world.now);
    world.ready(3, "v2");
    world.roster.lost(old, "reset".to_owned(), world.now);
    world.roster.release(old, place.place, world.now);
    let recovery = Seek {
        planned: false,
        ..leaves(old)
    };
    assert_eq!(world.seek(1, &recovery).unwrap().worker, sister);
}

#[test]
fn deployments_side_by_side_do_not_swap_calls() {
    let mut world = World::new();
    let mine = [world.ready(1, "v1"), world.ready(2, "v1")];
    let others = [world.ready(3, "b1"), world.ready(4, "b1")];
    for (worker, deployment) in mine.iter().zip(["d", "d"]) {
        world.rolled(*worker, deployment, 3);
    }
    for worker in others {
        world.rolled(worker, "e", 9);
    }
    for session in 0..40 {
        let place = world.attach(session);
        let next = world.seek(session, &leaves(place.worker)).unwrap();
        assert_eq!(next.version, place.version);
        world.roster.release(next.worker, next.place, world.now);
    }
}

#[test]
fn a_version_that_fails_several_sessions_gives_them_back() {
    let mut world = World::new();
    world.rules(|rules| {
        rules.rollout.set_aside = SetAside {
            sessions: 2,
            within: Duration::from_secs(10),
            probe_after: Duration::from_secs(60),
        };
    });
    let bad = world.ready(1, "v2");
    for session in 0..5 {
        world.attach(session);
    }
    let good = world.ready(2, "v1");
    let failed = |world: &mut World, session| {
        let version = world
            .roster
            .version_failed(bad, SessionId(session), world.now);
        version.is_some()
    };
    assert!(!failed(&mut world, 1) && !failed(&mut world, 1));
    assert!(failed(&mut world, 2));
    assert_eq!(world.told(bad), 5);
    for session in 100..120 {
        assert_eq!(world.attach(session).worker, good);
    }
    world.later(Duration::from_secs(60));
    let new = |world: &mut World, session| {
        let seek = Seek {
            reason: AttachReason::New,
            ..seek()
        };
        world.seek(session, &seek).unwrap().worker
    };
    let probes = (200..220).filter(|session| new(&mut world, *session) == bad);
    assert_eq!(probes.count(), 1);
}

#[test]
fn calls_with_state_do_not_go_where_they_could_not_come_back_from() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.attach(1);
    let new = world.ready(2, "v2");
    world.roster.workers.get_mut(&new).unwrap().about.writes = 2;
    world.roster.drain(old, Cause::Health, None, world.now);
    assert_eq!(world.told(old), 0);
    let said = world.seek(1, &leaves(old)).unwrap_err().words;
    assert!(said.contains("writes schema 2"), "{said}");

    // Not even where there is no other place.
    let recovery = Seek {
        planned: false,
        ..leaves(old)
    };
    let said = world.seek(1, &recovery).unwrap_err().words;
    assert!(said.contains("allow_one_way"), "{said}");

    // A third version can read it: now there is a way back.
    let bridge = world.ready(3, "v1b");
    world.roster.workers.get_mut(&bridge).unwrap().about.reads = vec![2];
    assert_eq!(world.told(old), 1);
    // So it does while it drains, as the last worker of a release that is replaced.
    world.roster.drain(bridge, Cause::Health, None, world.now);
    world.later(REMIND_AFTER);
    assert_eq!(world.told(old), 1);

    world.roster.lost(bridge, "gone".to_owned(), world.now);
    world.later(REMIND_AFTER);
    assert_eq!(world.told(old), 0);
    world.rules(|rules| rules.rollout.allow_one_way = true);
    assert_eq!(world.told(old), 1);
    assert_eq!(world.seek(1, &recovery).unwrap().worker, new);
}

#[test]
fn the_version_that_a_call_comes_from_is_a_way_back_even_if_nothing_of_it_is_left() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.attach(1);
    let new = world.ready(2, "v2");
    world.roster.workers.get_mut(&new).unwrap().about.writes = 2;
    world.roster.workers.get_mut(&old).unwrap().about.reads = vec![1, 2];
    world.roster.lost(old, "gone".to_owned(), world.now);
    let recovery = Seek {
        planned: false,
        ..leaves(old)
    };
    assert_eq!(world.seek(1, &recovery).unwrap().worker, new);
}

#[test]
fn calls_whose_state_came_later_are_not_told_to_leave_for_a_way_without_return() {
    let mut world = World::new();
    world.rules(|rules| rules.existing = Existing::Eager);
    let old = [world.ready(1, "v1"), world.ready(2, "v1")];
    let reserved = world
        .seek(
            1,
            &Seek {
                schema: 0,
                ..seek()
            },
        )
        .unwrap();
    let (worker, place) = (reserved.worker, reserved.place);
    world.roster.attached(worker, place);
    world.roster.committed(worker, place, 1);
    let new = world.ready(3, "v2");
    world.roster.workers.get_mut(&new).unwrap().about.writes = 2;
    world.roster.versions.drains("v1", &["v2"]);
    assert_eq!(old.map(|worker| world.told(worker)), [0, 0]);
    world.rules(|rules| rules.rollout.allow_one_way = true);
    assert_eq!(world.told(worker), 1, "it is told as soon as it may go");
}

#[test]
fn a_way_without_return_is_one_whatever_the_versions_are_called() {
    let mut world = World::new();
    let old = world.ready(1, "");
    world.attach(1);
    let new = world.ready(2, "");
    world.roster.workers.get_mut(&new).unwrap().about.writes = 2;
    let said = world.seek(1, &leaves(old)).unwrap_err().words;
    assert!(said.contains("writes schema 2"), "{said}");
    // Where it comes from, nobody knows any more: perhaps from such a worker.
    let unknown = Seek {
        avoid: None,
        ..leaves(old)
    };
    world.roster.lost(old, "gone".to_owned(), world.now);
    assert_eq!(world.seek(1, &unknown).unwrap().worker, new);
}

#[test]
fn a_version_without_a_way_back_is_told_once_and_early() {
    let mut world = World::new();
    let writes = |world: &mut World, worker, writes, reads: &[u32]| {
        let about = &mut world.roster.workers.get_mut(&worker).unwrap().about;
        (about.writes, about.reads) = (writes, reads.to_vec());
    };
    let first = world.ready(1, "v1");
    writes(&mut world, first, 1, &[1]);
    assert_eq!(
        world.roster.no_way_back(first),
        None,
        "nobody else is there"
    );
    let next = world.ready(2, "v2");
    writes(&mut world, next, 2, &[1, 2]);
    assert_eq!(world.roster.no_way_back(next), Some(2));
    let another = world.ready(3, "v2");
    writes(&mut world, another, 2, &[1, 2]);
    assert_eq!(world.roster.no_way_back(another), None, "it was told");
    writes(&mut world, first, 1, &[1, 2]);
    world.roster.lost(another, "gone".to_owned(), world.now);
    assert_eq!(
        world.roster.no_way_back(next),
        None,
        "the version before reads it"
    );
}

#[test]
fn a_call_without_state_may_go_anywhere() {
    let mut world = World::new();
    world.ready(1, "v1");
    let new = world.ready(2, "v2");
    world.roster.workers.get_mut(&new).unwrap().about.writes = 2;
    world.roster.versions.drains("v1", &["v2"]);
    let fresh = Seek {
        schema: 0,
        ..seek()
    };
    assert_eq!(world.seek(1, &fresh).unwrap().worker, new);
}
