//! The timetable of one response: every event with its time, made when the response begins.
//!
//! Why all at once: generation does not depend on anything that happens later, save a
//! cancellation, and that only shortens the timetable.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::options::{SimOptions, Speed};
use crate::identity::{FRAME_BYTES, FRAME_TIME, FrameId, StreamId, stamp};
use crate::mulaw;
use crate::prng::Prng;
use crate::speech::Utterance;

/// What is said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Speech(Vec<Utterance>),
    Text(String),
    Call {
        call_id: String,
        name: String,
        arguments: String,
    },
}

impl Content {
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Speech(utterances) => {
                let texts: Vec<&str> = utterances
                    .iter()
                    .map(|said| said.recording().transcript)
                    .collect();
                texts.join(" ")
            }
            Self::Text(text) => text.clone(),
            Self::Call { .. } => String::new(),
        }
    }

    pub(crate) fn frames(&self) -> u32 {
        match self {
            Self::Speech(utterances) => utterances.iter().map(|said| said.frames()).sum(),
            Self::Text(_) | Self::Call { .. } => 0,
        }
    }

    /// Frame `counter` of the speech, stamped.
    pub(crate) fn frame(&self, stream: StreamId, counter: u32) -> [u8; FRAME_BYTES] {
        let mut frame = [mulaw::SILENCE; FRAME_BYTES];
        let mut label = 0;
        if let Self::Speech(utterances) = self {
            let mut index = counter;
            for said in utterances {
                if index < said.frames() {
                    frame = said.frame(index);
                    label = said.label();
                    break;
                }
                index -= said.frames();
            }
        }
        stamp(
            &mut frame,
            FrameId {
                stream,
                counter,
                label,
            },
        );
        frame
    }
}

/// One event, or one group of events that come together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    Created,
    ItemAdded,
    PartAdded,
    /// A piece of the transcript, or of the text.
    Words(String),
    /// This many frames of audio.
    Audio(u32),
    Arguments(String),
    ArgumentsDone,
    /// All the done events.
    Finish,
}

/// Makes the timetable of a response that is created at `created`.
pub(crate) fn plan(
    content: &Content,
    options: &SimOptions,
    created: Instant,
    random: &mut Prng,
) -> VecDeque<(Instant, Step)> {
    let timing = &options.timing;
    let added = created + timing.item_added;
    let mut steps = VecDeque::from([(created, Step::Created), (added, Step::ItemAdded)]);
    let last = match content {
        Content::Speech(_) => {
            let part = added + (timing.first_audio.saturating_sub(timing.item_added) / 20);
            steps.push_back((part, Step::PartAdded));
            speech(
                content,
                options,
                created + timing.first_audio,
                part,
                random,
                &mut steps,
            )
        }
        Content::Text(text) => {
            steps.push_back((added, Step::PartAdded));
            let first = created + timing.first_audio;
            steps.extend(
                words(text, 4)
                    .into_iter()
                    .map(|words| (first, Step::Words(words))),
            );
            first
        }
        Content::Call { arguments, .. } => {
            steps.extend(
                pieces(arguments, 12)
                    .into_iter()
                    .map(|piece| (added, Step::Arguments(piece))),
            );
            steps.push_back((added, Step::ArgumentsDone));
            added
        }
    };
    steps.push_back((last + timing.done, Step::Finish));
    steps
}

/// Audio in deltas, each with its words just ahead; returns the time of the last one.
fn speech(
    content: &Content,
    options: &SimOptions,
    first: Instant,
    part: Instant,
    random: &mut Prng,
    steps: &mut VecDeque<(Instant, Step)>,
) -> Instant {
    let sizes = delta_sizes(content.frames(), options);
    let mut groups = words(&content.words(), sizes.len()).into_iter();
    // One group runs ahead of the sound.
    steps.extend(groups.next().map(|words| (part, Step::Words(words))));
    let mut at = first;
    let mut last = first;
    for frames in sizes {
        steps.extend(groups.next().map(|words| (at, Step::Words(words))));
        steps.push_back((at, Step::Audio(frames)));
        last = at;
        at += pause(frames, options, random);
    }
    steps.extend(groups.map(|words| (last, Step::Words(words))));
    last
}

fn delta_sizes(frames: u32, options: &SimOptions) -> Vec<u32> {
    let mut left = frames;
    let mut sizes = Vec::new();
    while left > 0 {
        let wanted = if sizes.is_empty() {
            options.first_delta_frames
        } else {
            options.delta_frames
        };
        let size = wanted.clamp(1, left);
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// The time to the delta after one of this length.
fn pause(frames: u32, options: &SimOptions, random: &mut Prng) -> Duration {
    match options.speed {
        Speed::AllAtOnce => Duration::ZERO,
        Speed::Times(times) => {
            let even = (FRAME_TIME * frames).as_secs_f64() / times.max(0.01);
            let wobble = 1.0 + options.jitter.clamp(0.0, 1.0) * (2.0 * random.unit() - 1.0);
            Duration::from_secs_f64(even * wobble)
        }
    }
}

/// Cuts a text into at most `count` groups of whole words; their concatenation is the text.
fn words(text: &str, count: usize) -> Vec<String> {
    let all: Vec<&str> = text.split_inclusive(' ').collect();
    let size = all.len().div_ceil(count.max(1)).max(1);
    all.chunks(size).map(|group| group.concat()).collect()
}

fn pieces(text: &str, size: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(size)
        .map(|piece| piece.iter().collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Voice, read};

    fn audio(steps: &VecDeque<(Instant, Step)>) -> Vec<(Instant, u32)> {
        steps
            .iter()
            .filter_map(|(at, step)| match step {
                Step::Audio(frames) => Some((*at, *frames)),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn sizes_and_speed_are_those_of_the_real_one() {
        let content = Content::Speech(vec![Utterance::RESPECTABLE]);
        let start = Instant::now();
        let options = SimOptions::default();
        let steps = plan(&content, &options, start, &mut Prng::new(1));
        let deltas = audio(&steps);
        assert_eq!((deltas[0].1, deltas[1].1), (10, 13));
        assert_eq!(deltas[0].0 - start, Duration::from_millis(431));
        assert_eq!(
            deltas.iter().map(|(_, frames)| frames).sum::<u32>(),
            content.frames()
        );
        let took = deltas[deltas.len() - 1].0 - deltas[0].0;
        let speed = Utterance::RESPECTABLE.duration().as_secs_f64() / took.as_secs_f64();
        assert!((6.0..11.0).contains(&speed), "{speed} times real time");
        let mut times = steps.iter().map(|(at, _)| *at);
        let first = times.next();
        assert!(
            times
                .try_fold(first, |last, at| (Some(at) >= last).then_some(Some(at)))
                .is_some()
        );
    }

    #[test]
    fn the_transcript_is_whole_and_runs_ahead() {
        let content = Content::Speech(vec![Utterance::COLD_HEARTED, Utterance::AMIABLE]);
        let options = SimOptions {
            speed: Speed::Times(1.0),
            jitter: 0.0,
            ..SimOptions::default()
        };
        let steps = plan(&content, &options, Instant::now(), &mut Prng::new(1));
        let mut said = String::new();
        let mut heard = 0;
        for (_, step) in &steps {
            match step {
                Step::Words(words) => said.push_str(words),
                Step::Audio(frames) => {
                    heard += frames;
                    let share = f64::from(heard) / f64::from(content.frames());
                    assert!(said.len() as f64 >= share * content.words().len() as f64 * 0.7);
                }
                _ => {}
            }
        }
        assert_eq!(said, content.words());
        let spread = audio(&steps);
        assert!(spread[spread.len() - 1].0 - spread[0].0 > Duration::from_secs(8));
    }

    #[test]
    fn at_once_means_at_once() {
        let content = Content::Speech(vec![Utterance::AMIABLE]);
        let options = SimOptions {
            speed: Speed::AllAtOnce,
            ..SimOptions::default()
        };
        let deltas = audio(&plan(&content, &options, Instant::now(), &mut Prng::new(1)));
        assert_eq!(deltas[0].0, deltas[deltas.len() - 1].0);
    }

    #[test]
    fn frames_run_through_all_utterances() {
        let content = Content::Speech(vec![Utterance::AMIABLE, Utterance::YOUNG_MAN]);
        let stream = StreamId {
            voice: Voice::Model,
            call: 1,
            part: 2,
        };
        let label =
            |counter| read(&content.frame(stream, counter)).map(|id| (id.counter, id.label));
        let border = Utterance::AMIABLE.frames();
        assert_eq!(
            label(border - 1),
            Some((border - 1, Utterance::AMIABLE.label()))
        );
        assert_eq!(label(border), Some((border, Utterance::YOUNG_MAN.label())));
        assert_eq!(label(content.frames()), Some((content.frames(), 0)));
    }

    #[test]
    fn a_tool_call_has_its_arguments_in_pieces() {
        let arguments = r#"{"time":"11:15","note":"größer"}"#.to_owned();
        let content = Content::Call {
            call_id: "c".into(),
            name: "f".into(),
            arguments: arguments.clone(),
        };
        let steps = plan(
            &content,
            &SimOptions::default(),
            Instant::now(),
            &mut Prng::new(1),
        );
        let joined: String = steps
            .iter()
            .filter_map(|(_, step)| match step {
                Step::Arguments(piece) => Some(piece.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(joined, arguments);
    }
}
