//! What the bridge logs. Words of a call stand in it only where the configuration says so.

use std::fmt;

use holdline_worker::{EndReason, Notice, SessionEnded};

use crate::{core::Note, private::Private};

/// Writes notes as structured log lines.
pub(crate) struct Log {
    content: bool,
}

impl Log {
    /// `content`: whether words of the call are logged.
    pub(crate) fn new(content: bool) -> Self {
        Self { content }
    }

    pub(crate) fn note(&self, session: &str, note: &Note) {
        match note {
            Note::CallerSaid { turn, words } => {
                tracing::info!(session, turn, role = "caller", words = %self.words(words), "said");
            }
            Note::AgentSaid { turn, words } => {
                tracing::info!(session, turn, role = "agent", words = %self.words(words), "said");
            }
            Note::Interrupted {
                turn,
                heard_ms,
                sent_ms,
            } => tracing::info!(
                session,
                turn,
                role = "agent",
                heard_ms,
                sent_ms,
                "interrupted"
            ),
            Note::KeysPressed { keys } => {
                tracing::info!(session, role = "caller", keys = %self.words(keys), "keys pressed");
            }
            Note::News { name, words } => {
                tracing::info!(session, name, words = %self.words(words), "news from outside");
            }
            Note::NewsIgnored { name } => tracing::warn!(
                session,
                name,
                "news from outside ignored: they are called `message` or `note`, and have words"
            ),
            Note::ToolCalled { name, arguments } => {
                tracing::info!(session, tool = name, arguments = %self.words(arguments), "function called");
            }
            Note::ToolAnswered { name, output } => {
                tracing::info!(session, tool = name, output = %self.words(output), "function answered");
            }
            other => self.link(session, other),
        }
    }

    /// Notes of the model's leg and of media.
    fn link(&self, session: &str, note: &Note) {
        match note {
            Note::ModelReady {
                expires_at,
                away_ms,
                unheard_ms: 0,
            } => tracing::info!(session, expires_at, away_ms, "the model is ready"),
            Note::ModelReady {
                expires_at,
                away_ms,
                unheard_ms,
            } => tracing::warn!(
                session,
                expires_at,
                away_ms,
                unheard_ms,
                "the model is ready, and did not hear all that was said"
            ),
            Note::RolledOver { expires_at } => tracing::info!(
                session,
                expires_at,
                "a new model session has taken the old one's place"
            ),
            Note::SpareFailed { reason } => tracing::warn!(
                session,
                reason,
                "the next model session cannot be made ready; it is tried again"
            ),
            Note::ModelLost {
                code,
                reason,
                attempt,
            } => tracing::warn!(session, code, reason, attempt, "the model was lost"),
            Note::Seeded { entries, forgotten } => {
                tracing::info!(
                    session,
                    entries,
                    forgotten,
                    "a new model session was told what was said"
                );
            }
            Note::ModelError {
                code,
                message,
                fatal: true,
            } => {
                tracing::error!(session, code, message = %self.words(message), "the model refused its settings")
            }
            Note::ModelError { code, message, .. } => {
                tracing::warn!(session, code, message = %self.words(message), "the model reports an error");
            }
            Note::Malformed { leg, bytes } => {
                tracing::warn!(session, leg, bytes, "a message cannot be understood");
            }
            Note::SilenceSent { ms } => tracing::debug!(session, ms, "silence in place of media"),
            Note::SettingsChanged => tracing::info!(session, "the model was told new settings"),
            _ => {}
        }
    }

    pub(crate) fn notice(&self, session: &str, notice: &Notice) {
        match notice {
            Notice::Hold { held, audio } => {
                tracing::warn!(session, ?held, ?audio, "the call had no worker for a while");
            }
            Notice::Deadline { remaining } => {
                tracing::warn!(session, ?remaining, "the edge will close the call soon");
            }
            Notice::StateNearLimit { bytes, limit } => {
                tracing::warn!(session, bytes, limit, "the state is near its limit");
            }
            _ => {}
        }
    }

    /// `unheard_ms`: audio of the caller that no model is known to have heard.
    pub(crate) fn ended(&self, session: &str, ended: &SessionEnded, unheard_ms: u64) {
        let SessionEnded {
            reason,
            detail,
            fault,
        } = ended;
        // Callers who hang up at once do so before their model is there: no reason to warn.
        let unheard_ms = (unheard_ms > 0).then_some(unheard_ms);
        match reason {
            EndReason::CallerHungUp | EndReason::Worker | EndReason::HandedBack => {
                tracing::info!(
                    session,
                    ?reason,
                    detail,
                    ?fault,
                    unheard_ms,
                    "the call is over"
                );
            }
            _ => tracing::warn!(
                session,
                ?reason,
                detail,
                ?fault,
                unheard_ms,
                "the call is over"
            ),
        }
    }

    fn words<'a>(&self, words: &'a Private) -> Words<'a> {
        Words {
            words,
            shown: self.content,
        }
    }
}

/// Words, or their length.
struct Words<'a> {
    words: &'a Private,
    shown: bool,
}

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shown {
            true => f.write_str(self.words.expose()),
            false => write!(f, "{:?}", self.words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_shown_only_where_that_is_wanted() {
        let words = Private::from("my number is 4711".to_owned());
        assert_eq!(Log::new(false).words(&words).to_string(), "<17 bytes>");
        assert_eq!(
            Log::new(true).words(&words).to_string(),
            "my number is 4711"
        );
    }
}
