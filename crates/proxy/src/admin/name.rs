//! Names of calls and workers, as clients write them into a path.
//!
//! A carrier may name its calls as it likes, and many clients encode the colon of an address too, so a
//! name is decoded after its path was taken apart: a slash in it is no end of it.

use std::borrow::Cow;

use hyper::StatusCode;
use percent_encoding::percent_decode_str;

use super::{answers::text, body::Answer};

const UNREADABLE: &str = "a name in the path cannot be read: % is to be followed by two hexadecimal digits \
                          (%25 is a % itself), and what they stand for is to be UTF-8\n";

/// The name that is meant by a part of a path.
///
/// # Errors
/// What to answer where nothing can be meant by it.
pub(super) fn decode(part: &str) -> Result<Cow<'_, str>, Answer> {
    // The library leaves what is no escape as it is; two names for one call are one too many.
    let escapes = part.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let name = percent_decode_str(part).decode_utf8().ok();
    let name = name.filter(|_| escapes);
    name.ok_or_else(|| text(StatusCode::BAD_REQUEST, UNREADABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_decoded_or_refused() {
        for (part, name) in [
            ("CA1", "CA1"),
            ("127.0.0.1:5000", "127.0.0.1:5000"),
            ("127.0.0.1%3A5000", "127.0.0.1:5000"),
            ("%5b::1%5D:5000", "[::1]:5000"),
            ("caf%C3%A9%2f%25", "café/%"),
            ("a+b", "a+b"),
        ] {
            assert_eq!(decode(part).ok().as_deref(), Some(name), "{part}");
        }
        for part in ["%", "a%4", "%zz", "%+1", "%3%41", "%ff", "%C3", "ok%"] {
            let refused = decode(part).err().map(|answer| answer.status());
            assert_eq!(refused, Some(StatusCode::BAD_REQUEST), "{part}");
        }
    }
}
