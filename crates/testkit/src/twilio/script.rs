//! What a caller does and when.

use std::time::Duration;

use bytes::Bytes;

use crate::speech::Utterance;

/// One thing a caller, or Twilio on its behalf, can do.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Says this, after what is being said.
    Say(Utterance),
    /// Falls silent in the middle of the word; silence is still sent.
    Hush,
    /// Presses a key.
    Dtmf(char),
    /// No media for this long, while stream time goes on: the timestamp jumps.
    Gap(Duration),
    /// Sends this text message as it is, for tests of what must not kill a call.
    RawText(String),
    /// Sends this binary message as it is.
    RawBinary(Bytes),
    /// The TCP connection is reset, as in a network failure. With a
    /// [`Redirect`](super::Redirect) the call comes back on a new stream.
    Reset,
    /// A second stream of the same call is opened at `url` (or where the first one went) and
    /// carries the call from then on: same callSid, new streamSid.
    Replace {
        /// Where to, if not the same URL.
        url: Option<String>,
        /// Leave the old stream open but silent, as in the double connections that were
        /// reported; else it is stopped and closed as by a TwiML update.
        keep_old: bool,
    },
    /// Closes the WebSocket without `stop`.
    CloseWithoutStop,
    /// Ends the call: no more media, then a quiet spell of `settle` in which all that is under
    /// way arrives, then `stop` and the close. Only after a quiet spell does missing mean lost.
    HangUp {
        /// How long the quiet spell is, and twice as long at most while anything still comes.
        settle: Duration,
    },
}

/// Actions with their times, counted from the first accepted socket of the call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Script {
    steps: Vec<(Duration, Action)>,
}

impl Script {
    /// A caller who listens in silence until the other side ends the call.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an action; those of the same time keep the order of adding.
    #[must_use]
    pub fn at(mut self, time: Duration, action: Action) -> Self {
        self.steps.push((time, action));
        self
    }

    /// Says something at a time.
    #[must_use]
    pub fn say(self, time: Duration, utterance: Utterance) -> Self {
        self.at(time, Action::Say(utterance))
    }

    /// Hangs up at a time, after a quiet spell.
    #[must_use]
    pub fn hang_up(self, time: Duration, settle: Duration) -> Self {
        self.at(time, Action::HangUp { settle })
    }

    /// A conversation of `turns` utterances: the first at `first`, then one every `every`,
    /// beginning with recording number `offset`; hangs up one interval after the last.
    #[must_use]
    pub fn conversation(
        turns: u32,
        first: Duration,
        every: Duration,
        offset: usize,
        settle: Duration,
    ) -> Self {
        let mut script = Self::new();
        for turn in 0..turns {
            let utterance = Utterance::number(offset.wrapping_add(turn as usize));
            script = script.say(first + every * turn, utterance);
        }
        script.hang_up(first + every * turns, settle)
    }

    /// The steps in time order.
    #[must_use]
    pub(crate) fn into_steps(mut self) -> std::collections::VecDeque<(Duration, Action)> {
        self.steps.sort_by_key(|(time, _)| *time);
        self.steps.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_in_time_order() {
        let second = Duration::from_secs(1);
        let steps = Script::new()
            .hang_up(3 * second, second)
            .say(second, Utterance::AMIABLE)
            .at(second, Action::Dtmf('1'))
            .into_steps();
        assert_eq!(steps[0].1, Action::Say(Utterance::AMIABLE));
        assert_eq!(steps[1].1, Action::Dtmf('1'));
        assert_eq!(steps[2].0, 3 * second);
    }
}
