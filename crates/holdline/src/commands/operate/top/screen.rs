//! The terminal: its second screen, its keys, its colours.

use std::{
    io::{Read as _, stdin},
    thread,
};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use terminal_size::{Height, Width, terminal_size};
use tokio::sync::mpsc;

use super::{KEYS, print};
use crate::Failure;

/// The second screen, without a cursor; and back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// To the upper left; what is right of a line's end and below the last line is cleared.
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST: &str = "\x1b[J";
/// Keys that wait to be looked at.
const KEYS_WAITING: usize = 64;

/// Bold, colours and back, as terminals know them.
const BOLD: &str = "1";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const RED: &str = "31";
/// Of versions, in their order.
const VERSIONS: [&str; 4] = ["36", "35", "34", "94"];

/// A key that means something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Quit,
    Up,
    Down,
}

/// The second screen; the first one is as it was when this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    /// How the terminal read its keys.
    before: Option<Termios>,
}

impl Screen {
    /// Enters it. Keys come one by one and unseen, where standard input is a terminal.
    pub(super) fn enter() -> Result<(Self, mpsc::Receiver<Key>), Failure> {
        let (pressed, keys) = mpsc::channel(KEYS_WAITING);
        let before = tcgetattr(stdin()).ok();
        if let Some(before) = &before {
            let mut raw = before.clone();
            raw.local_modes -= LocalModes::ICANON | LocalModes::ECHO;
            tcsetattr(stdin(), OptionalActions::Now, &raw).map_err(std::io::Error::from)?;
            // It ends with the process: nothing can call back a read of a terminal.
            thread::spawn(move || listen(&pressed));
        }
        let screen = Self { before };
        print(ENTER.as_bytes())?;
        Ok((screen, keys))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs neither.
        let _ = print(LEAVE.as_bytes());
        if let Some(before) = &self.before {
            let _ = tcsetattr(stdin(), OptionalActions::Now, before);
        }
    }
}

fn listen(pressed: &mpsc::Sender<Key>) {
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = stdin().read(&mut bytes) {
        for key in keys(&bytes[..count]) {
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    }
}

/// The keys among what a terminal sent.
fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = match bytes {
            [0x1b, b'[' | b'O', b'A', rest @ ..] | [b'k', rest @ ..] => (Some(Key::Up), rest),
            [0x1b, b'[' | b'O', b'B', rest @ ..] | [b'j', rest @ ..] => (Some(Key::Down), rest),
            [b'q' | b'Q', rest @ ..] => (Some(Key::Quit), rest),
            [_, rest @ ..] => (None, rest),
            [] => return keys,
        };
        keys.extend(key);
        bytes = rest;
    }
    keys
}

/// Lines and columns of the terminal.
pub(super) fn size() -> Option<(usize, usize)> {
    let (Width(columns), Height(rows)) = terminal_size()?;
    (rows > 0).then(|| (rows.into(), columns.into()))
}

/// A frame, as it is written to a terminal of this size.
pub(super) fn drawn(
    mut lines: Vec<String>,
    (rows, columns): (usize, usize),
    paint: &Paint,
) -> String {
    lines[0].push_str(KEYS);
    lines.truncate(rows);
    let lines = lines.iter().enumerate().map(|(number, line)| {
        let cut: String = line.chars().take(columns).collect();
        if number == 0 { cut } else { paint.line(&cut) }
    });
    let lines: Vec<String> = lines.collect();
    let lines = lines.join(&format!("{REST_OF_LINE}\r\n"));
    format!("{HOME}{lines}{REST_OF_LINE}{REST}")
}

/// Colours for words.
#[derive(Debug)]
pub(super) struct Paint {
    /// Word and colour; `None`: without any.
    words: Option<Vec<(String, &'static str)>>,
}

impl Paint {
    /// Unless somebody does not want any, or the terminal has none.
    pub(super) fn of(versions: &[&str]) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb") {
            return Self { words: None };
        }
        Self::with(versions)
    }

    fn with(versions: &[&str]) -> Self {
        let states = [
            ("ready", GREEN),
            ("draining", YELLOW),
            ("ejected", YELLOW),
            ("held", YELLOW),
            ("lost", RED),
            ("incompatible", RED),
        ];
        let versions = versions.iter().copied().zip(VERSIONS.into_iter().cycle());
        let words = states.into_iter().chain(versions);
        Self {
            words: Some(
                words
                    .map(|(word, colour)| (word.to_owned(), colour))
                    .collect(),
            ),
        }
    }

    /// A line in colours: the heads of tables stand out, and words have theirs.
    fn line(&self, line: &str) -> String {
        let Some(words) = &self.words else {
            return line.to_owned();
        };
        let inked = |text: &str, colour| format!("\x1b[{colour}m{text}\x1b[0m");
        if line.contains(char::is_uppercase) && !line.contains(char::is_lowercase) {
            return inked(line, BOLD);
        }
        let painted = line.split(' ').map(|word| {
            let colour = words.iter().find(|(of, _)| of == word);
            colour.map_or_else(|| word.to_owned(), |(_, colour)| inked(word, colour))
        });
        painted.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_what_else_a_terminal_sends() {
        let known = keys(b"j\x1b[B\x1bOBxk\x1b[A\x1b[5~q");
        let [down, up] = [Key::Down, Key::Up];
        assert_eq!(known, [down, down, down, up, up, Key::Quit]);
    }

    #[test]
    fn words_have_colours_and_keep_their_places() {
        let paint = Paint::with(&["v1"]);
        assert_eq!(
            paint.line("a  v1   lost"),
            "a  \x1b[36mv1\x1b[0m   \x1b[31mlost\x1b[0m"
        );
        assert_eq!(paint.line("CALLS  OF"), "\x1b[1mCALLS  OF\x1b[0m");
        assert_eq!(Paint { words: None }.line("v1"), "v1");
    }
}
