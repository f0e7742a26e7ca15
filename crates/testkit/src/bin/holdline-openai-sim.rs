//! An OpenAI Realtime server on this machine, from the command line.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use holdline_testkit::openai::{
    Fault, FaultRule, Keys, OpenAiSim, SimOptions, Speed, Timing, ToolScript, ToolTime, When,
};
use holdline_testkit::tls;
use serde_json::{Value, json};

/// Plays an OpenAI Realtime server (GA), with real speech and no account.
///
/// Point any client at ws://ADDRESS/v1/realtime?model=gpt-realtime with any bearer token. It
/// detects turns in mu-law audio (session.update must ask for audio/pcmu), answers with
/// recorded speech at 8 times real time, cancels on barge-in, truncates, and can call tools.
/// Ctrl-C ends it and prints a report.
///
/// Examples:
///   holdline-openai-sim --listen 127.0.0.1:9100
///   holdline-openai-sim --tool 'book_slot={"time":"11:15"}' --tool-turn 2
///   holdline-openai-sim --fault close-1011 --fault-response 2 --fault-deltas 5
///   holdline-openai-sim --session-limit 20 --json > report.json
#[derive(Debug, Parser)]
#[command(version, verbatim_doc_comment)]
struct Arguments {
    /// Where to listen; port 0 picks a free one and says which on stderr.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// A key that is good; may be repeated. Without any, every key is.
    #[arg(long = "key", env = "HOLDLINE_SIM_KEY", hide_env_values = true)]
    keys: Vec<String>,
    /// How many times real time audio is generated; 0 means all at once.
    #[arg(long, default_value_t = 8.0)]
    speed: f64,
    /// How much the time between two pieces of audio wobbles, 0 to 1.
    #[arg(long, default_value_t = 0.5)]
    jitter: f64,
    /// Answer without the delays of the real server.
    #[arg(long)]
    immediate: bool,
    /// Seconds after which a session expires with 1001.
    #[arg(long, default_value_t = 3_600)]
    session_limit: u64,
    /// A tool call: NAME=JSON-ARGUMENTS. Made only if the session offers the tool.
    #[arg(long)]
    tool: Option<String>,
    /// After which user turn it is called; else at the first chance.
    #[arg(long)]
    tool_turn: Option<u32>,
    /// Something that goes wrong on every connection.
    #[arg(long, value_enum)]
    fault: Option<FaultName>,
    /// In which response, from 1 (not for http-401 and refuse, which come at once).
    #[arg(long, default_value_t = 1)]
    fault_response: u16,
    /// After how many pieces of its audio.
    #[arg(long, default_value_t = 3)]
    fault_deltas: u32,
    /// PEM file with the certificate chain: serve wss.
    #[arg(long, requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key.
    #[arg(long, requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Print the report as JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FaultName {
    /// The upgrade is answered with 401.
    Http401,
    /// The WebSocket opens and is closed with 1008.
    Refuse,
    /// Close 1011 in the middle of a response.
    #[value(name = "close-1011")]
    Close1011,
    /// The connection ends without a close frame in the middle of a response.
    Drop,
    /// The connection is reset in the middle of a response.
    Reset,
    /// The server stops reading in the middle of a response.
    StopReading,
    /// A server_error event in the middle of a response.
    ServerError,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing better can be done when stderr is gone.
            let _ = writeln!(std::io::stderr(), "holdline-openai-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

type AnyError = Box<dyn std::error::Error>;

async fn run(arguments: Arguments) -> Result<(), AnyError> {
    let sim = OpenAiSim::bind(arguments.listen, options(&arguments)?).await?;
    let scheme = if arguments.tls_cert.is_some() {
        "wss"
    } else {
        "ws"
    };
    writeln!(
        std::io::stderr(),
        "listening on {scheme}://{}/v1/realtime?model=gpt-realtime",
        sim.local_addr()
    )?;
    tokio::signal::ctrl_c().await?;
    let report = report(&sim.shutdown().await);
    let mut out = std::io::stdout();
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
        return Ok(());
    }
    for connection in report.as_array().into_iter().flatten() {
        writeln!(out, "{connection}")?;
    }
    Ok(())
}

fn options(arguments: &Arguments) -> Result<SimOptions, AnyError> {
    let mut options = SimOptions {
        jitter: arguments.jitter,
        session_limit: Duration::from_secs(arguments.session_limit),
        ..SimOptions::default()
    };
    options.speed = if arguments.speed > 0.0 {
        Speed::Times(arguments.speed)
    } else {
        Speed::AllAtOnce
    };
    if !arguments.keys.is_empty() {
        options.keys = Keys::Only(arguments.keys.iter().cloned().collect());
    }
    if arguments.immediate {
        options.timing = Timing::immediate();
    }
    if let Some(tool) = &arguments.tool {
        let (name, text) = tool
            .split_once('=')
            .ok_or("--tool must be NAME=JSON-ARGUMENTS")?;
        let time = arguments
            .tool_turn
            .map_or(ToolTime::Offered, ToolTime::Turn);
        options.tools.push(ToolScript {
            time,
            name: name.to_owned(),
            arguments: serde_json::from_str(text)?,
        });
    }
    options
        .faults
        .extend(arguments.fault.map(|fault| rule(fault, arguments)));
    if let (Some(cert), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        options.tls = Some(tls::server(
            &std::fs::read_to_string(cert)?,
            &std::fs::read_to_string(key)?,
        )?);
    }
    Ok(options)
}

fn rule(fault: FaultName, arguments: &Arguments) -> FaultRule {
    let middle = When::Delta {
        response: arguments.fault_response,
        deltas: arguments.fault_deltas,
    };
    let close = |code, reason: &str| Fault::Close {
        code,
        reason: reason.to_owned(),
    };
    let (when, fault) = match fault {
        FaultName::Http401 => (When::Upgrade, Fault::Http(401)),
        FaultName::Refuse => (When::Open, close(1_008, "refused")),
        FaultName::Close1011 => (middle, close(1_011, "internal error")),
        FaultName::Drop => (middle, Fault::Drop),
        FaultName::Reset => (middle, Fault::Reset),
        FaultName::StopReading => (middle, Fault::StopReading),
        FaultName::ServerError => (middle, Fault::ServerError),
    };
    FaultRule::always(when, fault)
}

fn report(report: &holdline_testkit::openai::SimReport) -> Value {
    let connections = report.connections.iter().map(|connection| {
        let responses = connection.responses.iter().map(|response| {
            json!({
                "number": response.number, "outcome": format!("{:?}", response.outcome),
                "frames_sent": response.sent.len(), "frames_planned": response.planned_frames,
                "function": response.function,
            })
        });
        json!({
            "connection": connection.number, "model": connection.model, "call": connection.call,
            "closed": connection.closed.as_ref().map(|(_, how)| how),
            "audio_ms": u64::try_from(connection.audio_clock.as_millis()).unwrap_or(u64::MAX),
            "frames_received": connection.ledger.received(),
            "frames_duplicated": connection.ledger.duplicated(),
            "frames_reordered": connection.ledger.reordered(),
            "frames_missing_between": connection.ledger.streams().map(|(_, stream)| u64::from(stream.holes())).sum::<u64>(),
            "unreadable_bytes": connection.unreadable_bytes, "misread_bytes": connection.misread_bytes,
            "turns": connection.turns.len(), "truncates": connection.truncates.len(),
            "items_seeded": connection.seeded.len(), "client_events": connection.client_events,
            "errors": connection.errors.iter().map(|error| &error.code).collect::<Vec<_>>(),
            "responses": responses.collect::<Vec<_>>(),
        })
    });
    connections.collect()
}
