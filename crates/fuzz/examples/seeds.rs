//! Writes the corpus's first inputs of the targets whose input is no text: `cargo run -p
//! holdline-fuzz --example seeds` from the top of the project. To be run again where the form of
//! those inputs changes; what libFuzzer found beyond them is kept by `fuzz/minimize`.
#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use bytes::Bytes;
use holdline_session::{
    Attributes, Class, Event, Frame, FromWorker, LegName, LegRef, Limits, Output, Payload, Session,
    SessionId, Setup, Time, WorkerId,
};
use holdline_wire::v1::{self, command::Command, input::Kind, send, serve_request, serve_response};
use prost::Message as _;

fn main() {
    write("worker", worker_seeds());
    write("snapshot", snapshot_seeds());
    write("sdk", sdk_seeds());
}

fn write(target: &str, seeds: Vec<Vec<u8>>) {
    let folder = Path::new("fuzz/corpus").join(target);
    fs::create_dir_all(&folder).unwrap();
    for (number, seed) in seeds.into_iter().enumerate() {
        fs::write(folder.join(format!("seed-{number:02}")), seed).unwrap();
    }
}

/// Two bytes of length, the lower first, then the bytes.
fn chunk(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_le_bytes(), bytes].concat()
}

fn commands() -> Vec<Command> {
    let leg = || "model".to_owned();
    vec![
        Command::Send(v1::Send {
            leg: "caller".to_owned(),
            incarnation: 1,
            payload: Some(send::Payload::Text(Bytes::from_static(
                b"{\"event\":\"media\"}",
            ))),
        }),
        Command::Send(v1::Send {
            leg: leg(),
            incarnation: 0,
            payload: Some(send::Payload::Binary(Bytes::from_static(&[1, 2, 3]))),
        }),
        Command::OpenLeg(v1::OpenLeg {
            leg: "other".to_owned(),
            upstream: "model".to_owned(),
            attributes: [("model".to_owned(), "gpt-realtime".to_owned())].into(),
        }),
        Command::CloseLeg(v1::CloseLeg {
            leg: leg(),
            incarnation: 1,
            code: 1000,
            reason: "done".to_owned(),
        }),
        Command::SetTimer(v1::SetTimer {
            name: "t".to_owned(),
            after_us: 20_000,
            tag: 7,
        }),
        Command::CancelTimer(v1::CancelTimer {
            name: "t".to_owned(),
        }),
        Command::EndSession(v1::EndSession {
            reason: "done".to_owned(),
            ..v1::EndSession::default()
        }),
    ]
}

fn commit(commands: Vec<Command>) -> Vec<u8> {
    let commands = commands
        .into_iter()
        .map(|it| v1::Command { command: Some(it) });
    let put = vec![v1::StateEntry {
        key: "count".to_owned(),
        value: Bytes::from_static(b"1"),
    }];
    said(serve_response::Message::Commit(v1::Commit {
        through_seq: 1,
        state_schema: 1,
        put,
        replace_state: true,
        commands: commands.collect(),
        ..v1::Commit::default()
    }))
}

fn said(message: serve_response::Message) -> Vec<u8> {
    let message = Some(message);
    v1::ServeResponse { message }.encode_to_vec()
}

/// Operations of `src/world.rs`, each led by its byte.
fn worker_seeds() -> Vec<Vec<u8>> {
    use serve_response::Message;
    let attached = [&[8][..], &[8]].concat();
    let media = [&[0][..], &chunk(&[0xff; 160])].concat();
    let committed = |commands| [&[9][..], &chunk(&commit(commands))].concat();
    let mut seeds: Vec<_> = commands()
        .into_iter()
        .map(|it| [&attached[..], &media, &committed(vec![it]), &[0x1d, 0x15]].concat())
        .collect();
    seeds.push(
        [
            &attached[..],
            &media.repeat(20),
            &[0x0f],
            &[8, 8],
            &committed(vec![]),
        ]
        .concat(),
    );
    seeds.push(
        [
            &attached[..],
            &[12],
            &[0x48, 0x48],
            &media,
            &committed(commands()),
        ]
        .concat(),
    );
    for message in [
        Message::Released(v1::Released {}),
        Message::Draining(v1::Draining { within_us: 1_000 }),
        Message::Reject(v1::Reject {
            reason: "full".to_owned(),
            retry: true,
        }),
    ] {
        seeds.push([&attached[..], &media, &[10], &chunk(&said(message))].concat());
    }
    seeds.push(
        [
            &attached[..],
            &[0x86, 0xee, 3],
            &[7],
            &media,
            &[0xfd, 0xfd],
            &[4, 0, 0],
        ]
        .concat(),
    );
    seeds
}

/// A session as it comes on, one snapshot after each step; the checksum is left out.
fn snapshot_seeds() -> Vec<Vec<u8>> {
    let limits = Limits::default();
    let mut now = Time(1_700_000_000_000_000);
    let mut out = Vec::new();
    let setup = Setup {
        id: SessionId(1),
        limits,
        caller: [("call_sid".to_owned(), "CA1".to_owned())].into(),
        dialled: vec![LegName::new("model")],
        upstreams: ["model".to_owned()].into(),
    };
    let mut session = Session::new(setup, now, &mut out);
    let mut seeds = Vec::new();
    let epoch = out.iter().find_map(|output| match output {
        Output::Seek(seek) => Some(seek.epoch),
        _ => None,
    });
    let epoch = epoch.unwrap();
    let frame = |class| Event::Frame {
        leg: LegRef::new("caller", 1),
        frame: Frame {
            class,
            payload: Payload::Text(Bytes::from_static(b"{}")),
        },
    };
    let response = v1::ServeResponse::decode(&*commit(commands()[..5].to_vec())).unwrap();
    let wire = holdline_workers::fuzzing::understood(&response.encode_to_vec()).unwrap();
    let version = "v1".to_owned();
    let from = |message| Event::FromWorker { epoch, message };
    let opened = Event::LegOpened {
        leg: LegRef::new("model", 1),
        attributes: Attributes::new(),
    };
    for event in [
        opened,
        frame(Class::Media { ms: 20 }),
        Event::Offered {
            epoch,
            worker: WorkerId(1),
            version,
        },
        from(FromWorker::Accept),
        from(wire),
        frame(Class::Control),
        Event::DeadlineNear {
            remaining: std::time::Duration::from_secs(1),
        },
        frame(Class::Stop),
    ] {
        now = Time(now.0 + 20_000);
        session.handle(now, event, &mut out);
        let bytes = session.snapshot().to_bytes().unwrap();
        seeds.push(bytes[..bytes.len() - 4].to_vec());
    }
    seeds
}

fn sdk_seeds() -> Vec<Vec<u8>> {
    use serve_request::Message;
    let request = |message| {
        chunk(
            &v1::ServeRequest {
                message: Some(message),
            }
            .encode_to_vec(),
        )
    };
    let offer = request(Message::Offer(v1::Offer {
        session_id: format!("{:032x}", 1),
        epoch: 1,
        state_schema: 1,
        ..v1::Offer::default()
    }));
    let attach = request(Message::Attach(v1::Attach {
        reason: v1::AttachReason::Recovery.into(),
        state_schema: 1,
        state: vec![v1::StateEntry {
            key: "count".to_owned(),
            value: Bytes::from_static(b"1"),
        }],
        timers: vec![v1::Timer::default()],
        next_seq: 4,
        ..v1::Attach::default()
    }));
    let inputs = |kinds: Vec<Kind>| {
        let inputs = kinds.into_iter().zip(4..).map(|(kind, seq)| v1::Input {
            seq,
            received_unix_us: 1_700_000_000_000_000,
            kind: Some(kind),
        });
        let inputs = inputs.collect();
        request(Message::Inputs(v1::Inputs { inputs, applied: 1 }))
    };
    let deeds = |bytes: &'static [u8]| {
        Kind::Frame(v1::Frame {
            leg: "caller".to_owned(),
            incarnation: 1,
            payload: Some(v1::frame::Payload::Binary(Bytes::from_static(bytes))),
        })
    };
    [
        vec![deeds(&[0, 1, 2, 3, 4, 5, 6, 7])],
        vec![deeds(&[0x10, 8]), deeds(&[9]), deeds(&[10])],
        vec![Kind::LegOpened(v1::LegOpened::default()), deeds(&[2])],
        vec![Kind::LegClosed(v1::LegClosed::default())],
        vec![Kind::LegReplaced(v1::LegReplaced::default())],
        vec![Kind::TimerFired(v1::TimerFired::default())],
        vec![
            Kind::Gap(v1::Gap::default()),
            Kind::Dropped(v1::Dropped::default()),
        ],
        vec![
            Kind::Notice(v1::Notice::default()),
            Kind::SessionEnded(v1::SessionEnded::default()),
        ],
    ]
    .into_iter()
    .map(|kinds| [&offer[..], &attach, &inputs(kinds)].concat())
    .collect()
}
