//! The dashboard: a page that the edge itself serves, whole in this binary.
//!
//! It is a client of this port like any other, so there is nothing here but files. They tell nothing of
//! calls, and need no token; what they then ask for does.

use hyper::{
    StatusCode,
    header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS},
};

use super::{
    answers::{respond, with},
    body::Answer,
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Nothing from elsewhere, and nothing that stands in the page itself: what a caller or a worker calls
/// itself can never become a script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Path, kind and text of each file.
const FILES: [(&str, &str, &str); 9] = [
    ("/", HTML, include_str!("dashboard/index.html")),
    (
        "/dashboard/style.css",
        CSS,
        include_str!("dashboard/style.css"),
    ),
    ("/dashboard/app.js", JS, include_str!("dashboard/app.js")),
    ("/dashboard/book.js", JS, include_str!("dashboard/book.js")),
    ("/dashboard/draw.js", JS, include_str!("dashboard/draw.js")),
    (
        "/dashboard/events.js",
        JS,
        include_str!("dashboard/events.js"),
    ),
    ("/dashboard/rows.js", JS, include_str!("dashboard/rows.js")),
    (
        "/dashboard/rules.js",
        JS,
        include_str!("dashboard/rules.js"),
    ),
    (
        "/dashboard/words.js",
        JS,
        include_str!("dashboard/words.js"),
    ),
];

/// Whether this path is one of the page's files.
pub(super) fn has(path: &str) -> bool {
    FILES.iter().any(|(of, ..)| *of == path)
}

/// The file at this path.
pub(super) fn file(path: &str) -> Option<Answer> {
    let (_, kind, text) = FILES.iter().find(|(of, ..)| *of == path)?;
    let answer = respond(StatusCode::OK, kind, *text);
    let answer = with(answer, CONTENT_SECURITY_POLICY, POLICY);
    let answer = with(answer, X_CONTENT_TYPE_OPTIONS, "nosniff");
    let answer = with(answer, X_FRAME_OPTIONS, "DENY");
    Some(with(answer, REFERRER_POLICY, "no-referrer"))
}
