//! Watches: a line of JSON for each event, until the time is over or something breaks.

use std::{collections::VecDeque, io, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{Response, StatusCode, body::Frame};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::{
    GoneAs, Kind,
    answers::{self, Answer, json_response, selected, shown, status_object},
    cluster::{Shared, World},
    server::Asked,
    store::News,
};

const EXPIRED: &str = "too old resource version";

/// Answers with a watch.
pub(crate) fn watch(shared: &Arc<Shared>, asked: Asked) -> Response<Answer> {
    let version = asked.parameter("resourceVersion").parse().unwrap_or(0);
    let (gone, cuts, silences) = {
        let world = shared.world();
        let forgotten = world.store.since(version).is_none();
        let as_status = forgotten && world.faults.gone_as == GoneAs::Status;
        let gone = as_status || world.store.is_compacted(version);
        (gone, world.faults.cuts, world.faults.silences)
    };
    if gone {
        shared.change(|world| world.refused += 1);
        return answers::status(410, "Expired", EXPIRED);
    }
    let watching = Watching {
        _open: Open::new(shared, asked.kind),
        changes: shared.changes(),
        shared: Arc::clone(shared),
        until: Instant::now() + asked.time(),
        asked,
        version,
        cuts,
        silences,
        ready: VecDeque::new(),
        over: false,
    };
    let frames = stream::unfold(watching, |mut watching| async move {
        let frame = watching.next().await?;
        Some((frame, watching))
    });
    json_response(StatusCode::OK, StreamBody::new(frames).boxed_unsync())
}

struct Watching {
    _open: Open,
    changes: watch::Receiver<()>,
    shared: Arc<Shared>,
    until: Instant,
    asked: Asked,
    /// Told up to here.
    version: u64,
    cuts: u64,
    silences: u64,
    ready: VecDeque<String>,
    /// Nothing more follows.
    over: bool,
}

impl Watching {
    async fn next(&mut self) -> Option<io::Result<Frame<Bytes>>> {
        loop {
            self.changes.mark_unchanged();
            let silent = {
                let shared = Arc::clone(&self.shared);
                let world = shared.world();
                if world.faults.cuts != self.cuts {
                    return Some(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                let silent = world.faults.silences != self.silences;
                if !silent {
                    self.hear(&world);
                }
                silent
            };
            if let Some(mut line) = self.ready.pop_front() {
                line.push('\n');
                return Some(Ok(Frame::data(line.into())));
            }
            if self.over {
                return None;
            }
            // What it is told at its very end counts, too.
            tokio::select! {
                biased;
                _ = self.changes.changed() => {}
                () = sleep_until(self.until), if !silent => return None,
            }
        }
    }

    fn hear(&mut self, world: &World) {
        if self.over {
            return;
        }
        let Some(events) = world.store.since(self.version) else {
            let status = status_object(410, "Expired", EXPIRED);
            self.ready.push_back(line("ERROR", status));
            self.over = true;
            return;
        };
        for event in events {
            self.version = event.version;
            if event.kind == self.asked.kind {
                self.ready
                    .extend(told(&event.news, event.version, &self.asked));
            }
        }
    }
}

fn told(news: &News, version: u64, asked: &Asked) -> Option<String> {
    let here = |object: &Value| {
        object["metadata"]["namespace"] == asked.namespace.as_str()
            && selected(object, asked.parameter("labelSelector"))
    };
    let object =
        |word: &str, object: &Value| here(object).then(|| line(word, shown(object, asked)));
    match news {
        News::Added(it) => object("ADDED", it),
        News::Modified(it) => object("MODIFIED", it),
        News::Deleted(it) => object("DELETED", it),
        News::Bookmark => {
            let bookmark = json!({
                "apiVersion": asked.kind.api_version(),
                "kind": asked.kind.as_str(),
                "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null},
            });
            let wanted = asked.parameter("allowWatchBookmarks") == "true";
            wanted.then(|| line("BOOKMARK", bookmark))
        }
        News::Raw(text) => Some(text.clone()),
    }
}

fn line(word: &str, object: Value) -> String {
    json!({"type": word, "object": object}).to_string()
}

/// Counts a watch for as long as it lives.
struct Open {
    shared: Arc<Shared>,
    kind: Kind,
}

impl Open {
    fn new(shared: &Arc<Shared>, kind: Kind) -> Self {
        shared.change(|world| {
            world.open.push(kind);
            world.begun.push(kind);
        });
        Self {
            shared: Arc::clone(shared),
            kind,
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.change(|world| {
            if let Some(place) = world.open.iter().position(|kind| *kind == self.kind) {
                world.open.swap_remove(place);
            }
        });
    }
}
