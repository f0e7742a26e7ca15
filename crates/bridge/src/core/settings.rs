//! The configuration as the core uses it: rendered and resolved once, shared by all calls.

use std::sync::Arc;

use crate::{
    audio::AudioHook,
    config::{Config, Dtmf, ExistingCalls, Greeting, Model, Silence},
    wire::session::{self, Updates},
};

/// What is the same for all calls.
pub(crate) struct Settings {
    pub(crate) updates: Updates,
    pub(crate) model: Model,
    pub(crate) greeting: Option<Greeting>,
    pub(crate) silence: Silence,
    pub(crate) dtmf: Option<Dtmf>,
    pub(crate) existing_calls: ExistingCalls,
    /// Whether the caller's words come as text.
    pub(crate) transcribes: bool,
    /// How fast the model speaks; 1.0: as usual.
    pub(crate) speed: f32,
    /// Names of the functions that there are.
    pub(crate) tools: Vec<String>,
    /// Changes the audio from the caller; `None`: it is not even decoded.
    pub(crate) to_model: Option<Arc<dyn AudioHook>>,
    /// Changes the audio to the caller.
    pub(crate) to_caller: Option<Arc<dyn AudioHook>>,
}

impl Settings {
    /// Renders a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            updates: session::updates(config),
            model: config.model.clone(),
            greeting: config.greeting.get().cloned(),
            silence: config.silence.clone(),
            dtmf: config.dtmf.get().cloned(),
            existing_calls: config.existing_calls,
            transcribes: config.session.transcription.get().is_some(),
            speed: config.session.speed,
            tools: config.tools.iter().map(|tool| tool.name.clone()).collect(),
            to_model: crate::audio::hook(config.audio.to_model),
            to_caller: crate::audio::hook(config.audio.to_caller),
        }
    }
}
