//! Callers: real recorded speech, some of it over the model's answer.

use std::{io, time::Duration};

use tokio::task::{JoinHandle, JoinSet};

use super::{AUTH_TOKEN, PUBLIC_URL};
use crate::{
    speech::Utterance,
    twilio::{
        Action, CallHandle, CallRecord, CallerError, CallerOptions, Script, Secret, Signing,
        TwilioCaller,
    },
};

/// How often a caller speaks: often before the model has finished, so that barge-in happens.
const SPEAKS_EVERY: Duration = Duration::from_millis(7_300);
/// Two callers never do the same at the same time.
const APART: Duration = Duration::from_millis(370);
/// Calls are placed so far apart.
const DIAL_EVERY: Duration = Duration::from_millis(37);
/// After its last frame a caller stays this long, so that all that is under way arrives.
const SETTLE: Duration = Duration::from_secs(3);

/// The same for a short call, in whose last seconds workers may be lost one after the other: an answer
/// that was held up by that, and is a few seconds long, still arrives before its caller hangs up.
const SHORT_CALL_SETTLE: Duration = Duration::from_secs(10);

/// Longest wait for an answer, as Twilio has it.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// When the caller of a short call first says something.
const SHORT_CALL_WORDS: Duration = Duration::from_secs(3);
/// A call's bound is so far behind its planned end.
const DEADLINE_ROOM: Duration = Duration::from_secs(30);

/// How callers behave.
#[derive(Debug, Clone, Copy)]
pub struct Calling {
    /// Number of the first one; the others follow.
    pub first: u32,
    /// How many.
    pub calls: u32,
    /// Longest call.
    pub longest: Duration,
    /// When a caller first says something; each a little later than the one before.
    pub first_words: Duration,
    /// Longest wait for an answer.
    pub answer_within: Duration,
    /// Keep the audio of the first one.
    pub keep_audio: bool,
}

/// Callers on the line.
#[derive(Debug, Default)]
pub struct Callers {
    /// The handle of each, in the order of their numbers.
    pub handles: Vec<CallHandle>,
    tasks: Vec<JoinHandle<CallRecord>>,
}

impl Callers {
    /// Places the calls, a little apart. Each lasts until [`hang_up`](Self::hang_up).
    ///
    /// # Errors
    /// If one of them is not answered.
    pub async fn dial(url: &str, calling: Calling) -> io::Result<Self> {
        let mut callers = Self::default();
        for number in calling.first..calling.first + calling.calls {
            let caller = connect(url, number, &calling).await;
            let caller = caller.map_err(io::Error::other)?;
            callers.handles.push(caller.handle());
            let script = script(number, &calling);
            callers.tasks.push(tokio::spawn(caller.run(script)));
            tokio::time::sleep(DIAL_EVERY).await;
        }
        Ok(callers)
    }

    /// Places all the calls at once. Those that are not answered are told why.
    pub async fn crowd(url: &str, calling: Calling) -> (Self, Vec<CallerError>) {
        let mut dialling = JoinSet::new();
        for number in calling.first..calling.first + calling.calls {
            let url = url.to_owned();
            dialling.spawn(async move { (number, connect(&url, number, &calling).await) });
        }
        let mut callers = Self::default();
        let mut refused = Vec::new();
        while let Some(dialled) = dialling.join_next().await {
            match dialled {
                Ok((number, Ok(caller))) => {
                    callers.handles.push(caller.handle());
                    let script = script(number, &calling);
                    callers.tasks.push(tokio::spawn(caller.run(script)));
                }
                Ok((_, Err(error))) => refused.push(error),
                // Only a panic; it was told by its own task.
                Err(_) => {}
            }
        }
        (callers, refused)
    }

    /// Adds the others' calls to these.
    pub fn join(&mut self, others: Self) {
        self.handles.extend(others.handles);
        self.tasks.extend(others.tasks);
    }

    /// How many calls are up.
    #[must_use]
    pub fn up(&self) -> usize {
        let up = |handle: &&CallHandle| !handle.progress().over;
        self.handles.iter().filter(up).count()
    }

    /// Everybody hangs up; waits for the last.
    ///
    /// # Errors
    /// If a caller's task panicked.
    pub async fn hang_up(self) -> io::Result<Vec<CallRecord>> {
        for handle in &self.handles {
            // A call that is over already tells so in its record.
            let _ = handle.act(Action::HangUp { settle: SETTLE });
        }
        let mut records = Vec::new();
        for task in self.tasks {
            records.push(task.await.map_err(io::Error::other)?);
        }
        Ok(records)
    }
}

/// A whole call: a conversation that its caller ends after `lasts`, and the quiet spell behind it.
///
/// # Errors
/// [`CallerError`] if the call is not answered.
pub async fn call(url: &str, number: u32, lasts: Duration) -> Result<CallRecord, CallerError> {
    let calling = Calling {
        first: number,
        calls: 1,
        longest: lasts + SHORT_CALL_SETTLE + DEADLINE_ROOM,
        first_words: SHORT_CALL_WORDS,
        answer_within: ANSWER_WITHIN,
        keep_audio: false,
    };
    let caller = connect(url, number, &calling).await?;
    let script = script(number, &calling).hang_up(lasts, SHORT_CALL_SETTLE);
    Ok(caller.run(script).await)
}

async fn connect(url: &str, number: u32, calling: &Calling) -> Result<TwilioCaller, CallerError> {
    let mut options = CallerOptions::new(url, number);
    options.public_url = Some(PUBLIC_URL.to_owned());
    options.signing = Signing::AuthToken(Secret::new(AUTH_TOKEN));
    options.max_length = calling.longest;
    options.connect_timeout = calling.answer_within;
    options.keep_audio = calling.keep_audio && number == calling.first;
    TwilioCaller::connect(options).await
}

fn script(number: u32, calling: &Calling) -> Script {
    let mut script = Script::new();
    let mut at = calling.first_words + APART * (number - calling.first);
    let mut turn = number as usize;
    while at < calling.longest {
        script = script.say(at, Utterance::number(turn));
        turn += 1;
        at += SPEAKS_EVERY;
    }
    script
}
