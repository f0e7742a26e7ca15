//! Session ids: random, so that they say nothing of a call and need no counter shared by edges.

use holdline_session::SessionId;

/// Makes a new id.
///
/// # Errors
/// Where the operating system has no randomness to give; the call is then refused.
pub(crate) fn new_session_id() -> Result<SessionId, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(SessionId(u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ids_differ() {
        assert_ne!(new_session_id().unwrap(), new_session_id().unwrap());
    }
}
