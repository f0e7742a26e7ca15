//! Opens a socket as Twilio does: TCP, TLS for `wss://`, the signed upgrade.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::{ACCEPT_ENCODING, HOST, RETRY_AFTER, USER_AGENT};
use http::{HeaderName, HeaderValue, Request, Uri, Version};
use rustls::pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use crate::net::{Io, Socket, ws_config};
use crate::twilio::options::CallerOptions;

/// Why a stream could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallerError {
    /// The URL cannot be called; a mistake of the caller of this library.
    #[error("{url:?} cannot be called: {why}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The network or the host; a retry may help.
    #[error("cannot connect to {to}: {error}")]
    Connect {
        /// Host and port.
        to: String,
        /// The system's error.
        error: io::Error,
    },
    /// The certificate or the TLS handshake (Twilio's 31910).
    #[error("TLS with {to} failed: {error}")]
    Tls {
        /// Host and port.
        to: String,
        /// What rustls says.
        error: io::Error,
    },
    /// The server answered with something else than 101 (Twilio's 31920).
    #[error("the server refused the upgrade with HTTP status {status}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The Retry-After header, if there was one.
        retry_after: Option<String>,
    },
    /// The upgrade went wrong in another way.
    #[error("the WebSocket handshake failed: {0}")]
    Handshake(Box<WsError>),
    /// All of it took too long (Twilio's 31901); a retry may help.
    #[error("no WebSocket within {0:?}")]
    Timeout(Duration),
    /// The dialling task was ended from outside.
    #[error("dialling was ended: {0}")]
    Aborted(String),
}

/// The parts of a URL that dialling needs.
struct Target {
    secure: bool,
    host: String,
    port: u16,
    uri: Uri,
}

pub(crate) async fn dial(options: &CallerOptions, url: &str) -> Result<Socket, CallerError> {
    let target = parse(url)?;
    tokio::time::timeout(options.connect_timeout, open(options, url, target))
        .await
        .unwrap_or(Err(CallerError::Timeout(options.connect_timeout)))
}

async fn open(options: &CallerOptions, url: &str, target: Target) -> Result<Socket, CallerError> {
    // A redirect has its own URL in its own TwiML; only the first is written differently.
    let signed = match &options.public_url {
        Some(public) if url == options.url => public,
        _ => url,
    };
    let request = request(options, &target, signed)?;
    let io = transport(options, &target).await?;
    let (ws, _response) =
        client_async_with_config(request, io, Some(ws_config(options.max_message)))
            .await
            .map_err(refusal)?;
    Ok(Socket::new(ws, options.send_limit))
}

fn parse(url: &str) -> Result<Target, CallerError> {
    let bad = |why: &str| CallerError::Url {
        url: url.to_owned(),
        why: why.to_owned(),
    };
    let uri: Uri = url
        .parse()
        .map_err(|error: http::uri::InvalidUri| bad(&error.to_string()))?;
    let secure = match uri.scheme_str() {
        Some("wss") => true,
        Some("ws") => false,
        _ => return Err(bad("it must start with ws:// or wss://")),
    };
    let host = uri
        .host()
        .ok_or_else(|| bad("it names no host"))?
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
    Ok(Target {
        secure,
        host,
        port,
        uri,
    })
}

fn request(
    options: &CallerOptions,
    target: &Target,
    signed: &str,
) -> Result<Request<()>, CallerError> {
    let bad = |why: String| CallerError::Url {
        url: signed.to_owned(),
        why,
    };
    let authority = target
        .uri
        .authority()
        .map_or_else(String::new, ToString::to_string);
    let mut request = Request::get(target.uri.clone())
        .version(Version::HTTP_11)
        .header(HOST, authority)
        .header(USER_AGENT, "Twilio.TmeWs/1.0")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .header(ACCEPT_ENCODING, "gzip")
        .body(())
        .map_err(|error| bad(error.to_string()))?;
    for (name, value) in options.signing.headers(signed) {
        let value = HeaderValue::from_str(&value).map_err(|error| bad(error.to_string()))?;
        request
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    Ok(request)
}

async fn transport(options: &CallerOptions, target: &Target) -> Result<Io, CallerError> {
    let to = format!("{}:{}", target.host, target.port);
    let tcp = connect(options, target)
        .await
        .map_err(|error| CallerError::Connect {
            to: to.clone(),
            error,
        })?;
    if !target.secure {
        return Ok(Io::Plain(tcp));
    }
    let tls = |error: io::Error| CallerError::Tls {
        to: to.clone(),
        error,
    };
    let config = options.tls.clone().ok_or_else(|| {
        tls(io::Error::other(
            "no root certificates were given for a wss:// URL",
        ))
    })?;
    let name =
        ServerName::try_from(target.host.clone()).map_err(|error| tls(io::Error::other(error)))?;
    let stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(tls)?;
    Ok(Io::Tls(Box::new(stream.into())))
}

async fn connect(options: &CallerOptions, target: &Target) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((target.host.as_str(), target.port))
        .await?
        .collect();
    for address in addresses {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(size) = options.kernel_send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        match socket.connect(address).await {
            Ok(tcp) => {
                tcp.set_nodelay(true)?;
                return Ok(tcp);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn refusal(error: WsError) -> CallerError {
    match error {
        WsError::Http(response) => CallerError::Refused {
            status: response.status().as_u16(),
            retry_after: response
                .headers()
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned),
        },
        other => CallerError::Handshake(Box::new(other)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::twilio::signature::{Secret, Signing};

    #[test]
    fn the_upgrade_request_is_twilios() {
        let mut options = CallerOptions::new("ws://127.0.0.1:9/media", 1);
        options.public_url = Some("wss://proxy.example.com/twilio/media".into());
        options.signing = Signing::AuthToken(Secret::new("0123456789abcdef0123456789abcdef"));
        let target = parse(&options.url).unwrap();
        let request = request(&options, &target, options.public_url.as_deref().unwrap()).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("user-agent"), "Twilio.TmeWs/1.0");
        assert_eq!(header("x-twilio-signature"), "JgT9TL5uZaFP6XwWYeyV+NmV7Ec=");
        assert_eq!(header("host"), "127.0.0.1:9");
        assert!(!request.headers().contains_key("origin"));
        assert!(!request.headers().contains_key("sec-websocket-extensions"));
    }

    #[test]
    fn urls_that_cannot_be_called_are_named() {
        for url in ["http://a/b", "a b", "/path", "wss://"] {
            assert!(matches!(parse(url), Err(CallerError::Url { .. })), "{url}");
        }
        assert_eq!(parse("wss://[::1]/x").unwrap().host, "::1");
        assert_eq!(parse("wss://a/x").unwrap().port, 443);
    }
}
