//! What happens outside of a call: told to the edge by whoever knows of it, and to the model in words.

use super::{Note, Step};
use crate::{
    private::Private,
    state::{What, Wish},
    wire::openai,
};

/// News that the model is to talk about at once.
const MESSAGE: &str = "message";
/// News that it is only to know.
const NOTE: &str = "note";
/// Longest words of news, in bytes: they are kept in the session's state.
const MAX_WORDS: usize = 16 << 10;

impl Step<'_> {
    pub(super) fn news(&mut self, name: &str, words: &str) {
        if ![MESSAGE, NOTE].contains(&name) || words.is_empty() {
            let name = name.to_owned();
            return self.note(Note::NewsIgnored { name });
        }
        let words = Private::within(words, MAX_WORDS);
        self.note(Note::News {
            name: name.to_owned(),
            words: words.clone(),
        });
        let item = self.state.turn.make_item();
        if self.state.link.is_there() {
            self.tell_model(openai::create_message(&item, "system", words.expose()));
        }
        self.state.history.add(&item, What::News { words });
        if name == MESSAGE {
            self.state.turn.await_confirmation(item);
            self.wish(Wish::Answer);
        }
    }
}
