//! Recorded watch streams: what a cluster did, to be done again. Those in `recordings` were written by
//! hand: no real cluster was at hand to record.
//!
//! A recording is a file with one JSON object a line, as `kubectl get --watch
//! --output-watch-events --output json` writes them (`ADDED`, `MODIFIED`, `DELETED`, and
//! `BOOKMARK`), of all resources together. Beside these there are `WAIT`, with `ms`, and `FORGET`,
//! after which older versions are gone. Addresses and ports that a test chooses stand as
//! `${NAME}`.

use std::time::Duration;

use serde_json::Value;

use crate::{Cluster, GoneAs, Kind, store::text};

/// A recording that is ready to be played.
#[derive(Clone, Debug)]
pub struct Recording(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Apply(Value),
    Delete(Kind, Value),
    Bookmark(Kind),
    Forget,
    Wait(Duration),
}

/// A line that is none. The fault lies with the recording.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RecordingError {
    /// Which one, from 1.
    pub line: usize,
    /// Why.
    pub what: String,
}

impl Recording {
    /// Reads a recording, with each `${NAME}` replaced by its value.
    ///
    /// # Errors
    /// If a line cannot be understood.
    pub fn read(text: &str, values: &[(&str, &str)]) -> Result<Self, RecordingError> {
        let filled = values.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        });
        let lines = filled.lines().enumerate();
        let steps = lines
            .filter(|(_, line)| !line.trim().is_empty())
            .map(|(index, line)| {
                step(line).map_err(|what| RecordingError {
                    line: index + 1,
                    what,
                })
            });
        Ok(Self(steps.collect::<Result<_, _>>()?))
    }

    /// Does all of it, with the pauses as recorded.
    pub async fn play(&self, cluster: &Cluster) {
        for step in &self.0 {
            match step {
                Step::Apply(object) => cluster.apply(object.clone()),
                Step::Delete(kind, object) => {
                    let namespace = text(object, "/metadata/namespace");
                    cluster.delete(*kind, namespace, text(object, "/metadata/name"));
                }
                Step::Bookmark(kind) => cluster.bookmark(*kind),
                Step::Forget => cluster.forget(GoneAs::Event),
                Step::Wait(length) => tokio::time::sleep(*length).await,
            }
        }
    }
}

fn step(line: &str) -> Result<Step, String> {
    let mut event: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let object = event["object"].take();
    let kind = || {
        let name = text(&object, "/kind");
        Kind::named(name).ok_or_else(|| format!("`{name}` is no kind that is served"))
    };
    match text(&event, "/type") {
        "ADDED" | "MODIFIED" => kind().map(|_| Step::Apply(object.clone())),
        "DELETED" => Ok(Step::Delete(kind()?, object.clone())),
        "BOOKMARK" => kind().map(Step::Bookmark),
        "FORGET" => Ok(Step::Forget),
        "WAIT" => match event["ms"].as_u64() {
            Some(length) => Ok(Step::Wait(Duration::from_millis(length))),
            None => Err("`WAIT` needs `ms`".to_owned()),
        },
        other => Err(format!("`{other}` is no type of event")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_line_that_is_none_is_named() {
        let text =
            "{\"type\":\"WAIT\",\"ms\":1}\n\n{\"type\":\"ADDED\",\"object\":{\"kind\":\"Node\"}}\n";
        let error = Recording::read(text, &[]).unwrap_err().to_string();
        assert_eq!(error, "line 3: `Node` is no kind that is served");
    }
}
