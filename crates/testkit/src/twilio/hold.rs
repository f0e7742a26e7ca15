//! The sound that an edge plays to a caller while it has no worker: told apart from damage by its
//! exact bytes, and measured.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::identity::{FRAME_BYTES, FRAME_TIME};

/// One 20 ms piece of hold sound that the caller received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldPiece {
    /// Its number since the hold began, from 0.
    pub number: u64,
    /// When its message was read.
    pub received: Instant,
    /// When it was played, or would have been.
    pub plays_at: Instant,
}

/// What a caller heard of the hold sound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HoldHeard {
    /// Times that it began.
    pub holds: u64,
    /// Playing time that was received, in milliseconds.
    pub ms: u64,
    /// The most that was received and could not have been heard yet, had nothing else been queued.
    pub ahead_max: Duration,
}

/// Listens for the sound.
#[derive(Debug)]
pub(crate) struct HoldEar {
    sound: Option<Arc<[u8]>>,
    /// The number of the piece that would go on with the present hold.
    next: u64,
}

impl HoldEar {
    /// Listens for mu-law of a whole number of frames, which is played over and over.
    pub(crate) fn new(sound: Option<Arc<[u8]>>) -> Self {
        let whole =
            |sound: &Arc<[u8]>| !sound.is_empty() && sound.len().is_multiple_of(FRAME_BYTES);
        Self {
            sound: sound.filter(whole),
            next: 0,
        }
    }

    /// The number of the piece that this message is, if it is one: the next, or the first of a new
    /// hold.
    pub(crate) fn hear(&mut self, audio: &[u8]) -> Option<u64> {
        let sound = self.sound.as_ref()?;
        let pieces = sound.len() / FRAME_BYTES;
        let piece = |number: u64| {
            let index = usize::try_from(number % pieces as u64).unwrap_or(0);
            &sound[index * FRAME_BYTES..(index + 1) * FRAME_BYTES]
        };
        let number = [self.next, 0].into_iter().find(|at| piece(*at) == audio);
        self.next = number.map_or(0, |number| number + 1);
        number
    }
}

impl HoldHeard {
    /// Measures the pieces of one stream.
    #[must_use]
    pub fn of(pieces: &[HoldPiece]) -> Self {
        let mut heard = Self::default();
        let mut until: Option<Instant> = None;
        for piece in pieces {
            if piece.number == 0 {
                heard.holds += 1;
                until = None;
            }
            heard.ms += FRAME_TIME.as_millis() as u64;
            let ends = until.map_or(piece.received, |until| until.max(piece.received)) + FRAME_TIME;
            heard.ahead_max = heard.ahead_max.max(ends - piece.received);
            until = Some(ends);
        }
        heard
    }

    /// Adds what was heard on another stream, or by another caller.
    pub fn add(&mut self, other: &Self) {
        self.holds += other.holds;
        self.ms += other.ms;
        self.ahead_max = self.ahead_max.max(other.ahead_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> Arc<[u8]> {
        [[1u8; FRAME_BYTES], [2; FRAME_BYTES], [3; FRAME_BYTES]]
            .concat()
            .into()
    }

    #[test]
    fn pieces_are_known_in_their_order_and_by_their_bytes_alone() {
        let mut ear = HoldEar::new(Some(sound()));
        let mut hear = |byte: u8, length: usize| ear.hear(&vec![byte; length]);
        assert_eq!(hear(2, FRAME_BYTES), None, "no hold begins in the middle");
        assert_eq!(hear(1, FRAME_BYTES), Some(0));
        assert_eq!(hear(2, FRAME_BYTES), Some(1));
        assert_eq!(hear(3, FRAME_BYTES), Some(2));
        assert_eq!(hear(1, FRAME_BYTES), Some(3), "over and over");
        assert_eq!(hear(2, FRAME_BYTES), Some(4));
        assert_eq!(hear(1, FRAME_BYTES), Some(0), "another hold");
        assert_eq!(hear(2, FRAME_BYTES - 1), None);
        assert_eq!(hear(2, FRAME_BYTES), None, "that hold was over");
        assert_eq!(HoldEar::new(None).hear(&[1; FRAME_BYTES]), None);
    }

    #[test]
    fn what_runs_ahead_is_measured() {
        let start = Instant::now();
        let piece = |number: u64, ms: u64| HoldPiece {
            number,
            received: start + Duration::from_millis(ms),
            plays_at: start,
        };
        let steady = [piece(0, 0), piece(1, 0), piece(2, 20), piece(3, 40)];
        let heard = HoldHeard::of(&steady);
        let ms = Duration::from_millis;
        assert_eq!((heard.holds, heard.ms, heard.ahead_max), (1, 80, ms(40)));
        let rushed = [piece(0, 0), piece(1, 0), piece(2, 0), piece(0, 500)];
        let heard = HoldHeard::of(&rushed);
        assert_eq!((heard.holds, heard.ms, heard.ahead_max), (2, 80, ms(60)));
        // A pause is no debt.
        let late = [piece(0, 0), piece(1, 300), piece(2, 300)];
        assert_eq!(HoldHeard::of(&late).ahead_max, ms(40));
    }
}
