//! `signature`: the proof that an upgrade comes from Twilio.

use crate::Secret;

/// What `X-Twilio-Signature` is checked with.
#[derive(Clone, PartialEq, Debug)]
pub struct Signature {
    /// The URL as Twilio knows it: `wss://`, no query. For a prefix route it ends in `/*` too.
    pub public_url: String,
    /// The account's auth token.
    pub auth_token: Secret,
    /// The account's secondary auth token, while tokens are being rotated.
    pub secondary_auth_token: Option<Secret>,
    /// Shared keys of the SHA-256 form.
    pub shared_keys: Vec<SharedKey>,
}

/// One shared key, named in `X-Twilio-Webhooks-Signature-Settings`.
#[derive(Clone, PartialEq, Debug)]
pub struct SharedKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: Secret,
}
