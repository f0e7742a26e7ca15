//! A call in a handler's hands: what is known of it, its state, and what shall be done.
//!
//! Nothing here waits or reaches the edge by itself. Changes and commands are gathered, and take
//! effect together with the position when the commit that carries them is applied.

mod commands;
mod drive;
mod jobs;
mod legs;
mod pending;
mod state;
mod timers;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use holdline_wire::v1;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Attributes, CallError, JobKey, Leg, Limits};
use {legs::Legs, pending::Pending, state::State, timers::Timers};

pub(crate) use pending::Step;

/// Begins every state key that belongs to this SDK.
const RESERVED: &str = "holdline/";

/// A call, as of the input that is being handled.
pub struct Call {
    id: String,
    epoch: u64,
    attributes: Attributes,
    reason: AttachReason,
    schema: Schema,
    trace: Trace,
    limits: Limits,
    legs: Legs,
    timers: Timers,
    state: State,
    pending: Pending,
    clock: Clock,
    /// The last input that was handled, or the one being handled.
    seq: u64,
    origin: Origin,
}

/// Why a session was attached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AttachReason {
    /// Its first attachment.
    New,
    /// A planned move: the previous worker released the session.
    Handoff,
    /// The previous worker was lost: its uncommitted inputs come again.
    Recovery,
    /// The edge restored the session from a snapshot.
    Resume,
}

/// Schemas of the state: as it came, and as it is written here.
struct Schema {
    came: u32,
    writes: u32,
}

/// W3C trace context.
struct Trace {
    parent: String,
    state: String,
}

/// What is being handled.
enum Origin {
    Attach,
    Input,
    Job(JobKey),
}

/// The edge's time, as far as it is known here.
struct Clock {
    received_us: u64,
    /// When it was known.
    at: Instant,
}

/// What a call begins with.
pub(crate) struct Beginning {
    pub(crate) offer: v1::Offer,
    /// With the state of all its parts.
    pub(crate) attach: v1::Attach,
    /// The schema to be written.
    pub(crate) schema: u32,
}

impl Call {
    pub(crate) fn new(beginning: Beginning) -> Self {
        let Beginning {
            offer,
            attach,
            schema,
        } = beginning;
        let reason = attach.reason().into();
        let entries: BTreeMap<_, _> = attach
            .state
            .into_iter()
            // A copy, because a slice would keep the whole received message alive.
            .map(|entry| (entry.key, Bytes::copy_from_slice(&entry.value)))
            .collect();
        Self {
            id: offer.session_id,
            epoch: offer.epoch,
            attributes: offer.attributes,
            reason,
            state: State::new(entries, attach.state_schema != schema),
            schema: Schema {
                came: attach.state_schema,
                writes: schema,
            },
            trace: Trace {
                parent: attach.traceparent,
                state: attach.tracestate,
            },
            limits: Limits::from_wire(attach.limits),
            legs: Legs::new(attach.legs),
            timers: Timers::new(offer.epoch, attach.timers),
            pending: Pending::default(),
            clock: Clock::from_own_time(),
            seq: attach.next_seq.saturating_sub(1),
            origin: Origin::Attach,
        }
    }

    /// The session's id: random, 32 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Number of this attachment. Only grows: usable as a fencing token towards other systems.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Seq of the input that is being handled; in [`Worker::attach`](crate::Worker::attach) and
    /// for [`Input::JobDone`](crate::Input::JobDone) that of the last input before it.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// What names this input in all replays: `SESSION_ID/SEQ`, or the job's key for
    /// [`Input::JobDone`](crate::Input::JobDone). For effects outside use a job instead.
    #[must_use]
    pub fn key(&self) -> String {
        match &self.origin {
            Origin::Attach | Origin::Input => format!("{}/{}", self.id, self.seq),
            Origin::Job(key) => key.to_string(),
        }
    }

    /// When the edge received the input that is being handled, in microseconds of Unix time: the
    /// same in every replay.
    ///
    /// In [`Worker::attach`](crate::Worker::attach) and for
    /// [`Input::JobDone`](crate::Input::JobDone), which the edge does not number, it is an estimate
    /// that may be ahead of the next input by what a delivery takes.
    #[must_use]
    pub fn received_unix_us(&self) -> u64 {
        match self.origin {
            Origin::Input => self.clock.received_us,
            Origin::Attach | Origin::Job(_) => self.clock.estimate(),
        }
    }

    /// As [`Self::received_unix_us`].
    #[must_use]
    pub fn received(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_micros(self.received_unix_us())
    }

    /// What was known of the call when it was offered, for example `call_sid`.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.attributes
    }

    /// Why the session was attached here. For logs and metrics: decide by the state.
    #[must_use]
    pub fn reason(&self) -> AttachReason {
        self.reason
    }

    /// The schema of the state as it came; 0 where there was none yet. When it is not the one that
    /// the description writes, [`Worker::attach`](crate::Worker::attach) is the place to convert.
    #[must_use]
    pub fn state_schema(&self) -> u32 {
        self.schema.came
    }

    /// What the edge allows this session.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// W3C `traceparent` and `tracestate`. `None` where tracing is off.
    #[must_use]
    pub fn trace_context(&self) -> Option<(&str, &str)> {
        (!self.trace.parent.is_empty())
            .then_some((self.trace.parent.as_str(), self.trace.state.as_str()))
    }

    /// All legs that are not closed, as of the input that is being handled, ordered by name.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.legs.iter()
    }

    /// A leg by name. `None` once it is closed.
    #[must_use]
    pub fn leg(&self, name: &str) -> Option<&Leg> {
        self.legs.get(name)
    }

    /// Reads a value that [`Self::put`] wrote. `None` where the key is not set.
    ///
    /// Parses the value anew each time: keep what is needed often in the session's memory.
    ///
    /// # Errors
    /// [`CallError::Decode`] where the value is not a `T`; [`CallError::ReservedKey`].
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CallError> {
        let Some(value) = self.raw_get(key)? else {
            return Ok(None);
        };
        serde_json::from_slice(value)
            .map(Some)
            .map_err(|source| CallError::Decode {
                key: key.to_owned(),
                source,
            })
    }

    /// Sets a key to a value, as JSON. Only keys whose bytes changed are sent with the commit, so
    /// put what changes often into a small key of its own.
    ///
    /// # Errors
    /// [`CallError::Encode`], [`CallError::ReservedKey`], and one for each limit of the state. The
    /// state is then as before.
    pub fn put<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), CallError> {
        let value = serde_json::to_vec(value).map_err(|source| CallError::Encode {
            key: key.to_owned(),
            source,
        })?;
        check_key(key)?;
        self.state.put(key, value.into(), &self.limits)
    }

    /// Reads a value as it is. `None` where the key is not set.
    ///
    /// # Errors
    /// [`CallError::ReservedKey`].
    pub fn raw_get(&self, key: &str) -> Result<Option<&Bytes>, CallError> {
        check_key(key)?;
        Ok(self.state.get(key))
    }

    /// Sets a key to bytes, which are copied.
    ///
    /// # Errors
    /// As [`Self::put`], without [`CallError::Encode`].
    pub fn raw_put(&mut self, key: &str, value: impl AsRef<[u8]>) -> Result<(), CallError> {
        check_key(key)?;
        let value = Bytes::copy_from_slice(value.as_ref());
        self.state.put(key, value, &self.limits)
    }

    /// Removes a key. Says whether it was there.
    ///
    /// # Errors
    /// [`CallError::ReservedKey`].
    pub fn delete(&mut self, key: &str) -> Result<bool, CallError> {
        check_key(key)?;
        Ok(self.state.delete(key))
    }

    /// All keys that were put, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.state
            .iter()
            .map(|(key, _)| key)
            .filter(|key| !key.starts_with(RESERVED))
    }

    /// Bytes of all keys and values, those of this SDK among them, as the limit counts them.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.state.bytes()
    }
}

fn check_key(key: &str) -> Result<(), CallError> {
    if key.is_empty() || key.starts_with(RESERVED) {
        return Err(CallError::ReservedKey {
            key: key.to_owned(),
        });
    }
    Ok(())
}

impl Clock {
    /// Before the first input the edge's time is not known.
    fn from_own_time() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            received_us: now.as_micros().try_into().unwrap_or(u64::MAX),
            at: Instant::now(),
        }
    }

    fn estimate(&self) -> u64 {
        let since = self.at.elapsed().as_micros().try_into().unwrap_or(u64::MAX);
        self.received_us.saturating_add(since)
    }
}

impl From<v1::AttachReason> for AttachReason {
    fn from(reason: v1::AttachReason) -> Self {
        match reason {
            v1::AttachReason::New | v1::AttachReason::Unspecified => Self::New,
            v1::AttachReason::Handoff => Self::Handoff,
            v1::AttachReason::Recovery => Self::Recovery,
            v1::AttachReason::Resume => Self::Resume,
        }
    }
}
