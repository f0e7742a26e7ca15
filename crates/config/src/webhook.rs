//! `webhook`: the edge's own answer to Twilio's question what to do with a call.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{defaults, reader::At, section::section, shape::Shape, text, tree::Node};

section! {
    /// A TwiML webhook of the edge's own: it sends calls to this route, and brings back those whose
    /// stream broke.
    pub struct Webhook {
        /// Exact path that Twilio posts to; unique within a listener.
        pub path: String [&text::WEBHOOK_PATH],
        /// The URL of that path as Twilio is told it: `https://`. It is what Twilio signs.
        pub public_url: String [&text::HTTPS_URL],
        /// Fields of Twilio's request that the worker is given as parameters of the stream.
        pub parameters: Vec<String> [0..=16] = defaults::webhook_parameters(),
        /// What Twilio is to do with a call that cannot go on here; `off`: hang up.
        pub fallback: Option<Fallback> = None,
    }
}

/// What Twilio is to do with a call that cannot go on at this edge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// The TwiML in this file.
    File(PathBuf),
    /// The TwiML at this URL.
    Redirect(String),
}

impl Shape for Fallback {
    type Range = ();

    fn range() -> Self::Range {}

    fn read(at: &At<'_>, (): &()) -> Option<Self> {
        let entries = at.entries();
        match entries.as_slice() {
            [("file", path)] => PathBuf::read(path, &()).map(Self::File),
            [("redirect", url)] => String::read(url, &&text::HTTPS_URL).map(Self::Redirect),
            _ => {
                at.wrong("must be `off`, {file: TWIML_FILE} or {redirect: URL}");
                None
            }
        }
    }

    fn schema((): &()) -> Value {
        let only = |key: &str, schema: Value| {
            json!({
                "type": "object",
                "properties": { key: schema },
                "required": [key],
                "additionalProperties": false,
            })
        };
        json!({ "oneOf": [
            only("file", PathBuf::schema(&())),
            only("redirect", text::HTTPS_URL.schema()),
        ] })
    }

    fn write(&self) -> serde_yaml::Value {
        let (key, value) = match self {
            Self::File(path) => ("file", path.write()),
            Self::Redirect(url) => ("redirect", url.write()),
        };
        let mut map = serde_yaml::Mapping::new();
        map.insert(key.into(), value);
        map.into()
    }
}

/// What a route says of webhook, token and takeover must fit together.
pub(crate) fn check_return(route: &At<'_>, twilio: bool) {
    let Some(path) = route.text_of("path") else {
        return;
    };
    let token = path.ends_with(text::TOKEN_SEGMENT);
    // Anything but a map is `off`, or complained of already.
    let webhook = route
        .get("webhook")
        .filter(|at| matches!(at.node, Node::Map(_)));
    match &webhook {
        None if token => route.place("path").wrong(
            "ends in `/{token}`, which the edge's own webhook fills in: add \
             `webhook: {path: /twilio/voice, public_url: https://...}`",
        ),
        Some(webhook) if !twilio => webhook.wrong("only a `twilio` route can have a webhook"),
        Some(webhook) if !token => webhook.wrong(
            "needs a route whose path ends in `/{token}`, where it puts the proof that a stream \
             belongs to its call",
        ),
        _ => {}
    }
    let takeover = route.get("takeover");
    match takeover.filter(|at| at.text().is_some_and(|text| text != "off")) {
        Some(takeover) if !twilio => takeover.wrong("only a `twilio` route knows who calls"),
        Some(takeover) if token => {
            takeover.wrong("the path's `{token}` is better proof: leave `takeover` out");
        }
        _ => {}
    }
}

/// A webhook's path is exact, so no route and no other webhook of the listener may have it.
pub(crate) fn check_paths(routes: &At<'_>) {
    let routes = routes.items();
    let mut taken: Vec<_> = routes.iter().filter_map(|it| it.text_of("path")).collect();
    for route in &routes {
        let place = route.get("webhook").and_then(|at| at.get("path"));
        let Some((place, path)) = place.and_then(|at| at.text().map(|text| (at, text))) else {
            continue;
        };
        if taken.contains(&path) {
            place.wrong(format!("`{path}` is taken: each path must be unique"));
        }
        taken.push(path);
    }
}
