//! The core behind the worker SDK: inputs become events, actions become commands.

use std::sync::Arc;

use holdline_worker::{
    CALLER, Call, Description, DropReason, Fault, Frame, Input, Job, JobDone, JobError, JobResult,
    Leg, Worker, WorkerError,
};

use crate::{
    audio::AudioHook,
    config::{Config, ConfigError},
    core::{
        self, Action, Event, Facts, ModelClosed, Refusal, Settings, Timer, ToolRequest,
        error_output,
    },
    ids::{CallSid, StreamSid},
    log::Log,
    state::{Change, ModelLeg, State},
    time::{Time, millis},
    webhook::Webhooks,
};

/// Begins the names of jobs that ask webhooks; the number of the call follows.
const TOOL_JOB: &str = "tool/";
/// The model's largest frame is 16 MiB; the rest is what gRPC puts around it.
const MAX_MESSAGE_BYTES: u64 = 17 << 20;

/// The voice worker: a Twilio caller on one side, an OpenAI Realtime session on the other.
pub struct Bridge {
    version: String,
    settings: Settings,
    webhooks: Webhooks,
    log: Log,
}

/// What an attachment keeps in memory: the state, parsed.
pub struct Attached {
    state: State,
    actions: Vec<Action>,
}

impl Bridge {
    /// Builds the worker.
    ///
    /// # Errors
    /// If a secret cannot be read, or the system's certificates where a webhook needs them.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        let own = || env!("CARGO_PKG_VERSION").to_owned();
        Ok(Self {
            version: config.version.clone().unwrap_or_else(own),
            settings: Settings::new(config),
            webhooks: Webhooks::new(config)?,
            log: Log::new(config.log.content),
        })
    }

    /// Puts other changes to the audio in the place of the configured ones. `None`: the audio of
    /// that direction passes as it came.
    #[must_use]
    pub fn with_hooks(
        mut self,
        to_model: Option<Arc<dyn AudioHook>>,
        to_caller: Option<Arc<dyn AudioHook>>,
    ) -> Self {
        self.settings.to_model = to_model;
        self.settings.to_caller = to_caller;
        self
    }

    fn finish(&self, session: &mut Attached, call: &mut Call) -> Result<(), WorkerError> {
        for action in session.actions.drain(..) {
            self.perform_action(action, call)?;
        }
        let mut failed = None;
        session.state.save(&mut |change| {
            let done = match change {
                Change::Put(key, value) => call.raw_put(&key, value),
                Change::Delete(key) => call.delete(&key).map(|_| ()),
            };
            if let Err(error) = done {
                failed.get_or_insert(error);
            }
        });
        failed.map_or(Ok(()), |error| Err(error.into()))
    }

    fn perform_action(&self, action: Action, call: &mut Call) -> Result<(), WorkerError> {
        match action {
            Action::ToCaller(text) => call.send_text(CALLER, text),
            Action::ToModel { leg, text } => call.send_text(leg.name(), text),
            Action::OpenModel {
                leg,
                upstream,
                attributes,
            } => call.open_leg(leg.name(), &upstream, attributes),
            Action::CloseModel { leg, reason } => call.close_leg(leg.name(), 1_000, reason),
            Action::SetTimer { timer, after_ms } => {
                call.set_timer(timer.name(), std::time::Duration::from_millis(after_ms));
            }
            Action::CancelTimer(timer) => call.cancel_timer(timer.name()),
            Action::Ask(request) => {
                let name = format!("{TOOL_JOB}{}", request.number);
                call.spawn(&name, serde_json::to_vec(&request)?)?;
            }
            Action::HandBack { reason } => {
                tracing::error!(session = call.id(), reason, "the call is handed back");
                call.hand_back(reason);
            }
            Action::Note(note) => self.log.note(call.id(), &note),
        }
        Ok(())
    }

    fn heard(&self, session: &mut Attached, call: &Call, event: Event<'_>) {
        let now = Time(call.received_unix_us());
        core::handle(
            &self.settings,
            &mut session.state,
            now,
            event,
            &mut session.actions,
        );
    }
}

impl Worker for Bridge {
    type Session = Attached;

    fn describe(&self) -> Description {
        Description::new(self.version.clone())
            .schemas([1], 1)
            .max_message_bytes(MAX_MESSAGE_BYTES)
    }

    fn attach(&self, call: &mut Call) -> Result<Attached, WorkerError> {
        let get = |key: &str| call.raw_get(key).ok().flatten().cloned();
        let mut session = Attached {
            state: State::load(&get)?,
            actions: Vec::new(),
        };
        let facts = facts(call);
        let now = Time(call.received_unix_us());
        core::attach(
            &self.settings,
            &mut session.state,
            &facts,
            now,
            &mut session.actions,
        );
        self.finish(&mut session, call)?;
        Ok(session)
    }

    fn handle(
        &self,
        session: &mut Attached,
        call: &mut Call,
        input: Input,
    ) -> Result<(), WorkerError> {
        match &input {
            Input::JobDone(done) => {
                if let Some((number, output)) = tool_output(done) {
                    self.heard(session, call, Event::ToolDone { number, output });
                }
            }
            Input::SessionEnded(ended) => {
                self.log.ended(call.id(), ended, session.state.unheard_ms());
            }
            Input::Notice(notice) => self.log.notice(call.id(), notice),
            input => {
                if let Some(event) = event(input) {
                    self.heard(session, call, event);
                }
            }
        }
        self.finish(session, call)
    }

    async fn perform(&self, job: Job) -> JobResult {
        if !job.name().starts_with(TOOL_JOB) {
            return Err(JobError::unknown(job.name()));
        }
        let request: ToolRequest = serde_json::from_slice(job.payload())
            .map_err(|_| JobError::failed("the request of a function cannot be read"))?;
        let key = job.key().to_string();
        Ok(self
            .webhooks
            .ask(&request, job.session_id(), &key)
            .await
            .into())
    }
}

/// What is known of a call before its first input.
fn facts(call: &Call) -> Facts {
    let caller = call.leg(CALLER).map(|leg| &leg.attributes);
    let attribute = |name: &str| {
        let of_leg = caller.and_then(|attributes| attributes.get(name));
        of_leg.or_else(|| call.attributes().get(name)).cloned()
    };
    Facts {
        call_sid: attribute("call_sid").map(CallSid::new),
        stream: attribute("stream_sid").map(StreamSid::new),
        model: call
            .leg(ModelLeg::First.name())
            .map(|Leg { incarnation, .. }| *incarnation),
    }
}

/// What the core is told of an input; `None` for what does not concern it.
fn event(input: &Input) -> Option<Event<'_>> {
    match input {
        Input::Frame(Frame { leg, payload, .. }) if leg == CALLER => {
            Some(Event::Caller(payload.as_bytes()))
        }
        Input::LegClosed(closed) if closed.leg == CALLER => Some(Event::CallerLost),
        Input::LegReplaced(replaced) if replaced.leg == CALLER => Some(Event::CallerReplaced {
            stream: replaced.attributes.get("stream_sid").map(StreamSid::new),
        }),
        Input::External(external) => Some(Event::News {
            name: &external.name,
            words: external.payload.as_str().unwrap_or_default(),
        }),
        Input::TimerFired { name } => Timer::named(name).map(Event::Timer),
        Input::Gap(gap) if gap.leg == CALLER => Some(Event::Gap {
            media_ms: millis(gap.media),
        }),
        other => model_event(other),
    }
}

/// As [`event`], for the legs of the model's.
fn model_event(input: &Input) -> Option<Event<'_>> {
    match input {
        Input::Frame(frame) => Some(Event::Model {
            leg: ModelLeg::named(&frame.leg)?,
            text: frame.payload.as_bytes(),
        }),
        Input::LegOpened(opened) => Some(Event::ModelOpened {
            leg: ModelLeg::named(&opened.leg)?,
            incarnation: opened.incarnation,
        }),
        Input::LegClosed(closed) => Some(Event::ModelClosed(ModelClosed {
            leg: ModelLeg::named(&closed.leg)?,
            incarnation: closed.incarnation,
            code: closed.code,
            reason: &closed.reason,
            refused: closed.dial_failed && closed.fault == Fault::Config,
        })),
        Input::Dropped(dropped) => Some(Event::ModelRefused {
            leg: ModelLeg::named(&dropped.leg)?,
            refusal: match dropped.reason {
                DropReason::UnknownUpstream => Refusal::UnknownUpstream,
                DropReason::NameInUse => Refusal::NameInUse,
                DropReason::TooManyLegs => Refusal::TooManyLegs,
                _ => return None,
            },
        }),
        _ => None,
    }
}

/// Which call a job was for, and what the model is told.
fn tool_output(done: &JobDone) -> Option<(u64, String)> {
    let number = done.name.strip_prefix(TOOL_JOB)?.parse().ok()?;
    let output = match &done.result {
        Ok(output) => String::from_utf8_lossy(output).into_owned(),
        Err(error) => error_output(&error.to_string()),
    };
    Some((number, output))
}
