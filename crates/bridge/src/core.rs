//! What happens in a call, without IO: settings, state and one input give actions.
//!
//! Nothing here asks for the time, draws a number or keeps anything beside the state. That makes a
//! worker replaceable between any two inputs, and it is tested that way.

mod action;
mod answer;
mod caller;
mod debts;
mod event;
mod kept;
mod keys;
mod link;
mod model;
mod news;
mod quiet;
mod rollover;
mod seed;
mod settings;
mod speech;
mod tools;

pub(crate) use self::{
    action::{Action, Note, Timer},
    event::{Event, Facts, ModelClosed, Refusal},
    settings::Settings,
    tools::{ToolRequest, error_output},
};
use crate::{
    state::{ModelLeg, State},
    time::Time,
};

#[cfg(test)]
mod tests;

/// Takes a call over: begins it where that has not been done, and brings the model up to these
/// settings where it was told others.
pub(crate) fn attach(
    settings: &Settings,
    state: &mut State,
    facts: &Facts,
    now: Time,
    out: &mut Vec<Action>,
) {
    let mut step = Step {
        settings,
        state,
        now,
        out,
    };
    step.begin(facts);
    step.adopt_settings();
}

/// Handles one input.
pub(crate) fn handle(
    settings: &Settings,
    state: &mut State,
    now: Time,
    event: Event<'_>,
    out: &mut Vec<Action>,
) {
    let mut step = Step {
        settings,
        state,
        now,
        out,
    };
    match event {
        Event::Caller(text) => step.caller_frame(text),
        Event::Model { leg, text } => step.any_model_frame(leg, text),
        Event::ModelOpened { leg, incarnation } => step.model_opened(leg, incarnation),
        Event::ModelClosed(closed) => step.model_closed(&closed),
        Event::ModelRefused { leg, refusal } => step.model_refused(leg, refusal),
        Event::CallerReplaced { stream } => step.caller_replaced(stream),
        Event::CallerLost => step.caller_lost(),
        Event::Gap { media_ms } => step.media_dropped(media_ms),
        Event::Timer(Timer::Model) => step.model_timer(),
        Event::Timer(Timer::Reply) => step.reply_timer(),
        Event::Timer(Timer::Quiet) => step.quiet_timer(),
        Event::Timer(Timer::Keys) => step.keys_timer(),
        Event::Timer(Timer::Rollover) => step.rollover_timer(),
        Event::ToolDone { number, output } => step.tool_done(number, output),
        Event::News { name, words } => step.news(name, words),
    }
    step.roll_over();
}

/// The handling of one input: everything that its parts, in the modules beside this one, need.
struct Step<'a> {
    settings: &'a Settings,
    state: &'a mut State,
    now: Time,
    out: &'a mut Vec<Action>,
}

impl Step<'_> {
    /// Tells the session in use.
    fn tell_model(&mut self, text: bytes::Bytes) {
        self.tell(self.state.link.leg, text);
    }

    fn tell(&mut self, leg: ModelLeg, text: bytes::Bytes) {
        self.out.push(Action::ToModel { leg, text });
    }

    fn note(&mut self, note: Note) {
        self.out.push(Action::Note(note));
    }

    fn set_timer(&mut self, timer: Timer, after_ms: u64) {
        self.out.push(Action::SetTimer { timer, after_ms });
    }

    fn cancel_timer(&mut self, timer: Timer) {
        self.out.push(Action::CancelTimer(timer));
    }
}
