//! One upstream, ready to be dialled.

use std::{fmt, sync::Arc};

use holdline_config::{Upstream, UpstreamProfile};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header::AUTHORIZATION};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::trust::Trust;
use crate::{SetupError, errors::DialError};

/// Headers that belong to the upgrade itself.
const RESERVED: [&str; 3] = ["host", "connection", "upgrade"];
/// Longest `model` taken from a worker.
const MODEL_MAX: usize = 128;

/// What a dial needs and no call changes.
pub(super) struct Target {
    pub(super) settings: Upstream,
    pub(super) uri: Uri,
    /// Without brackets where it is an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    headers: HeaderMap,
}

impl Target {
    pub(super) fn new(
        name: &str,
        settings: &Upstream,
        trust: &mut Trust,
    ) -> Result<Self, SetupError> {
        let failed = |what: &str| SetupError::Upstream {
            upstream: name.to_owned(),
            what: what.to_owned(),
        };
        let uri: Uri = settings
            .url
            .parse()
            .map_err(|_| failed("`url` is not a URL"))?;
        let secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(failed("`url` must begin with wss:// or ws://")),
        };
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(failed(
                "`url` must not hold a user or password; use `api_key`",
            ));
        }
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| failed("`url` names no host"))?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let tls = if secure {
            let server = ServerName::try_from(host.clone())
                .map_err(|_| failed("the host of `url` is neither a DNS name nor an address"))?;
            Some((trust.client(name, settings.ca.as_deref())?, server))
        } else {
            None
        };
        Ok(Self {
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            headers: headers(settings).map_err(|what| failed(&what))?,
            settings: settings.clone(),
            uri,
            host,
            tls,
        })
    }

    pub(super) fn profile_name(&self) -> &'static str {
        match self.settings.profile {
            UpstreamProfile::OpenaiRealtime => "openai-realtime",
            UpstreamProfile::Raw => "raw",
        }
    }

    /// The upgrade request, with a fresh key.
    pub(super) fn request(&self, model: Option<&str>) -> Result<Request<()>, DialError> {
        let uri = match (self.settings.profile, model) {
            (UpstreamProfile::OpenaiRealtime, Some(model)) => self.uri_with_model(model)?,
            _ => self.uri.clone(),
        };
        let mut request = uri
            .into_client_request()
            .map_err(|error| DialError::Upgrade {
                host: self.host.clone(),
                what: error.to_string(),
            })?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }

    /// The URL with another `model=`. The name comes from a worker, so it may hold nothing that
    /// means something in a URL.
    fn uri_with_model(&self, model: &str) -> Result<Uri, DialError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:_-".contains(&byte);
        if model.is_empty() || model.len() > MODEL_MAX || !model.bytes().all(plain) {
            return Err(DialError::Model);
        }
        let others = self.uri.query().unwrap_or("").split('&');
        let query = others
            .filter(|pair| !pair.is_empty() && !pair.starts_with("model="))
            .fold(format!("model={model}"), |query, pair| {
                format!("{query}&{pair}")
            });
        let mut parts = self.uri.clone().into_parts();
        let path_and_query = format!("{}?{query}", self.uri.path()).parse();
        parts.path_and_query = Some(path_and_query.map_err(|_| DialError::Model)?);
        Uri::from_parts(parts).map_err(|_| DialError::Model)
    }
}

/// The value of `model=` in a URL's query.
pub(super) fn model_of(uri: &Uri) -> Option<&str> {
    uri.query()?
        .split('&')
        .find_map(|pair| pair.strip_prefix("model="))
}

fn headers(settings: &Upstream) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let parsed: HeaderName = name
            .parse()
            .map_err(|_| format!("`{name}` cannot be the name of a header"))?;
        if RESERVED.contains(&parsed.as_str()) || parsed.as_str().starts_with("sec-websocket-") {
            return Err(format!(
                "header `{name}` belongs to the WebSocket upgrade; leave it out"
            ));
        }
        if settings.profile == UpstreamProfile::OpenaiRealtime && parsed == "openai-beta" {
            // Since May 2026 a session with it is closed with 4000 right after the upgrade.
            return Err(format!(
                "OpenAI closes sessions that send `{name}`; leave it out"
            ));
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("the value of header `{name}` has forbidden characters"))?;
        headers.insert(parsed, value);
    }
    if let Some(key) = &settings.api_key {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
            .map_err(|_| "`api_key` has characters that no header may have".to_owned())?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

/// Headers may hold secrets of any name: none is shown.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("uri", &self.uri)
            .finish_non_exhaustive()
    }
}
