//! From the configuration's words to the engine's bounds: the one place where both are known.

use holdline_config::{HoldSound, SessionSettings};
use holdline_session::Limits;

/// The bounds of every session of an edge with these settings.
pub(crate) fn session_limits(settings: &SessionSettings) -> Limits {
    Limits {
        log_bytes: settings.log.bytes.as_u64(),
        log_frames: settings.log.frames,
        log_age: settings.log.age,
        pause_percent: settings.log.pause_percent,
        window_inputs: settings.window.inputs,
        window_bytes: settings.window.bytes.as_u64(),
        message_bytes: settings.message_bytes.as_u64(),
        state_bytes: settings.state.bytes.as_u64(),
        state_keys: settings.state.keys,
        key_bytes: settings.state.key_bytes.as_u32(),
        value_bytes: settings.state.value_bytes.as_u64(),
        timers: settings.timers.count,
        timer_max: settings.timers.max,
        commands: settings.commands,
        legs: settings.legs,
        leg_high: settings.leg_high.as_u64(),
        write_timeout: settings.write_timeout,
        close_timeout: settings.close_timeout,
        offer_timeout: settings.offer_timeout,
        release_timeout: settings.release_timeout,
        progress_timeout: settings.progress_timeout,
        seek_min: settings.seek.min,
        seek_max: settings.seek.max,
        hold_after: (settings.hold.sound != HoldSound::Off).then_some(settings.hold.after),
        give_up: settings.hold.give_up,
        poison_limit: settings.poison_limit,
        strike_pause: settings.strike_pause,
        isolation_wait: settings.isolation_wait,
        resume_window: settings.resume.window,
        end_timeout: settings.end_timeout,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use holdline_config::Config;

    use super::*;

    const MINIMAL: &str = r#"
listeners:
  - name: any
    address: 127.0.0.1:0
    routes: [{path: /call, profile: raw, workers: default}]
workers:
  default: {discovery: {static: {addresses: ["127.0.0.1:1"]}}}
"#;

    #[test]
    fn the_defaults_of_the_configuration_are_those_of_the_engine() {
        let config = Config::parse_with(MINIMAL, "test", &|_| None).unwrap();
        assert_eq!(session_limits(&config.session), Limits::default());
    }
}
