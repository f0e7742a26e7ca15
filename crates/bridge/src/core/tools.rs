//! Functions that the model calls: asked outside, and told when the response is over.

use serde::{Deserialize, Serialize};

use super::{Action, Note, Step};
use crate::{
    ids::{CallId, CallSid, ResponseId},
    private::Private,
    state::{ToolCall, What, Wish},
    wire::openai::{self, Item},
};

/// Most calls whose output the model waits for.
const MAX_CALLS: usize = 8;
/// Most calls that are remembered at once; beyond it something is badly wrong with the model.
const MAX_KNOWN: usize = 64;
/// Longest arguments, in bytes: they are kept in the session's state.
const MAX_ARGUMENTS: usize = 16 << 10;
/// Longest name of a function, in characters.
const MAX_NAME: usize = 64;
/// Longest output, in bytes.
const MAX_OUTPUT: usize = 16 << 10;

/// What a webhook is asked. Kept in the session's state until it has answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct ToolRequest {
    /// Of the call, within this session.
    pub(crate) number: u64,
    pub(crate) tool: String,
    pub(crate) call: CallId,
    /// JSON, as the model wrote it.
    pub(crate) arguments: Private,
    #[serde(default)]
    pub(crate) call_sid: Option<CallSid>,
}

impl Step<'_> {
    /// An item of a response is whole; functions begin.
    pub(super) fn output_item_done(&mut self, response: &ResponseId, item: &Item) {
        let whole = !matches!(item.status.as_deref(), Some("incomplete" | "in_progress"));
        let (Some(call), Some(name)) = (&item.call_id, &item.name) else {
            return;
        };
        if item.kind != "function_call" || !whole || self.is_known(call) {
            return;
        }
        if self.state.turn.calls.len() >= MAX_KNOWN {
            return;
        }
        let arguments = item.arguments.clone().unwrap_or_default();
        let id = match item.id.as_str() {
            "" => self.state.turn.make_item(),
            _ => item.id.clone(),
        };
        let number = self.state.turn.next_call;
        self.state.turn.next_call += 1;
        self.state.turn.calls.push(ToolCall {
            number,
            call: call.clone(),
            name: name.chars().take(MAX_NAME).collect(),
            response: response.clone(),
            done: false,
        });
        let kept = Private::within(&arguments, MAX_ARGUMENTS);
        self.state.history.add(
            &id,
            What::Call {
                call: call.clone(),
                name: name.chars().take(MAX_NAME).collect(),
                // Cut JSON would be none.
                arguments: if kept.len() < arguments.len() {
                    "{}".to_owned().into()
                } else {
                    kept
                },
            },
        );
        self.note(Note::ToolCalled {
            name: name.clone(),
            arguments: arguments.clone().into(),
        });
        if let Some(refusal) = self.refusal(name, &arguments) {
            return self.tool_done(number, refusal);
        }
        self.out.push(Action::Ask(ToolRequest {
            number,
            tool: name.clone(),
            call: call.clone(),
            arguments: arguments.into(),
            call_sid: self.state.call.call_sid.clone(),
        }));
    }

    /// A function has returned, or cannot.
    pub(super) fn tool_done(&mut self, number: u64, output: String) {
        let Some(call) = self
            .state
            .turn
            .calls
            .iter_mut()
            .find(|call| call.number == number)
        else {
            return;
        };
        call.done = true;
        let (id, name) = (call.call.clone(), call.name.clone());
        let output = Private::within(&output, MAX_OUTPUT);
        self.note(Note::ToolAnswered {
            name,
            output: output.clone(),
        });
        let item = self.state.turn.make_item();
        self.state
            .history
            .add(&item, What::Output { call: id, output });
        self.tell_outputs();
        self.ask();
    }

    /// Tells the model what functions returned whose response is over, and asks for an answer once
    /// none of that response is missing.
    pub(super) fn tell_outputs(&mut self) {
        if !self.is_ready() {
            return;
        }
        let active = self.state.turn.active.clone();
        let ripe = |call: &ToolCall| call.done && active.as_ref() != Some(&call.response);
        if !self.state.turn.calls.iter().any(ripe) {
            return;
        }
        let (ripe, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.state.turn.calls)
            .into_iter()
            .partition(ripe);
        self.state.turn.calls = waiting;
        for call in ripe {
            let item = self.state.turn.make_item();
            let lost = Private::from(error_output("the answer was lost"));
            let output = self
                .state
                .history
                .output(&call.call)
                .cloned()
                .unwrap_or(lost);
            self.tell_model(openai::create_output(&item, &call.call, output.expose()));
            self.state.turn.await_confirmation(item);
            let rest = self
                .state
                .turn
                .calls
                .iter()
                .any(|other| other.response == call.response);
            if !rest {
                self.state.turn.wish = Some(Wish::Answer);
            }
        }
    }

    fn is_known(&self, call: &CallId) -> bool {
        let waiting = self
            .state
            .turn
            .calls
            .iter()
            .any(|known| known.call == *call);
        waiting
            || self
                .state
                .history
                .entries()
                .rev()
                .take(64)
                .any(|entry| matches!(&entry.what, What::Call { call: known, .. } if known == call))
    }

    /// Why a function is not even asked.
    fn refusal(&self, name: &str, arguments: &str) -> Option<String> {
        if !self.settings.tools.iter().any(|tool| tool == name) {
            return Some(error_output("there is no such function"));
        }
        if arguments.len() > MAX_ARGUMENTS {
            return Some(error_output("the arguments are too long"));
        }
        let waiting = self
            .state
            .turn
            .calls
            .iter()
            .filter(|call| !call.done)
            .count();
        (waiting > MAX_CALLS).then(|| error_output("too many functions are being called at once"))
    }
}

/// An output that says what went wrong, in a form that the model can talk about.
pub(crate) fn error_output(words: &str) -> String {
    serde_json::json!({"error": words}).to_string()
}
