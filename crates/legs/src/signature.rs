//! `X-Twilio-Signature`: proof that an upgrade or a webhook's request comes from Twilio.
//!
//! Twilio signs the URL exactly as it stands in the TwiML. That URL is taken from the configuration
//! and never from `Host` or `X-Forwarded-*`: those belong to whoever sent the request. A signature
//! covers the URL alone, so it can be replayed on the same path; it proves the account, not the
//! call.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use holdline_config::{Secret, SharedKey, Signature};
use http::{HeaderMap, HeaderValue};
use sha1::Sha1;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// The signature, in base64.
const SIGNATURE: &str = "x-twilio-signature";
/// `key=<id>,algorithm=HMAC_SHA256`; absent for the older form. As read by Twilio's own libraries
/// since twilio-python 9.13.
const SETTINGS: &str = "x-twilio-webhooks-signature-settings";

/// What is wrong with an upgrade's signature. For logs and metrics; the peer learns nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SignatureError {
    /// There is none, or more than one.
    Missing,
    /// The settings header cannot be understood.
    Settings,
    /// The settings name a shared key that is not configured.
    UnknownKey,
    /// It is not that of the configured URL with any configured key.
    Mismatch,
}

impl SignatureError {
    /// The word used in logs and metric labels.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Settings => "settings",
            Self::UnknownKey => "unknown_key",
            Self::Mismatch => "mismatch",
        }
    }
}

/// Checks the signatures of one route.
#[derive(Debug)]
pub(crate) struct Verifier {
    /// The public URL, less the `*` of a prefix route.
    url: String,
    /// The same without its port, where it names one: Twilio's libraries accept both.
    without_port: Option<String>,
    tokens: Vec<Secret>,
    shared_keys: Vec<SharedKey>,
}

impl Verifier {
    /// Of a route's upgrades.
    pub(crate) fn new(settings: &Signature) -> Self {
        let url = &settings.public_url;
        let open = ["*", "{token}"]
            .iter()
            .find_map(|end| url.strip_suffix(end));
        Self::of(open.unwrap_or(url), settings)
    }

    /// Of requests to `url`, with the keys of `settings`.
    pub(crate) fn of(url: &str, settings: &Signature) -> Self {
        let mut tokens = vec![settings.auth_token.clone()];
        tokens.extend(settings.secondary_auth_token.clone());
        Self {
            url: url.to_owned(),
            without_port: without_port(url),
            tokens,
            shared_keys: settings.shared_keys.clone(),
        }
    }

    /// Whether `headers` prove that Twilio asks for this route. `rest` is what is signed beyond the
    /// URL: what the request's path has behind the fixed part of a route's; of a webhook's request
    /// its fields.
    pub(crate) fn verify(&self, headers: &HeaderMap, rest: &str) -> Result<(), SignatureError> {
        let given = only(headers, SIGNATURE)
            .ok_or(SignatureError::Missing)?
            .as_bytes();
        let valid = match self.scheme(headers)? {
            Scheme::Token => self.tokens.iter().fold(Choice::from(0), |valid, token| {
                valid | self.matches::<Hmac<Sha1>>(token, rest, given)
            }),
            Scheme::SharedKey(key) => self.matches::<Hmac<Sha256>>(&key.secret, rest, given),
        };
        if bool::from(valid) {
            Ok(())
        } else {
            Err(SignatureError::Mismatch)
        }
    }

    /// Which keys and hash the request claims. A claim only chooses among configured keys.
    fn scheme(&self, headers: &HeaderMap) -> Result<Scheme<'_>, SignatureError> {
        if !headers.contains_key(SETTINGS) {
            return Ok(Scheme::Token);
        }
        let settings = only(headers, SETTINGS)
            .and_then(|value| value.to_str().ok())
            .ok_or(SignatureError::Settings)?;
        let setting = |name: &str| {
            settings.split(',').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key.trim() == name).then(|| value.trim())
            })
        };
        match setting("algorithm") {
            None | Some("HMAC_SHA1") => Ok(Scheme::Token),
            Some("HMAC_SHA256") => {
                let id = setting("key").ok_or(SignatureError::Settings)?;
                let key = self.shared_keys.iter().find(|key| key.id == id);
                key.map(Scheme::SharedKey).ok_or(SignatureError::UnknownKey)
            }
            Some(_) => Err(SignatureError::Settings),
        }
    }

    /// All spellings are computed and compared, whichever fits: time tells nothing.
    fn matches<M: Mac + KeyInit>(&self, key: &Secret, rest: &str, given: &[u8]) -> Choice {
        let spellings = [Some(&self.url), self.without_port.as_ref()];
        spellings
            .into_iter()
            .flatten()
            .fold(Choice::from(0), |valid, url| {
                let Ok(mac) = <M as KeyInit>::new_from_slice(key.expose().as_bytes()) else {
                    return valid;
                };
                let digest = mac.chain_update(url).chain_update(rest).finalize();
                let expected = STANDARD.encode(digest.into_bytes());
                valid | expected.as_bytes().ct_eq(given)
            })
    }
}

enum Scheme<'a> {
    Token,
    SharedKey(&'a SharedKey),
}

/// The header's value, if it occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// `url` without its port; `None` where it names none.
fn without_port(url: &str) -> Option<String> {
    let start = url.find("://")? + 3;
    let end = url[start..]
        .find('/')
        .map_or(url.len(), |slash| start + slash);
    let (host, port) = url[start..end].rsplit_once(':')?;
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    is_port.then(|| format!("{}{host}{}", &url[..start], &url[end..]))
}

#[cfg(test)]
#[path = "signature/tests.rs"]
mod tests;
