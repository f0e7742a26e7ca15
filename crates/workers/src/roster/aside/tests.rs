use std::time::Duration;

use super::*;

const RULES: SetAside = SetAside {
    sessions: 3,
    within: Duration::from_secs(10),
    probe_after: Duration::from_secs(60),
};

struct World {
    record: Record,
    version: Arc<str>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self {
            record: Record::default(),
            version: "v2".into(),
            now: Instant::now(),
        }
    }

    fn aside() -> Self {
        let mut world = Self::new();
        for session in 1..=3 {
            world.fails(session);
        }
        assert!(world.is_aside(None));
        world
    }

    fn fails(&mut self, session: u128) -> bool {
        let session = SessionId(session);
        let (version, now) = (&self.version, self.now);
        self.record.failed(version, session, now, &RULES, true)
    }

    fn is_aside(&self, probe: Option<u128>) -> bool {
        let probe = probe.map(SessionId);
        self.record.is_aside(&self.version, probe, self.now, &RULES)
    }

    fn enters(&mut self, session: u128) {
        let session = SessionId(session);
        assert!(self.record.entered(&self.version, session, self.now));
    }

    fn ends_trials(&mut self) -> (Vec<Arc<str>>, Option<Instant>) {
        self.record.end_trials(self.now, &RULES)
    }
}

#[test]
fn sessions_count_and_not_their_losses() {
    let mut world = World::new();
    for _ in 0..20 {
        assert!(!world.fails(1));
    }
    assert!(!world.fails(2));
    assert!(world.fails(3));
    assert!(world.is_aside(None));
}

#[test]
fn failures_that_lie_apart_do_not_add_up() {
    let mut world = World::new();
    for session in 0..20 {
        assert!(!world.fails(session));
        world.now += RULES.within / 2;
    }
}

#[test]
fn the_only_version_is_never_set_aside() {
    let mut world = World::new();
    for session in 0..20 {
        let (version, session) = (&world.version, SessionId(session));
        assert!(
            !world
                .record
                .failed(version, session, world.now, &RULES, false)
        );
    }
}

#[test]
fn one_new_session_tries_it_and_takes_it_back_by_staying() {
    let mut world = World::aside();
    assert!(world.is_aside(Some(9)), "not yet");
    world.now += RULES.probe_after;
    assert!(world.is_aside(None), "not for those that have a place");
    assert!(!world.is_aside(Some(9)));
    world.enters(9);
    assert!(world.is_aside(Some(10)), "one at a time");
    let end = world.now + RULES.within;
    assert_eq!(world.ends_trials(), (Vec::new(), Some(end)));
    world.now = end;
    assert!(!world.is_aside(None));
    assert_eq!(world.ends_trials(), (vec!["v2".into()], None));
    assert!(!world.is_aside(None));
    assert!(!world.fails(9), "counted anew");
}

#[test]
fn a_probe_that_fails_sets_it_aside_again_at_once() {
    let mut world = World::aside();
    world.now += RULES.probe_after;
    world.enters(9);
    assert!(world.fails(9));
    assert!(world.is_aside(Some(10)));
    world.now += RULES.probe_after;
    assert!(!world.is_aside(Some(10)));
}

#[test]
fn a_short_call_takes_it_back_if_it_got_something_done() {
    for well in [true, false] {
        let mut world = World::aside();
        world.now += RULES.probe_after;
        world.enters(9);
        let (version, now) = (&world.version, world.now);
        assert_eq!(world.record.left(version, SessionId(9), well, now), well);
        assert_eq!(world.is_aside(None), !well);
        assert!(!world.is_aside(Some(10)), "the next may try at least");
    }
}

#[test]
fn memory_is_bounded() {
    let mut record = Record::default();
    for n in 0..1_000_u32 {
        let version: Arc<str> = n.to_string().into();
        let one = SetAside {
            sessions: 1,
            ..RULES
        };
        record.failed(&version, SessionId(1), Instant::now(), &one, true);
    }
    assert_eq!(record.failures.len(), VERSIONS_MAX);
    assert_eq!(record.aside.len(), VERSIONS_MAX);
}
