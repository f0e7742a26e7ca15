//! What a connection was like, seen from the model's side.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::identity::FrameId;
use crate::ledger::Ledger;

/// A stamped frame that was appended to the input buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppendedFrame {
    /// Who it is.
    pub id: FrameId,
    /// When its message was read.
    pub at: Instant,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has not ended.
    InProgress,
    /// All of it was sent.
    Completed,
    /// It was interrupted, by the server or by the client.
    Cancelled,
    /// The server failed it, the session went on.
    Failed,
    /// Its connection ended in the middle.
    Cut,
}

/// The moment after which the client was free to throw a response's audio away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interruption {
    /// When.
    pub at: Instant,
    /// Frames that were on their way before.
    pub frames_before: u32,
    /// The caller began to speak; else the client cancelled.
    pub by_speech: bool,
}

/// One response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRecord {
    /// Its number on the connection, from 1.
    pub number: u16,
    /// Its id on the wire.
    pub id: String,
    /// The id of its item.
    pub item_id: String,
    /// The call in its frames' identity.
    pub call: u32,
    /// The part in its frames' identity.
    pub part: u32,
    /// When it was created.
    pub created: Instant,
    /// The function it calls instead of speaking.
    pub function: Option<String>,
    /// Frames it would have.
    pub planned_frames: u32,
    /// When each frame was sent, by counter.
    pub sent: Vec<Instant>,
    /// Set when it was interrupted.
    pub interrupted: Option<Interruption>,
    /// How it ended.
    pub outcome: Outcome,
}

/// One `conversation.item.truncate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TruncateRecord {
    /// When it came.
    pub at: Instant,
    /// Of which item.
    pub item_id: String,
    /// What was asked for.
    pub audio_end_ms: u64,
    /// What the item had, if it has audio.
    pub audio_ms: Option<u64>,
    /// Whether it was done.
    pub accepted: bool,
}

/// One item that the client created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededItem {
    /// When.
    pub at: Instant,
    /// Its id.
    pub id: String,
    /// `message`, `function_call` or `function_call_output`.
    pub kind: String,
    /// The role of a message, else empty.
    pub role: String,
    /// Text of a message, arguments or output of a function.
    pub text: String,
    /// Stamped frames of its audio, where it has mu-law.
    pub frames: Vec<FrameId>,
}

/// One turn of the caller as the voice activity detection saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TurnRecord {
    /// Start in audio time, padding included.
    pub audio_start_ms: u64,
    /// End in audio time, the silence included; `None` while it lasts.
    pub audio_end_ms: Option<u64>,
    /// When `speech_started` was said.
    pub started: Instant,
    /// When `speech_stopped` was said.
    pub stopped: Option<Instant>,
}

/// An `error` event that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorRecord {
    /// Its code.
    pub code: String,
    /// Its text.
    pub message: String,
    /// When.
    pub at: Instant,
}

/// One WebSocket of a client.
#[derive(Debug, Clone)]
pub struct ConnectionRecord {
    /// Its number, from 1 in the order of the upgrades.
    pub number: u16,
    /// The model that was asked for.
    pub model: String,
    /// When the upgrade was done.
    pub opened: Instant,
    /// When it ended, and how, in words.
    pub closed: Option<(Instant, String)>,
    /// The call it serves, learnt from the first stamped frame.
    pub call: Option<u32>,
    /// All stamped frames that were appended as mu-law, in order of arrival.
    pub appended: Vec<AppendedFrame>,
    /// The account of them.
    pub ledger: Ledger,
    /// Mu-law bytes that carry no identity.
    pub unreadable_bytes: u64,
    /// Silence that carries no identity: fillings.
    pub silence_bytes: u64,
    /// Bytes that were appended while the session's format was not mu-law: noise to the model.
    pub misread_bytes: u64,
    /// How far the audio clock ran.
    pub audio_clock: Duration,
    /// The caller's turns.
    pub turns: Vec<TurnRecord>,
    /// The responses.
    pub responses: Vec<ResponseRecord>,
    /// Truncations asked for.
    pub truncates: Vec<TruncateRecord>,
    /// Items the client created.
    pub seeded: Vec<SeededItem>,
    /// Errors told to the client.
    pub errors: Vec<ErrorRecord>,
    /// How many client events of each type came; what is not one of them is under `unknown`.
    pub client_events: BTreeMap<&'static str, u64>,
}

impl ConnectionRecord {
    pub(crate) fn new(number: u16, model: String, now: Instant) -> Self {
        Self {
            number,
            model,
            opened: now,
            closed: None,
            call: None,
            appended: Vec::new(),
            ledger: Ledger::default(),
            unreadable_bytes: 0,
            silence_bytes: 0,
            misread_bytes: 0,
            audio_clock: Duration::ZERO,
            turns: Vec::new(),
            responses: Vec::new(),
            truncates: Vec::new(),
            seeded: Vec::new(),
            errors: Vec::new(),
            client_events: BTreeMap::new(),
        }
    }
}

/// All connections of a server, in the order of their upgrades.
#[derive(Debug, Clone, Default)]
pub struct SimReport {
    /// The connections whose upgrade succeeded.
    pub connections: Vec<ConnectionRecord>,
    /// Upgrades answered with something else than 101.
    pub refused_upgrades: u64,
}

impl SimReport {
    /// The connections that served this call, in order.
    pub fn of_call(&self, call: u32) -> impl Iterator<Item = &ConnectionRecord> {
        self.connections
            .iter()
            .filter(move |connection| connection.call == Some(call))
    }
}
