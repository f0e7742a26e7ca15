//! Words of a call, kept out of logs by their type.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that was said, dialled or computed in a call. `Debug` tells its length alone; nothing
/// else prints it but [`Private::expose`].
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Private(String);

impl Private {
    /// The content.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends, as far as `most` bytes in all allow.
    pub(crate) fn push_within(&mut self, more: &str, most: usize) {
        let room = most.saturating_sub(self.0.len());
        self.0.push_str(head(more, room));
    }

    /// The content, cut to `most` bytes.
    pub(crate) fn within(text: &str, most: usize) -> Self {
        Self(head(text, most).to_owned())
    }

    /// The first `part` of `whole` of the content, cut at a character and not inside a word.
    ///
    /// OpenAI sends no word timing, so a share of the audio stands for a share of the text.
    pub(crate) fn share(&self, part: u64, whole: u64) -> Self {
        if part >= whole {
            return self.clone();
        }
        let bytes = self.0.len() as u128 * u128::from(part) / u128::from(whole.max(1));
        let cut = head(&self.0, usize::try_from(bytes).unwrap_or(usize::MAX));
        let within_word = self.0[cut.len()..]
            .chars()
            .next()
            .is_some_and(char::is_alphanumeric);
        let cut = if within_word {
            cut.trim_end_matches(char::is_alphanumeric)
        } else {
            cut
        };
        Self(cut.trim_end().to_owned())
    }
}

impl From<String> for Private {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Private {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0.len())
    }
}

/// The longest beginning of `text` that has at most `most` bytes.
fn head(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_does_not_tell() {
        assert_eq!(
            format!("{:?}", Private::from("4711".to_owned())),
            "<4 bytes>"
        );
    }

    #[test]
    fn a_share_ends_before_a_half_said_word() {
        let text = Private::from("We have eleven fifteen free.".to_owned());
        assert_eq!(text.share(50, 100).expose(), "We have eleven");
        assert_eq!(text.share(40, 100).expose(), "We have");
        assert_eq!(text.share(0, 100).expose(), "");
        assert_eq!(text.share(100, 100).expose(), text.expose());
        assert_eq!(text.share(0, 0).expose(), text.expose());
    }

    #[test]
    fn cuts_never_split_a_character() {
        assert_eq!(Private::within("aéé", 2).expose(), "a");
        let mut text = Private::within("é", 9);
        text.push_within("éé", 5);
        assert_eq!(text.expose(), "éé");
    }
}
