//! The two dialects, as bytes: what Twilio and OpenAI say, and what they are told.
//!
//! Audio crosses as base64 text that is neither decoded nor copied more than once; the rest is
//! parsed by serde and tolerates fields and events that are not known yet.

pub(crate) mod openai;
pub(crate) mod scan;
pub(crate) mod session;
pub(crate) mod twilio;

/// Bytes that base64 of this length stands for.
pub(crate) fn decoded_len(base64: &[u8]) -> u64 {
    let padding = base64.iter().rev().take(2).filter(|&&b| b == b'=').count();
    (base64.len() as u64 * 3 / 4).saturating_sub(padding as u64)
}

/// Mu-law bytes of one millisecond: 8,000 samples a second, one byte each.
pub(crate) const BYTES_PER_MS: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_without_decoding() {
        for (text, bytes) in [
            ("", 0),
            ("/w==", 1),
            ("//8=", 2),
            ("////", 3),
            ("/////w==", 4),
        ] {
            assert_eq!(decoded_len(text.as_bytes()), bytes, "{text}");
        }
    }
}
