#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use holdline_config::Eject;
use holdline_session::{
    AttachReason, Attributes, Epoch, MoveReason, Seek, Seq, SessionId, Suspicion,
};
use holdline_telemetry::Metrics;

use super::{
    moves::{HURRY, REMIND_AFTER},
    pick::NoPlace,
    *,
};

mod rollout;

const EJECT: Eject = Eject {
    sessions: 3,
    within: Duration::from_secs(10),
    r#for: Duration::from_secs(30),
};

struct World {
    roster: Roster,
    metrics: Metrics,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let metrics = Metrics::new();
        Self {
            roster: Roster::new("default", rules(), metrics.workers.clone()),
            metrics,
            now: Instant::now(),
        }
    }

    fn ready(&mut self, port: u16, version: &str) -> WorkerId {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let id = self.roster.add(&address.into(), true, self.now);
        let about = About {
            version: version.into(),
            reads: vec![1],
            writes: 1,
            capacity: None,
        };
        self.roster
            .described(id, about, Connections::none(address), self.now);
        id
    }

    fn seek(&mut self, session: u128, seek: &Seek) -> Result<Reserved, NoPlace> {
        let attributes = Arc::default();
        self.roster
            .reserve(SessionId(session), &attributes, seek, &[], self.now)
    }

    fn attach(&mut self, session: u128) -> Reserved {
        let reserved = self.seek(session, &seek()).unwrap();
        self.roster.attached(reserved.worker, reserved.place);
        reserved
    }

    fn later(&mut self, by: Duration) {
        self.now += by;
    }
}

fn rules() -> Rules {
    Rules {
        eject: EJECT,
        ..Rules::default()
    }
}

fn seek() -> Seek {
    Seek {
        epoch: Epoch(1),
        reason: AttachReason::New,
        schema: 1,
        avoid: None,
        planned: false,
        suspect: None,
        doubt: None,
        failed: Vec::new(),
    }
}

#[test]
fn places_are_taken_as_they_are_chosen_so_that_a_crowd_spreads() {
    let mut world = World::new();
    let workers: Vec<_> = (1..=4).map(|port| world.ready(port, "v1")).collect();
    let places: Vec<_> = (0..500).map(|session| world.attach(session)).collect();
    for worker in workers {
        let here = places.iter().filter(|place| place.worker == worker).count();
        assert_eq!(here, 125);
    }
}

#[test]
fn a_place_given_back_is_free_again() {
    let mut world = World::new();
    let (a, b) = (world.ready(1, "v1"), world.ready(2, "v1"));
    let first = world.attach(1);
    let other = if first.worker == a { b } else { a };
    for _ in 0..20 {
        let place = world.attach(2);
        assert_eq!(place.worker, other);
        world.roster.release(place.worker, place.place, world.now);
    }
}

#[test]
fn a_draining_worker_is_no_target_and_its_sessions_stay_until_there_is_a_better_place() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    let place = world.attach(1);
    assert!(world.roster.drain(old, Cause::Health, None, world.now));
    let none = world.seek(2, &seek()).unwrap_err();
    assert_eq!(none.words, "1 worker: 1 draining");
    assert!(!world.roster.move_one(old, world.now));
    assert_eq!(place.signals.take_move(), None);

    world.ready(2, "v2");
    assert!(world.roster.move_one(old, world.now));
    assert_eq!(place.signals.take_move(), Some(MoveReason::Drain));
    assert!(!world.roster.move_one(old, world.now), "told once");
    world.later(REMIND_AFTER);
    assert!(world.roster.move_one(old, world.now), "reminded");
}

#[test]
fn sessions_wait_a_moment_for_a_worker_that_is_on_its_way() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.attach(1);
    world.ready(2, "v1");
    let coming = SocketAddr::from(([127, 0, 0, 1], 3)).into();
    world.roster.add(&coming, true, world.now);
    world.roster.drain(old, Cause::Health, None, world.now);
    assert!(!world.roster.move_one(old, world.now));
    world.later(NEWCOMER_WITHIN);
    assert!(world.roster.move_one(old, world.now), "not for ever");
}

#[test]
fn sessions_wait_for_who_is_not_ready_yet_and_not_for_who_failed_before() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.attach(1);
    world.ready(2, "v1");
    let failing = SocketAddr::from(([127, 0, 0, 1], 3)).into();
    world.roster.add(&failing, false, world.now);
    world.roster.drain(old, Cause::Health, None, world.now);
    world.roster.set_unready(true);
    assert!(!world.roster.move_one(old, world.now));
    world.roster.set_unready(false);
    assert!(world.roster.move_one(old, world.now));
}

#[test]
fn sessions_of_a_worker_with_little_time_wait_for_nobody() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    world.attach(1);
    world.ready(2, "v1");
    world.roster.set_unready(true);
    let left = Some(HURRY);
    world.roster.drain(old, Cause::Message, left, world.now);
    assert!(world.roster.move_one(old, world.now));
}

#[test]
fn only_sessions_that_were_handed_over_are_told_to_leave() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    let offered = world.seek(1, &seek()).unwrap();
    world.ready(2, "v1");
    world.roster.drain(old, Cause::Operator, None, world.now);
    assert!(!world.roster.move_one(old, world.now));
    assert!(world.roster.attached(old, offered.place));
    assert!(world.roster.move_one(old, world.now));
    assert_eq!(offered.signals.take_move(), Some(MoveReason::Operator));
}

#[test]
fn a_session_that_no_one_can_read_does_not_hold_up_others() {
    let mut world = World::new();
    let old = world.ready(1, "v1");
    let unreadable = Seek {
        schema: 9,
        avoid: Some(old),
        ..seek()
    };
    world.roster.workers.get_mut(&old).unwrap().about.reads = vec![1, 9];
    let stuck = world.seek(1, &unreadable).unwrap();
    world.roster.attached(stuck.worker, stuck.place);
    let free = world.attach(2);
    world.ready(2, "v2");
    world.roster.drain(old, Cause::GoAway, None, world.now);
    assert!(world.roster.move_one(old, world.now));
    assert_eq!(stuck.signals.take_move(), None);
    assert_eq!(free.signals.take_move(), Some(MoveReason::Drain));
}

#[test]
fn health_comes_back_and_other_causes_do_not() {
    let mut world = World::new();
    let worker = world.ready(1, "v1");
    world.roster.drain(worker, Cause::Health, None, world.now);
    assert!(world.roster.serves_again(worker, Cause::Health, world.now));
    assert!(world.roster.ready(world.now));
    world.roster.drain(worker, Cause::Message, None, world.now);
    world.roster.drain(worker, Cause::Health, None, world.now);
    assert!(!world.roster.serves_again(worker, Cause::Health, world.now));
    assert!(!world.roster.ready(world.now));
}

#[test]
fn the_nearest_deadline_counts() {
    let mut world = World::new();
    let worker = world.ready(1, "v1");
    let secs = Duration::from_secs;
    world
        .roster
        .drain(worker, Cause::Message, Some(secs(60)), world.now);
    world
        .roster
        .drain(worker, Cause::Message, Some(secs(20)), world.now);
    world
        .roster
        .drain(worker, Cause::Operator, Some(secs(90)), world.now);
    world.later(secs(5));
    let leaving = world.roster.leaving(worker, world.now).unwrap();
    assert_eq!(leaving.left, Some(secs(15)));
}

#[test]
fn a_lost_worker_tells_all_and_is_forgotten_with_the_last() {
    let mut world = World::new();
    let worker = world.ready(1, "v1");
    let places = [world.attach(1), world.seek(2, &seek()).unwrap()];
    assert_eq!(world.roster.lost(worker, "reset".to_owned(), world.now), 2);
    assert!(places.iter().all(|place| place.signals.is_lost()));
    assert_eq!(
        world.roster.state(worker, world.now),
        Some(WorkerState::Lost)
    );
    for place in places {
        world.roster.release(worker, place.place, world.now);
    }
    assert_eq!(world.roster.state(worker, world.now), None);
    assert!(!world.metrics.render().contains("state=\"lost\""));
}

#[test]
fn several_sessions_that_fail_set_a_worker_aside_one_that_fails_often_does_not() {
    let mut world = World::new();
    let worker = world.ready(1, "v1");
    let other = world.ready(2, "v1");
    for _ in 0..10 {
        assert!(!fail(&mut world, worker, 1));
    }
    assert!(!fail(&mut world, worker, 2));
    assert!(fail(&mut world, worker, 3));
    let state = |world: &World| world.roster.state(worker, world.now).unwrap();
    assert!(matches!(state(&world), WorkerState::Ejected { .. }));
    assert_eq!(world.seek(4, &seek()).unwrap().worker, other);
    // Without any other it is better than none.
    world.roster.lost(other, "reset".to_owned(), world.now);
    assert_eq!(world.seek(5, &seek()).unwrap().worker, worker);
    world.later(EJECT.r#for);
    world.roster.readmitted(worker, world.now);
    assert_eq!(state(&world), WorkerState::Ready);
}

#[test]
fn the_last_worker_that_takes_sessions_is_never_set_aside() {
    let mut world = World::new();
    let first = world.ready(1, "v1");
    let last = world.ready(2, "v1");
    for session in 0..3 {
        fail(&mut world, first, session);
    }
    for session in 0..10 {
        assert!(!fail(&mut world, last, session));
    }
    assert_eq!(world.seek(4, &seek()).unwrap().worker, last);
}

#[test]
fn failures_that_lie_apart_do_not_add_up() {
    let mut world = World::new();
    let worker = world.ready(1, "v1");
    for session in 0..20 {
        assert!(!fail(&mut world, worker, session));
        world.later(EJECT.within / 2);
    }
}

fn fail(world: &mut World, worker: WorkerId, session: u128) -> bool {
    world.roster.failed(worker, SessionId(session), world.now)
}

#[test]
fn suspects_never_share_a_worker() {
    let mut world = World::new();
    let suspect = Seek {
        suspect: Some(Seq(7)),
        ..seek()
    };
    world.ready(1, "v1");
    let first = world.seek(1, &suspect).unwrap();
    assert_eq!(
        world.seek(2, &suspect).unwrap_err().words,
        "1 worker: 1 with another suspect session"
    );
    assert!(world.seek(1, &suspect).is_ok(), "not apart from itself");
    assert!(world.seek(3, &seek()).is_ok());
    let second = world.ready(2, "v1");
    assert_eq!(world.seek(2, &suspect).unwrap().worker, second);
    drop(first);
}

#[test]
fn a_session_that_is_cleared_makes_room_for_other_suspects() {
    let mut world = World::new();
    let doubted = Seek {
        doubt: Some(Seq(9)),
        ..seek()
    };
    let suspect = Seek {
        suspect: Some(Seq(7)),
        ..doubted.clone()
    };
    world.ready(1, "v1");
    let first = world.seek(1, &suspect).unwrap();
    assert!(world.seek(2, &doubted).is_err());
    let clear = |world: &mut World, left| world.roster.clear(first.worker, first.place, left);
    clear(&mut world, Suspicion::Doubt);
    let second = world.seek(2, &doubted).unwrap();
    assert!(world.seek(3, &suspect).is_err());
    world.roster.release(second.worker, second.place, world.now);
    assert!(world.seek(3, &suspect).is_err());
    clear(&mut world, Suspicion::None);
    assert!(world.seek(3, &suspect).is_ok());
}

#[test]
fn a_rollout_moves_each_session_once() {
    let mut world = World::new();
    let old: Vec<_> = (1..=3).map(|port| world.ready(port, "v1")).collect();
    for session in 0..9 {
        world.attach(session);
    }
    let new = world.ready(4, "v2");
    world.roster.drain(old[0], Cause::Health, None, world.now);
    let planned = Seek {
        avoid: Some(old[0]),
        planned: true,
        ..seek()
    };
    assert_eq!(world.seek(0, &planned).unwrap().worker, new);
    world.roster.drain(old[1], Cause::Health, None, world.now);
    world.roster.drain(new, Cause::Health, None, world.now);
    assert_eq!(world.seek(9, &seek()).unwrap().worker, old[2]);
    let again = world.ready(5, "v2");
    assert_eq!(world.seek(10, &seek()).unwrap().worker, again);
}

#[test]
fn a_worker_that_left_for_good_is_left_when_its_last_session_is_gone() {
    let mut world = World::new();
    let worker = world.ready(1, "v1");
    let place = world.attach(1);
    world
        .roster
        .drain(worker, Cause::Discovery, None, world.now);
    assert!(!world.roster.is_left(worker));
    world.roster.release(worker, place.place, world.now);
    assert!(world.roster.is_left(worker));
}
