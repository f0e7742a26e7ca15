//! What the caller says, frame by frame: speech where the script wants it, silence
//! elsewhere, every frame stamped.

use std::collections::VecDeque;

use crate::identity::{self, FRAME_BYTES, FrameId, StreamId};
use crate::mulaw;
use crate::speech::Utterance;

/// Utterances that may wait behind the one being said.
const QUEUE_LIMIT: usize = 64;

#[derive(Debug)]
pub(crate) struct Mouth {
    stream: StreamId,
    counter: u32,
    saying: VecDeque<Utterance>,
    /// Frames of the first utterance that were said.
    said: u32,
}

impl Mouth {
    pub(crate) fn new(stream: StreamId) -> Self {
        Self {
            stream,
            counter: 0,
            saying: VecDeque::new(),
            said: 0,
        }
    }

    /// A new stream of the same call: the person goes on with their sentence.
    pub(crate) fn continue_on(self, stream: StreamId) -> Self {
        Self {
            stream,
            counter: 0,
            ..self
        }
    }

    /// Says this when what is being said is through; beyond the limit it stays unsaid.
    pub(crate) fn say(&mut self, utterance: Utterance) {
        if self.saying.len() < QUEUE_LIMIT {
            self.saying.push_back(utterance);
        }
    }

    pub(crate) fn hush(&mut self) {
        self.saying.clear();
        self.said = 0;
    }

    pub(crate) fn is_speaking(&self) -> bool {
        !self.saying.is_empty()
    }

    /// The next 20 ms.
    pub(crate) fn frame(&mut self) -> [u8; FRAME_BYTES] {
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        let mut label = 0;
        if let Some(utterance) = self.saying.front().copied() {
            frame = utterance.frame(self.said);
            label = utterance.label();
            self.said += 1;
            if self.said >= utterance.frames() {
                self.saying.pop_front();
                self.said = 0;
            }
        }
        identity::stamp(
            &mut frame,
            FrameId {
                stream: self.stream,
                counter: self.counter,
                label,
            },
        );
        self.counter = self.counter.saturating_add(1);
        frame
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::identity::Voice;

    #[test]
    fn speech_then_silence_all_stamped_in_a_row() {
        let stream = StreamId {
            voice: Voice::Caller,
            call: 1,
            part: 0,
        };
        let mut mouth = Mouth::new(stream);
        mouth.say(Utterance::QUEEN_OF_CLUBS);
        let length = Utterance::QUEEN_OF_CLUBS.frames();
        let ids: Vec<FrameId> = (0..length + 5)
            .map(|_| identity::read(&mouth.frame()).unwrap())
            .collect();
        for (n, id) in ids.iter().enumerate() {
            assert_eq!(id.counter, n as u32);
            let wanted = if (n as u32) < length {
                Utterance::QUEEN_OF_CLUBS.label()
            } else {
                0
            };
            assert_eq!(id.label, wanted);
        }
    }

    #[test]
    fn a_new_stream_counts_anew_and_goes_on_speaking() {
        let stream = |part| StreamId {
            voice: Voice::Caller,
            call: 1,
            part,
        };
        let mut mouth = Mouth::new(stream(0));
        mouth.say(Utterance::AMIABLE);
        for _ in 0..10 {
            mouth.frame();
        }
        let mut mouth = mouth.continue_on(stream(1));
        let id = identity::read(&mouth.frame()).unwrap();
        assert_eq!(
            (id.stream.part, id.counter, id.label),
            (1, 0, Utterance::AMIABLE.label())
        );
        assert_eq!(mouth.said, 11);
    }
}
