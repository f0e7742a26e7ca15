//! What the caller heard of a model's failure, and what the next session was told.

use std::time::{Duration, Instant};

use holdline_testkit::{
    identity::FRAME_TIME,
    openai::{ConnectionRecord, ResponseRecord},
    speech::Utterance,
    twilio::{CallRecord, Fate},
};

/// The longest pause in what the caller heard, from the beginning of the first of these responses to
/// the end of the last, by the clock of the caller's playback.
pub(crate) fn longest_pause(record: &CallRecord, responses: &[&ResponseRecord]) -> Duration {
    let parts: Vec<_> = responses.iter().map(|it| it.part).collect();
    let played = played(record, |part| parts.contains(&part));
    let pauses = played
        .windows(2)
        .map(|pair| pair[1].saturating_duration_since(pair[0] + FRAME_TIME));
    pauses.max().expect("nothing was heard")
}

/// Whether the caller heard all of it.
pub(crate) fn is_heard(record: &CallRecord, response: &ResponseRecord) -> bool {
    let heard = played(record, |part| part == response.part);
    heard.len() == response.sent.len()
}

/// From the last thing said, by the caller or to them, to the end of the stream.
pub(crate) fn final_pause(record: &CallRecord, model: &ConnectionRecord) -> Duration {
    let heard = played(record, |_| true).into_iter().max();
    let said = model.turns.last().and_then(|turn| turn.stopped);
    let last = heard.map(|it| it + FRAME_TIME).max(said);
    let stream = record.streams.last().unwrap();
    stream.ended.saturating_duration_since(last.unwrap())
}

/// A row of the table, for who asks for it with `--nocapture`.
#[allow(clippy::print_stdout, reason = "the table, for who asks for it")]
pub(crate) fn row(failure: &str, pause: Duration, then: &str) {
    println!("| {failure} | {} | {then} |", pause.as_millis());
}

/// The session was told what was said until a long answer was cut: the greeting, the caller's
/// question in words or as it sounded, and no more of the answer than was heard.
pub(crate) fn assert_told(model: &ConnectionRecord) {
    let told = &model.seeded;
    let shown: Vec<_> = told
        .iter()
        .map(|it| (&it.role, &it.text, it.frames.len()))
        .collect();
    assert!(model.errors.is_empty(), "{:?}", model.errors);
    assert_eq!(told.len(), 4, "{shown:?}");
    let roles: Vec<_> = told.iter().map(|it| it.role.as_str()).collect();
    assert_eq!(roles, ["system", "assistant", "user", "assistant"]);
    assert!(told[0].text.contains("go on where you stopped"));
    assert_eq!(told[1].text, words(Utterance::QUEEN_OF_CLUBS));
    let question = Utterance::YOUNG_MAN;
    if told[2].text.is_empty() {
        let heard = told[2].frames.iter();
        let heard = heard.filter(|it| it.label == question.label()).count();
        assert_eq!(heard, question.frames() as usize, "as it sounded");
    } else {
        assert_eq!(told[2].text, words(question));
    }
    let (answer, heard) = (words(Utterance::PRUDENTLY), &told[3].text);
    assert!(answer.starts_with(heard.as_str()), "{heard}");
    assert!(heard.len() < answer.len() / 3, "{heard}");
}

fn words(utterance: Utterance) -> &'static str {
    utterance.recording().transcript
}

fn played(record: &CallRecord, wanted: impl Fn(u32) -> bool) -> Vec<Instant> {
    let heard = record.streams.iter().flat_map(|stream| &stream.heard);
    let mut times: Vec<_> = heard
        .filter(|it| it.fate == Fate::Played && wanted(it.id.stream.part))
        .map(|it| it.plays_at)
        .collect();
    times.sort_unstable();
    times
}
