//! Who speaks, and what is owed to whom.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{CallId, ItemId, ResponseId},
    private::Private,
};

/// Most cancelled responses that are remembered: late events of them come within seconds.
const MAX_CANCELLED: usize = 16;
/// Most transcripts under way.
const MAX_SPEECHES: usize = 4;
/// Most items whose confirmation is awaited.
const MAX_UNCONFIRMED: usize = 64;
/// Most utterances of the caller whose words are awaited.
const MAX_UTTERANCES: usize = 4;
/// Longest transcript of one item, in bytes.
pub(crate) const MAX_TEXT: usize = 8 << 10;

/// Who speaks, and what is owed to whom.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Turn {
    /// Turns of the caller so far.
    pub(crate) number: u64,
    /// Whether the model believes that the caller is speaking.
    pub(crate) speaking: bool,
    /// Silence sent since, in ms, because no media came.
    pub(crate) injected_ms: u64,
    /// Whether the model is about to answer by itself, because the caller has finished.
    pub(crate) answering: bool,
    /// The response that is being made.
    pub(crate) active: Option<ResponseId>,
    /// Responses that nobody wants to hear any more.
    cancelled: VecDeque<Cancelled>,
    /// A response that is to be asked for as soon as none is being made.
    pub(crate) wish: Option<Wish>,
    /// Whether one was asked for and has not begun.
    pub(crate) asked: bool,
    /// Whether the response that is being made may not know all that an answer was wanted for.
    pub(crate) doubtful: bool,
    /// How often in a row that came to nothing.
    pub(crate) refused: u32,
    /// Function calls whose output the model has not been told.
    pub(crate) calls: Vec<ToolCall>,
    /// Number of the next of them.
    pub(crate) next_call: u64,
    /// Items sent that the model has not confirmed, each of which wants an answer.
    pub(crate) unconfirmed: VecDeque<ItemId>,
    /// Number of the next item that is made here.
    pub(crate) next_item: u64,
    /// Keys pressed so far.
    pub(crate) digits: Private,
    /// What the caller says, or said without its words being known yet.
    pub(crate) utterances: VecDeque<Utterance>,
    /// Where the last one ended that the model took in, in bytes of the caller's audio.
    pub(crate) taken_in: u64,
}

/// Something that the caller says. Places are bytes of the caller's audio.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Utterance {
    pub(crate) item: ItemId,
    pub(crate) from: u64,
    /// `None` while the caller speaks.
    pub(crate) to: Option<u64>,
    /// Whether a later session was told it as audio: its words will never come.
    pub(crate) told: bool,
}

#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Cancelled {
    response: ResponseId,
    /// Its items of which the model was told how much was heard.
    unheard: Vec<ItemId>,
}

/// Why a response is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wish {
    /// The call has begun.
    Greeting,
    /// A new model session owes what an old one did not say.
    Resume,
    /// Functions have returned.
    #[serde(other)]
    Answer,
}

/// A function call of the model.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ToolCall {
    pub(crate) number: u64,
    pub(crate) call: CallId,
    pub(crate) name: String,
    pub(crate) response: ResponseId,
    /// Whether its output is in the history, and may be told once the response is over.
    pub(crate) done: bool,
}

impl Cancelled {
    /// Answers whether the item is new.
    fn note(&mut self, item: &ItemId) -> bool {
        let new = self.unheard.len() < MAX_CANCELLED && !self.unheard.contains(item);
        if new {
            self.unheard.push(item.clone());
        }
        new
    }
}

impl Turn {
    /// Nobody wants to hear the rest of this response.
    pub(crate) fn cancel(&mut self, response: ResponseId) {
        if self.is_cancelled(&response) {
            return;
        }
        if self.cancelled.len() >= MAX_CANCELLED {
            self.cancelled.pop_front();
        }
        self.cancelled.push_back(Cancelled {
            response,
            unheard: Vec::new(),
        });
    }

    /// Whether its audio is to be dropped.
    pub(crate) fn is_cancelled(&self, response: &ResponseId) -> bool {
        self.cancelled.iter().any(|one| one.response == *response)
    }

    /// Late audio of a cancelled response. Answers whether its item is seen for the first time, so
    /// that the model has to be told that nothing of it was heard.
    pub(crate) fn late(&mut self, response: &ResponseId, item: &ItemId) -> bool {
        self.cancelled
            .iter_mut()
            .find(|one| one.response == *response)
            .is_some_and(|one| one.note(item))
    }

    /// The model was told how much of this item was heard: its late audio is no news.
    pub(crate) fn cut(&mut self, item: &ItemId) {
        for one in &mut self.cancelled {
            one.note(item);
        }
    }

    /// The caller begins to speak.
    pub(crate) fn utterance_begins(&mut self, item: ItemId, from: u64) {
        if self.utterances.len() >= MAX_UTTERANCES {
            self.utterances.pop_front();
        }
        self.utterances.push_back(Utterance {
            item,
            from,
            ..Utterance::default()
        });
    }

    /// The caller has finished, and the model has taken it in.
    pub(crate) fn utterance_ends(&mut self, to: u64) {
        self.taken_in = self.taken_in.max(to);
        if let Some(last) = self.utterances.back_mut() {
            last.to.get_or_insert(to);
        }
    }

    /// An item was sent that wants an answer.
    pub(crate) fn await_confirmation(&mut self, item: ItemId) {
        if self.unconfirmed.len() >= MAX_UNCONFIRMED {
            self.unconfirmed.pop_front();
        }
        self.unconfirmed.push_back(item);
    }

    /// A new name for an item that is made here.
    pub(crate) fn make_item(&mut self) -> ItemId {
        self.next_item += 1;
        ItemId::new(format!("hl_{}", self.next_item))
    }
}

/// Transcripts of what the model is saying, until they are whole.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Speech {
    items: VecDeque<(ItemId, Private)>,
}

impl Speech {
    /// More words of an item.
    pub(crate) fn add(&mut self, item: &ItemId, words: &str) {
        if let Some((_, text)) = self.items.iter_mut().find(|(id, _)| id == item) {
            text.push_within(words, MAX_TEXT);
            return;
        }
        if self.items.len() >= MAX_SPEECHES {
            self.items.pop_front();
        }
        self.items
            .push_back((item.clone(), Private::within(words, MAX_TEXT)));
    }

    /// The words of an item so far, which are then forgotten.
    pub(crate) fn take(&mut self, item: &ItemId) -> Option<Private> {
        let at = self.items.iter().position(|(id, _)| id == item)?;
        self.items.remove(at).map(|(_, text)| text)
    }

    /// All of them, which are then forgotten.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = (ItemId, Private)> {
        std::mem::take(&mut self.items).into_iter()
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wishes_come_back_as_they_were_and_unknown_ones_are_wishes_still() {
        for wish in [Wish::Greeting, Wish::Resume, Wish::Answer] {
            let json = serde_json::to_string(&wish).unwrap();
            assert_eq!(serde_json::from_str::<Wish>(&json).unwrap(), wish);
        }
        assert_eq!(
            serde_json::from_str::<Wish>("\"of a later version\"").unwrap(),
            Wish::Answer
        );
    }

    #[test]
    fn only_so_many_cancelled_responses_are_remembered() {
        let mut turn = Turn::default();
        for number in 0..100 {
            turn.cancel(ResponseId::new(format!("R{number}")));
        }
        assert!(turn.is_cancelled(&ResponseId::new("R99")));
        assert!(!turn.is_cancelled(&ResponseId::new("R1")));
    }
}
