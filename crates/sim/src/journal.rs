//! The event log of a seed: what happened, when, to whom, and what the engine wanted done.

use std::fmt::Write;

use holdline_session::{Event, InputKind, Output, Payload, Time, ToWorker};

/// One line: `step`, simulated milliseconds, what.
pub(crate) fn line(step: u64, now: Time, what: &str) -> String {
    let (ms, us) = (now.0 / 1_000, now.0 % 1_000);
    format!("{step:>6} {ms:>5}.{us:03} {what}")
}

/// An event as a person would tell it. Payloads are the simulation's own words.
pub(crate) fn event(event: &Event) -> String {
    match event {
        Event::Frame { leg, frame } => {
            format!("frame {leg} {:?} {}", frame.class, words(&frame.payload))
        }
        Event::FromWorker { epoch, message } => match message {
            holdline_session::FromWorker::Commit(commit) => {
                let mut text = format!("epoch {epoch} commits through {}", commit.through);
                for command in &commit.commands {
                    let _ = match command {
                        holdline_session::Command::Send { leg, payload, .. } => {
                            write!(text, "; send {leg} {}", words(payload))
                        }
                        other => write!(text, "; {other:?}"),
                    };
                }
                text
            }
            other => format!("epoch {epoch} says {other:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// An output as a person would tell it.
pub(crate) fn output(output: &Output) -> String {
    match output {
        Output::Send { leg, payload } => format!("send {leg} {}", words(payload)),
        Output::ToWorker {
            epoch,
            message: ToWorker::Inputs { inputs, applied },
        } => {
            let mut text = format!("to epoch {epoch}: inputs ({applied} applied)");
            for input in inputs {
                let _ = match &input.kind {
                    InputKind::Frame { leg, payload } => {
                        write!(text, " {}={leg} {}", input.seq, words(payload))
                    }
                    other => write!(text, " {}={other:?}", input.seq),
                };
            }
            text
        }
        Output::ToWorker {
            epoch,
            message: ToWorker::Attach(attach),
        } => format!(
            "to epoch {epoch}: attach {:?}, next {}, schema {}, {} keys, timers {:?}",
            attach.reason,
            attach.next_seq,
            attach.schema,
            attach.state.len(),
            attach.timers
        ),
        Output::ToWorker { epoch, message } => format!("to epoch {epoch}: {message:?}"),
        other => format!("{other:?}"),
    }
}

fn words(payload: &Payload) -> String {
    let text = String::from_utf8_lossy(payload.bytes());
    let word = text.split(';').next().unwrap_or_default();
    format!("\"{word}\"[{}]", payload.len())
}
