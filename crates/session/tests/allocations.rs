//! A frame that passes through costs the engine no memory: counted, not assumed.
//!
//! Its own program, because it counts what the whole process allocates.
#![allow(clippy::unwrap_used)]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    collections::BTreeSet,
    time::Duration,
};

use bytes::Bytes;
use holdline_session::{
    Attributes, Class, Command, Commit, Epoch, Event, Frame, FromWorker, LegName, LegRef, Limits,
    Output, Payload, Seq, Session, SessionId, Setup, Time, ToWorker, WorkerId,
};

/// The system's allocator, with a count for each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

#[allow(unsafe_code)]
// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A call whose worker writes every frame of the caller to the model.
struct Relay {
    session: Session,
    out: Vec<Output>,
    now: Time,
    epoch: Epoch,
    through: Seq,
}

impl Relay {
    fn start() -> Self {
        let mut out = Vec::new();
        let now = Time(1_000_000);
        let setup = Setup {
            id: SessionId(1),
            limits: Limits::default(),
            caller: Attributes::new(),
            dialled: vec![LegName::new(LegName::MODEL)],
            upstreams: BTreeSet::new(),
        };
        let mut session = Session::new(setup, now, &mut out);
        let epoch = out
            .iter()
            .find_map(|out| match out {
                Output::Seek(seek) => Some(seek.epoch),
                _ => None,
            })
            .unwrap();
        let mut say = |event| session.handle(now, event, &mut out);
        say(Event::Offered {
            epoch,
            worker: WorkerId(1),
            version: "v1".to_owned(),
        });
        let message = FromWorker::Accept;
        say(Event::FromWorker { epoch, message });
        say(Event::LegOpened {
            leg: LegRef::new(LegName::MODEL, 1),
            attributes: Attributes::new(),
        });
        let mut relay = Self {
            session,
            out,
            now,
            epoch,
            through: Seq(2),
        };
        relay.handle(Event::FromWorker {
            epoch,
            message: FromWorker::Commit(commit(Seq(2), Vec::new())),
        });
        relay
    }

    /// Allocations for an event, and what the engine said.
    fn handle(&mut self, event: Event) -> u64 {
        self.now = self.now + Duration::from_millis(1);
        self.out.clear();
        let before = COUNT.get();
        self.session.handle(self.now, event, &mut self.out);
        COUNT.get() - before
    }

    /// One frame from its socket through the worker to the other socket: allocations of each event.
    fn frame(&mut self) -> [u64; 3] {
        let payload = Payload::Text(Bytes::from_static(b"{}"));
        let received = self.handle(Event::Frame {
            leg: LegRef::new(LegName::CALLER, 1),
            frame: Frame {
                class: Class::Media { ms: 20 },
                payload: payload.clone(),
            },
        });
        assert!(matches!(
            &self.out[..],
            [Output::ToWorker { message: ToWorker::Inputs { inputs, .. }, .. }] if inputs.len() == 1
        ));
        self.through = self.through.next();
        let send = Command::Send {
            leg: LegName::new(LegName::MODEL),
            incarnation: None,
            payload,
        };
        let committed = self.handle(Event::FromWorker {
            epoch: self.epoch,
            message: FromWorker::Commit(commit(self.through, vec![send])),
        });
        assert!(
            self.out
                .iter()
                .any(|out| matches!(out, Output::Send { .. }))
        );
        let written = self.handle(Event::LegWritten {
            leg: LegRef::new(LegName::MODEL, 1),
            frames: 1,
            bytes: 2,
            sound: 0,
        });
        [received, committed, written]
    }
}

fn commit(through: Seq, commands: Vec<Command>) -> Commit {
    Commit {
        through,
        commands,
        schema: 1,
        put: Vec::new(),
        delete: Vec::new(),
        replace_state: false,
    }
}

#[test]
fn a_frame_on_its_way_through_allocates_nothing() {
    let mut relay = Relay::start();
    // Queues find their size.
    for _ in 0..64 {
        relay.frame();
    }
    for _ in 0..1_000 {
        assert_eq!(relay.frame(), [0, 0, 0]);
    }
}
