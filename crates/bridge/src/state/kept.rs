//! The end of the caller's audio: what a new model session may have to hear once more.
//!
//! A lost session takes along what was said to it and not yet understood. So the last second is
//! always kept, and more of it while somebody speaks or no model is there. It is cut into pieces of
//! equal size with a key each, so that a frame rewrites one small value. Places in it are counted in
//! mu-law bytes since the call began.

use std::collections::{BTreeSet, VecDeque};

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Change, StateError, Tracked, load};

/// Bytes of a piece: 100 ms. A frame has a fifth of it.
const PIECE: usize = 800;
/// Most pieces that are read from a state, whatever it says.
const MAX_PIECES: usize = 1_000;
/// Stands for audio that is missing: the silent sample.
const SILENT: u8 = 0xFF;

/// The end of the caller's audio.
#[derive(Default, Debug)]
pub(crate) struct Kept {
    index: Tracked<Index>,
    /// All are full but the last.
    pieces: VecDeque<Vec<u8>>,
    changed: BTreeSet<u64>,
    removed: BTreeSet<u64>,
}

/// Which pieces there are.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
struct Index {
    /// Number of the oldest piece.
    first: u64,
    /// Where the audio ends.
    end: u64,
}

impl Kept {
    pub(super) fn load(get: &dyn Fn(&str) -> Option<Bytes>) -> Result<Self, StateError> {
        let index: Tracked<Index> = load(get, "audio")?;
        let pieces = (index.first..index.end.div_ceil(PIECE as u64))
            .take(MAX_PIECES)
            .map(|number| {
                let mut piece = get(&key(number)).unwrap_or_default().to_vec();
                let rest = index
                    .end
                    .saturating_sub(number.saturating_mul(PIECE as u64));
                piece.resize(PIECE.min(usize::try_from(rest).unwrap_or(PIECE)), SILENT);
                piece
            })
            .collect();
        Ok(Self {
            index,
            pieces,
            ..Self::default()
        })
    }

    pub(super) fn save(&mut self, changes: &mut dyn FnMut(Change)) {
        super::save(&mut self.index, "audio", changes);
        for number in std::mem::take(&mut self.removed) {
            self.changed.remove(&number);
            changes(Change::Delete(key(number)));
        }
        for number in std::mem::take(&mut self.changed) {
            let at = usize::try_from(number.saturating_sub(self.index.first)).unwrap_or(usize::MAX);
            if let Some(piece) = self.pieces.get(at) {
                changes(Change::Put(key(number), piece.clone()));
            }
        }
    }

    /// Where it ends.
    pub(crate) fn end(&self) -> u64 {
        self.index.end
    }

    /// Where the part begins that is still there.
    pub(crate) fn start(&self) -> u64 {
        self.index
            .first
            .saturating_mul(PIECE as u64)
            .min(self.index.end)
    }

    /// Adds audio as the carrier sends it. What is not base64 is no audio.
    pub(crate) fn push(&mut self, base64: &[u8]) {
        let Ok(audio) = BASE64_STANDARD.decode(base64) else {
            return;
        };
        let mut rest = &audio[..];
        while !rest.is_empty() {
            let number = self.index.end / PIECE as u64;
            if self.index.end.is_multiple_of(PIECE as u64) {
                self.pieces.push_back(Vec::with_capacity(PIECE));
            }
            let Some(piece) = self.pieces.back_mut() else {
                return;
            };
            let (now, later) = rest.split_at(rest.len().min(PIECE - piece.len()));
            piece.extend_from_slice(now);
            rest = later;
            self.index.end += now.len() as u64;
            self.changed.insert(number);
        }
    }

    /// Forgets whole pieces before `from`.
    pub(crate) fn trim(&mut self, from: u64) {
        let wanted = from.min(self.index.end) / PIECE as u64;
        while self.index.first < wanted && self.pieces.pop_front().is_some() {
            self.removed.insert(self.index.first);
            self.index.first += 1;
        }
    }

    /// What is there of this part.
    pub(crate) fn read(&self, from: u64, to: u64) -> Vec<u8> {
        let (start, end) = (self.start(), self.end());
        let (from, to) = (from.clamp(start, end), to.clamp(start, end));
        self.pieces
            .iter()
            .flatten()
            .copied()
            .skip(usize::try_from(from - start).unwrap_or(usize::MAX))
            .take(usize::try_from(to.saturating_sub(from)).unwrap_or(0))
            .collect()
    }
}

fn key(number: u64) -> String {
    format!("audio/{number:08}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    fn push(kept: &mut Kept, bytes: &[u8]) {
        kept.push(BASE64_STANDARD.encode(bytes).as_bytes());
    }

    fn store(kept: &mut Kept, store: &mut BTreeMap<String, Vec<u8>>) -> usize {
        let mut written = 0;
        kept.save(&mut |change| match change {
            Change::Put(key, value) => {
                written += value.len();
                store.insert(key, value);
            }
            Change::Delete(key) => drop(store.remove(&key).unwrap()),
        });
        written
    }

    fn restore(store: &BTreeMap<String, Vec<u8>>) -> Kept {
        Kept::load(&|key| store.get(key).cloned().map(Bytes::from)).unwrap()
    }

    #[test]
    fn what_was_kept_comes_back_on_another_worker() {
        let audio: Vec<u8> = (0..4_000u32).map(|at| (at % 251) as u8).collect();
        let (mut kept, mut state) = (Kept::default(), BTreeMap::new());
        for frame in audio.chunks(160) {
            push(&mut kept, frame);
            assert!(store(&mut kept, &mut state) < 1_000, "a frame is cheap");
            kept = restore(&state);
        }
        assert_eq!(kept.read(0, 4_000), audio);
        assert_eq!(kept.read(1_234, 1_240), audio[1_234..1_240]);
        kept.trim(1_700);
        store(&mut kept, &mut state);
        let kept = restore(&state);
        assert_eq!((kept.start(), kept.end()), (1_600, 4_000));
        assert_eq!(kept.read(0, 9_999), audio[1_600..]);
    }

    #[test]
    fn a_piece_that_is_missing_or_short_is_silence() {
        let (mut kept, mut state) = (Kept::default(), BTreeMap::new());
        push(&mut kept, &[7; 2_000]);
        store(&mut kept, &mut state);
        state.remove("audio/00000000");
        state.insert("audio/00000002".to_owned(), vec![7; 10]);
        let kept = restore(&state);
        let read = kept.read(0, 2_000);
        assert_eq!(read.len(), 2_000);
        assert!(read[..800].iter().all(|&byte| byte == SILENT));
        assert_eq!(read[800..1_610], [7; 810]);
    }

    #[test]
    fn everything_can_be_forgotten_and_more_added() {
        let mut kept = Kept::default();
        push(&mut kept, &[1; 1_600]);
        kept.trim(u64::MAX);
        assert_eq!((kept.start(), kept.end()), (1_600, 1_600));
        push(&mut kept, &[2; 10]);
        assert_eq!(kept.read(0, u64::MAX), [2; 10]);
        kept.push(b"no base64!");
        assert_eq!(kept.end(), 1_610);
    }
}
