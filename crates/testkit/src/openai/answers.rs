//! Responses: which one, when it begins, and what ends it early.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use super::conversation::ClientError;
use super::options::ToolTime;
use super::record::Interruption;
use super::response::{Content, Step, plan};
use super::session::Session;
use crate::identity::{StreamId, UNKNOWN_CALL, Voice, model_part};

mod running;
mod telling;

pub(super) use running::{Ask, Running};

use running::Ending;

/// Responses outside of the conversation that may run at once.
const BESIDE_LIMIT: usize = 8;

impl Session {
    /// Begins a response, unless one is active.
    pub(super) fn respond(&mut self, now: Instant, ask: &Ask) -> Result<(), ClientError> {
        if !ask.out_of_band && self.running.is_some() {
            return Err(ClientError::new(
                "conversation_already_has_active_response",
                "The conversation has an active response; wait until it is done before creating another.",
            ));
        }
        if ask.out_of_band && self.beside.len() >= BESIDE_LIMIT {
            return Err(ClientError::new(
                "too_many_responses",
                "Too many responses run outside of the conversation.",
            ));
        }
        let number = u16::try_from(self.record.responses.len() + 1).map_err(|_| {
            ClientError::new(
                "too_many_responses",
                "The session has made as many responses as it can.",
            )
        })?;
        self.idle_at = None;
        let modalities = ask
            .modalities
            .clone()
            .unwrap_or_else(|| self.settings.modalities().clone());
        let content = self.choose(ask, &modalities, number);
        let created = now + self.options.timing.response_created;
        let steps = plan(&content, &self.options, created, &mut self.random);
        let (call, part) = (
            self.record.call.unwrap_or(UNKNOWN_CALL),
            model_part(self.record.number, number),
        );
        let running = Running {
            index: self.record.responses.len(),
            number,
            id: self.fresh("resp"),
            item_id: self.fresh("item"),
            out_of_band: ask.out_of_band,
            stream: StreamId {
                voice: Voice::Model,
                call,
                part,
            },
            content,
            modalities,
            metadata: ask.metadata.clone(),
            steps,
            frames: 0,
            deltas: 0,
            words: String::new(),
            item_added: false,
            part_added: false,
            item_done: false,
            ending: None,
        };
        self.counts.responses_started += 1;
        self.record.responses.push(running.record(now));
        if ask.out_of_band {
            self.beside.push(running)
        } else {
            self.running = Some(running)
        }
        Ok(())
    }

    /// The caller spoke while the model was answering.
    pub(super) fn interrupt(&mut self, now: Instant) {
        self.stop_response(now, Ending::Turn);
    }

    pub(super) fn cancel_by_client(
        &mut self,
        now: Instant,
        id: Option<&str>,
    ) -> Result<(), ClientError> {
        if let Some(index) = self
            .beside
            .iter()
            .position(|beside| Some(beside.id.as_str()) == id)
        {
            let mut running = self.beside.swap_remove(index);
            self.shorten(&mut running, now, Ending::Client);
            self.beside.push(running);
            return Ok(());
        }
        let active = self.running.as_ref().is_some_and(|running| {
            running.ending.is_none() && id.is_none_or(|id| id == running.id)
        });
        if !active {
            return Err(ClientError::new(
                "response_cancel_not_active",
                "Cancellation failed: no active response found.",
            ));
        }
        self.stop_response(now, Ending::Client);
        Ok(())
    }

    pub(super) fn fail_response(&mut self, now: Instant) {
        self.stop_response(now, Ending::Failed);
    }

    /// Does all steps whose time has come.
    pub(super) fn run_responses(&mut self, now: Instant) {
        if let Some(running) = self.running.take() {
            self.running = self.run(running, now);
        }
        for running in std::mem::take(&mut self.beside) {
            let going_on = self.run(running, now);
            self.beside.extend(going_on);
        }
    }

    fn run(&mut self, mut running: Running, now: Instant) -> Option<Running> {
        while !self.is_ended() && running.next_due().is_some_and(|at| at <= now) {
            let (_, step) = running.steps.pop_front()?;
            if step == Step::Finish {
                self.finish(running, now);
                return None;
            }
            self.step(&mut running, step, now);
        }
        Some(running)
    }

    fn stop_response(&mut self, now: Instant, ending: Ending) {
        if let Some(mut running) = self.running.take() {
            self.shorten(&mut running, now, ending);
            self.running = Some(running);
        }
    }

    /// Leaves of the timetable the beginning, if it is still to come, a few late deltas, and
    /// the end.
    fn shorten(&mut self, running: &mut Running, now: Instant, ending: Ending) {
        if running.ending.is_some() {
            return;
        }
        running.ending = Some(ending);
        self.record.responses[running.index].interrupted = Some(Interruption {
            at: now,
            frames_before: running.frames,
            by_speech: ending == Ending::Turn,
        });
        let mut late = if running.part_added {
            self.options.late_deltas
        } else {
            0
        };
        let mut last = now;
        running.steps.retain_mut(|(at, step)| match step {
            Step::Created => true,
            Step::Audio(_) if late > 0 => {
                late -= 1;
                last = last.max(*at);
                true
            }
            _ => false,
        });
        running.steps.push_back((last, Step::Finish));
    }

    fn choose(&mut self, ask: &Ask, modalities: &Value, number: u16) -> Content {
        if !ask.out_of_band
            && !ask.no_tools
            && let Some(call) = self.choose_tool()
        {
            return call;
        }
        let answers = &self.options.answers;
        let answer = match answers.len() {
            0 => Vec::new(),
            count => answers[usize::from(number - 1) % count].clone(),
        };
        let speech = Content::Speech(answer);
        if *modalities == json!(["text"]) {
            Content::Text(speech.words())
        } else {
            speech
        }
    }

    fn choose_tool(&mut self) -> Option<Content> {
        let options = Arc::clone(&self.options);
        let turns = self.counts.turns_ended;
        let index = (0..options.tools.len()).find(|&index| {
            let script = &options.tools[index];
            let in_time = match script.time {
                ToolTime::Turn(turn) => u64::from(turn) == turns,
                ToolTime::Offered => turns > 0,
            };
            !self.tools_used[index] && in_time && self.settings.offers(&script.name)
        })?;
        self.tools_used[index] = true;
        let script = &options.tools[index];
        Some(Content::Call {
            call_id: self.fresh("call"),
            name: script.name.clone(),
            arguments: script.arguments.to_string(),
        })
    }
}
