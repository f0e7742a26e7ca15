//! A whole connection to a listener.

use crate::edge::talk;

/// Statuses that the edge answers callers and carriers with; 431 and 414 are the HTTP library's.
const STATUSES: [u16; 11] = [101, 200, 400, 403, 404, 405, 413, 414, 426, 431, 503];

pub(crate) fn run(bytes: &[u8]) {
    let answer = talk(bytes);
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
        assert!(bytes.starts_with(b"GET "), "only a GET is upgraded");
    }
}
