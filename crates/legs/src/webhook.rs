//! The edge's own TwiML webhook: Twilio asks what to do with a call, and is told.
//!
//! A stream that breaks is not opened again by Twilio: it goes on to the next instruction. So the
//! instruction behind the stream is to ask here again, and the answer brings the call back. Whether
//! there is something to come back to, only the edge as a whole knows: see [`Gate::direct`].

mod twiml;

use std::{error::Error, fs, path::Path};

use bytes::Bytes;
use holdline_config::{Fallback, Route, Webhook as Settings};
use http::{HeaderMap, Method, Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body;

use crate::{Direction, Gate, SetupError, errors::Refused, signature::Verifier};

/// Bytes of a request's body. Twilio's have about 1 KiB.
const BODY_BYTES: usize = 64 << 10;
/// Bytes of TwiML that Twilio takes.
const TWIML_BYTES: usize = 64 << 10;
/// Name and value of a stream's parameter together must stay below this, in characters (Twilio's
/// documentation of `<Parameter>`).
const PARAMETER_CHARS: usize = 500;
/// Twilio's SIDs have 34.
const SID_BYTES: usize = 64;

/// A webhook, ready to answer.
#[derive(Debug)]
pub(crate) struct Webhook {
    settings: Settings,
    verifier: Option<Verifier>,
    /// The stream's URL, less its token.
    stream_url: String,
    /// What a call is told that cannot go on.
    fallback: String,
}

/// What Twilio is told.
pub(crate) struct Answer {
    pub(crate) call_sid: String,
    /// The direction, as a word.
    pub(crate) direction: &'static str,
    pub(crate) twiml: String,
}

/// The fields of a form, decoded.
type Form = Vec<(String, String)>;

impl Webhook {
    pub(crate) fn new(settings: &Settings, route: &Route) -> Result<Self, SetupError> {
        let signature = route.signature.as_ref();
        let fallback = match &settings.fallback {
            None => twiml::hang_up(),
            Some(Fallback::Redirect(url)) => twiml::redirect(url),
            Some(Fallback::File(path)) => read_twiml(path)?,
        };
        let stream_url = match signature {
            Some(signature) => signature.public_url.clone(),
            // Unsigned streams have no URL of their own: they come to where the webhook is.
            None => format!("wss://{}{}", authority(&settings.public_url), route.path),
        };
        Ok(Self {
            verifier: signature.map(|keys| Verifier::of(&settings.public_url, keys)),
            stream_url: stream_url.trim_end_matches("{token}").to_owned(),
            fallback,
            settings: settings.clone(),
        })
    }

    pub(crate) fn path(&self) -> &str {
        &self.settings.path
    }

    /// Answers a request. Reads its body, so give it a deadline. Cancel safe.
    pub(crate) async fn answer<B>(
        &self,
        request: Request<B>,
        gate: &dyn Gate,
    ) -> Result<Answer, Refused>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if request.method() != Method::POST {
            return Err(Refused::NotPost);
        }
        if !is_form(request.headers()) {
            return Err(Refused::Form);
        }
        let (head, body) = request.into_parts();
        let body = Limited::new(body, BODY_BYTES).collect().await;
        let body = body.map_err(|error| {
            let too_large = error.is::<LengthLimitError>();
            if too_large {
                Refused::TooLarge
            } else {
                Refused::Form
            }
        })?;
        let form: Form = form_urlencoded::parse(&body.to_bytes())
            .into_owned()
            .collect();
        if let Some(verifier) = &self.verifier {
            let checked = verifier.verify(&head.headers, &signed(&form));
            checked.map_err(Refused::Signature)?;
        }
        let call_sid = field(&form, "CallSid").filter(|sid| is_sid(sid));
        let call_sid = call_sid.ok_or(Refused::Form)?;
        let direction = gate.direct(call_sid);
        let twiml = match &direction {
            Direction::Connect(token) => {
                let url = format!("{}{}", self.stream_url, token.expose());
                twiml::connect(&url, &self.parameters(&form), &self.settings.public_url)
            }
            Direction::HangUp => twiml::hang_up(),
            Direction::Fallback => self.fallback.clone(),
        };
        Ok(Answer {
            call_sid: call_sid.to_owned(),
            direction: direction.as_str(),
            twiml,
        })
    }

    /// What the stream's `start` is to tell of the request. A value too long for that is left out.
    fn parameters<'a>(&'a self, form: &'a Form) -> Vec<(&'a str, &'a str)> {
        let named = |name: &'a String| field(form, name).map(|value| (name.as_str(), value));
        let fits = |(name, value): &(&str, &str)| {
            name.chars().count() + value.chars().count() < PARAMETER_CHARS
        };
        let names = self.settings.parameters.iter();
        names.filter_map(named).filter(fits).collect()
    }
}

/// What is signed beyond the URL: all names and values, by name, without anything between them; of
/// a name that comes again, each value once (as Twilio's own libraries read it).
fn signed(form: &Form) -> String {
    let mut fields: Vec<_> = form.iter().collect();
    fields.sort_unstable();
    fields.dedup();
    let parts = fields.into_iter();
    parts
        .flat_map(|(name, value)| [&**name, &**value])
        .collect()
}

fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    let found = form.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let kind = kind.and_then(|it| it.split(';').next()).unwrap_or_default();
    kind.trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn is_sid(text: &str) -> bool {
    (1..=SID_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Host and port of a URL.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or(rest)
}

/// The TwiML in a file, looked at only so far that a wrong file is noticed now and not in a call.
fn read_twiml(path: &Path) -> Result<String, SetupError> {
    let bytes = fs::read(path).map_err(|source| SetupError::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |what| SetupError::file(path, what);
    if bytes.len() > TWIML_BYTES {
        return Err(wrong("is over 64 KiB, more than Twilio takes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    if !text.contains("<Response") {
        return Err(wrong(
            "is no TwiML: its outermost element must be <Response>",
        ));
    }
    Ok(text)
}

#[cfg(test)]
#[path = "webhook/tests.rs"]
mod tests;
