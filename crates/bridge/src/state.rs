//! All that the bridge knows of a call. A worker may be replaced between any two inputs, so nothing
//! lives outside of this.
//!
//! It is split over keys by how often each part changes: a media frame rewrites `clock` and a
//! tenth of a second of `audio`, an audio delta `playback`, a word of the model's transcript `speech`. Every field has a default, so
//! that an older and a newer version of the bridge can take over each other's calls.

mod clock;
mod history;
mod kept;
mod link;
mod playback;
mod tracked;
mod turn;

use bytes::Bytes;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

pub(crate) use self::{
    clock::Clock,
    history::{History, What},
    kept::Kept,
    link::{Link, ModelLeg, Phase, Rollover, Spare},
    playback::{Cut, Playback},
    tracked::Tracked,
    turn::{Speech, ToolCall, Turn, Utterance, Wish},
};
use crate::{
    ids::{CallSid, StreamSid},
    wire::BYTES_PER_MS,
};

/// The whole state.
#[derive(Default, Debug)]
pub(crate) struct State {
    /// `call`: who calls. Changes hardly ever.
    pub(crate) call: Tracked<Identity>,
    /// `clock`: the caller's media. Changes with every frame.
    pub(crate) clock: Tracked<Clock>,
    /// `audio` and `audio/N`: the end of the caller's media, where a new model session begins to hear.
    pub(crate) kept: Kept,
    /// `playback`: what was sent to the caller and is not known to be played.
    pub(crate) playback: Tracked<Playback>,
    /// `link`: the model's leg.
    pub(crate) link: Tracked<Link>,
    /// `turn`: who speaks, and what is owed to whom.
    pub(crate) turn: Tracked<Turn>,
    /// `speech`: transcripts under way.
    pub(crate) speech: Tracked<Speech>,
    /// `history` and `history/N`: what was said.
    pub(crate) history: History,
}

/// Who calls.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Identity {
    pub(crate) call_sid: Option<CallSid>,
    /// `None` until the stream has named itself: nothing can be sent to it before.
    pub(crate) stream: Option<StreamSid>,
    /// The settings that the model was told.
    pub(crate) settings: u64,
    pub(crate) greeted: bool,
    /// Whether the caller has hung up or their socket is lost: nobody is there to talk to.
    pub(crate) away: bool,
    /// Whether the caller's socket was lost while they were being told something.
    pub(crate) cut_off: bool,
}

/// A state value that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the state key {key:?} is not of a form that this version reads: {source}")]
pub(crate) struct StateError {
    key: String,
    source: serde_json::Error,
}

/// A change to be made to the session's state.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Put(String, Vec<u8>),
    Delete(String),
}

impl State {
    /// Reads the state; what is not there is new.
    ///
    /// # Errors
    /// If a value is there and cannot be read.
    pub(crate) fn load(get: &dyn Fn(&str) -> Option<Bytes>) -> Result<Self, StateError> {
        Ok(Self {
            call: load(get, "call")?,
            clock: load(get, "clock")?,
            kept: Kept::load(get)?,
            playback: load(get, "playback")?,
            link: load(get, "link")?,
            turn: load(get, "turn")?,
            speech: load(get, "speech")?,
            history: History::load(get)?,
        })
    }

    /// How much of the caller's audio no model session is known to have heard, in ms: what came since
    /// the last one was lost, and up to a second before it.
    pub(crate) fn unheard_ms(&self) -> u64 {
        let waits = self.link.lost_at.and(self.link.audio_from);
        let kept = waits.map_or(0, |from| {
            self.kept.end().saturating_sub(from.max(self.kept.start()))
        });
        self.link.unheard_ms + kept / BYTES_PER_MS
    }

    /// Tells what has changed since the last time.
    pub(crate) fn save(&mut self, changes: &mut dyn FnMut(Change)) {
        save(&mut self.call, "call", changes);
        save(&mut self.clock, "clock", changes);
        self.kept.save(changes);
        save(&mut self.playback, "playback", changes);
        save(&mut self.link, "link", changes);
        save(&mut self.turn, "turn", changes);
        save(&mut self.speech, "speech", changes);
        self.history.save(changes);
    }
}

fn load<T: DeserializeOwned + Default>(
    get: &dyn Fn(&str) -> Option<Bytes>,
    key: &str,
) -> Result<Tracked<T>, StateError> {
    match get(key) {
        None => Ok(Tracked::default()),
        Some(value) => parse(key, &value).map(Tracked::new),
    }
}

fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, StateError> {
    serde_json::from_slice(value).map_err(|source| StateError {
        key: key.to_owned(),
        source,
    })
}

fn save<T: Serialize>(part: &mut Tracked<T>, key: &str, changes: &mut dyn FnMut(Change)) {
    if let Some(value) = part.take_changed() {
        changes(Change::Put(key.to_owned(), json(value)));
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    // The types of this module have string keys only, so that writing them cannot fail.
    serde_json::to_vec(value).unwrap_or_default()
}
