//! The demo's callers: real recorded speech, some of it over the model's answer.

use std::{io, time::Duration};

use holdline_testkit::{
    speech::Utterance,
    twilio::{
        Action, CallHandle, CallRecord, CallerOptions, Script, Secret, Signing, TwilioCaller,
    },
};
use tokio::task::JoinHandle;

use super::stage::{AUTH_TOKEN, PUBLIC_URL};

/// When a caller first says something.
const FIRST_WORDS: Duration = Duration::from_secs(5);
/// How often it speaks: often before the model has finished, so that barge-in happens.
const SPEAKS_EVERY: Duration = Duration::from_millis(7_300);
/// Two callers never do the same at the same time.
const APART: Duration = Duration::from_millis(370);
/// After its last frame a caller stays this long, so that all that is under way arrives.
const SETTLE: Duration = Duration::from_secs(4);

/// All callers of a demo.
#[derive(Debug)]
pub(super) struct Callers {
    pub(super) handles: Vec<CallHandle>,
    tasks: Vec<JoinHandle<CallRecord>>,
}

impl Callers {
    /// Places the calls, a little apart. Each lasts until `hang_up`, and at most `longest`.
    pub(super) async fn dial(url: &str, calls: u32, longest: Duration) -> io::Result<Self> {
        let mut callers = Self {
            handles: Vec::new(),
            tasks: Vec::new(),
        };
        for call in 1..=calls {
            let mut options = CallerOptions::new(url, call);
            options.public_url = Some(PUBLIC_URL.to_owned());
            options.signing = Signing::AuthToken(Secret::new(AUTH_TOKEN));
            options.max_length = longest;
            options.keep_audio = call == 1;
            let caller = TwilioCaller::connect(options)
                .await
                .map_err(io::Error::other)?;
            callers.handles.push(caller.handle());
            let script = script(call, longest);
            callers.tasks.push(tokio::spawn(caller.run(script)));
            tokio::time::sleep(Duration::from_millis(37)).await;
        }
        Ok(callers)
    }

    /// Everybody hangs up; waits for the last.
    pub(super) async fn hang_up(self) -> io::Result<Vec<CallRecord>> {
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

fn script(call: u32, longest: Duration) -> Script {
    let mut script = Script::new();
    let mut at = FIRST_WORDS + APART * call;
    let mut turn = call as usize;
    while at < longest {
        script = script.say(at, Utterance::number(turn));
        turn += 1;
        at += SPEAKS_EVERY;
    }
    script
}
