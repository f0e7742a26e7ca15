//! Callers behind Twilio Media Streams, from the command line.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdline_testkit::twilio::{
    Action, CallRecord, CallerOptions, Fate, Redirect, Script, Secret, Signing, TwilioCaller,
};
use holdline_testkit::{tls, wav};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Calls a Media Streams server as Twilio would, and says what was heard.
///
/// Each call sends real speech in frames of 20 ms, plays what it receives in real time,
/// echoes marks, obeys clear, and counts what Twilio would complain about. Exit status 1
/// means that a call could not be made, that the server hung up, or that Twilio would have
/// had a warning.
///
/// Examples:
///   holdline-twilio-caller ws://127.0.0.1:8080/twilio/media
///   holdline-twilio-caller wss://edge.example.com/twilio/media --roots ca.pem --auth-token 123
///   holdline-twilio-caller ws://127.0.0.1:8080/m --calls 20 --turns 3 --json
///   holdline-twilio-caller ws://127.0.0.1:8080/m --wav call.wav --reset-at 8 --redirect ws://127.0.0.1:8080/m
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// The stream's URL, ws:// or wss://.
    url: String,
    /// Calls at the same time.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    calls: u32,
    /// Number of the first call; it is part of the identity in the audio.
    #[arg(long, default_value_t = 1)]
    first_call: u32,
    /// Things that each caller says.
    #[arg(long, default_value_t = 2)]
    turns: u32,
    /// Seconds before the first of them.
    #[arg(long, default_value_t = 4.0)]
    first_turn: f64,
    /// Seconds from one to the next.
    #[arg(long, default_value_t = 10.0)]
    turn_every: f64,
    /// Seconds of quiet before hanging up, so that what is under way can arrive.
    #[arg(long, default_value_t = 1.0)]
    settle: f64,
    /// Milliseconds by which frames come late at most.
    #[arg(long, default_value_t = 0)]
    jitter: u64,
    /// Keys to press, one a second after the first two seconds.
    #[arg(long, default_value = "")]
    dtmf: String,
    /// A custom parameter NAME=VALUE; may be repeated.
    #[arg(long = "parameter")]
    parameters: Vec<String>,
    /// The account's auth token: sign the upgrade.
    #[arg(long, env = "TWILIO_AUTH_TOKEN", hide_env_values = true)]
    auth_token: Option<String>,
    /// Sign with a shared key instead: ID=SECRET (HMAC-SHA256).
    #[arg(long, conflicts_with = "auth_token")]
    shared_key: Option<String>,
    /// The URL that is signed, if it is not the one that is called.
    #[arg(long)]
    public_url: Option<String>,
    /// PEM file with the roots that a wss:// server is verified with.
    #[arg(long)]
    roots: Option<PathBuf>,
    /// Where the call goes when its stream is lost: same callSid, new streamSid.
    #[arg(long)]
    redirect: Option<String>,
    /// Second at which the connection is reset.
    #[arg(long)]
    reset_at: Option<f64>,
    /// Write the first call as a stereo WAV file: caller left, what it heard right.
    #[arg(long)]
    wav: Option<PathBuf>,
    /// Print the report as JSON instead of text.
    #[arg(long)]
    json: bool,
}

type AnyError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing better can be done when stderr is gone.
            let _ = writeln!(std::io::stderr(), "holdline-twilio-caller: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<bool, AnyError> {
    let mut calls = JoinSet::new();
    for index in 0..arguments.calls {
        let (options, script) = (options(&arguments, index)?, script(&arguments, index)?);
        calls.spawn(async move {
            let caller = TwilioCaller::connect(options)
                .await
                .map_err(AnyError::from)?;
            Ok::<CallRecord, AnyError>(caller.run(script).await)
        });
    }
    let mut records = Vec::new();
    let mut good = true;
    while let Some(result) = calls.join_next().await {
        match result.map_err(AnyError::from).and_then(|record| record) {
            Ok(record) => records.push(record),
            Err(error) => {
                good = false;
                writeln!(std::io::stderr(), "a call failed: {error}")?;
            }
        }
    }
    records.sort_by_key(|record| record.call);
    good &= records.iter().all(is_good);
    if let (Some(path), Some(first)) = (&arguments.wav, records.first()) {
        let (said, heard) = first.tracks();
        let mut file = BufWriter::new(File::create(path)?);
        wav::write_stereo(&mut file, &said, &heard)?;
        file.flush()?;
    }
    let report: Vec<Value> = records.iter().map(report).collect();
    let mut out = std::io::stdout();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        for call in report {
            writeln!(out, "{call}")?;
        }
    }
    Ok(good)
}

/// It ended as the caller wanted, and nothing was discarded or ignored.
fn is_good(record: &CallRecord) -> bool {
    use holdline_testkit::twilio::StreamEnd;
    record
        .streams
        .last()
        .is_some_and(|stream| stream.end == StreamEnd::Ours)
        && record.streams.iter().all(|stream| {
            stream.violation_count == 0 && stream.unsent_frames() == 0 && stream.overflow_bytes == 0
        })
}

fn options(arguments: &Arguments, index: u32) -> Result<CallerOptions, AnyError> {
    let mut options = CallerOptions::new(&arguments.url, arguments.first_call.wrapping_add(index));
    options.public_url = arguments.public_url.clone();
    options.jitter = Duration::from_millis(arguments.jitter);
    options.keep_audio = arguments.wav.is_some() && index == 0;
    options.parameters = parameters(&arguments.parameters)?;
    if let Some(token) = &arguments.auth_token {
        options.signing = Signing::AuthToken(Secret::new(token));
    }
    if let Some(shared) = &arguments.shared_key {
        let (id, key) = shared
            .split_once('=')
            .ok_or("--shared-key must be ID=SECRET")?;
        options.signing = Signing::SharedKey {
            id: id.to_owned(),
            key: Secret::new(key),
        };
    }
    if let Some(path) = &arguments.roots {
        options.tls = Some(tls::client(&std::fs::read_to_string(path)?)?);
    }
    options.redirect = arguments.redirect.as_ref().map(|url| Redirect {
        url: url.clone(),
        after: Duration::from_millis(300),
        limit: 10,
    });
    Ok(options)
}

fn parameters(given: &[String]) -> Result<BTreeMap<String, String>, AnyError> {
    given
        .iter()
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or("--parameter must be NAME=VALUE")?;
            Ok((name.to_owned(), value.to_owned()))
        })
        .collect()
}

fn script(arguments: &Arguments, index: u32) -> Result<Script, AnyError> {
    let seconds = |value: f64| {
        Duration::try_from_secs_f64(value).map_err(|error| format!("{value} seconds: {error}"))
    };
    let (first, every, settle) = (
        seconds(arguments.first_turn)?,
        seconds(arguments.turn_every)?,
        seconds(arguments.settle)?,
    );
    let mut script = Script::conversation(arguments.turns, first, every, index as usize, settle);
    for (at, digit) in (2u64..).zip(arguments.dtmf.chars()) {
        script = script.at(Duration::from_secs(at), Action::Dtmf(digit));
    }
    if let Some(at) = arguments.reset_at {
        script = script.at(seconds(at)?, Action::Reset);
    }
    Ok(script)
}

fn report(record: &CallRecord) -> Value {
    let streams = record.streams.iter().map(|stream| {
        let fate = |wanted| stream.heard.iter().filter(|frame| frame.fate == wanted).count();
        json!({
            "stream_sid": stream.stream_sid, "end": format!("{:?}", stream.end),
            "frames_sent": stream.sent.len(), "frames_unsent_31930": stream.unsent_frames(),
            "frames_heard": fate(Fate::Played), "frames_cleared": fate(Fate::Cleared),
            "frames_cut_off": fate(Fate::CutOff), "frames_duplicated": stream.ledger.duplicated(),
            "frames_reordered": stream.ledger.reordered(), "unreadable_bytes": stream.unreadable_bytes,
            "overflow_bytes_31931": stream.overflow_bytes, "violations_31951": stream.violation_count,
            "violations": stream.violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "marks": stream.marks.len(),
            "marks_echoed": stream.marks.iter().filter(|mark| mark.echoed.is_some()).count(),
            "clears": stream.clears.len(),
        })
    });
    json!({
        "call": record.call, "call_sid": record.call_sid,
        "seconds": record.ended.saturating_duration_since(record.started).as_secs_f64(),
        "failed_connects": record.failed_connects, "streams": streams.collect::<Vec<_>>(),
    })
}
