//! A whole connection to a listener.

use crate::edge::talk;

/// What a client hears who asked whether the edge wants the body; the answer may follow it.
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Statuses that the edge answers callers and carriers with; 431 and 414 are the HTTP library's.
const STATUSES: [u16; 11] = [101, 200, 400, 403, 404, 405, 413, 414, 426, 431, 503];

pub(crate) fn run(bytes: &[u8]) {
    let answer = talk(bytes);
    let answer = answer.strip_prefix(INTERIM).unwrap_or(&answer);
    if answer.is_empty() {
        return;
    }
    let head = answer.strip_prefix(b"HTTP/1.");
    let head = head.expect("what is answered is HTTP");
    let digits = head
        .get(2..5)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let status = digits.and_then(|digits| digits.parse::<u16>().ok());
    let status = status.expect("an answer has a status");
    assert!(STATUSES.contains(&status), "{status}");
    if status == 101 {
        // Empty lines before a request are ignored: RFC 9112, section 2.2.
        let request = bytes.trim_ascii_start();
        assert!(request.starts_with(b"GET "), "only a GET is upgraded");
    }
}
