//! Texts of a certain form: names, paths, URLs, headers, references to other sections.

use http::{HeaderName, HeaderValue, Uri};
use serde_json::{Value, json};

use crate::{
    reader::{At, nearest, shorten},
    shape::Shape,
};

/// Longest text.
const LENGTH_MAX: usize = 4_096;

/// The end of a path whose last segment is a call's token.
pub(crate) const TOKEN_SEGMENT: &str = "/{token}";

/// A form of text: what it must be like, and as a pattern for editors.
pub(crate) struct Text {
    pub(crate) check: fn(&At<'_>, &str) -> Result<(), String>,
    pattern: &'static str,
}

impl Text {
    pub(crate) fn schema(&self) -> Value {
        json!({ "type": "string", "pattern": self.pattern, "maxLength": LENGTH_MAX })
    }
}

/// Names of listeners, upstreams, pools and legs: they become part of logs and paths.
pub(crate) static NAME: Text = Text {
    check: |_, text| check_name(text),
    pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
};

/// Name of an outbound leg.
pub(crate) static LEG: Text = Text {
    check: |_, text| match text {
        "caller" => Err("`caller` is the name of the inbound leg: choose another".to_owned()),
        _ => check_name(text),
    },
    pattern: NAME.pattern,
};

/// Any text that can stand on one line.
pub(crate) static LINE: Text = Text {
    check: |_, text| check_line(text),
    pattern: "^.+$",
};

/// Path of a route.
pub(crate) static ROUTE: Text = Text {
    check: |_, text| check_route(text),
    pattern: r"^/[^?#*\s]*\*?$",
};

/// Path of a webhook: like a route's, but exact.
pub(crate) static WEBHOOK_PATH: Text = Text {
    check: |_, text| check_webhook_path(text),
    pattern: r"^/[^?#*{}\s]*$",
};

/// The URL of TwiML, as Twilio is told it.
pub(crate) static HTTPS_URL: Text = Text {
    check: |_, text| check_https_url(text),
    pattern: r"^https://[^/?#\s]+/[^#\s]*$",
};

/// The URL of a collector of spans.
pub(crate) static COLLECTOR_URL: Text = Text {
    check: |_, text| check_collector_url(text),
    pattern: r"^https?://[^/?#\s]+/?$",
};

/// The URL that a carrier signs.
pub(crate) static PUBLIC_URL: Text = Text {
    check: |_, text| check_public_url(text),
    pattern: r"^wss://[^/?#\s]+/[^?#\s]*$",
};

/// The URL of an upstream.
pub(crate) static UPSTREAM_URL: Text = Text {
    check: |_, text| check_url(text, &["wss", "ws"]),
    pattern: r"^wss?://[^#\s]+$",
};

/// A name that DNS can resolve.
pub(crate) static HOST: Text = Text {
    check: |_, text| check_host(text),
    pattern: "^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_.])?$",
};

/// Name of a Kubernetes object that is also a DNS label, such as a Service (RFC 1035).
pub(crate) static LABEL: Text = Text {
    check: |_, text| check_label(text),
    pattern: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
};

/// Name of a header that an upstream may be sent.
pub(crate) static HEADER: Text = Text {
    check: |_, text| check_header_name(text),
    pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
};

/// Name of a header that a collector may be sent: metadata, as gRPC calls it.
pub(crate) static METADATA: Text = Text {
    check: |_, text| check_metadata_name(text),
    pattern: "^[a-z0-9_.-]+$",
};

/// Name of a pool, in `workers`.
pub(crate) static POOL: Text = Text {
    check: |at, text| check_reference(at, text, "workers"),
    pattern: NAME.pattern,
};

/// Name of an upstream, in `upstreams`.
pub(crate) static UPSTREAM: Text = Text {
    check: |at, text| check_reference(at, text, "upstreams"),
    pattern: NAME.pattern,
};

impl Shape for String {
    type Range = &'static Text;

    fn range() -> Self::Range {
        &LINE
    }

    fn read(at: &At<'_>, range: &Self::Range) -> Option<Self> {
        let Some(text) = at.text() else {
            let kind = at.node.kind();
            at.wrong(format!("must be text, not {kind}: write it in quotes"));
            return None;
        };
        let checked = if text.len() > LENGTH_MAX {
            Err(format!("is longer than {LENGTH_MAX} bytes"))
        } else {
            (range.check)(at, text)
        };
        if let Err(why) = checked {
            at.wrong(why);
            return None;
        }
        Some(text.to_owned())
    }

    fn schema(range: &Self::Range) -> Value {
        range.schema()
    }

    fn write(&self) -> serde_yaml::Value {
        self.as_str().into()
    }
}

fn check_name(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && text.chars().all(plain) && text.len() <= 63 {
        return Ok(());
    }
    Err(format!(
        "`{}` is no name: use 1 to 63 letters, digits, `_`, `-` or `.`, beginning with a letter or digit",
        shorten(text)
    ))
}

fn check_line(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("holds a line break or another control character".to_owned());
    }
    Ok(())
}

fn check_route(text: &str) -> Result<(), String> {
    let written = shorten(text);
    let plain = ["/*", TOKEN_SEGMENT]
        .iter()
        .find_map(|end| text.strip_suffix(end))
        .unwrap_or(text);
    if !text.starts_with('/') {
        return Err(format!("`{written}` must begin with `/`"));
    }
    if plain.contains('*') {
        return Err(format!(
            "`{written}`: `*` may stand only at the end, as `/*`"
        ));
    }
    if plain.contains(['{', '}']) {
        return Err(format!(
            "`{written}`: of braces only `{{token}}` may stand, as the last segment"
        ));
    }
    if plain.contains(['?', '#']) {
        return Err(format!("`{written}`: a path ends before `?` or `#`"));
    }
    let visible = |c: char| c.is_ascii_graphic();
    if !plain.chars().all(visible) {
        return Err(format!(
            "`{written}`: write it percent-encoded, as it is on the wire"
        ));
    }
    Ok(())
}

fn check_webhook_path(text: &str) -> Result<(), String> {
    if text.ends_with('*') || text.contains(['{', '}']) {
        return Err(format!(
            "`{}`: a webhook's path is exact, without `*` or `{{token}}`",
            shorten(text)
        ));
    }
    check_route(text)
}

fn check_https_url(text: &str) -> Result<(), String> {
    check_url(text, &["https"])?;
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    if !after_scheme.contains('/') {
        return Err(
            "has no path: write all of it, such as https://voice.example.com/twilio/voice"
                .to_owned(),
        );
    }
    Ok(())
}

fn check_public_url(text: &str) -> Result<(), String> {
    check_url(text, &["wss"])?;
    if text.contains('?') {
        return Err("has a query: Twilio allows none in a stream's URL".to_owned());
    }
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let Some((_, path)) = after_scheme.split_once('/') else {
        return Err(
            "has no path: write it as in TwiML, such as wss://voice.example.com/media".to_owned(),
        );
    };
    check_route(&format!("/{path}"))
}

fn check_collector_url(text: &str) -> Result<(), String> {
    check_url(text, &["http", "https"])?;
    let after_scheme = text.split_once("://").map_or("", |(_, rest)| rest);
    let place = after_scheme.strip_suffix('/').unwrap_or(after_scheme);
    if place.contains(['/', '?']) {
        return Err(
            "has a path, which OTLP over gRPC has not: write it such as http://collector:4317"
                .to_owned(),
        );
    }
    Ok(())
}

fn check_url(text: &str, schemes: &[&str]) -> Result<(), String> {
    let right = format!("{}://HOST/PATH", schemes[0]);
    let uri: Uri = text
        .parse()
        .map_err(|_| format!("`{}` is no URL: write {right}", shorten(text)))?;
    // A URL with a password must not be repeated, not even in an error.
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(format!("names a user: write {right}"));
    }
    let scheme = uri.scheme_str().unwrap_or_default();
    if !schemes.contains(&scheme) {
        let choice = schemes.join(":// or ");
        return Err(format!("`{}` must begin with {choice}://", shorten(text)));
    }
    if uri.host().is_none_or(str::is_empty) || uri.port_u16() == Some(0) {
        return Err(format!(
            "`{}` names no host to reach: write {right}",
            shorten(text)
        ));
    }
    if text.contains('#') {
        return Err("has a fragment (`#`), which is never sent".to_owned());
    }
    Ok(())
}

fn check_label(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let framed = text.starts_with('-') || text.ends_with('-');
    if (1..=63).contains(&text.len()) && text.chars().all(plain) && !framed {
        return Ok(());
    }
    Err(format!(
        "`{}` is no name of a Kubernetes object: use 1 to 63 small letters, digits or `-`, the latter not at the ends",
        shorten(text)
    ))
}

fn check_host(text: &str) -> Result<(), String> {
    let written = shorten(text);
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        (1..=63).contains(&label.len()) && label.chars().all(plain)
    };
    let bare = text.strip_suffix('.').unwrap_or(text);
    if bare.contains(':') {
        return Err(format!(
            "`{written}` must be a name alone: the port has its own key"
        ));
    }
    if bare.len() > 253 || !bare.split('.').all(label) {
        return Err(format!(
            "`{written}` is no host name, such as workers.default.svc"
        ));
    }
    Ok(())
}

/// Headers that the WebSocket handshake or another key of the upstream decides.
const HEADERS_TAKEN: &[(&str, &str)] = &[
    ("authorization", "use `api_key`"),
    ("connection", "the handshake decides it"),
    ("content-length", "the handshake has no body"),
    ("host", "it comes from `url`"),
    (
        "openai-beta",
        "the Realtime API refuses the beta header (close 4000)",
    ),
    ("sec-websocket-extensions", "the handshake decides it"),
    ("sec-websocket-key", "the handshake decides it"),
    ("sec-websocket-protocol", "the handshake decides it"),
    ("sec-websocket-version", "the handshake decides it"),
    ("transfer-encoding", "the handshake has no body"),
    ("upgrade", "the handshake decides it"),
];

fn check_header_name(text: &str) -> Result<(), String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| format!("`{}` is no name of a header", shorten(text)))?;
    match HEADERS_TAKEN.iter().find(|(taken, _)| name == *taken) {
        Some((_, why)) => Err(format!("cannot be set here: {why}")),
        None => Ok(()),
    }
}

/// Headers of a request that gRPC or HTTP/2 decides.
const METADATA_TAKEN: &[&str] = &[
    "connection",
    "content-type",
    "host",
    "te",
    "transfer-encoding",
    "user-agent",
];

fn check_metadata_name(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
    if text.is_empty() || !text.chars().all(plain) {
        return Err(format!(
            "`{}` is no name of a gRPC header: use small letters, digits, `_`, `.` or `-`",
            shorten(text)
        ));
    }
    if text.ends_with("-bin") {
        return Err("cannot be set here: `-bin` is for binary values".to_owned());
    }
    if METADATA_TAKEN.contains(&text) || text.starts_with("grpc-") {
        return Err("cannot be set here: gRPC decides it".to_owned());
    }
    Ok(())
}

/// Whether this text may be a header's value.
pub(crate) fn is_header_value(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok() && text.is_ascii()
}

fn check_reference(at: &At<'_>, text: &str, section: &str) -> Result<(), String> {
    let root = at.root();
    let Some(known) = root.get(section) else {
        return Err(format!(
            "`{}` is unknown: there are no `{section}`",
            shorten(text)
        ));
    };
    if known.has(text) {
        return Ok(());
    }
    let names: Vec<_> = known.node.keys().map(shorten).collect();
    let hint = match nearest(text, known.node.keys()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`{section}` has {}", names.join(", ")),
    };
    Err(format!("`{}` is not in `{section}`: {hint}", shorten(text)))
}
