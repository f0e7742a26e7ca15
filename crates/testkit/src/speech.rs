//! Real recorded speech, so that voice activity detection meets what it was made for.
//!
//! The recordings come from PocketSphinx's test data (BSD-2-Clause, see
//! `fixtures/speech/LICENSE`): sentences read from a novel, and spoken playing cards. No
//! recording holds a pause of 450 ms or more, so that each is one turn to a voice activity
//! detector with the usual 500 ms of silence.

use std::time::Duration;

use crate::identity::FRAME_BYTES;
use crate::mulaw;

/// One recording.
#[derive(Debug)]
pub struct Recording {
    /// What is said.
    pub transcript: &'static str,
    /// 8 kHz mu-law.
    pub audio: &'static [u8],
}

static RECORDINGS: [Recording; 7] = [
    Recording {
        transcript: "He was not an ill-disposed young man.",
        audio: include_bytes!("../fixtures/speech/young-man.ulaw"),
    },
    Recording {
        transcript: "Unless to be rather cold-hearted and rather selfish is to be ill-disposed.",
        audio: include_bytes!("../fixtures/speech/cold-hearted.ulaw"),
    },
    Recording {
        transcript: "He might even have been made amiable himself.",
        audio: include_bytes!("../fixtures/speech/amiable.ulaw"),
    },
    Recording {
        transcript: "Had he married a more amiable woman, he might have been made still more respectable than he was.",
        audio: include_bytes!("../fixtures/speech/respectable.ulaw"),
    },
    Recording {
        transcript: "And Mister John Dashwood had then leisure to consider how much there might be prudently in his power to do for them.",
        audio: include_bytes!("../fixtures/speech/prudently.ulaw"),
    },
    Recording {
        transcript: "Four, queen of clubs.",
        audio: include_bytes!("../fixtures/speech/queen-of-clubs.ulaw"),
    },
    Recording {
        transcript: "Eight of spades, four of clubs, seven of hearts.",
        audio: include_bytes!("../fixtures/speech/seven-of-hearts.ulaw"),
    },
];

/// One of the recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Utterance(u8);

impl Utterance {
    /// "He was not an ill-disposed young man." (3.0 s)
    pub const YOUNG_MAN: Self = Self(0);
    /// "Unless to be rather cold-hearted ..." (5.3 s)
    pub const COLD_HEARTED: Self = Self(1);
    /// "He might even have been made amiable himself." (3.3 s)
    pub const AMIABLE: Self = Self(2);
    /// "Had he married a more amiable woman ..." (6.1 s)
    pub const RESPECTABLE: Self = Self(3);
    /// "And Mister John Dashwood had then leisure ..." (7.1 s)
    pub const PRUDENTLY: Self = Self(4);
    /// "Four, queen of clubs." (2.0 s)
    pub const QUEEN_OF_CLUBS: Self = Self(5);
    /// "Eight of spades, four of clubs, seven of hearts." (3.5 s)
    pub const SEVEN_OF_HEARTS: Self = Self(6);

    /// How many there are.
    pub const COUNT: usize = RECORDINGS.len();

    /// The recording number `index`, counted round and round: never fails.
    #[must_use]
    pub fn number(index: usize) -> Self {
        // COUNT is 7.
        Self((index % Self::COUNT) as u8)
    }

    /// The label that its stamped frames carry; 0 is left for silence.
    #[must_use]
    pub fn label(self) -> u8 {
        self.0 + 1
    }

    /// The recording whose frames carry this label.
    #[must_use]
    pub fn from_label(label: u8) -> Option<Self> {
        let index = label.checked_sub(1)?;
        (usize::from(index) < Self::COUNT).then_some(Self(index))
    }

    /// What is said, and its audio.
    #[must_use]
    pub fn recording(self) -> &'static Recording {
        &RECORDINGS[usize::from(self.0)]
    }

    /// How many frames of 20 ms it has; the last one is filled up with silence.
    #[must_use]
    pub fn frames(self) -> u32 {
        // A recording has a few hundred frames.
        self.recording().audio.len().div_ceil(FRAME_BYTES) as u32
    }

    /// How long it is, in whole frames.
    #[must_use]
    pub fn duration(self) -> Duration {
        mulaw::duration(FRAME_BYTES) * self.frames()
    }

    /// Frame `index` of it; behind its end there is silence.
    #[must_use]
    pub fn frame(self, index: u32) -> [u8; FRAME_BYTES] {
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        let start = (index as usize).saturating_mul(FRAME_BYTES);
        if let Some(rest) = self.recording().audio.get(start..) {
            let len = rest.len().min(FRAME_BYTES);
            frame[..len].copy_from_slice(&rest[..len]);
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recording_is_loud_and_of_the_promised_length() {
        for index in 0..Utterance::COUNT {
            let utterance = Utterance::number(index);
            let audio = utterance.recording().audio;
            assert!(mulaw::rms(audio) > 500.0, "{index} is too quiet");
            let length = utterance.duration();
            assert!(length > Duration::from_millis(1_900) && length < Duration::from_millis(7_200));
            assert_eq!(Utterance::from_label(utterance.label()), Some(utterance));
        }
        assert_eq!(Utterance::from_label(0), None);
        assert_eq!(Utterance::from_label(8), None);
    }

    #[test]
    fn frames_cover_the_recording_and_end_in_silence() {
        let utterance = Utterance::QUEEN_OF_CLUBS;
        let whole: Vec<u8> = (0..utterance.frames())
            .flat_map(|n| utterance.frame(n))
            .collect();
        assert!(whole.starts_with(utterance.recording().audio));
        assert_eq!(
            utterance.frame(utterance.frames()),
            [mulaw::SILENCE; FRAME_BYTES]
        );
    }
}
