//! The body of a request to the TwiML webhook.

use crate::edge::talk;

pub(crate) fn run(bytes: &[u8]) {
    let head = format!(
        "POST /voice HTTP/1.1\r\nHost: edge.test\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\n\r\n",
        bytes.len()
    );
    let answer = talk(&[head.as_bytes(), bytes].concat());
    let answer = String::from_utf8(answer).expect("TwiML is UTF-8");
    // Who ends the stream behind a request may be taken to have gone before it is answered, and the
    // answer to a body that is too large may be lost: then there is none at all.
    let Some((head, body)) = answer.split_once("\r\n\r\n") else {
        assert!(answer.is_empty(), "{answer:?}");
        return;
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    match status {
        "200" => check_twiml(body),
        "400" | "413" => {}
        other => panic!("{other:?}"),
    }
}

/// Nothing of a form may become an element, or end an attribute.
fn check_twiml(xml: &str) {
    const ELEMENTS: [&str; 10] = [
        "?xml",
        "Response",
        "/Response",
        "Connect",
        "/Connect",
        "Stream",
        "/Stream",
        "Parameter",
        "Redirect",
        "/Redirect",
    ];
    for tag in xml.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("every tag is closed");
        let name = tag
            .split([' ', '/'])
            .find(|part| !part.is_empty())
            .unwrap_or_default();
        let closes = tag.starts_with('/').then(|| format!("/{name}"));
        let name = closes.as_deref().unwrap_or(name);
        assert!(name == "Hangup" || ELEMENTS.contains(&name), "{tag:?}");
        // Between quotes stand values; what is outside them ends in `name=` before each.
        let outside: Vec<_> = tag.split('"').step_by(2).collect();
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag:?}");
        let (_, before) = outside.split_last().expect("a split has a part");
        assert!(before.iter().all(|part| part.ends_with('=')), "{tag:?}");
        assert!(!text.contains('>'), "{text:?}");
        let allowed = |it: char| it >= ' ' || it == '\n';
        assert!(
            tag.chars().chain(text.chars()).all(allowed),
            "{tag:?}{text:?}"
        );
    }
}
